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
// Precision: x/time/rate counts in float64, so a decision may be wrong by
// rounding, which is below a millionth of a unit.
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

func (m *Memory) id(p *Policy) uint64 {
	return maphash.Comparable(m.seed, identity{p.Name, p.Key})
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
	unlock := m.lock(ids[:len(policies)])
	defer unlock.unlock()
	t, now := m.now()

	var buckets [MaxPolicies]*bucket
	var tokens [MaxPolicies]float64
	for i := range policies {
		p := &policies[i]
		buckets[i] = m.bucket(ids[i], p.Name, now)
		tokens[i] = buckets[i].look(t, now, &p.Limit)
		results[i].Fits = fits(p, tokens[i])
	}
	charge := admits(policies, results)
	for i := range policies {
		p := &policies[i]
		results[i] = settle(buckets[i], p, t, now, tokens[i], charge)
	}
	return nil
}

// takeOne is Take for the common case.
func (m *Memory) takeOne(p *Policy) Result {
	id := m.id(p)
	s := m.shard(id)
	s.mu.Lock()
	t, now := m.now()
	b := s.find(id)
	if b == nil {
		b = s.insert(id, now)
	}
	if b != nil {
		r := settle(b, p, t, now, b.look(t, now, &p.Limit), true)
		s.mu.Unlock()
		return r
	}
	s.mu.Unlock()
	m.overflow.mu.Lock()
	defer m.overflow.mu.Unlock()
	b = m.spill(p.Name, now)
	return settle(b, p, t, now, b.look(t, now, &p.Limit), true)
}

// bucket returns the bucket of id, or the policy's overflow bucket. All locks
// are held.
func (m *Memory) bucket(id uint64, name string, now int64) *bucket {
	s := m.shard(id)
	if b := s.find(id); b != nil {
		return b
	}
	if b := s.insert(id, now); b != nil {
		return b
	}
	return m.spill(name, now)
}

// spill returns the overflow bucket of a policy. Should more policy names
// overflow than there is room for, which takes names made from input, they
// share the first bucket.
func (m *Memory) spill(name string, now int64) *bucket {
	id := maphash.String(m.seed, name)
	if b := m.overflow.find(id); b != nil {
		return b
	}
	if b := m.overflow.insert(id, now); b != nil {
		return b
	}
	return m.overflow.at(0)
}

// fits reports whether the cost can be charged now.
func fits(p *Policy, tokens float64) bool {
	return p.Cost <= 0 || tokens >= float64(p.Cost) && p.Cost <= p.Limit.Capacity()
}

// settle charges the bucket if it may, and reports its state.
func settle(b *bucket, p *Policy, t time.Time, now int64, tokens float64, charge bool) Result {
	r := Result{Fits: fits(p, tokens)}
	switch {
	case !r.Fits && p.Cost <= p.Limit.Capacity():
		// One nanosecond more than the ceiling absorbs the float's rounding.
		wait := (float64(p.Cost) - tokens) * float64(p.Limit.Interval())
		r.RetryAfter = time.Duration(math.Ceil(wait)) + 1
	case r.Fits && charge && p.Cost > 0:
		b.lim.AllowN(t, p.Cost)
		tokens -= float64(p.Cost)
	case r.Fits && charge && p.Cost < 0:
		tokens = min(tokens-float64(p.Cost), float64(p.Limit.Capacity()))
		b.set(t, &p.Limit, tokens)
	}
	r.Remaining = int(max(tokens, 0))
	missing := max(float64(p.Limit.Capacity())-tokens, 0)
	r.Reset = time.Duration(math.Ceil(missing * float64(p.Limit.Interval())))
	b.fullAt = now + int64(r.Reset)
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
		if b := s.find(id); b != nil {
			b.fullAt, b.shape = 0, 0 // the next look rebuilds it full
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
