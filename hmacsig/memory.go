package hmacsig

import (
	"context"
	"encoding/binary"
	"hash/maphash"
	"sync"
)

const (
	memoryShards   = 16
	defaultEntries = 1 << 17
	maxEntries     = 1 << 28
	// grace is how many seconds entries live on: a claim is decided a moment
	// before it is made, and others may sweep in between.
	grace = 10
	// A slot is empty (until 0), dead (its time is over, or it was released),
	// confirmed, or pending with its holder as its state.
	slotConfirmed = 1
	// released marks a dead slot: long ago, but not empty, so that probing
	// goes on past it.
	released = 1
)

// MemoryReplay is a ReplayStore for one process. It costs 32 to 96 bytes per
// live entry and grows in steps to the cap it was made with; at the cap Claim
// returns ErrReplayFull until entries expire. It forgets everything when the
// process ends: after a restart a message that is still within its window is
// accepted again. Several instances behind a balancer need a shared store.
type MemoryReplay struct {
	seed   maphash.Seed
	shards [memoryShards]shard
}

// shard is an open-addressing table. Expired slots are reused in place and
// swept out when the table would otherwise grow, so that memory follows the
// number of live entries and no timer or goroutine is needed.
type shard struct {
	mu    sync.Mutex
	slots []slot // length 0 or a power of two
	used  int    // slots that are not empty
	limit int    // most live entries
	sweep uint32 // before this second a sweep would find nothing
	_     [64]byte
}

// slot is 24 bytes: 128 bits that identify the message and the last second in
// which it lives.
type slot struct {
	hi, lo uint64
	until  uint32
	state  uint32
}

// NewMemoryReplay makes a store of at most entries live messages, 131072 if
// entries is 0. The cap is divided evenly over 16 shards, so the first refusal
// can come a few percent early. An entry lives for 10 seconds more than its
// message: at 1,000 requests a second and a window of 360 seconds, 370,000 are
// live.
func NewMemoryReplay(entries int) *MemoryReplay {
	if entries <= 0 {
		entries = defaultEntries
	}
	m := &MemoryReplay{seed: maphash.MakeSeed()}
	for i := range m.shards {
		m.shards[i].limit = (min(entries, maxEntries) + memoryShards - 1) / memoryShards
	}
	return m
}

// Claim implements ReplayStore. It never fails but by being full.
func (m *MemoryReplay) Claim(_ context.Context, e ReplayEntry) (ClaimState, error) {
	s, hi, lo := m.locate(e)
	now := clampSecond(e.At.Unix())
	s.mu.Lock()
	defer s.mu.Unlock()
	free, found := s.find(hi, lo, now)
	if found {
		if s.slots[free].state == slotConfirmed {
			return Replayed, nil
		}
		return InFlight, nil
	}
	if free < 0 || s.slots[free].until == 0 {
		// A new slot: it must fit the table and the cap.
		if !s.reserve(now) {
			return 0, ErrReplayFull
		}
		free, _ = s.find(hi, lo, now)
		if s.slots[free].until == 0 {
			s.used++
		}
	}
	until := clampSecond(e.Until.Unix() - 1 + grace)
	s.slots[free] = slot{hi: hi, lo: lo, until: until, state: holder(e)}
	s.sweep = min(s.sweep, until)
	return Claimed, nil
}

// Confirm implements ReplayStore.
func (m *MemoryReplay) Confirm(_ context.Context, e ReplayEntry) error {
	m.settle(e, func(_ *shard, at *slot) { at.state = slotConfirmed })
	return nil
}

// Release implements ReplayStore.
func (m *MemoryReplay) Release(_ context.Context, e ReplayEntry) error {
	m.settle(e, func(s *shard, at *slot) { at.until, s.sweep = released, 0 })
	return nil
}

func (m *MemoryReplay) settle(e ReplayEntry, apply func(*shard, *slot)) {
	s, hi, lo := m.locate(e)
	s.mu.Lock()
	defer s.mu.Unlock()
	// A claim whose time has just run out may still be settled: no clock.
	at, found := s.find(hi, lo, released+1)
	if found && s.slots[at].state == holder(e) {
		apply(s, &s.slots[at])
	}
}

// holder tells the claims of one message apart, by the nanosecond of their
// decision: one that was released late, or twice, is not the next one's.
func holder(e ReplayEntry) uint32 {
	return uint32(e.At.UnixNano()) << 1 // #nosec G115 -- the low bits; even, so never confirmed
}

// locate folds an entry into 128 bits: those of its ID, which is a MAC or a
// hash already, with the key id mixed in under a seed that nobody outside
// knows.
func (m *MemoryReplay) locate(e ReplayEntry) (s *shard, hi, lo uint64) {
	hi, lo = binary.BigEndian.Uint64(e.ID[:8]), binary.BigEndian.Uint64(e.ID[8:16])
	lo ^= maphash.String(m.seed, e.KeyID)
	return &m.shards[hi%memoryShards], hi, lo
}

// find returns the slot of a live key, or the first slot that it may take:
// dead or empty. -1: the table has not been made yet.
func (s *shard) find(hi, lo uint64, now uint32) (at int, found bool) {
	if len(s.slots) == 0 {
		return -1, false
	}
	mask := uint64(len(s.slots) - 1) // #nosec G115 -- not empty
	at = -1
	for i := lo & mask; ; i = (i + 1) & mask {
		e := &s.slots[i]
		dead := e.until < now
		if !dead && e.lo == lo && e.hi == hi {
			return int(i), true // #nosec G115 -- below len(slots)
		}
		if dead && at < 0 {
			at = int(i) // #nosec G115 -- below len(slots)
		}
		if e.until == 0 {
			return at, false
		}
	}
}

// reserve makes room for one more slot, sweeping dead ones out and resizing.
// It reports false when as many live entries as allowed are there.
func (s *shard) reserve(now uint32) bool {
	if s.used < s.limit && s.used < len(s.slots)/4*3 {
		return true
	}
	if s.used >= s.limit && now <= s.sweep {
		return false
	}
	live, soonest := 0, ^uint32(0)
	for i := range s.slots {
		if s.slots[i].until >= now && s.slots[i].until != 0 {
			live++
			soonest = min(soonest, s.slots[i].until)
		}
	}
	s.sweep = soonest
	if live >= s.limit {
		return false
	}
	s.rebuild(live, now)
	return true
}

// rebuild moves the live entries to a table of at least twice their number, so
// that the next rebuild is that many claims away.
func (s *shard) rebuild(live int, now uint32) {
	size := 16
	for size/2 <= live && size/4*3 < s.limit {
		size *= 2
	}
	old := s.slots
	s.slots, s.used = make([]slot, size), live
	mask := uint64(size - 1) // #nosec G115 -- a power of two
	for _, e := range old {
		if e.until < now || e.until == 0 {
			continue
		}
		i := e.lo & mask
		for s.slots[i].until != 0 {
			i = (i + 1) & mask
		}
		s.slots[i] = e
	}
}

// clampSecond fits Unix seconds into 32 bits, which last until 2106. Two keeps
// clear of empty and released.
func clampSecond(unix int64) uint32 {
	return uint32(min(max(unix, 2), int64(^uint32(0)))) // #nosec G115 -- clamped
}
