package ratelimit

import (
	"context"
	crand "crypto/rand"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/opsmantik/sallyport/internal/response"
)

// InFlight bounds how many requests of one key are served at the same time:
// uploads, exports, reports, other heavy work.
type InFlight struct {
	_ [0]func() // keyed literals only

	// Name and Key identify the bound, as in Policy.
	Name string
	Key  Key
	// Max holders at once. It must be positive.
	Max int
	// Lease is how long a place stays taken after its process has died; while
	// it lives, the place is renewed. 1s to 1h. Default 30s.
	Lease time.Duration
	// OnOutage is as in Policy. Local bounds this process alone, at
	// Max/Config.Instances, at least 1.
	OnOutage Outage
}

const defaultLease = 30 * time.Second

// Acquire takes a place. When the decision is Allowed, call release once the
// work is done; it may be called more than once. Cancelling ctx stops the
// renewal, so that a place whose release was forgotten is free after Lease: for
// work that outlives its request, use [context.WithoutCancel], and do release.
// Release is never nil. A place that is held costs a timer, and no goroutine.
func (l *Limiter) Acquire(ctx context.Context, f InFlight) (release func(), d Decision) {
	release, d = l.acquire(ctx, f)
	if l != nil && l.onEvent != nil {
		l.report(ctx, nil, []Policy{{Key: f.Key}}, d)
	}
	return release, d
}

// WrapInFlight puts next behind a bound. The place is given back when the handler
// returns or, if it hijacked the connection, when that is closed.
func (l *Limiter) WrapInFlight(bound func(*http.Request) InFlight, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A hijacked connection outlives the request's context.
		ctx := context.WithoutCancel(r.Context())
		f := bound(r)
		release, d := l.acquire(ctx, f)
		if l != nil && l.onEvent != nil {
			l.report(r.Context(), r, []Policy{{Key: f.Key}}, d)
		}
		if !l.Answer(w, r, d) {
			return
		}
		hijacker := &hijackable{Writer: response.New(w, func(int) {}), release: release}
		defer hijacker.end()
		next.ServeHTTP(hijacker, r)
	})
}

func (l *Limiter) acquire(ctx context.Context, f InFlight) (func(), Decision) {
	nop := func() {}
	if f.Lease == 0 {
		f.Lease = defaultLease
	}
	p := Policy{Name: f.Name, Key: f.Key, OnOutage: f.OnOutage}
	d := Decision{Policy: f.Name}
	switch {
	case l == nil || l.store == nil:
		d.Code = CodeNotConfigured
	case f.Key.isZero():
		d.Code = CodeNoKey
	case !validName(f.Name) || f.Max <= 0 || f.OnOutage > Open,
		f.Lease < time.Second || f.Lease > time.Hour:
		d.Code = CodePolicyInvalid
	}
	if d.Code != "" {
		return nop, d
	}
	d.Code = CodeWithinLimit
	store, token := l.store, crand.Text()
	entered, err := store.Enter(ctx, p, token, f.Max, f.Lease)
	if err != nil {
		d.Degraded, d.Err, d.Code = true, err, CodeDegraded
		switch bears(ctx, f.OnOutage) {
		case Open:
			d.Allowed = true
			return nop, d
		case Local:
			store, f.Max = l.local, max(f.Max/l.instances, 1)
			entered, _ = store.Enter(ctx, p, token, f.Max, f.Lease)
		default:
			d.Code, d.RetryAfter = CodeUnavailable, outageRetry
			return nop, d
		}
	}
	if !entered {
		// Nobody knows when a holder will finish; a second is a polite pause.
		d.Code, d.RetryAfter, d.Violated = CodeInFlight, time.Second, []string{f.Name}
		return nop, d
	}
	d.Allowed = true
	h := &hold{
		ctx: ctx, store: store, policy: p, token: token, bound: f, turn: make(chan struct{}, 1),
	}
	defer h.lock()()
	h.timer = time.AfterFunc(h.pause(), h.renew)
	return h.release, d
}

// hold is a place that is held. Its timer renews it until it is released or ctx
// ends.
type hold struct {
	ctx    context.Context
	store  Store
	policy Policy
	token  string
	bound  InFlight
	timer  *time.Timer

	// turn is a lock that synctest understands: a renewal must not come after the
	// release, so the release waits for one under way.
	turn     chan struct{}
	released bool
}

func (h *hold) lock() (unlock func()) {
	h.turn <- struct{}{}
	return func() { <-h.turn }
}

func (h *hold) renew() {
	defer h.lock()()
	if h.released || h.ctx.Err() != nil {
		return
	}
	// A failed renewal is tried again next time; after the third the lease has run
	// out, as promised.
	_, _ = h.store.Enter(h.ctx, h.policy, h.token, h.bound.Max, h.bound.Lease)
	h.timer.Reset(h.pause())
}

// pause is a random part of the lease, at most a third: places that were taken
// together must not all be renewed together.
func (h *hold) pause() time.Duration {
	sixth := h.bound.Lease / 6
	return sixth + rand.N(sixth) // #nosec G404 -- spreads load, guards nothing
}

func (h *hold) release() {
	defer h.lock()()
	if h.released {
		return
	}
	h.released = true
	h.timer.Stop()
	// The place is given back even when the request was cancelled. If the store
	// cannot be reached, the lease runs out.
	_ = h.store.Leave(context.WithoutCancel(h.ctx), h.policy, h.token)
}

// flights is Memory's side of Enter and Leave.
type flights struct {
	mu   sync.Mutex
	max  int
	held map[identity]map[string]time.Time // token to expiry
}

// identity is whose place it is.
type identity struct {
	name string
	key  Key
}

// Enter implements Store. When as many keys as the store's capacity hold
// places, further keys are turned away.
func (m *Memory) Enter(
	_ context.Context, p Policy, token string, limit int, lease time.Duration,
) (bool, error) {
	if m == nil || m.shards == nil {
		return false, errNotConfigured
	}
	f := &m.flights
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held == nil {
		f.held = make(map[identity]map[string]time.Time)
	}
	id, now := identity{p.Name, p.Key}, time.Now()
	holders := f.held[id]
	if !now.Before(holders[token]) {
		if len(holders) >= limit { // the expired are looked for only when they matter
			for t, expiry := range holders {
				if !now.Before(expiry) {
					delete(holders, t)
				}
			}
		}
		if len(holders) >= limit {
			return false, nil
		}
	}
	if holders == nil {
		if f.sweep(now); len(f.held) >= f.max {
			return false, nil
		}
		holders = make(map[string]time.Time)
		f.held[id] = holders
	}
	holders[token] = now.Add(lease)
	return true, nil
}

// sweep drops a few keys whose holders have all expired, when there is no room
// for another. A map is walked from a random place, so calls add up.
func (f *flights) sweep(now time.Time) {
	if len(f.held) < f.max {
		return
	}
	looked := 0
	for id, holders := range f.held {
		live := false
		for _, expiry := range holders {
			live = live || now.Before(expiry)
		}
		if !live {
			delete(f.held, id)
		}
		if looked++; looked == 16 {
			return
		}
	}
}

// Leave implements Store.
func (m *Memory) Leave(_ context.Context, p Policy, token string) error {
	if m == nil || m.shards == nil {
		return errNotConfigured
	}
	f := &m.flights
	f.mu.Lock()
	defer f.mu.Unlock()
	id := identity{p.Name, p.Key}
	delete(f.held[id], token)
	if len(f.held[id]) == 0 {
		delete(f.held, id)
	}
	return nil
}
