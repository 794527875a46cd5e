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
	until  time.Time // of the denial, or of the lease
	denied bool
	credit int64 // repeats taken ahead and not used
	size   int   // repeats to take ahead next time
}

func newMemo(cfg Config) *memo {
	return &memo{lease: cfg.Lease, leaseTime: cfg.LeaseTime}
}

func (m *memo) shard(id uint64) *memoShard { return &m.shards[id>>32%memoShards] }

func (m *memo) clear() {
	for i := range m.shards {
		sh := &m.shards[i]
		sh.mu.Lock()
		sh.seen = nil
		sh.mu.Unlock()
	}
}

// answer decides without Redis, if it can.
func (m *memo) answer(id uint64, policies []ratelimit.Policy, results []ratelimit.Result) bool {
	sh := m.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.seen[id]
	if e == nil || !e.denied && e.credit == 0 {
		return false
	}
	now := time.Now()
	if !now.Before(e.until) {
		return false
	}
	if !e.denied {
		e.credit--
	}
	passed := int64(now.Sub(e.at))
	for i := range policies {
		p := &policies[i]
		if e.denied {
			results[i] = state(p, max(e.busy[i]-passed, 0))
			continue
		}
		// The bucket as it is, less what others will still take ahead.
		ahead := e.credit * int64(p.Limit.Interval()) * int64(p.Cost)
		results[i] = state(p, max(e.busy[i]-passed-ahead, 0))
		results[i].Fits, results[i].RetryAfter = true, 0
	}
	if e.denied && allFit(policies, results) {
		return false // the time has come, save for rounding
	}
	return true
}

func allFit(policies []ratelimit.Policy, results []ratelimit.Result) bool {
	for i := range results {
		if !results[i].Fits && !policies[i].Shadow {
			return false
		}
	}
	return true
}

// ahead says how many repeats to take beyond the members. It doubles while a
// lease is used up before its time and halves when it is not, so that only keys
// that are busy here hold units back.
func (m *memo) ahead(c *call, members int, now time.Time) int {
	if m.lease == 0 || c.id == 0 {
		return 0
	}
	sh := m.shard(c.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.seen[c.id]
	if e == nil {
		sh.put(c.id, &entry{at: now}, now)
		return 0
	}
	switch {
	case e.denied:
	case now.Sub(e.at) < m.leaseTime/2:
		e.size = max(2*e.size, 2*members)
	default:
		e.size /= 2
	}
	for _, t := range c.terms[:c.n] {
		// No more than an eighth of a bucket rests in one process.
		e.size = min(e.size, m.lease/int(t.cost), int(t.burst/8/t.cost))
	}
	return e.size
}

// learn remembers the outcome of a group.
func (m *memo) learn(g *group, admitted int64, started time.Time) {
	c := g.first
	denied := admitted < int64(g.members)
	if !denied && m.lease == 0 {
		return
	}
	e := &entry{at: started, denied: denied}
	var wait int64
	for i, t := range c.terms[:c.n] {
		e.busy[i] = c.busy[i]
		if c.short[i] || t.shadow {
			continue
		}
		if t.cost > t.burst {
			wait = int64(maxHold) // until the limit changes, which is another decision
			continue
		}
		wait = max(wait, c.busy[i]+t.interval*t.cost-t.interval*t.burst)
	}
	now := time.Now()
	sh := m.shard(c.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	old := sh.seen[c.id]
	if old != nil {
		e.size = old.size
	}
	if denied {
		e.until = started.Add(min(time.Duration(max(wait, m.hold(c))), maxHold))
	} else {
		e.credit = admitted - int64(g.members)
		if old != nil && !old.denied && now.Before(old.until) {
			e.credit += old.credit
		}
		e.credit = min(e.credit, int64(m.lease))
		e.until = started.Add(m.leaseTime)
	}
	sh.put(c.id, e, now)
}

// hold is how long a leased key rests after a denial, so that the units which
// trickle in are fetched together and not one by one.
func (m *memo) hold(c *call) int64 {
	if m.lease == 0 {
		return 0
	}
	rest := int64(m.leaseTime) / 2
	for _, t := range c.terms[:c.n] {
		rest = min(rest, t.interval*min(int64(m.lease)/2, t.burst/4))
	}
	return rest
}

// put stores an entry, making room by dropping what has run out.
func (sh *memoShard) put(id uint64, e *entry, now time.Time) {
	if sh.seen == nil {
		sh.seen = make(map[uint64]*entry)
	}
	if _, ok := sh.seen[id]; !ok && len(sh.seen) >= memoKeys/memoShards {
		looked := 0
		for k, old := range sh.seen {
			if !now.Before(old.until) {
				delete(sh.seen, k)
			}
			if looked++; looked == 8 {
				break
			}
		}
		if len(sh.seen) >= memoKeys/memoShards {
			return
		}
	}
	sh.seen[id] = e
}
