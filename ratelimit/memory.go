package ratelimit

import (
	"context"
	"hash/maphash"
	"math/bits"
	"slices"
	"strconv"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
)

const (
	// defaultMaxKeys is the capacity of an in-process store that names none.
	defaultMaxKeys = 100_000
	maxKeysLimit   = 1 << 30

	maxShards   = 64
	keysOfShard = 1024 // a smaller store has fewer shards, which fill more evenly
)

// MemoryConfig configures a Memory.
type MemoryConfig struct {
	_ [0]func() // keyed literals only

	// MaxKeys is for how many keys there is room. It bounds the memory: a full
	// store has 20 bytes per key and 64 KiB.
	//
	//	0          100,000
	//	5_000_000  100 MB
	//	-1         refused, as is more than 2^30
	MaxKeys int
}

// Memory is the in-process Store: a table of fixed capacity with one integer per
// bucket, found by a hash keyed with a secret of this process.
//
// Consistency: every Take is atomic over all its policies. Memory: 20 bytes per
// key of capacity, taken as keys come, half as much again while it grows. What
// Enter keeps comes on top, for as long as places are held: at most as many keys.
//
// A place is reused only once its bucket is full again, so that no flood of new
// keys gives a denied one new budget. Nobody takes a place by being refused or by
// looking. When there is none, new keys of a policy share one bucket with the
// policy's limit, and their results say so ([Result.Shared]): strict for
// newcomers, fair to the keys already known.
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

// maxOverflow is how many policies have an overflow bucket of their own. Names
// come from the program, not from requests, so they are few; should there be
// more, the rest share the bucket of strangers.
const (
	maxOverflow = 256
	strangers   = 1
)

// NewMemory returns an empty store.
func NewMemory(cfg MemoryConfig) (*Memory, error) {
	problems := configerr.For(gate)
	checkMaxKeys(problems, cfg.MaxKeys)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	maxKeys := cfg.MaxKeys
	if maxKeys == 0 {
		maxKeys = defaultMaxKeys
	}
	n := min(max(maxKeys/keysOfShard, 1), maxShards)
	m := &Memory{start: time.Now(), seed: maphash.MakeSeed(), shards: make([]shard, n)}
	for i := range m.shards {
		m.shards[i].cap = (maxKeys + n - 1) / n
	}
	m.overflow.cap = maxOverflow + 1
	m.flights.max = maxKeys
	return m, nil
}

func checkMaxKeys(problems *configerr.List, n int) {
	if n < 0 || n > maxKeysLimit {
		problems.Add("MaxKeys", strconv.Itoa(n), sallyport.ConfigOutOfRange, "want 0 to 2^30")
	}
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
	return max(h, 1) // 0 is an empty place
}

func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// shard returns the index of the shard of an id. The low half chooses it, the
// high half the place in it.
func (m *Memory) shard(id uint64) int {
	return int(uint64(uint32(id)) * uint64(len(m.shards)) >> 32) // #nosec G115 -- below len
}

// now reads the monotonic clock once; time.Now would read the wall clock too.
func (m *Memory) now() int64 { return int64(time.Since(m.start)) }

// busy returns the time until a bucket is full, under a limit.
//
// A bucket that lived under a larger limit may owe more than the present one can
// hold. It counts as empty then, from the first time on that it is refused under
// the present limit: as if it refilled since. The old debt stays noted, so that a
// refusal under one limit forgives nothing under another.
func (s *shard) busy(b *bucket, t terms, now int64) int64 {
	busy := max(b.fullAt-now, 0)
	full := t.full()
	if busy <= full {
		return busy
	}
	if since, ok := s.since[b.id]; ok {
		return max(full-(now-since), 0)
	}
	return full
}

// settle notes what a decision left of a bucket.
func (s *shard) settle(b *bucket, t terms, now, busy int64, charged bool) {
	switch {
	case charged && t.cost != 0:
		if s.since != nil {
			delete(s.since, b.id)
		}
		s.set(b, now+busy)
	case t.cost > 0 && t.capacity > 0 && b.fullAt-now > t.full():
		if _, noted := s.since[b.id]; noted {
			return
		}
		if len(s.since) >= maxSince {
			s.set(b, now+busy) // forgiven: there is no room to remember more
			return
		}
		if s.since == nil {
			s.since = make(map[uint64]int64)
		}
		s.since[b.id] = now
	}
}

// Take implements Store.
func (m *Memory) Take(_ context.Context, policies []Policy, results []Result) error {
	if m == nil || m.shards == nil || len(policies) > MaxPolicies {
		return errNotConfigured
	}
	if len(policies) == 1 {
		results[0] = m.takeOne(&policies[0], policies[0].terms())
		return nil
	}
	m.takeAll(policies, results)
	return nil
}

// takeOne is Take for the common case.
func (m *Memory) takeOne(p *Policy, t terms) Result {
	id := m.id(p)
	s := &m.shards[m.shard(id)]
	s.mu.Lock()
	now := m.now()
	b := s.find(id)
	shared := false
	if b == nil {
		if t.cost <= 0 || !t.fits(0) {
			s.mu.Unlock()
			return t.result(0, t.fits(0)) // who only looks, or is refused, takes no place
		}
		if b = s.insert(id, now, now); b == nil {
			s.mu.Unlock()
			s, shared = &m.overflow, true
			s.mu.Lock()
			b = m.spill(p.Name, now)
		}
	}
	busy := s.busy(b, t, now)
	fits := t.fits(busy)
	if fits {
		busy = t.take(busy)
	}
	s.settle(b, t, now, busy, fits)
	s.mu.Unlock()
	r := t.result(busy, fits)
	r.Shared = shared
	return r
}

// spill returns the overflow bucket of a policy.
func (m *Memory) spill(name string, now int64) *bucket {
	s := &m.overflow
	id := max(maphash.String(m.seed, name), strangers+1)
	if b := s.find(id); b != nil {
		return b
	}
	if s.used < maxOverflow {
		return s.insert(id, now, now)
	}
	if b := s.find(strangers); b != nil {
		return b
	}
	return s.insert(strangers, now, now)
}

// entry is one policy of a decision under way.
type entry struct {
	terms
	id     uint64
	shard  *shard
	name   string
	absent bool // looks at a key that is not there
	fresh  bool // inserted for this decision
	full   bool // held in its place until the decision is made
	busy   int64
}

func (m *Memory) takeAll(policies []Policy, results []Result) {
	var entries [MaxPolicies]entry
	all := entries[:len(policies)]
	for i := range all {
		p := &policies[i]
		all[i] = entry{terms: p.terms(), id: m.id(p), name: p.Name}
	}
	locked := m.lock(all)
	defer locked.unlock()
	now := m.now()
	for i := range all {
		m.open(&all[i], now)
	}
	for i := range all {
		e := &all[i]
		if !e.full && !e.absent {
			e.busy = e.shard.busy(e.shard.find(e.id), e.terms, now)
		}
		results[i].Fits = e.fits(e.busy)
	}
	admit := admits(policies, results)
	for i := range all {
		e, fits := &all[i], results[i].Fits
		e.close(now, admit && fits)
		results[i] = e.result(e.busy, fits)
		results[i].Shared = e.shard == &m.overflow
	}
}

// open makes sure that the bucket of an entry is there, and stays. All locks are
// held.
func (m *Memory) open(e *entry, now int64) {
	e.shard = &m.shards[m.shard(e.id)]
	if b := e.shard.find(e.id); b != nil {
		if e.full = b.fullAt <= now; e.full {
			e.shard.set(b, now+1) // or a policy beside it could take its place
		}
		return
	}
	if e.absent = e.cost <= 0 || !e.fits(0); e.absent {
		return
	}
	e.fresh = e.shard.insert(e.id, now, now+1) != nil
	if e.full = e.fresh; e.fresh {
		return
	}
	e.shard = &m.overflow
	e.id = m.spill(e.name, now).id
}

// close charges the entry's bucket or leaves it as it was.
func (e *entry) close(now int64, charged bool) {
	if charged {
		e.busy = e.take(e.busy)
	}
	switch {
	case e.absent:
	case e.fresh && !charged:
		e.shard.forget(e.id) // it takes no place
	case e.full && (!charged || e.cost == 0):
		e.shard.set(e.shard.find(e.id), now)
	default:
		e.shard.settle(e.shard.find(e.id), e.terms, now, e.busy, charged)
	}
}

// Forget implements Store.
func (m *Memory) Forget(_ context.Context, policies []Policy) error {
	if m == nil || m.shards == nil {
		return errNotConfigured
	}
	for i := range policies {
		id := m.id(&policies[i])
		s := &m.shards[m.shard(id)]
		s.mu.Lock()
		s.forget(id)
		s.mu.Unlock()
	}
	return nil
}

// follow keeps a bucket busy for at least so long.
func (m *Memory) follow(p *Policy, busy int64) {
	id := m.id(p)
	s := &m.shards[m.shard(id)]
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now()
	b := s.find(id)
	if b == nil && busy > 0 {
		b = s.insert(id, now, now)
	}
	if b != nil && b.fullAt < now+busy {
		s.set(b, now+busy)
	}
}

// locked is a set of locked shards.
type locked struct {
	m     *Memory
	index [MaxPolicies]int
	n     int
}

// lock locks the shards of all entries in ascending order, which cannot
// deadlock, and the overflow shard last.
func (m *Memory) lock(entries []entry) locked {
	l := locked{m: m}
	for i := range entries {
		n := m.shard(entries[i].id)
		if !slices.Contains(l.index[:l.n], n) {
			l.index[l.n] = n
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
