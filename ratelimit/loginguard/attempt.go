package loginguard

import (
	"context"
	"time"

	"github.com/opsmantik/sallyport/ratelimit"
)

// Attempt is one login that may go on. The zero value, and nil, do nothing and
// say so. It belongs to one goroutine.
type Attempt struct {
	// Delay is how long to wait before the secret is checked: it grows with the
	// failures on the account. See Wait.
	Delay time.Duration

	guard   *Guard
	login   Login
	factor  bool
	known   bool
	tracks  []track
	own     string           // the track that success forgives
	bounded int              // so many of the last tracks bound what is under way
	account ratelimit.Policy // what strangers have left; no name: not asked
	places  []func()
}

// enter waits for a place among the attempts under way, of which there may be as
// many as could still fail: a burst of parallel guesses gets no further than a
// slow one. It returns the code of the refusal, or "".
func (a *Attempt) enter(
	ctx context.Context, p *ratelimit.Policy, places int, deadline time.Time,
) (code string, err error) {
	for {
		release, d := a.guard.limiter.Acquire(ctx, ratelimit.InFlight{
			Name: p.Name, Key: p.Key, Max: places, OnOutage: p.OnOutage,
		})
		switch {
		case d.Allowed:
			a.places = append(a.places, release)
			return "", nil
		case d.Code != ratelimit.CodeInFlight:
			return CodeUnavailable, d.Err
		case !time.Now().Add(poll).Before(deadline):
			return CodeCrowded, nil
		}
		timer := time.NewTimer(poll)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return CodeCrowded, ctx.Err()
		}
	}
}

// leave gives back the place that enter took last.
func (a *Attempt) leave() {
	last := len(a.places) - 1
	a.places[last]()
	a.places = a.places[:last]
}

// Release gives back the attempt's place among those under way. Succeed and Fail
// do so as well; defer it for the paths that end in neither, which cost nothing.
func (a *Attempt) Release() {
	if a == nil {
		return
	}
	for _, release := range a.places {
		release()
	}
	a.places = nil
}

// Wait lets Delay pass, or returns the context's error.
func (a *Attempt) Wait(ctx context.Context) error {
	if a == nil || a.guard == nil {
		return unnamed.New(CodeNotConfigured, errNotConfigured)
	}
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

// Succeed forgets the failures of this address, or device, on the account. It
// takes back none of those of the address alone: whoever owns one account must
// not earn guesses on others with it. Nor does it refill what strangers may try on
// the account.
func (a *Attempt) Succeed(ctx context.Context) error {
	if a == nil || a.guard == nil {
		return unnamed.New(CodeNotConfigured, errNotConfigured)
	}
	defer a.Release()
	ctx = context.WithoutCancel(ctx) // it counts for a client that has left, too
	t := a.tracks[len(a.tracks)-1]
	err := a.guard.limiter.Forget(ctx, t.failures, t.ban, t.level)
	a.guard.report(ctx, a.login, Decision{
		Allowed: true, Code: CodeSucceeded, Known: a.known, Factor: a.factor, Err: err,
	})
	return err
}

// Fail counts a failure that is proved: the secret was checked and is wrong. It
// returns the longest ban that this failure has started, or 0. When a second
// factor is paused, end the session that its password began.
func (a *Attempt) Fail(ctx context.Context) time.Duration {
	if a == nil || a.guard == nil {
		return 0
	}
	defer a.Release()
	g := a.guard
	ctx = context.WithoutCancel(ctx) // who hangs up early is counted all the same
	d := Decision{Code: CodeFailed, Known: a.known, Factor: a.factor}
	for i := range a.tracks {
		if ban := g.charge(ctx, a.tracks[i]); ban > d.Ban {
			d.Code, d.Ban, d.Track = CodeBanned, ban, a.tracks[i].failures.Name
		}
	}
	if a.account.Name != "" {
		one := a.account
		one.Cost = 1
		var results [1]ratelimit.Result
		_, _ = g.limiter.Take(ctx, []ratelimit.Policy{one}, results[:])
	}
	g.report(ctx, a.login, d)
	return d.Ban
}

// Known reports whether the login came from a device that the account knows.
func (a *Attempt) Known() bool { return a != nil && a.known }
