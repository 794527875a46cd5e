package ratelimit

import (
	"math"
	"math/bits"
	"sync"
)

// bucket is one key's state: 16 bytes in one array, so that finding it costs one
// cache line. An id of 0 is an empty place.
type bucket struct {
	id     uint64 // keyed hash of policy name and key
	fullAt int64  // nanoseconds since the store's start
}

// shard is a hash table of buckets with open addressing and linear probing. At
// most four of five places are used, so that a probe ends soon, and mostly in the
// cache line where it began. It grows to a quarter more places than its capacity:
// 20 bytes per key.
type shard struct {
	mu      sync.Mutex
	buckets []bucket
	used    int
	cap     int // how many buckets there may be

	// since tells when the few buckets that hold more debt than their present
	// limit allows were first refused under it; see Memory.busy.
	since map[uint64]int64

	// What reclaim knows: where it goes on, how many places it has seen in a
	// row without finding one to reuse, the earliest time among them, and the
	// time before which looking is in vain.
	hand    int
	seen    int
	soonest int64
	barren  int64

	_ [40]byte // neighbours do not share a cache line
}

const (
	firstPlaces = 64
	// maxSince bounds shard.since.
	maxSince = 64
	// Reclaim looks at that many places, 16 KB, and stops when it has freed some.
	reclaimPlaces = 1024
	reclaimEnough = 8
)

// home is where an id is looked for first: a multiplication in place of a modulo.
func (s *shard) home(id uint64) int {
	hi, _ := bits.Mul64(id, uint64(len(s.buckets)))
	return int(hi) // #nosec G115 -- below len(s.buckets)
}

func (s *shard) next(i int) int {
	if i++; i == len(s.buckets) {
		return 0
	}
	return i
}

// find returns the bucket of id, or nil. It is valid until the next insert or
// remove, which move buckets.
func (s *shard) find(id uint64) *bucket {
	if s.used == 0 {
		return nil
	}
	for i := s.home(id); ; i = s.next(i) {
		b := &s.buckets[i]
		if b.id == id {
			return b
		}
		if b.id == 0 {
			return nil
		}
	}
}

// insert returns a new bucket for id, which must not be present, or nil when
// every place holds a bucket that still matters.
func (s *shard) insert(id uint64, now, fullAt int64) *bucket {
	if s.used == s.cap && !s.reclaim(now) {
		return nil
	}
	if 5*(s.used+1) > 4*len(s.buckets) {
		s.grow()
	}
	b := s.place(id)
	b.id = id
	s.used++
	s.set(b, fullAt)
	return b
}

// set changes the time at which a bucket is full.
func (s *shard) set(b *bucket, fullAt int64) {
	b.fullAt = fullAt
	s.soonest = min(s.soonest, fullAt)
	s.barren = min(s.barren, fullAt)
}

// place returns the empty place where id belongs.
func (s *shard) place(id uint64) *bucket {
	i := s.home(id)
	for s.buckets[i].id != 0 {
		i = s.next(i)
	}
	return &s.buckets[i]
}

func (s *shard) grow() {
	old := s.buckets
	s.buckets = make([]bucket, min(max(2*len(old), firstPlaces), s.cap+s.cap/4+4))
	for _, b := range old {
		if b.id != 0 {
			*s.place(b.id) = b
		}
	}
	s.hand, s.seen, s.barren = 0, 0, 0
}

// reclaim frees places whose bucket is full, which is what a new one would be:
// dropping it changes no decision. It reports whether there is room now. Under a
// flood of new keys with nothing to reclaim, it goes round once and then waits
// for the earliest bucket to be full.
func (s *shard) reclaim(now int64) bool {
	if now < s.barren {
		return false
	}
	freed := 0
	for range reclaimPlaces {
		if s.seen == 0 {
			s.soonest = math.MaxInt64
		}
		b := &s.buckets[s.hand]
		if b.id != 0 && b.fullAt <= now {
			s.remove(s.hand)
			s.seen = 0
			if freed++; freed == reclaimEnough {
				break
			}
			continue // another bucket may have moved here
		}
		if b.id != 0 {
			s.soonest = min(s.soonest, b.fullAt)
		}
		s.hand = s.next(s.hand)
		if s.seen++; s.seen == len(s.buckets) {
			s.barren, s.seen = s.soonest, 0
			break
		}
	}
	return s.used < s.cap
}

// forget removes id, if it is there.
func (s *shard) forget(id uint64) {
	if s.used == 0 {
		return
	}
	for i := s.home(id); s.buckets[i].id != 0; i = s.next(i) {
		if s.buckets[i].id == id {
			s.remove(i)
			return
		}
	}
}

// remove empties a place and closes the gap (Knuth, The Art of Computer
// Programming, volume 3, section 6.4, algorithm R).
func (s *shard) remove(i int) {
	if s.since != nil {
		delete(s.since, s.buckets[i].id)
	}
	n := len(s.buckets)
	for j := s.next(i); s.buckets[j].id != 0; j = s.next(j) {
		// The bucket at j may fill the gap unless its home lies between them.
		if home := s.home(s.buckets[j].id); (j-home+n)%n >= (j-i+n)%n {
			s.buckets[i] = s.buckets[j]
			i = j
		}
	}
	s.buckets[i] = bucket{}
	s.used--
	s.barren = 0
}
