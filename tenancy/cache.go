package tenancy

import (
	"context"
	"errors"
	"hash/maphash"
	"math/bits"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// member is one answer of Config.Member, and what it means. Its fields do not
// change; gone does. Grants point to it, so that ending it ends them:
//
//	Grant ──> member ──> gone ──┐
//	Grant ──> member ──> gone ──┴──> one flag, while the answers are the same
//	           looked: the age of the answer, and of the grant
//
// A member that the cache has given up lives on in its grants until they expire, but
// Forget no longer finds it.
type member struct {
	user, site string
	role       Role    // "" for none
	rights     *rights // nil if there is no role, or the table does not know it
	networks   []netip.Prefix
	looked     time.Time // before it was asked for
	gate       *Gate
	epoch      uint64
	gone       *atomic.Bool // set by Forget; one for all answers that say the same
	own        atomic.Bool  // what gone points to at first
}

// absence is why a membership allows nothing.
func (m *member) absence() error {
	if m.role == "" {
		return ErrNotMember
	}
	return ErrForbidden
}

// membership finds out the role, remembered or asked for.
func (g *Gate) membership(
	ctx context.Context, r *http.Request, user string, o *outcome,
) bool {
	if g.cache != nil {
		if m := g.cache.find(user, o.site); m != nil && g.cache.fresh(m) {
			o.member, o.cached = m, true
			return true
		}
	}
	if r == nil { // outside HTTP nobody has set a deadline yet
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, g.cfg.Timeout)
		defer cancel()
	}
	var err error
	if g.cache == nil {
		o.member, err = g.ask(ctx, user, o.site)
	} else {
		o.member, err = g.cache.share(ctx, key2{user, o.site}, g.ask)
	}
	if err != nil {
		return o.refuse(CodeUnavailable, err)
	}
	return true
}

// ask calls Member, and SiteNetworks for those who have a role. The time is taken before:
// what is changed while the question is under way may or may not be in the answer, and
// the answer must not be used for longer than if it were not.
func (g *Gate) ask(ctx context.Context, user, site string) (*member, error) {
	m := &member{
		user: user, site: site, looked: time.Now(), gate: g, epoch: g.epoch.Load(),
	}
	m.gone = &m.own
	role, err := g.cfg.Member(ctx, user, site)
	if err != nil && !errors.Is(err, ErrNotMember) {
		return nil, err
	}
	if err != nil { // whatever role came with it
		return m, nil
	}
	m.role, m.rights = role, g.roles[role]
	if m.rights != nil && g.cfg.SiteNetworks != nil {
		if m.networks, err = g.cfg.SiteNetworks(ctx, site); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// key2 is who and where.
type key2 struct{ user, site string }

// ways is how many places a membership may stand in.
const ways = 4

// table is a fixed number of sets of places. Reading takes no lock, since a place is one
// pointer to something that does not change; writing is the cache's, under its own. A
// map would need a lock for reading, and grows.
type table [][ways]atomic.Pointer[member]

// cache remembers memberships for a moment.
//
//	some   who has a role         a miss asks, once for all who wait
//	none   who has none           apart, so that guesses push no members out
//
// What is full gives up the oldest of the four places; the size never changes.
type cache struct {
	ttl        time.Duration
	seed       maphash.Seed
	some, none table

	mu      sync.Mutex // for writing to the tables, and flights
	flights map[key2]*flight
}

// flight is a lookup under way. Its fields are read after done is closed.
type flight struct {
	done   chan struct{}
	member *member
	err    error
	again  bool // whoever waited has to ask for itself
	stale  bool // forgotten meanwhile
}

func newCache(ttl time.Duration, size int) *cache {
	sets := 1 << bits.Len(uint(size/ways-1)) // #nosec G115 -- at least 64
	return &cache{
		ttl: ttl, seed: maphash.MakeSeed(), flights: map[key2]*flight{},
		some: make(table, sets), none: make(table, sets/2),
	}
}

// fresh goes by the running clock: it is half as dear to read, and a machine that
// slept has not let anybody in meanwhile. Grants go by both.
func (c *cache) fresh(m *member) bool { return time.Since(m.looked) < c.ttl }

// find returns the membership that is kept, fresh or not, or nil.
func (c *cache) find(user, site string) *member {
	hash := maphash.Comparable(c.seed, key2{user, site})
	for _, t := range [...]table{c.some, c.none} {
		set := &t[hash&uint64(len(t)-1)] // #nosec G115 -- a power of two
		for i := range set {
			if m := set[i].Load(); m != nil && m.user == user && m.site == site {
				return m
			}
		}
	}
	return nil
}

// share asks once for all who want the same at the same time. Who asks first asks
// with its own context; if that ends first, the next one asks. There is no goroutine
// that could outlive the request.
//
//	first:  ──ask──────────────┬─> keep ──> answer
//	second: ────────wait───────┤           answer
//	Forget:            │       └─> stale: nothing is kept, both ask again
func (c *cache) share(
	ctx context.Context, k key2, ask func(ctx context.Context, user, site string) (*member, error),
) (*member, error) {
	for {
		c.mu.Lock()
		f, waiting := c.flights[k]
		if !waiting {
			f = &flight{done: make(chan struct{}), again: true}
			c.flights[k] = f
		}
		c.mu.Unlock()
		if !waiting {
			c.fly(ctx, k, f, ask)
		} else {
			select {
			case <-f.done:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		if !f.again {
			return f.member, f.err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}

// fly asks, and keeps the answer unless it was forgotten meanwhile: what Forget was
// called for may have happened after the lookup read.
func (c *cache) fly(
	ctx context.Context, k key2, f *flight,
	ask func(ctx context.Context, user, site string) (*member, error),
) {
	defer func() { // a panic of the caller's function must not leave others waiting
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.flights[k] == f {
			delete(c.flights, k)
		}
		f.again = f.again || f.stale
		if f.member != nil && !f.stale {
			c.keep(f.member)
		}
		close(f.done)
	}()
	f.member, f.err = ask(ctx, k.user, k.site)
	f.again = ctx.Err() != nil // the answer may be about this context alone
}

// keep puts a membership in its place. If it says what the one before said, it
// shares its end, so that Forget reaches the grants of both; if not, those are over.
func (c *cache) keep(m *member) {
	hash := maphash.Comparable(c.seed, key2{m.user, m.site})
	if old := c.find(m.user, m.site); old != nil {
		if old.role == m.role && !old.gone.Load() {
			m.gone = old.gone
		} else {
			old.gone.Store(true)
		}
		c.drop(c.some, hash, old)
		c.drop(c.none, hash, old)
	}
	t := c.some
	if m.role == "" {
		t = c.none
	}
	set := &t[hash&uint64(len(t)-1)] // #nosec G115 -- a power of two
	victim := &set[0]
	for i := range set {
		kept := set[i].Load()
		if kept == nil {
			victim = &set[i]
			break
		}
		if kept.looked.Before(victim.Load().looked) {
			victim = &set[i]
		}
	}
	victim.Store(m)
}

func (c *cache) drop(t table, hash uint64, m *member) {
	set := &t[hash&uint64(len(t)-1)] // #nosec G115 -- a power of two
	for i := range set {
		set[i].CompareAndSwap(m, nil)
	}
}

// forget ends all that matches; "" matches all.
func (c *cache) forget(user, site string) {
	matches := func(k key2) bool {
		return (user == "" || k.user == user) && (site == "" || k.site == site)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, f := range c.flights {
		if matches(k) {
			f.stale = true
			delete(c.flights, k)
		}
	}
	if user != "" && site != "" {
		if m := c.find(user, site); m != nil {
			hash := maphash.Comparable(c.seed, key2{user, site})
			m.gone.Store(true)
			c.drop(c.some, hash, m)
			c.drop(c.none, hash, m)
		}
		return
	}
	for _, t := range [...]table{c.some, c.none} {
		for i := range t {
			for j := range t[i] {
				if m := t[i][j].Load(); m != nil && matches(key2{m.user, m.site}) {
					m.gone.Store(true)
					t[i][j].Store(nil)
				}
			}
		}
	}
}
