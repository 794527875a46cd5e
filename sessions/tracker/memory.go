package tracker

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/clock"
	"github.com/opsmantik/sallyport/internal/configerr"
)

// MemoryConfig bounds a [Memory].
type MemoryConfig struct {
	_ [0]func() // keyed literals only

	// MaxVisits is the most visits kept. Default 100,000; at least 1.
	MaxVisits int
	// MaxPerSite is the most of one site. Default a quarter of MaxVisits; at least 1.
	MaxPerSite int
}

// Memory is a [Store] in this process. The zero value is full.
type Memory struct {
	max, perSite int

	mu     sync.Mutex
	visits map[place]*node
	sites  map[string]int
	// Visits by their last event: the first one of the ring is the next to end, as
	// all have the same idle time.
	ring node
}

type place struct{ site, visitor string }

type node struct {
	Visit
	next, prev *node
}

// NewMemory returns an empty store. All that use it must have the same Config.Idle.
func NewMemory(cfg MemoryConfig) (*Memory, error) {
	if cfg.MaxVisits == 0 {
		cfg.MaxVisits = 100_000
	}
	if cfg.MaxPerSite == 0 {
		cfg.MaxPerSite = max(cfg.MaxVisits/4, min(cfg.MaxVisits, 1))
	}
	bad := configerr.For(gate)
	if cfg.MaxVisits < 1 {
		bad.Add("MaxVisits", strconv.Itoa(cfg.MaxVisits), sallyport.ConfigOutOfRange,
			"want at least 1")
	}
	if cfg.MaxPerSite < 1 {
		bad.Add("MaxPerSite", strconv.Itoa(cfg.MaxPerSite), sallyport.ConfigOutOfRange,
			"want at least 1")
	}
	if err := bad.Err(); err != nil {
		return nil, err
	}
	m := &Memory{
		max: cfg.MaxVisits, perSite: cfg.MaxPerSite,
		visits: map[place]*node{}, sites: map[string]int{},
	}
	m.ring.next, m.ring.prev = &m.ring, &m.ring
	return m, nil
}

// Touch implements [Store].
func (m *Memory) Touch(
	_ context.Context, site, visitor, id string, idle time.Duration,
) (Visit, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.max == 0 {
		return Visit{}, ErrFull
	}
	now := time.Now()
	for n := m.ring.next; n != &m.ring && clock.Elapsed(n.Seen, now) >= idle; n = m.ring.next {
		m.remove(n)
	}
	at := place{site, visitor}
	n := m.visits[at]
	if n == nil {
		if len(m.visits) >= m.max || m.sites[site] >= m.perSite {
			return Visit{}, ErrFull
		}
		n = &node{Visit: Visit{ID: id, Site: site, Visitor: visitor, Started: now}}
		m.visits[at] = n
		m.sites[site]++
	} else {
		n.unlink()
	}
	n.Seen = now
	n.Events++
	last := m.ring.prev
	n.prev, n.next, last.next, m.ring.prev = last, &m.ring, n, n
	return n.Visit, nil
}

// Len returns how many visits are held: a gauge.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.visits)
}

func (m *Memory) remove(n *node) {
	n.unlink()
	delete(m.visits, place{n.Site, n.Visitor})
	if m.sites[n.Site]--; m.sites[n.Site] == 0 {
		delete(m.sites, n.Site)
	}
}

func (n *node) unlink() { n.prev.next, n.next.prev = n.next, n.prev }
