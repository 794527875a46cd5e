package ratelimit

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// LoginConfig configures a LoginGuard.
type LoginConfig struct {
	_ [0]func() // keyed literals only

	// Failures within Window that one address may make on one account before
	// it is banned from that account. Defaults 5 in 15m; at most 100, 24h.
	Failures int
	Window   time.Duration
	// AddressFailures is the same for one address over all accounts, against
	// one password tried on many. Offices share addresses, so it is larger: above
	// what one has in progress at once, as logins count until they succeed.
	// Default 4 times Failures; at most 10,000.
	AddressFailures int
	// Ban is the first ban. Each further one within a day is twice as long, up
	// to 32 times; a day without forgets one step. Default 30m; 1s to 24h.
	Ban time.Duration
	// MaxDelay bounds Attempt.Delay. Default 5s; at most 1m.
	MaxDelay time.Duration
	// OnOutage is as in Policy. Default Closed: nobody signs in while the
	// store is out.
	OnOutage Outage
}

// LoginGuard slows down password guessing. It counts failures only, by client
// address and account together and by address alone; those two are banned. An
// account as such is never: failures from many addresses only delay its
// logins, so nobody can lock somebody else out.
//
// Accounts need not exist, so answers do not tell which do. An account is
// folded to lower case and trimmed, and stored as a keyed hash.
type LoginGuard struct {
	limiter  *Limiter
	pair     track
	address  track
	account  Policy
	maxDelay time.Duration
	outage   Outage
}

// track is what leads from failures to a ban: a bucket of failures, one that
// is full unless banned, and one that remembers earlier bans.
type track struct{ failures, ban, level Policy }

const (
	maxBanSteps  = 6 // 1, 2, 4, 8, 16, 32 times Ban
	maxBanFactor = 1 << (maxBanSteps - 1)
)

// NewLoginGuard returns a guard that keeps its counts in the Limiter's store,
// or every problem of the configuration at once. Guards with one store share
// their counts.
func NewLoginGuard(l *Limiter, cfg LoginConfig) (*LoginGuard, error) {
	var errs []error
	bad := func(field, value, reason string) {
		errs = append(errs, &ConfigError{field, value, reason})
	}
	if l == nil || l.store == nil {
		bad("Limiter", "", "is nil or the zero value")
	}
	cfg = cfg.withDefaults()
	if cfg.Failures < 1 || cfg.Failures > 100 {
		bad("Failures", strconv.Itoa(cfg.Failures), "want 1 to 100")
	}
	if cfg.AddressFailures < max(cfg.Failures, 1) || cfg.AddressFailures > 10_000 {
		bad("AddressFailures", strconv.Itoa(cfg.AddressFailures), "want Failures to 10,000")
	}
	if cfg.Window < time.Second || cfg.Window > 24*time.Hour {
		bad("Window", cfg.Window.String(), "want 1s to 24h")
	}
	if cfg.Ban < time.Second || cfg.Ban > 24*time.Hour {
		bad("Ban", cfg.Ban.String(), "want 1s to 24h")
	}
	if cfg.MaxDelay < 0 || cfg.MaxDelay > time.Minute {
		bad("MaxDelay", cfg.MaxDelay.String(), "want 0 to 1m")
	}
	if cfg.OnOutage > Open {
		bad("OnOutage", cfg.OnOutage.String(), "want Closed, Local or Open")
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return &LoginGuard{
		limiter: l,
		pair:    newTrack("login-pair", cfg.Failures, cfg),
		address: newTrack("login-address", cfg.AddressFailures, cfg),
		account: Policy{
			Name:   "login-account",
			Limit:  Limit{Count: cfg.AddressFailures, Window: cfg.Window},
			Cost:   1,
			Shadow: true,
		},
		maxDelay: cfg.MaxDelay,
		outage:   cfg.OnOutage,
	}, nil
}

func (cfg LoginConfig) withDefaults() LoginConfig {
	if cfg.Failures == 0 {
		cfg.Failures = 5
	}
	if cfg.AddressFailures == 0 {
		cfg.AddressFailures = 4 * cfg.Failures
	}
	if cfg.Window == 0 {
		cfg.Window = 15 * time.Minute
	}
	if cfg.Ban == 0 {
		cfg.Ban = 30 * time.Minute
	}
	if cfg.MaxDelay == 0 {
		cfg.MaxDelay = 5 * time.Second
	}
	return cfg
}

func newTrack(name string, failures int, cfg LoginConfig) track {
	return track{
		failures: Policy{
			Name: name, Limit: Limit{Count: failures, Window: cfg.Window}, Cost: 1,
		},
		ban: Policy{
			Name: name + "-ban", Limit: Limit{Count: 1, Window: cfg.Ban, Burst: maxBanFactor},
		},
		level: Policy{
			Name:   name + "-level",
			Limit:  Limit{Count: 1, Window: 24 * time.Hour, Burst: maxBanSteps},
			Cost:   1,
			Shadow: true,
		},
	}
}

// on returns the track of one key.
func (t track) on(key Key) track {
	t.failures.Key, t.ban.Key, t.level.Key = key, key, key
	return t
}

// Attempt is one login that may go on.
type Attempt struct {
	// Delay is how long to wait before the password is checked: it grows with
	// the failures on the account. See Wait.
	Delay time.Duration

	guard         *LoginGuard
	pair, address track
	account       Policy
}

// Begin counts a login from addr on account as a failure until it is reported
// as a success, so that a burst of parallel guesses gets no further than a
// slow one. The error is nil or a *Rejection. Call it before anything costly,
// password hashing above all, and then exactly one of Succeed and Fail.
func (g *LoginGuard) Begin(ctx context.Context, addr netip.Addr, account string) (*Attempt, error) {
	if g == nil || g.limiter == nil {
		return nil, reject(ReasonNotConfigured, errNotConfigured)
	}
	a, d := g.begin(ctx, addr, account)
	g.limiter.report(ctx, d)
	if rejection := d.Rejection(); rejection != nil {
		return nil, rejection
	}
	return a, nil
}

func (g *LoginGuard) begin(
	ctx context.Context, addr netip.Addr, account string,
) (*Attempt, Decision) {
	account = strings.ToLower(strings.TrimSpace(account))
	key := AddrKey(addr)
	if key.isZero() {
		return nil, Decision{Reason: ReasonNoKey}
	}
	a := &Attempt{
		guard:   g,
		address: g.address.on(key),
		pair:    g.pair.on(key.In(account)),
		account: g.account,
	}
	a.account.Key = TextKey("account").In(account)

	// First the address: one that sprays many accounts adds to none of them.
	_, d := g.count(ctx, a.address)
	if !d.Allowed {
		return nil, d
	}
	results, d := g.count(ctx, a.pair, a.account)
	if !d.Allowed {
		g.giveBack(ctx, a.address.failures)
		return nil, d
	}
	a.Delay = g.delay(results)
	return a, d
}

// count charges one failure on the track and on the policies beside it,
// unless it is banned or has run out, which bans it.
func (g *LoginGuard) count(ctx context.Context, t track, beside ...Policy) ([]Result, Decision) {
	policies := append([]Policy{t.ban, t.failures}, beside...)
	results := make([]Result, len(policies))
	degraded, err := g.take(ctx, policies, results)
	d := Decision{Policy: t.failures.Name, Degraded: degraded != nil, Err: degraded}
	if err != nil {
		d.Reason, d.RetryAfter = ReasonUnavailable, outageRetry
		return nil, d
	}
	if degraded == nil {
		g.mirror(policies, results)
	}
	if banned := results[0].Reset; banned > 0 {
		for i := 1; i < len(policies) && results[1].Fits; i++ {
			if results[i].Fits { // a shadow that was short was not charged
				g.giveBack(ctx, policies[i])
			}
		}
		d.Reason, d.RetryAfter = ReasonLoginBlocked, banned
		return nil, d
	}
	if !results[1].Fits {
		d.Reason, d.RetryAfter = ReasonLoginBlocked, g.punish(ctx, t)
		return nil, d
	}
	d.Allowed = true
	return results[1:], d
}

// punish bans the key of a track, unless it is banned already, and returns for
// how long. Failures that end at the same time are one ban: the longest is
// taken first, which fits into an untouched bucket only, and what is too much of
// it then given back.
func (g *LoginGuard) punish(ctx context.Context, t track) time.Duration {
	var results [2]Result
	t.ban.Cost = maxBanFactor
	if _, err := g.take(ctx, []Policy{t.ban, t.level}, results[:]); err != nil {
		return outageRetry
	}
	if steps := max(maxBanSteps-results[1].Remaining, 1); results[0].Fits && steps < maxBanSteps {
		t.ban.Cost = 1<<(steps-1) - maxBanFactor
		if _, err := g.take(ctx, []Policy{t.ban}, results[:1]); err != nil {
			return outageRetry
		}
	}
	return results[0].Reset
}

// delay grows with the failures of the address on the account, and with those
// on the account from anywhere once they are more than one address could make.
func (g *LoginGuard) delay(results []Result) time.Duration {
	byPair := g.pair.failures.Limit.Count - results[0].Remaining - 1
	byAccount := g.account.Limit.Count - results[1].Remaining - 1
	steps := max(byPair-1, byAccount-g.pair.failures.Limit.Count)
	if steps <= 0 {
		return 0
	}
	return min(250*time.Millisecond<<min(steps-1, 16), g.maxDelay)
}

// Wait lets Delay pass, or returns the context's error.
func (a *Attempt) Wait(ctx context.Context) error {
	if a.Delay <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(a.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Succeed forgets the failures of this address on the account, and those on
// the account. Of the address alone it takes back only this attempt: whoever
// owns one account must not earn guesses on others with it.
func (a *Attempt) Succeed(ctx context.Context) error {
	g := a.guard
	ctx = context.WithoutCancel(ctx) // it counts for a client that has left, too
	g.giveBack(ctx, a.address.failures)
	local := []Policy{a.pair.failures, a.pair.ban, a.pair.level, a.account}
	if g.limiter.local != g.limiter.memory {
		_ = g.limiter.local.Forget(ctx, local)
	}
	return g.limiter.store.Forget(ctx, local)
}

// Fail bans what has run out. The failure itself was counted by Begin, so a
// call that is missing, or that an outage swallows, costs only the ban's start
// at this failure instead of at the next.
func (a *Attempt) Fail(ctx context.Context) {
	ctx = context.WithoutCancel(ctx) // who hangs up early is banned all the same
	for _, t := range [...]track{a.pair, a.address} {
		look := t.failures
		look.Cost = 0
		var results [1]Result
		if _, err := a.guard.take(ctx, []Policy{look}, results[:]); err == nil &&
			results[0].Remaining == 0 {
			a.guard.punish(ctx, t)
		}
	}
}

func (g *LoginGuard) giveBack(ctx context.Context, p Policy) {
	p.Cost = -p.Cost
	// Should this be lost, one failure too many is counted for a while.
	_, _ = g.take(context.WithoutCancel(ctx), []Policy{p}, make([]Result, 1))
}

// take asks the store and, if it cannot answer, does as OnOutage says. The
// first error tells of the outage, the second that it decides.
func (g *LoginGuard) take(
	ctx context.Context, policies []Policy, results []Result,
) (degraded, refused error) {
	l := g.limiter
	err := l.store.Take(ctx, policies, results)
	switch {
	case err == nil:
		return nil, nil
	case ctx.Err() != nil || g.outage == Closed:
		return err, err
	case g.outage == Open:
		for i := range results {
			results[i] = Result{Fits: true, Remaining: policies[i].Limit.Capacity()}
		}
		return err, nil
	}
	// The mirror of this process. It is not divided by the number of instances: a
	// fifth of five failures would ban everybody at once.
	return err, l.local.Take(ctx, policies, results)
}

// mirror keeps this process's buckets no fuller than the store's, so that a ban
// or a count that it has seen outlives the store.
func (g *LoginGuard) mirror(policies []Policy, results []Result) {
	if g.outage != Local || g.limiter.memory != nil {
		return
	}
	for i := range policies {
		c := policies[i].charge()
		used := float64(results[i].Reset) / float64(c.interval)
		g.limiter.local.lower(&policies[i], float64(c.capacity)-used)
	}
}
