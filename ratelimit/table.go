package ratelimit

import (
	"math"
	"math/bits"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// bucket is one key's state. The rate.Limiter decides. fullAt is the account of
// what it granted, in whole nanoseconds: it tells what remains without asking
// again, which buckets may be forgotten, and keeps the bound exact where the
// limiter's floating point would round.
type bucket struct {
	id     uint64 // keyed hash of policy name and key
	fullAt int64  // nanoseconds since the store's start
	shape  uint32 // which Limit lim was set to; 0 is none
	lim    rate.Limiter
}

// busy returns the nanoseconds until the bucket is full, and brings its limiter
// to the limit. A bucket that lived under another limit keeps its time until
// full.
func (b *bucket) busy(t time.Time, now int64, l *Limit, c charge) int64 {
	busy := max(b.fullAt-now, 0)
	if shape := l.shape(); b.shape != shape && c.interval > 0 {
		b.shape = shape
		used := min((busy+c.interval-1)/c.interval, c.capacity)
		busy = min(busy, c.interval*c.capacity)
		// A rate.Limiter last updated in the year 1 fills at its next use. Whole
		// units can be taken from it only, so they are taken the rest earlier.
		b.lim = rate.Limiter{}
		b.lim.SetBurstAt(time.Time{}, int(c.capacity))
		b.lim.SetLimitAt(time.Time{}, rate.Every(time.Duration(c.interval)))
		b.lim.AllowN(t.Add(time.Duration(busy-used*c.interval)), int(used))
	}
	return busy
}

// rebuild makes the next busy set the limiter anew from the account.
func (b *bucket) rebuild() { b.shape = 0 }

// shape is a fingerprint that differs between limits in practice. A collision
// keeps the older limit for that bucket until it is forgotten.
func (l *Limit) shape() uint32 {
	const a, b, c = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
	h := uint64(l.Count)*a ^ uint64(l.Window)*b            // #nosec G115 -- any bits do
	h = (bits.RotateLeft64(h, 29) ^ uint64(l.Burst)*c) * a // #nosec G115 -- any bits do
	return uint32(h>>32) | 1                               // #nosec G115 -- the high half
}

const chunkSize = 32

// shard is a hash table of buckets with a hard capacity: an open-addressed
// index over chunks that are allocated as needed.
type shard struct {
	mu     sync.Mutex
	index  []uint64 // low half of an id, and its slot+1; 0 is empty
	chunks []*[chunkSize]bucket
	used   int
	cap    int
	hand   int // where the search for a forgettable bucket goes on
	_      [64]byte
}

func (s *shard) at(slot int) *bucket { return &s.chunks[slot/chunkSize][slot%chunkSize] }

// behind returns the bucket that an index entry points to.
func (s *shard) behind(entry uint64) *bucket {
	return s.at(int(entry&math.MaxUint32) - 1) // #nosec G115 -- the low half
}

// home is where in the index an id is looked for first: a multiplication in
// place of a modulo.
func (s *shard) home(id uint64) int {
	hi, _ := bits.Mul64(id, uint64(len(s.index)))
	return int(hi) // #nosec G115 -- below len(s.index)
}

func (s *shard) next(i int) int {
	if i++; i == len(s.index) {
		return 0
	}
	return i
}

// find returns the bucket of id, or nil.
func (s *shard) find(id uint64) *bucket {
	if s.index == nil {
		return nil
	}
	for i := s.home(id); s.index[i] != 0; i = s.next(i) {
		if entry := s.index[i]; entry>>32 == id&math.MaxUint32 {
			if b := s.behind(entry); b.id == id {
				return b
			}
		}
	}
	return nil
}

// insert returns a fresh bucket for id, which must not be present, or nil when
// every place holds a bucket that still matters.
func (s *shard) insert(id uint64, now int64) *bucket {
	slot := s.used
	switch {
	case s.used < s.cap:
		if s.index == nil {
			s.index = make([]uint64, s.cap+s.cap/3+1)
		}
		if slot == len(s.chunks)*chunkSize {
			s.chunks = append(s.chunks, new([chunkSize]bucket))
		}
		s.used++
	default:
		if slot = s.forgettable(now); slot < 0 {
			return nil
		}
		s.unlink(s.at(slot).id)
	}
	b := s.at(slot)
	b.id, b.fullAt, b.shape = id, 0, 0
	i := s.home(id)
	for s.index[i] != 0 {
		i = s.next(i)
	}
	s.index[i] = id<<32 | uint64(slot+1) // #nosec G115 -- below MaxInt32
	return b
}

// forgettable returns a slot whose bucket is full, which is what a new one
// would be: dropping it changes no decision. It looks at a few places per
// call, so that a flood of new keys costs each of them little.
func (s *shard) forgettable(now int64) int {
	for range min(4, s.used) {
		slot := s.hand
		if s.hand++; s.hand == s.used {
			s.hand = 0
		}
		if s.at(slot).fullAt <= now {
			return slot
		}
	}
	return -1
}

// unlink removes id from the index and closes the gap (Knuth, The Art of
// Computer Programming, volume 3, section 6.4, algorithm R).
func (s *shard) unlink(id uint64) {
	n := len(s.index)
	i := s.home(id)
	for s.behind(s.index[i]).id != id {
		i = s.next(i)
	}
	for j := s.next(i); s.index[j] != 0; j = s.next(j) {
		// The entry at j may fill the gap unless its home lies between them.
		if home := s.home(s.behind(s.index[j]).id); (j-home+n)%n >= (j-i+n)%n {
			s.index[i] = s.index[j]
			i = j
		}
	}
	s.index[i] = 0
}
