package ratelimit

import (
	"math/bits"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// bucket is one key's state. The rate.Limiter decides. fullAt, kept beside the
// buckets, is the account of what it granted, in whole nanoseconds: it tells
// what remains without asking again, which buckets may be forgotten, and keeps
// the bound exact where the limiter's floating point would round.
type bucket struct {
	shape uint32 // which Limit lim was set to; 0 is none
	home  uint32 // the position in the shard's index
	lim   rate.Limiter
}

// place is a bucket and its account.
type place struct {
	*bucket
	fullAt *int64 // nanoseconds since the store's start
}

// busy returns the nanoseconds until the bucket is full, and brings its limiter
// to the limit. A bucket that lived under another limit keeps its time until
// full, rounded up to whole units.
func (b place) busy(t time.Time, now int64, l *Limit) int64 {
	interval, capacity := int64(l.Interval()), int64(l.Capacity())
	busy := max(*b.fullAt-now, 0)
	if shape := l.shape(); b.shape != shape && interval > 0 {
		b.shape = shape
		used := min((busy+interval-1)/interval, capacity)
		// A rate.Limiter last updated in the year 1 fills at its next use.
		b.lim = rate.Limiter{}
		b.lim.SetBurstAt(time.Time{}, int(capacity))
		b.lim.SetLimitAt(time.Time{}, rate.Every(time.Duration(interval)))
		b.lim.AllowN(t, int(used))
		busy = used * interval
	}
	return min(busy, interval*capacity)
}

// rebuild makes the next busy set the limiter anew from the account.
func (b place) rebuild() { b.shape = 0 }

// shape is a fingerprint that differs between limits in practice. A collision
// keeps the older limit for that bucket until it is forgotten.
func (l *Limit) shape() uint32 {
	h := uint64(l.Count)*0x9E3779B97F4A7C15 ^ uint64(l.Window)*0xC2B2AE3D27D4EB4F // #nosec G115
	h = bits.RotateLeft64(h, 29) ^ uint64(l.Burst)*0x165667B19E3779F9             // #nosec G115
	return uint32((h*0x9E3779B97F4A7C15)>>32) | 1                                 // #nosec G115 -- high half
}

const chunkSize = 32

// chunk holds the accounts apart, so that eight of them share a cache line.
type chunk struct {
	fullAt  [chunkSize]int64
	buckets [chunkSize]bucket
}

// shard is a hash table of buckets with a hard capacity: an open-addressed
// index over chunks that are allocated as needed.
type shard struct {
	mu     sync.Mutex
	ids    []uint64 // the index: keyed hashes of policy name and key; 0 is empty
	slots  []uint32 // where each id's bucket is
	chunks []*chunk
	used   int
	cap    int
	hand   int // where the search for a forgettable bucket goes on
	_      [64]byte
}

func (s *shard) at(slot int) place {
	c := s.chunks[slot/chunkSize]
	return place{&c.buckets[slot%chunkSize], &c.fullAt[slot%chunkSize]}
}

// home is where in the index an id is looked for first: a multiplication in
// place of a modulo.
func (s *shard) home(id uint64) int {
	hi, _ := bits.Mul64(id, uint64(len(s.ids)))
	return int(hi) // #nosec G115 -- below len(s.ids)
}

func (s *shard) next(i int) int {
	if i++; i == len(s.ids) {
		return 0
	}
	return i
}

// find returns the bucket of id.
func (s *shard) find(id uint64) (place, bool) {
	if s.ids == nil {
		return place{}, false
	}
	for i := s.home(id); s.ids[i] != 0; i = s.next(i) {
		if s.ids[i] == id {
			return s.at(int(s.slots[i])), true
		}
	}
	return place{}, false
}

// insert returns a fresh bucket for id, which must not be present, or false
// when every place holds a bucket that still matters.
func (s *shard) insert(id uint64, now int64) (place, bool) {
	slot := s.used
	switch {
	case s.used < s.cap:
		if s.ids == nil {
			n := s.cap + s.cap/3 + 1
			s.ids, s.slots = make([]uint64, n), make([]uint32, n)
		}
		if slot == len(s.chunks)*chunkSize {
			s.chunks = append(s.chunks, new(chunk))
		}
		s.used++
	default:
		if slot = s.forgettable(now); slot < 0 {
			return place{}, false
		}
		s.unlink(int(s.at(slot).home))
	}
	b := s.at(slot)
	*b.fullAt, b.shape = 0, 0
	i := s.home(id)
	for s.ids[i] != 0 {
		i = s.next(i)
	}
	s.ids[i], s.slots[i], b.home = id, uint32(slot), uint32(i) // #nosec G115 -- below MaxInt32
	return b, true
}

// forgettable returns a slot whose bucket is full, which is what a new one
// would be: dropping it changes no decision. It looks at a few places per
// call, so that a flood of new keys costs each of them little.
func (s *shard) forgettable(now int64) int {
	for range min(8, s.used) {
		slot := s.hand
		if s.hand++; s.hand == s.used {
			s.hand = 0
		}
		if s.chunks[slot/chunkSize].fullAt[slot%chunkSize] <= now {
			return slot
		}
	}
	return -1
}

// unlink empties index position i and closes the gap (Knuth, The Art of
// Computer Programming, volume 3, section 6.4, algorithm R).
func (s *shard) unlink(i int) {
	n := len(s.ids)
	for j := s.next(i); s.ids[j] != 0; j = s.next(j) {
		// The entry at j may fill the gap unless its home lies between them.
		if home := s.home(s.ids[j]); (j-home+n)%n >= (j-i+n)%n {
			s.ids[i], s.slots[i] = s.ids[j], s.slots[j]
			s.at(int(s.slots[i])).home = uint32(i) // #nosec G115 -- below MaxInt32
			i = j
		}
	}
	s.ids[i] = 0
}
