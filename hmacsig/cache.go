package hmacsig

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
)

const (
	defaultTTL         = time.Minute
	defaultNegativeTTL = 10 * time.Second
	defaultCacheSize   = 10_000
	defaultLoadTimeout = 2 * time.Second
	defaultLoads       = 32
)

// Errors of a source: answered 503.
var (
	errCacheBusy    = errors.New("hmacsig: too many key lookups under way")
	errCacheTimeout = fmt.Errorf("hmacsig: the key source did not answer in time: %w",
		context.DeadlineExceeded)
)

// CacheConfig configures a Cache. NewCache copies it.
type CacheConfig struct {
	_ [0]func()

	// Source is asked on a miss. Required.
	Source KeySource
	// TTL is how long an answer is believed, default 1 minute, at most 24
	// hours. It bounds how long a revoked key works on this instance.
	TTL time.Duration
	// NegativeTTL is how long "no such key id" is believed, default 10
	// seconds, at most TTL.
	NegativeTTL time.Duration
	// MaxEntries bounds known ids and, apart from them, unknown ones, default
	// 10,000 each: a flood of invented ids cannot push real ones out.
	MaxEntries int
	// Timeout bounds one lookup, default 2 seconds, also of a source that ignores
	// its context.
	Timeout time.Duration
	// MaxLoads bounds lookups under way at once, default 32. Beyond it, ids
	// that are not known are answered 503 at once. Those that were known when
	// last asked for are looked up all the same, so that invented ids cannot
	// shut them out: at most MaxEntries more, one for each.
	MaxLoads int
}

// Cache is a KeySource in front of a slow one: bounded, with one lookup at a
// time per id and answers for unknown ids. Errors are never cached and never
// covered up by an outdated answer: a key that was revoked while its database is
// away must not work on. It is safe for concurrent use and starts no goroutine but
// for lookups. The zero Cache and nil answer with an error, which is 503.
//
//	the id is             the answer
//	known, within TTL     its keys, without a lookup
//	unknown, within TTL   ErrUnknownKey, without a lookup
//	being looked up       the answer of that lookup, for all who wait
//	known until lately    a lookup, whatever else is under way
//	new                   a lookup, if fewer than MaxLoads are under way; else 503
type Cache struct {
	cfg CacheConfig

	mu      sync.RWMutex
	known   map[string]cached
	unknown map[string]cached
	loading map[string]*load
}

type cached struct {
	ring  Keyring
	until time.Time
}

// load is one lookup and those who wait for it.
type load struct {
	done chan struct{}
	ring Keyring
	err  error
}

// NewCache makes a Cache. Every problem is reported at once.
func NewCache(cfg CacheConfig) (*Cache, error) {
	if cfg.TTL == 0 {
		cfg.TTL = defaultTTL
	}
	if cfg.NegativeTTL == 0 {
		cfg.NegativeTTL = min(defaultNegativeTTL, cfg.TTL)
	}
	if cfg.MaxEntries == 0 {
		cfg.MaxEntries = defaultCacheSize
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultLoadTimeout
	}
	if cfg.MaxLoads == 0 {
		cfg.MaxLoads = defaultLoads
	}
	list := configerr.For(gateName)
	if cfg.Source == nil {
		list.Add("Source", "", sallyport.ConfigRequired, "is what the cache stands in front of")
	}
	bad := func(wrong bool, field, fix string) {
		if wrong {
			list.Add(field, "", sallyport.ConfigOutOfRange, fix)
		}
	}
	bad(cfg.TTL < 0 || cfg.TTL > maxWindow, "TTL", "is not between 0 and 24h")
	bad(cfg.NegativeTTL < 0 || cfg.NegativeTTL > cfg.TTL, "NegativeTTL", "is not between 0 and TTL")
	bad(cfg.MaxEntries < 0, "MaxEntries", "is negative")
	bad(cfg.Timeout < 0, "Timeout", "is negative")
	bad(cfg.MaxLoads < 0, "MaxLoads", "is negative")
	if err := list.Err(); err != nil {
		return nil, err
	}
	return &Cache{
		cfg:     cfg,
		known:   make(map[string]cached),
		unknown: make(map[string]cached),
		loading: make(map[string]*load),
	}, nil
}

// Keys implements KeySource.
func (c *Cache) Keys(ctx context.Context, keyID string) (Keyring, error) {
	if c == nil || c.known == nil {
		return Keyring{}, errNoCache
	}
	now := time.Now()
	c.mu.RLock()
	ring, err, hit := c.lookup(keyID, now)
	c.mu.RUnlock()
	if hit {
		return ring, err
	}
	l, err := c.join(ctx, keyID, now)
	if err != nil {
		return Keyring{}, err
	}
	select {
	case <-l.done:
		return l.ring, l.err
	case <-ctx.Done():
		return Keyring{}, context.Cause(ctx)
	}
}

func (c *Cache) lookup(keyID string, now time.Time) (Keyring, error, bool) {
	if e, ok := c.known[keyID]; ok && now.Before(e.until) {
		return e.ring, nil, true
	}
	if e, ok := c.unknown[keyID]; ok && now.Before(e.until) {
		return Keyring{}, ErrUnknownKey, true
	}
	return Keyring{}, nil, false
}

// join returns the lookup of an id, starting it if nobody has.
func (c *Cache) join(ctx context.Context, keyID string, now time.Time) (*load, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ring, err, hit := c.lookup(keyID, now); hit {
		l := &load{done: make(chan struct{}), ring: ring, err: err}
		close(l.done)
		return l, nil
	}
	if l := c.loading[keyID]; l != nil {
		return l, nil
	}
	if _, expired := c.known[keyID]; !expired && len(c.loading) >= c.cfg.MaxLoads {
		return nil, errCacheBusy
	}
	l := &load{done: make(chan struct{})}
	keyID = strings.Clone(keyID) // not a view that keeps a whole header alive
	c.loading[keyID] = l
	// One waiter's cancellation must not fail the others.
	go c.run(context.WithoutCancel(ctx), keyID, l)
	return l, nil
}

// run asks the source and stores its answer. A source that ignores its context
// is left behind at the timeout: those who wait get an error, an answer that
// comes later is not used, and until then it holds one of the MaxLoads, so that
// such lookups cannot pile up.
func (c *Cache) run(ctx context.Context, keyID string, l *load) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	answered := make(chan struct{})
	var ring Keyring
	var err error
	go func() {
		defer close(answered)
		ring, err = c.ask(ctx, keyID)
	}()
	select {
	case <-answered:
		l.ring, l.err = ring, err
	case <-ctx.Done():
		l.err = errCacheTimeout
		close(l.done)
		<-answered
		c.mu.Lock()
		delete(c.loading, keyID)
		c.mu.Unlock()
		return
	}
	c.mu.Lock()
	delete(c.loading, keyID)
	until := time.Now()
	switch {
	case l.err == nil:
		delete(c.unknown, keyID)
		put(c.known, c.cfg.MaxEntries, keyID, cached{ring: l.ring, until: until.Add(c.cfg.TTL)})
	case errors.Is(l.err, ErrUnknownKey):
		delete(c.known, keyID)
		put(c.unknown, c.cfg.MaxEntries, keyID, cached{until: until.Add(c.cfg.NegativeTTL)})
	}
	c.mu.Unlock()
	close(l.done)
}

// ask turns a panic of the source into an error: this is its own goroutine,
// where a panic would end the process instead of one request.
func (c *Cache) ask(ctx context.Context, keyID string) (ring Keyring, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("hmacsig: key source panicked: %v", p)
		}
	}()
	return c.cfg.Source.Keys(ctx, keyID)
}

// put stores an entry. When the map is full, an arbitrary one makes room: what
// is lost is a lookup, and nobody can choose whose.
func put(m map[string]cached, limit int, keyID string, e cached) {
	if _, ok := m[keyID]; !ok && len(m) >= limit {
		for victim := range m {
			delete(m, victim)
			break
		}
	}
	m[keyID] = e
}
