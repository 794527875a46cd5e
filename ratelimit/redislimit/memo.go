package redislimit

import (
	"sync"
	"time"

	"github.com/opsmantik/sallyport/ratelimit"
)

const (
	memoShards = 16
	// memoKeys bounds what is remembered: about 4 MB when full. Past it,
	// decisions simply go to Redis.
	memoKeys = 16384
	// maxHold bounds how long a denial is believed, should Redis be flushed.
	maxHold = 10 * time.Second
)

// memo answers decisions whose outcome is known without asking: those that were
// denied until a time that has not come, and those for which units were taken
// ahead.
type memo struct {
	lease     int
	leaseTime time.Duration
	shards    [memoShards]memoShard
}

type memoShard struct {
	mu   sync.Mutex
	seen map[uint64]*entry
	_    [48]byte
}

// entry is what is known about one decision.
type entry struct {
	at     time.Time // when busy was true
	busy   [ratelimit.MaxPolicies]int64
	denied time.Time // denied until then
	leased time.Time // credit may be used until then
	credit int64     // repeats taken ahead and not used
	asked  int64     // repeats being taken ahead right now
	size   int64     // repeats to take ahead next time
	marks  uint64    // of the keys that it is about
}

func newMemo(cfg Config) *memo {
	return &memo{lease: cfg.Lease, leaseTime: cfg.LeaseTime}
}

func (m *memo) shard(id uint64) *memoShard { return &m.shards[id>>32%memoShards] }

// clear drops what is known about decisions on marked keys, and with it little
// else: what others have taken ahead would be lost.
func (m *memo) clear(marks uint64) {
	for i := range m.shards {
		sh := &m.shards[i]
		sh.mu.Lock()
		for id, e := range sh.seen {
			if e.marks&marks != 0 {
				delete(sh.seen, id)
			}
		}
		sh.mu.Unlock()
	}
}

// mark is one of 64 bits, by the last 6 bits of a key's hash.
func mark(key string) uint64 { return 1 << (key[len(key)-1] % 64) }

// answer decides without Redis, if it can.
func (m *memo) answer(id uint64, policies []ratelimit.Policy, results []ratelimit.Result) bool {
	sh := m.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.seen[id]
	if e == nil {
		return false
	}
	now := time.Now()
	passed := int64(now.Sub(e.at))
	switch {
	case e.credit > 0 && now.Before(e.leased):
		e.credit--
		for i := range policies {
			p := &policies[i]
			// The bucket as it is, less what is taken ahead and still unused.
			ahead := e.credit * int64(p.Limit.Interval()) * int64(p.Cost)
			results[i] = p.Result(time.Duration(max(e.busy[i]-passed-ahead, 0)))
			results[i].Fits, results[i].RetryAfter = true, 0
		}
		return true
	case now.Before(e.denied):
		for i := range policies {
			results[i] = policies[i].Result(time.Duration(max(e.busy[i]-passed, 0)))
		}
		// While a leased key rests, its time may have come: it must still refuse.
		if i := refuser(policies, results); i >= 0 {
			results[i].Fits, results[i].RetryAfter = false, e.denied.Sub(now)
		}
		return true
	}
	return false
}

// refuser returns the first policy that may refuse, or -1 if one already does.
func refuser(policies []ratelimit.Policy, results []ratelimit.Result) int {
	first := -1
	for i := range results {
		if policies[i].Shadow {
			continue
		}
		if !results[i].Fits {
			return -1
		}
		if first < 0 {
			first = i
		}
	}
	return first
}

// ahead says how many repeats to take beyond the members. It doubles while a
// lease is used up before its time and halves when it is not, so that only keys
// that are busy here hold units back.
func (m *memo) ahead(c *call, members int, now time.Time) int64 {
	if m.lease == 0 || c.id == 0 {
		return 0
	}
	sh := m.shard(c.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.get(c.id, now)
	if e == nil {
		return 0
	}
	switch {
	case e.at.IsZero() || e.denied.After(e.at):
	case now.Sub(e.at) < m.leaseTime/2:
		e.size = max(2*e.size, 2*int64(members))
	default:
		e.size /= 2
	}
	for _, t := range c.terms[:c.n] {
		// No more than an eighth of a bucket rests in one process.
		e.size = min(e.size, int64(m.lease)/t.cost, t.burst/8/t.cost)
	}
	if !now.Before(e.leased) {
		e.credit = 0 // too late to be used
	}
	n := max(e.size-e.credit-e.asked, 0)
	e.asked += n
	return n
}

// learn remembers the outcome of a group; admitted is -1 if it is not known.
func (m *memo) learn(g *group, admitted int64, started time.Time) {
	c := g.first
	denied := admitted >= 0 && admitted < g.members
	if c.id == 0 || !denied && m.lease == 0 {
		return
	}
	now := time.Now()
	sh := m.shard(c.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.get(c.id, now)
	if e == nil {
		return
	}
	e.asked = max(e.asked-g.ahead, 0)
	if admitted < 0 {
		return
	}
	e.at, e.busy = started, g.busy
	for _, key := range c.keys[:c.n] {
		e.marks |= mark(key)
	}
	if denied {
		e.denied = started.Add(min(max(g.wait(), m.hold(c)), maxHold))
		return
	}
	e.denied = time.Time{}
	if extra := admitted - g.members; extra > 0 {
		if !now.Before(e.leased) {
			e.credit = 0 // too late to be used, whatever has come since
		}
		e.credit += extra
		e.leased = started.Add(m.leaseTime)
	}
}

// wait is the time until the group, which was denied, would be admitted.
func (g *group) wait() time.Duration {
	var wait int64
	for i, t := range g.first.terms[:g.first.n] {
		switch {
		case t.shadow:
		case t.cost > t.burst:
			return maxHold // until the limit changes, which is another decision
		default:
			wait = max(wait, g.busy[i]+t.interval*t.cost-t.interval*t.burst)
		}
	}
	return time.Duration(wait)
}

// hold is how long a leased key rests after a denial, so that the units which
// trickle in are fetched together and not one by one.
func (m *memo) hold(c *call) time.Duration {
	if m.lease == 0 {
		return 0
	}
	rest := int64(m.leaseTime) / 2
	for _, t := range c.terms[:c.n] {
		rest = min(rest, t.interval*min(int64(m.lease)/2, t.burst/8))
	}
	return time.Duration(rest)
}

// get returns the entry of id, made if there is room; a few of those that say
// nothing any more are dropped to make some.
func (sh *memoShard) get(id uint64, now time.Time) *entry {
	if e := sh.seen[id]; e != nil {
		return e
	}
	if sh.seen == nil {
		sh.seen = make(map[uint64]*entry)
	}
	if len(sh.seen) >= memoKeys/memoShards {
		looked := 0
		for k, e := range sh.seen {
			if e.asked == 0 && !now.Before(e.denied) && !now.Before(e.leased) {
				delete(sh.seen, k)
			}
			if looked++; looked == 8 {
				break
			}
		}
	}
	if len(sh.seen) >= memoKeys/memoShards {
		return nil
	}
	e := new(entry)
	sh.seen[id] = e
	return e
}
