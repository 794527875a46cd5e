package ratelimit

import (
	"context"
	"hash/maphash"
	"math"
	"math/bits"
	"slices"
	"time"
)

// defaultMaxKeys is the capacity of an in-process store that names none.
const defaultMaxKeys = 100_000

const shardCount = 64

// Memory is the in-process Store: token buckets of golang.org/x/time/rate in
// a table of fixed capacity, found by a hash keyed with a secret of this
// process.
//
// Consistency: every Take is atomic over all its policies. Memory: at most 120
// bytes per key of capacity and 256 KiB. What Enter keeps comes on top, for as
// long as places are held: at most as many keys. A place is reused only once
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
// 100,000.
func NewMemory(maxKeys int) *Memory {
	if maxKeys <= 0 {
		maxKeys = defaultMaxKeys
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

// id hashes the policy's name and every part of its key. Each part has its own
// multiplier, so that none can stand in another's place.
func (m *Memory) id(p *Policy) uint64 {
	k := &p.Key
	h := maphash.String(m.seed, p.Name) ^ uint64(k.bits)<<8 ^ uint64(k.parts)
	if k.bits != 0 {
		h = fold(h^maphash.Bytes(m.seed, k.addr[:]), 0x9E3779B97F4A7C15)
	}
	if k.tenant != "" {
		h = fold(h^maphash.String(m.seed, k.tenant), 0xC2B2AE3D27D4EB4F)
	}
	if k.part[0] != "" {
		h = fold(h^maphash.String(m.seed, k.part[0]), 0x165667B19E3779F9)
	}
	if k.part[1] != "" {
		h = fold(h^maphash.String(m.seed, k.part[1]), 0x27D4EB2F165667C5)
	}
	return h
}

func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
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
		results[0] = m.takeOne(&policies[0], policies[0].charge())
		return nil
	}
	var ids [MaxPolicies]uint64
	for i := range policies {
		ids[i] = m.id(&policies[i])
	}
	locked := m.lock(ids[:len(policies)])
	defer locked.unlock()
	t, now := m.now()

	var buckets [MaxPolicies]*bucket
	var busy [MaxPolicies]int64
	var charges [MaxPolicies]charge
	for i := range policies {
		p := &policies[i]
		charges[i] = p.charge()
		buckets[i] = m.bucket(ids[i], p.Name, now)
		busy[i] = buckets[i].busy(t, now, &p.Limit, charges[i])
		results[i].Fits = charges[i].fits(busy[i]) && buckets[i].allows(t, charges[i])
		// A full bucket may be forgotten, but not for a policy beside it.
		buckets[i].fullAt = max(buckets[i].fullAt, now+1)
	}
	admit := admits(policies, results)
	for i := range policies {
		b, c := buckets[i], charges[i]
		fits := results[i].Fits
		if admit && fits {
			if c.cost > 0 {
				b.lim.AllowN(t, int(c.cost)) // allows has said so
			}
			busy[i] = b.account(c, busy[i])
		}
		b.fullAt = now + busy[i]
		results[i] = c.report(busy[i], fits)
	}
	return nil
}

// takeOne is Take for the common case.
func (m *Memory) takeOne(p *Policy, c charge) Result {
	id := m.id(p)
	s := m.shard(id)
	s.mu.Lock()
	t, now := m.now()
	b := s.find(id)
	if b == nil {
		b = s.insert(id, now)
	}
	if b == nil {
		s.mu.Unlock()
		s = &m.overflow
		s.mu.Lock()
		b = m.spill(p.Name, now)
	}
	busy := b.busy(t, now, &p.Limit, c)
	fits := c.fits(busy) && (c.cost <= 0 || b.lim.AllowN(t, int(c.cost)))
	if fits {
		busy = b.account(c, busy)
	}
	b.fullAt = now + busy
	s.mu.Unlock()
	return c.report(busy, fits)
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

// allows reports whether AllowN will: it lets a deficit below a nanosecond
// pass.
func (b *bucket) allows(t time.Time, c charge) bool {
	return c.cost <= 0 || (float64(c.cost)-b.lim.TokensAt(t))*float64(c.interval) < 1
}

// account returns the time until full after the cost.
func (b *bucket) account(c charge, busy int64) int64 {
	if c.cost < 0 {
		b.rebuild() // x/time/rate cannot give back
		return max(busy-c.interval*min(-c.cost, c.capacity), 0)
	}
	return busy + c.interval*c.cost
}

// charge is a policy in the numbers of its bucket.
type charge struct{ interval, capacity, cost int64 }

func (p *Policy) charge() charge {
	return charge{int64(p.Limit.Interval()), int64(p.Limit.Capacity()), int64(p.Cost)}
}

// fits reports whether the account has room for the cost.
func (c charge) fits(busy int64) bool {
	return c.cost <= 0 ||
		c.cost <= c.capacity && busy+c.interval*c.cost <= c.interval*c.capacity
}

// report turns the time until full into a Result.
func (c charge) report(busy int64, fits bool) Result {
	r := Result{Fits: fits, Reset: time.Duration(busy)}
	if c.interval > 0 {
		r.Remaining = int(max(c.interval*c.capacity-busy, 0) / c.interval)
	}
	if !fits && c.cost <= c.capacity {
		// At least a microsecond, should only the limiter's rounding refuse.
		wait := busy + c.interval*c.cost - c.interval*c.capacity
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
		if b := s.find(id); b != nil {
			b.fullAt = 0
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
		i := uint8(id % shardCount) // #nosec G115 -- below 64
		if !slices.Contains(l.index[:l.n], i) {
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
