package ratelimit

import (
	"math"
	"math/bits"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// bucket is one key's state. It lives in its shard's chunks by value: 104
// bytes, no pointers of its own to chase.
type bucket struct {
	id     uint64 // keyed hash of policy name and key
	fullAt int64  // nanoseconds since the store's start: full again, so forgettable
	shape  uint32 // which Limit lim was set to
	lim    rate.Limiter
}

// state is what a bucket holds at one moment.
type state struct {
	tokens float64
	reset  int64 // nanoseconds until full
}

// look brings the bucket to the limit and returns what it holds. A bucket
// that lived under another limit keeps its time until full.
func (b *bucket) look(t time.Time, now int64, l *Limit) float64 {
	if shape := l.shape(); b.shape != shape {
		missing := float64(max(b.fullAt-now, 0)) / float64(max(l.Interval(), 1))
		b.set(t, l, float64(l.Capacity())-missing)
		b.shape = shape
	}
	return b.lim.TokensAt(t)
}

// set rebuilds the limiter with the given tokens, rounded down and clamped.
func (b *bucket) set(t time.Time, l *Limit, tokens float64) {
	// A rate.Limiter last updated in the year 1 fills at its next use.
	b.lim = rate.Limiter{}
	b.lim.SetBurstAt(time.Time{}, l.Capacity())
	b.lim.SetLimitAt(time.Time{}, rate.Every(max(l.Interval(), 1)))
	missing := math.Ceil(float64(l.Capacity()) - tokens)
	b.lim.AllowN(t, int(min(max(missing, 0), float64(l.Capacity()))))
}

// shape is a fingerprint that differs between limits in practice. A collision
// keeps the older limit for that bucket until it is forgotten.
func (l *Limit) shape() uint32 {
	h := uint64(l.Count)*0x9E3779B97F4A7C15 ^ uint64(l.Window)*0xC2B2AE3D27D4EB4F // #nosec G115
	h = bits.RotateLeft64(h, 29) ^ uint64(l.Burst)*0x165667B19E3779F9             // #nosec G115
	return uint32((h*0x9E3779B97F4A7C15)>>32) | 1                                 // #nosec G115 -- high half
}

const chunkSize = 64

// shard is a hash table of buckets with a hard capacity: an open-addressed
// index of 4-byte slot numbers over chunks that are allocated as needed.
type shard struct {
	mu     sync.Mutex
	index  []uint32 // slot+1; 0 is empty
	chunks []*[chunkSize]bucket
	used   int
	cap    int
	hand   int // where the search for a forgettable bucket goes on
	_      [64]byte
}

func (s *shard) at(slot int) *bucket { return &s.chunks[slot/chunkSize][slot%chunkSize] }

// home is the index position of an id: a multiplication in place of a modulo.
func (s *shard) home(id uint64) int {
	hi, _ := bits.Mul64(id, uint64(len(s.index)))
	return int(hi) // #nosec G115 -- below len(s.index)
}

// find returns the bucket of id, or nil.
func (s *shard) find(id uint64) *bucket {
	if len(s.index) == 0 {
		return nil
	}
	for i := s.home(id); ; {
		slot := s.index[i]
		if slot == 0 {
			return nil
		}
		if b := s.at(int(slot) - 1); b.id == id {
			return b
		}
		if i++; i == len(s.index) {
			i = 0
		}
	}
}

// insert returns a fresh bucket for id, which must not be present, or nil
// when every place holds a bucket that still matters.
func (s *shard) insert(id uint64, now int64) *bucket {
	slot := s.used
	switch {
	case s.used < s.cap:
		if s.index == nil {
			s.index = make([]uint32, s.cap+s.cap/2+1)
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
	s.link(id, slot)
	return b
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
		if s.at(slot).fullAt <= now {
			return slot
		}
	}
	return -1
}

func (s *shard) link(id uint64, slot int) {
	i := s.home(id)
	for s.index[i] != 0 {
		if i++; i == len(s.index) {
			i = 0
		}
	}
	s.index[i] = uint32(slot) + 1 // #nosec G115 -- below s.cap, which fits
}

// unlink removes id from the index and closes the gap (Knuth, The Art of
// Computer Programming, volume 3, section 6.4, algorithm R).
func (s *shard) unlink(id uint64) {
	n := len(s.index)
	i := s.home(id)
	for s.at(int(s.index[i])-1).id != id {
		i = (i + 1) % n
	}
	for j := i; ; {
		j = (j + 1) % n
		slot := s.index[j]
		if slot == 0 {
			break
		}
		// The entry at j may fill the gap unless its home lies between them.
		home := s.home(s.at(int(slot) - 1).id)
		if (j-home+n)%n >= (j-i+n)%n {
			s.index[i] = slot
			i = j
		}
	}
	s.index[i] = 0
}
