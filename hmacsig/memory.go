package hmacsig

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"maps"
	"sync"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
)

const (
	defaultEntries = 1 << 17
	maxEntries     = 1 << 24
	// grace is how many seconds entries live on: a claim is decided a moment
	// before it is made, and others may sweep in between.
	grace = 10
	// confirmed is the holder of an entry that is final. Holders are even.
	confirmed = 1
	// minSweep is the smallest map that is worth a sweep.
	minSweep = 1024
)

// MemoryConfig configures a MemoryReplay. NewMemoryReplay copies it.
type MemoryConfig struct {
	_ [0]func() // keyed literals only

	// Entries is how many live messages the store holds, default 131,072, at
	// most 16,777,216. An entry lives for 10 seconds more than its message: at
	// 1,000 requests a second and a window of 360 seconds, 370,000 are live.
	Entries int
	// PerKeyID is how many of them may belong to one key id. Zero: as many as
	// are free at that moment, so that one busy key id gets half of the store,
	// two get a third each, and there is always room for one more. The key id ""
	// of schemes without one has no share.
	//
	//	Entries: 400_000, PerKeyID: 100_000   permitted
	//	Entries: 1000, PerKeyID: 2000         refused: more than all
	PerKeyID int
}

// MemoryReplay is a ReplayStore for one process. It costs at most 100 bytes per
// live entry. When it is full it refuses until entries expire, and drops none.
// It forgets everything when the process ends: after a restart a message that
// is still within its window is accepted again. Several instances behind a
// balancer need a shared store.
//
// Expired entries are swept out when the map has grown by a quarter, or is
// full, and then at most once a second. A sweep looks at every entry, about 2
// milliseconds for the default size.
type MemoryReplay struct {
	seed     maphash.Seed
	limit    int
	perKeyID int

	mu      sync.Mutex
	entries map[entryKey]entry
	numbers map[uint64]uint32 // of the key ids that were seen, by hash; nil before New
	shares  []int             // live entries by number; that of "" is 0
	sweepAt int               // entries at which a sweep is due
	soonest uint32            // before this second a sweep would find nothing
	peak    int               // what the map has grown to
}

// entryKey is 64 bits of a message's ID, mixed with a hash of its key id under a
// seed that nobody outside knows. Nobody can choose them: they are of a MAC or a
// hash. With a million entries, one message in 10^13 is refused because it looks
// like another. A map with such keys is twice as fast as one with longer ones.
type entryKey uint64

type entry struct {
	until  uint32 // the last second in which it lives
	holder uint32 // who claimed it, or confirmed
	share  uint32 // number of its key id
}

// NewMemoryReplay makes a store. Every problem is reported at once, each a
// *sallyport.ConfigError.
func NewMemoryReplay(cfg MemoryConfig) (*MemoryReplay, error) {
	list := configerr.For(gateName)
	if cfg.Entries < 0 || cfg.Entries > maxEntries {
		list.Add("Entries", fmt.Sprint(cfg.Entries), sallyport.ConfigOutOfRange,
			fmt.Sprintf("is not between 0 and %d", maxEntries))
	}
	if cfg.Entries == 0 {
		cfg.Entries = defaultEntries
	}
	if cfg.PerKeyID < 0 || cfg.PerKeyID > cfg.Entries {
		list.Add("PerKeyID", fmt.Sprint(cfg.PerKeyID), sallyport.ConfigOutOfRange,
			"is not between 0 and Entries")
	}
	if err := list.Err(); err != nil {
		return nil, err
	}
	return &MemoryReplay{
		seed:     maphash.MakeSeed(),
		limit:    cfg.Entries,
		perKeyID: cfg.PerKeyID,
		entries:  make(map[entryKey]entry),
		numbers:  make(map[uint64]uint32),
		shares:   make([]int, 1),
		sweepAt:  minSweep,
		soonest:  ^uint32(0),
	}, nil
}

// Claim implements ReplayStore. It never fails but on a zero MemoryReplay.
func (m *MemoryReplay) Claim(_ context.Context, e ReplayEntry) (ClaimState, error) {
	if m == nil || m.numbers == nil {
		return 0, errNoStore
	}
	tenant, now := m.tenant(e), clampSecond(e.At.Unix())
	key := locate(tenant, e)
	m.mu.Lock()
	defer m.mu.Unlock()
	held, found := m.entries[key]
	switch {
	case found && held.until >= now && held.holder == confirmed:
		return Replayed, nil
	case found && held.until >= now:
		return InFlight, nil
	case !found:
		held.share = m.number(tenant)
		if state := m.reserve(held.share, now); state != Claimed {
			return state, nil
		}
		m.shares[held.share]++
	}
	held.until, held.holder = clampSecond(e.Until.Unix()-1+grace), holder(e)
	m.entries[key] = held
	m.soonest = min(m.soonest, held.until)
	return Claimed, nil
}

// number returns the place of a key id in shares. There is one for each key id that
// ever signed: as many as there are keys.
func (m *MemoryReplay) number(tenant uint64) uint32 {
	n, known := m.numbers[tenant]
	if !known && tenant != 0 {
		n = uint32(len(m.shares)) // #nosec G115 -- far fewer
		m.numbers[tenant] = n
		m.shares = append(m.shares, 0)
	}
	return n
}

// Confirm implements ReplayStore.
func (m *MemoryReplay) Confirm(_ context.Context, e ReplayEntry) error {
	return m.settle(e, func(m *MemoryReplay, key entryKey, held entry) {
		held.holder = confirmed
		m.entries[key] = held
	})
}

// Release implements ReplayStore.
func (m *MemoryReplay) Release(_ context.Context, e ReplayEntry) error {
	return m.settle(e, (*MemoryReplay).remove)
}

func (m *MemoryReplay) settle(e ReplayEntry, apply func(*MemoryReplay, entryKey, entry)) error {
	if m == nil || m.numbers == nil {
		return errNoStore
	}
	key := locate(m.tenant(e), e)
	m.mu.Lock()
	defer m.mu.Unlock()
	// A claim whose time has just run out may still be settled: no clock.
	if held, found := m.entries[key]; found && held.holder == holder(e) {
		apply(m, key, held)
	}
	return nil
}

func (m *MemoryReplay) remove(key entryKey, e entry) {
	delete(m.entries, key)
	m.shares[e.share]--
}

// holder tells the claims of one message apart, by the nanosecond of their
// decision: one that was released late, or twice, is not the next one's.
func holder(e ReplayEntry) uint32 {
	return uint32(e.At.UnixNano()) << 1 // #nosec G115 -- the low bits; even, so never confirmed
}

// tenant hashes the key id: 0 for "", and only for it.
func (m *MemoryReplay) tenant(e ReplayEntry) uint64 {
	if e.KeyID == "" {
		return 0
	}
	return max(maphash.String(m.seed, e.KeyID), 1)
}

func locate(tenant uint64, e ReplayEntry) entryKey {
	return entryKey(binary.LittleEndian.Uint64(e.ID[:8]) ^ tenant)
}

// reserve makes room for one more entry. Claimed means that there is.
func (m *MemoryReplay) reserve(number, now uint32) ClaimState {
	if len(m.entries) >= m.sweepAt {
		m.sweep(now)
	}
	state := m.room(number)
	if state != Claimed && now > m.soonest {
		m.sweep(now)
		state = m.room(number)
	}
	return state
}

func (m *MemoryReplay) room(number uint32) ClaimState {
	free := m.limit - len(m.entries)
	share := m.perKeyID
	if share == 0 {
		share = free
	}
	switch {
	case free <= 0:
		return StoreFull
	case number != 0 && m.shares[number] >= share:
		return ShareFull
	}
	return Claimed
}

// sweep removes what has expired. A map does not shrink by itself, so after a
// peak the rest moves to a new one.
func (m *MemoryReplay) sweep(now uint32) {
	m.soonest = ^uint32(0)
	m.peak = max(m.peak, len(m.entries))
	for key, e := range m.entries {
		if e.until < now {
			m.remove(key, e)
			continue
		}
		m.soonest = min(m.soonest, e.until)
	}
	if live := len(m.entries); live < m.peak/4 {
		smaller := make(map[entryKey]entry, live)
		maps.Copy(smaller, m.entries)
		m.entries, m.peak = smaller, live
	}
	m.sweepAt = max(len(m.entries)/4*5, minSweep)
}

// clampSecond fits Unix seconds into 32 bits, which last until 2106.
func clampSecond(unix int64) uint32 {
	return uint32(min(max(unix, 0), int64(^uint32(0)))) // #nosec G115 -- clamped
}
