package ratelimit

import (
	"context"
	"crypto/rand"
	"sync"
	"time"
)

// InFlight bounds how many requests of one key are served at the same time:
// exports, reports, other heavy reads.
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

// Acquire takes a place. When the decision is Allowed, call release once the
// work is done; it may be called more than once. Cancelling ctx stops the
// renewal, so that a place whose release was forgotten is free after Lease.
// Release is never nil.
func (l *Limiter) Acquire(ctx context.Context, f InFlight) (release func(), d Decision) {
	release, d = l.acquire(ctx, f)
	l.report(ctx, d)
	return release, d
}

func (l *Limiter) acquire(ctx context.Context, f InFlight) (func(), Decision) {
	nop := func() {}
	if f.Lease == 0 {
		f.Lease = 30 * time.Second
	}
	p := Policy{Name: f.Name, Key: f.Key, OnOutage: f.OnOutage}
	d := Decision{Policy: f.Name}
	switch {
	case l == nil || l.store == nil:
		d.Reason = ReasonNotConfigured
	case f.Key.isZero():
		d.Reason = ReasonNoKey
	case !validName(f.Name) || f.Max <= 0 || f.OnOutage > Open,
		f.Lease < time.Second || f.Lease > time.Hour:
		d.Reason = ReasonPolicyInvalid
	}
	if d.Reason != "" {
		return nop, d
	}
	store, token := l.store, rand.Text()
	entered, err := store.Enter(ctx, p, token, f.Max, f.Lease)
	if err != nil {
		d.Degraded, d.Err = true, err
		switch {
		case f.OnOutage == Open && ctx.Err() == nil:
			d.Allowed = true
			return nop, d
		case f.OnOutage == Local && ctx.Err() == nil:
			store, f.Max = l.local, max(f.Max/l.instances, 1)
			entered, _ = store.Enter(ctx, p, token, f.Max, f.Lease)
		default:
			d.Reason, d.RetryAfter = ReasonUnavailable, outageRetry
			return nop, d
		}
	}
	if !entered {
		// Nobody knows when a holder will finish; a second is a polite pause.
		d.Reason, d.RetryAfter, d.Violated = ReasonInFlight, time.Second, []string{f.Name}
		return nop, d
	}
	d.Allowed = true
	return hold(ctx, store, p, token, f), d
}

// hold renews the place until it is released or ctx ends.
func hold(ctx context.Context, s Store, p Policy, token string, f InFlight) func() {
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(f.Lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
				// A failed renewal is tried again at the next tick; after the
				// third the lease has run out, as promised.
				_, _ = s.Enter(ctx, p, token, f.Max, f.Lease)
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(done)
		<-stopped // a renewal under way would take the place again
		// The place is given back even when the request was cancelled. If the
		// store cannot be reached, the lease runs out.
		_ = s.Leave(context.WithoutCancel(ctx), p, token)
	})
}

// flights is Memory's side of Enter and Leave.
type flights struct {
	mu   sync.Mutex
	max  int
	held map[identity]map[string]time.Time // token to expiry
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
	for t, expiry := range holders {
		if !now.Before(expiry) {
			delete(holders, t)
		}
	}
	if _, again := holders[token]; !again && len(holders) >= limit {
		return false, nil
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
