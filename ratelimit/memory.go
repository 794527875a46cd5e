package ratelimit

import (
	"context"
	"hash/maphash"
	"math"
	"slices"
	"time"
)

// DefaultMaxKeys is the capacity of an in-process store that names none.
const DefaultMaxKeys = 100_000

const shardCount = 64

// Memory is the in-process Store: token buckets of golang.org/x/time/rate in
// a table of fixed capacity, found by a hash keyed with a secret of this
// process.
//
// Consistency: every Take is atomic over all its policies. Memory: at most 120
// bytes per key of capacity; nothing else grows. A place is reused only once
// its bucket is full again, so that no flood of new keys gives a denied one
// new budget. When no such place is found, new keys of a policy share one
// overflow bucket with the policy's limit: strict for newcomers, fair to the
// keys already known.
//
// Time is the monotonic clock: setting the wall clock changes nothing.
//
// The zero value refuses everything. Safe for concurrent use.
type Memory struct {
	start    time.Time
	seed     maphash.Seed
	shards   []shard
	overflow shard // locked after the others
	flights  flights
}

// NewMemory returns a store for at most maxKeys buckets. Zero or less means
// DefaultMaxKeys.
func NewMemory(maxKeys int) *Memory {
	if maxKeys <= 0 {
		maxKeys = DefaultMaxKeys
	}
	maxKeys = min(maxKeys, math.MaxInt32)
	m := &Memory{start: time.Now(), seed: maphash.MakeSeed(), shards: make([]shard, shardCount)}
	for i := range m.shards {
		m.shards[i].cap = (maxKeys + shardCount - 1) / shardCount
	}
	m.overflow.cap = 256
	m.flights.max = maxKeys
	return m
}

// identity is what a bucket's id is the hash of.
type identity struct {
	name string
	key  Key
}

// id is never 0, which marks empty places.
func (m *Memory) id(p *Policy) uint64 {
	return maphash.Comparable(m.seed, identity{p.Name, p.Key}) | 1<<63
}

func (m *Memory) shard(id uint64) *shard { return &m.shards[id%shardCount] }

// now reads the monotonic clock once; time.Now would read the wall clock too.
func (m *Memory) now() (time.Time, int64) {
	d := time.Since(m.start)
	return m.start.Add(d), int64(d)
}

// Take implements Store.
func (m *Memory) Take(_ context.Context, policies []Policy, results []Result) error {
	if m == nil || m.shards == nil || len(policies) > MaxPolicies {
		return errNotConfigured
	}
	if len(policies) == 1 {
		results[0] = m.takeOne(&policies[0])
		return nil
	}
	var ids [MaxPolicies]uint64
	for i := range policies {
		ids[i] = m.id(&policies[i])
	}
	locked := m.lock(ids[:len(policies)])
	defer locked.unlock()
	t, now := m.now()

	var places [MaxPolicies]place
	var busy [MaxPolicies]int64
	for i := range policies {
		p := &policies[i]
		places[i] = m.place(ids[i], p.Name, now)
		busy[i] = places[i].busy(t, now, &p.Limit)
		results[i].Fits = fits(p, busy[i]) && places[i].allows(t, p)
	}
	charge := admits(policies, results)
	for i := range policies {
		p, r := &policies[i], &results[i]
		if charge && r.Fits {
			busy[i] = places[i].charge(t, p, busy[i])
		}
		*places[i].fullAt = now + busy[i]
		*r = report(p, busy[i], r.Fits)
	}
	return nil
}

// takeOne is Take for the common case.
func (m *Memory) takeOne(p *Policy) Result {
	id := m.id(p)
	s := m.shard(id)
	s.mu.Lock()
	t, now := m.now()
	b, ok := s.find(id)
	if !ok {
		b, ok = s.insert(id, now)
	}
	if !ok {
		s.mu.Unlock()
		s = &m.overflow
		s.mu.Lock()
		b = m.spill(p.Name, now)
	}
	busy := b.busy(t, now, &p.Limit)
	ok = fits(p, busy) && (p.Cost <= 0 || b.lim.AllowN(t, p.Cost))
	if ok {
		busy = b.account(p, busy)
	}
	*b.fullAt = now + busy
	s.mu.Unlock()
	return report(p, busy, ok)
}

// place returns the place of id, or the policy's overflow bucket. All locks
// are held.
func (m *Memory) place(id uint64, name string, now int64) place {
	s := m.shard(id)
	if b, ok := s.find(id); ok {
		return b
	}
	if b, ok := s.insert(id, now); ok {
		return b
	}
	return m.spill(name, now)
}

// spill returns the overflow bucket of a policy. Should more policy names
// overflow than there is room for, which takes names made from input, they
// share the first bucket.
func (m *Memory) spill(name string, now int64) place {
	id := maphash.String(m.seed, name) | 1<<63
	if b, ok := m.overflow.find(id); ok {
		return b
	}
	if b, ok := m.overflow.insert(id, now); ok {
		return b
	}
	return m.overflow.at(0)
}

// fits reports whether the account has room for the cost.
func fits(p *Policy, busy int64) bool {
	interval, capacity := int64(p.Limit.Interval()), int64(p.Limit.Capacity())
	cost := int64(p.Cost)
	return cost <= 0 || cost <= capacity && busy+interval*cost <= interval*capacity
}

// allows reports whether AllowN will: it lets a deficit below a nanosecond
// pass.
func (b place) allows(t time.Time, p *Policy) bool {
	return p.Cost <= 0 ||
		(float64(p.Cost)-b.lim.TokensAt(t))*float64(p.Limit.Interval()) < 1
}

// charge takes the cost, which is known to fit.
func (b place) charge(t time.Time, p *Policy, busy int64) int64 {
	if p.Cost > 0 {
		b.lim.AllowN(t, p.Cost)
	}
	return b.account(p, busy)
}

// account returns the time until full after the cost.
func (b place) account(p *Policy, busy int64) int64 {
	switch {
	case p.Cost > 0:
		return busy + int64(p.Limit.Interval())*int64(p.Cost)
	case p.Cost < 0:
		b.rebuild() // x/time/rate cannot give back
		back := min(-int64(p.Cost), int64(p.Limit.Capacity()))
		return max(busy-int64(p.Limit.Interval())*back, 0)
	}
	return busy
}

// report turns the time until full into a Result.
func report(p *Policy, busy int64, fits bool) Result {
	interval, capacity := int64(p.Limit.Interval()), int64(p.Limit.Capacity())
	r := Result{Fits: fits, Reset: time.Duration(busy)}
	if interval > 0 {
		r.Remaining = int((interval*capacity - busy) / interval)
	}
	if !fits && int64(p.Cost) <= capacity {
		// At least a microsecond, should only the limiter's rounding refuse.
		wait := busy + interval*int64(p.Cost) - interval*capacity
		r.RetryAfter = max(time.Duration(wait), time.Microsecond)
	}
	return r
}

// Forget implements Store.
func (m *Memory) Forget(_ context.Context, policies []Policy) error {
	if m == nil || m.shards == nil {
		return errNotConfigured
	}
	for i := range policies {
		id := m.id(&policies[i])
		s := m.shard(id)
		s.mu.Lock()
		if b, ok := s.find(id); ok {
			*b.fullAt = 0
			b.rebuild()
		}
		s.mu.Unlock()
	}
	return nil
}

// locked is a set of locked shards.
type locked struct {
	m     *Memory
	index [MaxPolicies]uint8
	n     int
}

// lock locks the shards of all ids in ascending order, which cannot deadlock,
// and the overflow shard last.
func (m *Memory) lock(ids []uint64) locked {
	l := locked{m: m}
	for _, id := range ids {
		if i := uint8(id % shardCount); !slices.Contains(l.index[:l.n], i) { // #nosec G115 -- below 64
			l.index[l.n] = i
			l.n++
		}
	}
	slices.Sort(l.index[:l.n])
	for _, i := range l.index[:l.n] {
		m.shards[i].mu.Lock()
	}
	m.overflow.mu.Lock()
	return l
}

func (l *locked) unlock() {
	l.m.overflow.mu.Unlock()
	for _, i := range l.index[:l.n] {
		l.m.shards[i].mu.Unlock()
	}
}
