package loginguard

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/refusal"
	"github.com/opsmantik/sallyport/ratelimit"
)

// Guard slows down guessing. The zero value refuses everything. It is safe for
// concurrent use.
type Guard struct {
	cfg     Config
	limiter *ratelimit.Limiter
	table   *refusal.Table

	pair, device, factor track
	tiers                [len(tiers)]track
	account              ratelimit.Policy

	pace    *rate.Limiter // of strangers, while there is no place for them
	crowded atomic.Int64  // until then, in Unix nanoseconds
}

// Login is who wants to sign in.
type Login struct {
	_ [0]func() // keyed literals only

	// Addr is the client's address, as package clientaddr finds it. Required.
	Addr netip.Addr
	// Account is the account's name as it was typed. It need not exist. It is
	// folded to lower case and trimmed, and kept as a keyed hash.
	Account string
	// Device is the token from an earlier Remember, or "". One that is forged,
	// expired or another account's is as none.
	Device string
	// Request is for OnEvent alone, and may be nil.
	Request *http.Request
}

// Decision is the Detail of this package's events and refusals.
type Decision struct {
	Allowed bool
	Code    string
	Track   string // which of the counts decided, such as "login-pair"
	// Known: the device is known to the account. Factor: it is about a second
	// factor.
	Known, Factor bool
	RetryAfter    time.Duration
	Delay         time.Duration // of an attempt that may go on
	Ban           time.Duration // that a failure has started
	Err           error
}

// fold gives one account one spelling.
func fold(account string) string { return strings.ToLower(strings.TrimSpace(account)) }

// Begin says whether a password may be checked. The error is nil or a
// *[sallyport.Refusal]. Call it before anything costly, password hashing above
// all. Then defer Release, Wait, check, and call Succeed or Fail; an attempt of
// which neither is reported has cost nothing.
//
// While as many attempts are under way from the address on the account as could
// still fail, it waits, for at most Config.MaxWait.
func (g *Guard) Begin(ctx context.Context, l Login) (*Attempt, error) {
	return g.begin(ctx, l, false)
}

// BeginFactor is Begin for a second factor, once the password was right. Wrong
// ones count for the account, whatever the address, and no password forgives
// them. Devices that the account knows have a count each of their own, so that
// whoever has stolen a password cannot pause its owner.
func (g *Guard) BeginFactor(ctx context.Context, l Login) (*Attempt, error) {
	return g.begin(ctx, l, true)
}

func (g *Guard) begin(ctx context.Context, l Login, factor bool) (*Attempt, error) {
	a, d := g.admit(ctx, l, factor)
	if g != nil {
		g.report(ctx, l, d)
	}
	if d.Allowed {
		return a, nil
	}
	a.Release()
	table := unnamed
	if g != nil && g.table != nil {
		table = g.table
	}
	refused := table.New(d.Code, d.Err)
	refused.RetryAfter, refused.Detail = d.RetryAfter, d
	return nil, refused
}

const (
	unavailableRetry = 5 * time.Second
	crowdedRetry     = time.Second
	// poll is how often Begin asks again for a place.
	poll = 50 * time.Millisecond
	// While the table has no place for strangers, so many of them a second may
	// try: their failures cannot be counted one by one.
	strangersPerSecond = 20
	crowdedFor         = time.Minute
)

// admit decides.
func (g *Guard) admit(ctx context.Context, l Login, factor bool) (*Attempt, Decision) {
	d := Decision{Factor: factor}
	if g == nil || g.limiter == nil {
		d.Code, d.Err = CodeNotConfigured, errNotConfigured
		return nil, d
	}
	if !l.Addr.IsValid() {
		d.Code = CodeNoAddress
		return nil, d
	}
	a := g.plan(l, factor)
	d.Known = a.known
	stranger := !a.known
	deadline := time.Now().Add(g.cfg.MaxWait)
	for i := range a.tracks {
		t := &a.tracks[i]
		s := g.look(ctx, t)
		// The wider networks bound failures, not what is under way.
		for held := i+a.bounded < len(a.tracks); s.left > 0 && !held; {
			code, err := a.enter(ctx, &t.failures, s.left, deadline)
			if code != "" {
				return a, refuse(d, code, t.failures.Name, err)
			}
			// While it waited for its place, others may have failed.
			before := s.left
			if s = g.look(ctx, t); s.left == before {
				held = true
			} else {
				a.leave()
			}
		}
		if !s.decided {
			d.Code, d.RetryAfter, d.Err = CodeUnavailable, unavailableRetry, s.outage
			return a, d
		}
		if s.left == 0 {
			d.Code, d.Track, d.RetryAfter = t.code, t.failures.Name, s.retry
			return a, d
		}
		stranger = stranger && s.left == t.failures.Limit.Capacity()
		if t.failures.Name == a.own {
			d.Delay = g.delay(t.failures.Limit.Capacity() - s.left - 1)
		}
	}
	if a.account.Name != "" {
		if d = g.admitAccount(ctx, a, d, deadline); d.Code != "" {
			return a, d
		}
	}
	if stranger && !g.passes() {
		return a, refuse(d, CodeCrowded, "", nil)
	}
	a.Delay = d.Delay
	d.Allowed, d.Code = true, CodeAllowed
	return a, d
}

func refuse(d Decision, code, track string, err error) Decision {
	d.Code, d.Track, d.Err, d.RetryAfter = code, track, err, crowdedRetry
	if code == CodeUnavailable {
		d.RetryAfter = unavailableRetry
	}
	return d
}

// admitAccount decides by what strangers have left of an account's budget.
func (g *Guard) admitAccount(
	ctx context.Context, a *Attempt, d Decision, deadline time.Time,
) Decision {
	left, reset, outage, decided := g.lookAccount(ctx, a)
	switch {
	case !decided:
		d.Code, d.RetryAfter, d.Err = CodeUnavailable, unavailableRetry, outage
		return d
	case left == 0:
		d.Code, d.Track = CodeAccountSlowed, a.account.Name
		d.RetryAfter = nextUnit(&a.account, reset)
		return d
	}
	failed := a.account.Limit.Capacity() - left
	d.Delay = max(d.Delay, g.delay(failed-g.cfg.Failures))
	if code, err := a.enter(ctx, &a.account, left, deadline); code != "" {
		return refuse(d, code, a.account.Name, err)
	}
	if now, _, _, decided := g.lookAccount(ctx, a); !decided || now != left {
		a.leave() // others failed while it waited
		return g.admitAccount(ctx, a, d, deadline)
	}
	return d
}

// lookAccount reads what strangers have left of an account's budget.
func (g *Guard) lookAccount(
	ctx context.Context, a *Attempt,
) (left int, reset time.Duration, outage error, decided bool) {
	var results [1]ratelimit.Result
	outage, decided = g.limiter.Take(ctx, []ratelimit.Policy{a.account}, results[:])
	return results[0].Remaining, results[0].Reset, outage, decided
}

// plan names the tracks of a login, those that bound what is under way last.
func (g *Guard) plan(l Login, factor bool) *Attempt {
	account := fold(l.Account)
	a := &Attempt{guard: g, login: l, factor: factor}
	if nonce := g.known(l.Device, account); nonce != "" {
		a.known = true
		t := g.device
		if factor {
			t = g.factor
		}
		a.tracks = []track{t.on(ratelimit.TextKey("device", nonce).In(account))}
		a.own, a.bounded = t.failures.Name, 1
		return a
	}
	a.tracks = g.addressTracks(l.Addr)
	if factor {
		a.tracks = append(a.tracks, g.factor.on(ratelimit.TextKey("account").In(account)))
		a.own, a.bounded = g.factor.failures.Name, 1
		return a
	}
	a.tracks = append(a.tracks, g.pair.on(ratelimit.AddrKey(l.Addr).In(account)))
	a.own, a.bounded = g.pair.failures.Name, 2
	a.account = g.account
	a.account.Key = ratelimit.TextKey("account").In(account)
	return a
}

// delay doubles with each step.
func (g *Guard) delay(steps int) time.Duration {
	if steps <= 0 {
		return 0
	}
	return min(250*time.Millisecond<<min(steps-1, 16), g.cfg.MaxDelay)
}

// crowd notes that the table had no place for a failure.
func (g *Guard) crowd() { g.crowded.Store(time.Now().Add(crowdedFor).UnixNano()) }

// passes reports whether a stranger may try now.
func (g *Guard) passes() bool {
	return time.Now().UnixNano() >= g.crowded.Load() || g.pace.Allow()
}

// Answer renders what Begin and BeginFactor refused with, and reports whether
// there was nothing to render:
//
//	attempt, err := guard.Begin(r.Context(), login)
//	if !guard.Answer(w, r, err) {
//		return
//	}
func (g *Guard) Answer(w http.ResponseWriter, r *http.Request, err error) bool {
	if err == nil {
		return true
	}
	refused, ok := errors.AsType[*sallyport.Refusal](err)
	if !ok {
		refused = unnamed.New(CodeUnavailable, err)
	}
	if g == nil {
		unnamed.Answer(w, r, refused, nil)
		return false
	}
	g.table.Answer(w, r, refused, g.cfg.OnReject)
	return false
}

func (g *Guard) report(ctx context.Context, l Login, d Decision) {
	if g.cfg.OnEvent == nil {
		return
	}
	g.cfg.OnEvent(ctx, sallyport.Event{
		Gate: gate, Code: d.Code, Allowed: d.Allowed, Policy: d.Track, Actor: l.Account,
		Request: l.Request, Err: d.Err, Detail: d,
	})
}
