package hmacsig

import (
	"context"
	"fmt"
	"strings"
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
	limit    int
	perKeyID int

	mu      sync.Mutex
	entries map[entryKey]entry
	tenants map[string]uint32 // numbers of the key ids that were seen; nil before New
	shares  []int             // live entries by number; that of "" is 0
	sweepAt int               // entries at which a sweep is due
	soonest uint32            // before this second a sweep would find nothing
	peak    int               // what the map has grown to
}

// entryKey is the number of a key id and 96 bits of a message's ID. Nobody can
// choose those: they are of a MAC or a hash.
type entryKey struct {
	tenant uint32
	id     [12]byte
}

type entry struct {
	until  uint32 // the last second in which it lives
	holder uint32 // who claimed it, or confirmed
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
		limit:    cfg.Entries,
		perKeyID: cfg.PerKeyID,
		entries:  make(map[entryKey]entry),
		tenants:  map[string]uint32{"": 0},
		shares:   make([]int, 1),
		sweepAt:  minSweep,
		soonest:  ^uint32(0),
	}, nil
}

// Claim implements ReplayStore. It never fails but on a zero MemoryReplay.
func (m *MemoryReplay) Claim(_ context.Context, e ReplayEntry) (ClaimState, error) {
	if m == nil || m.tenants == nil {
		return 0, errNoStore
	}
	now := clampSecond(e.At.Unix())
	m.mu.Lock()
	defer m.mu.Unlock()
	tenant, known := m.tenants[e.KeyID]
	if !known {
		// One for each key id that ever signed: as many as there are keys.
		tenant = uint32(len(m.shares)) // #nosec G115 -- far fewer
		m.tenants[strings.Clone(e.KeyID)] = tenant
		m.shares = append(m.shares, 0)
	}
	key := locate(tenant, e)
	old, found := m.entries[key]
	switch {
	case found && old.until >= now && old.holder == confirmed:
		return Replayed, nil
	case found && old.until >= now:
		return InFlight, nil
	case !found:
		if state := m.reserve(tenant, now); state != Claimed {
			return state, nil
		}
		m.shares[tenant]++
	}
	until := clampSecond(e.Until.Unix() - 1 + grace)
	m.entries[key] = entry{until: until, holder: holder(e)}
	m.soonest = min(m.soonest, until)
	return Claimed, nil
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
	return m.settle(e, func(m *MemoryReplay, key entryKey, _ entry) { m.remove(key) })
}

func (m *MemoryReplay) settle(e ReplayEntry, apply func(*MemoryReplay, entryKey, entry)) error {
	if m == nil || m.tenants == nil {
		return errNoStore
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	tenant, known := m.tenants[e.KeyID]
	if !known {
		return nil // there is nothing of theirs
	}
	key := locate(tenant, e)
	// A claim whose time has just run out may still be settled: no clock.
	if held, found := m.entries[key]; found && held.holder == holder(e) {
		apply(m, key, held)
	}
	return nil
}

func (m *MemoryReplay) remove(key entryKey) {
	delete(m.entries, key)
	m.shares[key.tenant]--
}

// holder tells the claims of one message apart, by the nanosecond of their
// decision: one that was released late, or twice, is not the next one's.
func holder(e ReplayEntry) uint32 {
	return uint32(e.At.UnixNano()) << 1 // #nosec G115 -- the low bits; even, so never confirmed
}

func locate(tenant uint32, e ReplayEntry) entryKey {
	return entryKey{tenant: tenant, id: [12]byte(e.ID[:12])}
}

// reserve makes room for one more entry. Claimed means that there is.
func (m *MemoryReplay) reserve(tenant, now uint32) ClaimState {
	if len(m.entries) >= m.sweepAt {
		m.sweep(now)
	}
	state := m.room(tenant)
	if state != Claimed && now > m.soonest {
		m.sweep(now)
		state = m.room(tenant)
	}
	return state
}

func (m *MemoryReplay) room(tenant uint32) ClaimState {
	free := m.limit - len(m.entries)
	share := m.perKeyID
	if share == 0 {
		share = free
	}
	switch {
	case free <= 0:
		return StoreFull
	case tenant != 0 && m.shares[tenant] >= share:
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
			m.remove(key)
			continue
		}
		m.soonest = min(m.soonest, e.until)
	}
	if live := len(m.entries); live < m.peak/4 {
		smaller := make(map[entryKey]entry, live)
		for key, e := range m.entries {
			smaller[key] = e
		}
		m.entries, m.peak = smaller, live
	}
	m.sweepAt = max(len(m.entries)/4*5, minSweep)
}

// clampSecond fits Unix seconds into 32 bits, which last until 2106.
func clampSecond(unix int64) uint32 {
	return uint32(min(max(unix, 0), int64(^uint32(0)))) // #nosec G115 -- clamped
}
