package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/ratelimit"
)

var home = netip.MustParseAddr("198.51.100.7")

func newGuard(t testing.TB, cfg ratelimit.LoginConfig) *ratelimit.LoginGuard {
	t.Helper()
	g, err := ratelimit.NewLoginGuard(newLimiter(t, ratelimit.Config{}), cfg)
	require.NoError(t, err)
	return g
}

// fail makes one failed login and returns nil, or the refusal.
func fail(
	t testing.TB, g *ratelimit.LoginGuard, addr netip.Addr, account string,
) *ratelimit.Rejection {
	t.Helper()
	a, err := g.Begin(t.Context(), addr, account)
	if err != nil {
		r, ok := errors.AsType[*ratelimit.Rejection](err)
		require.True(t, ok)
		return r
	}
	a.Fail(t.Context())
	return nil
}

func TestLoginGuardBansAfterFiveFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, ratelimit.LoginConfig{})
		for i := range 5 {
			require.Nil(t, fail(t, g, home, "a@example.test"), "failure %d", i+1)
		}
		time.Sleep(14 * time.Minute)
		r := fail(t, g, home, " A@Example.test ")
		require.Equal(t, ratelimit.ReasonLoginBlocked, r.Reason)
		require.Equal(t, 16*time.Minute, r.RetryAfter, "the ban began with the fifth failure")
		for range 1000 {
			time.Sleep(900 * time.Millisecond)
			require.NotNil(t, fail(t, g, home, "a@example.test"), "still banned")
		}
		require.Nil(t, fail(t, g, home, "b@example.test"), "refusals do not count for the address")
		time.Sleep(time.Minute + time.Second)
		for i := range 5 {
			require.Nil(t, fail(t, g, home, "a@example.test"), "nor for what comes after: %d", i+1)
		}
		require.NotNil(t, fail(t, g, home, "a@example.test"))
	})
}

// A process that dies between Begin and Fail leaves the failure counted; the
// next attempt over the line starts the ban.
func TestLoginGuardCountsWhatIsNotReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, ratelimit.LoginConfig{})
		for range 5 {
			_, err := g.Begin(t.Context(), home, "a")
			require.NoError(t, err)
		}
		_, err := g.Begin(t.Context(), home, "a")
		require.Error(t, err)
		time.Sleep(29 * time.Minute)
		require.NotNil(t, fail(t, g, home, "a"))
	})
}

func TestLoginGuardSuccessesCountNothing(t *testing.T) {
	t.Parallel()
	g := newGuard(t, ratelimit.LoginConfig{})
	for range 200 { // an office behind one address, all at nine o'clock
		a, err := g.Begin(t.Context(), home, "a")
		require.NoError(t, err)
		require.NoError(t, a.Succeed(t.Context()))
	}
}

func TestLoginGuardBansGrowAndDecay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, ratelimit.LoginConfig{AddressFailures: 10_000})
		banned := func() time.Duration {
			for range 6 {
				if r := fail(t, g, home, "a"); r != nil {
					return r.RetryAfter
				}
			}
			t.Fatal("no ban")
			return 0
		}
		for _, want := range []time.Duration{30, 60, 120, 240, 480, 960, 960} {
			got := banned()
			require.InDelta(t, want*time.Minute, got, float64(time.Minute))
			time.Sleep(got + time.Second)
		}
		time.Sleep(7 * 24 * time.Hour)
		require.InDelta(t, 30*time.Minute, banned(), float64(time.Minute), "forgotten by now")
	})
}

// Somebody else's failures never refuse the owner of the account.
func TestLoginGuardNeverLocksAnAccountForEveryone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, ratelimit.LoginConfig{})
		for i := range 1000 {
			attacker := netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})
			for range 6 {
				fail(t, g, attacker, "victim")
			}
		}
		a, err := g.Begin(t.Context(), home, "victim")
		require.NoError(t, err)
		require.Positive(t, a.Delay, "only delayed")
		require.LessOrEqual(t, a.Delay, 5*time.Second)
		start := time.Now()
		require.NoError(t, a.Wait(t.Context()))
		require.Equal(t, a.Delay, time.Since(start))
		require.NoError(t, a.Succeed(t.Context()))
	})
}

func TestLoginGuardDelaysGrow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, ratelimit.LoginConfig{})
		var delays []time.Duration
		for range 5 {
			a, err := g.Begin(t.Context(), home, "a")
			require.NoError(t, err)
			delays = append(delays, a.Delay)
		}
		ms := time.Millisecond
		require.Equal(t, []time.Duration{0, 0, 250 * ms, 500 * ms, 1000 * ms}, delays)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		a, err := g.Begin(t.Context(), netip.MustParseAddr("203.0.113.1"), "b")
		require.NoError(t, err)
		require.ErrorIs(t, a.Wait(ctx), context.Canceled)
		a.Delay = time.Hour
		require.ErrorIs(t, a.Wait(ctx), context.Canceled)
	})
}

func TestLoginGuardSuccessResets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, ratelimit.LoginConfig{})
		for range 10 { // ten times more often than five failures would allow
			for range 4 {
				require.Nil(t, fail(t, g, home, "a"))
			}
			a, err := g.Begin(t.Context(), home, "a")
			require.NoError(t, err)
			require.NoError(t, a.Succeed(t.Context()))
			// The address is not reset: only its own account is forgiven.
			time.Sleep(5 * time.Minute)
		}
	})
}

// One who owns an account must not earn guesses on others with it.
func TestLoginGuardOwnAccountEarnsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, ratelimit.LoginConfig{})
		guesses := 0
		for i := range 200 {
			if fail(t, g, home, fmt.Sprint("victim", i)) == nil {
				guesses++
			}
			if a, err := g.Begin(t.Context(), home, "mine"); err == nil {
				require.NoError(t, a.Succeed(t.Context()))
			}
		}
		require.LessOrEqual(t, guesses, 20)
	})
}

// Spraying one password over many accounts is banned by address, and a whole
// IPv6 /64 counts as one address.
func TestLoginGuardBansSprayingAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, ratelimit.LoginConfig{})
		tried := 0
		for i := range 100 {
			addr := netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1))
			if fail(t, g, addr, fmt.Sprint("user", i)) == nil {
				tried++
			}
		}
		require.Equal(t, 20, tried)
		require.NotNil(t, fail(t, g, netip.MustParseAddr("2001:db8::ffff"), "anyone"))
		require.Nil(t, fail(t, g, netip.MustParseAddr("2001:db8:0:1::1"), "anyone"))
	})
}

// A thousand guesses at once get no further than five in a row.
func TestLoginGuardParallelGuesses(t *testing.T) {
	t.Parallel()
	g := newGuard(t, ratelimit.LoginConfig{})
	var allowed atomic.Int64
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			if _, err := g.Begin(context.Background(), home, "a"); err == nil {
				allowed.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 5, allowed.Load())
}

// The answer tells when to come back, and nothing about budgets.
func TestLoginGuardAnswer(t *testing.T) {
	t.Parallel()
	g := newGuard(t, ratelimit.LoginConfig{Failures: 1, Ban: time.Minute})
	require.Nil(t, fail(t, g, home, "a"))
	w := httptest.NewRecorder()
	fail(t, g, home, "a").Write(w)
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Equal(t, "60", w.Header().Get("Retry-After"))
	require.Empty(t, w.Header().Get("RateLimit"))
	require.NotContains(t, w.Body.String(), "policies")
	require.Contains(t, w.Body.String(), `"code":"login_blocked"`)
}

func TestLoginGuardOutage(t *testing.T) {
	t.Parallel()
	for outage, allowed := range map[ratelimit.Outage]int{
		ratelimit.Closed: 0, ratelimit.Local: 5, ratelimit.Open: 50,
	} {
		l := newLimiter(t, ratelimit.Config{Store: &brokenStore{err: errors.New("down")}})
		g, err := ratelimit.NewLoginGuard(l, ratelimit.LoginConfig{OnOutage: outage})
		require.NoError(t, err)
		got := 0
		for range 50 {
			r := fail(t, g, home, "a")
			if r == nil {
				got++
			} else if outage == ratelimit.Closed {
				require.Equal(t, ratelimit.ReasonUnavailable, r.Reason)
				require.ErrorContains(t, r, "unavailable")
			}
		}
		require.Equal(t, allowed, got, outage.String())
	}
}

func TestLoginGuardZeroAndConfig(t *testing.T) {
	t.Parallel()
	for _, g := range []*ratelimit.LoginGuard{nil, {}} {
		_, err := g.Begin(t.Context(), home, "a")
		require.ErrorContains(t, err, "not_configured")
	}
	_, err := newGuard(t, ratelimit.LoginConfig{}).Begin(t.Context(), netip.Addr{}, "a")
	require.ErrorContains(t, err, "no_key")
	_, err = ratelimit.NewLoginGuard(nil, ratelimit.LoginConfig{
		Failures: -1, AddressFailures: -1, Window: -1, Ban: -1, MaxDelay: -1, OnOutage: 9,
	})
	for _, field := range []string{
		"Limiter", "Failures", "AddressFailures", "Window", "Ban", "MaxDelay", "OnOutage",
	} {
		require.ErrorContains(t, err, "ratelimit: "+field)
	}
}

// Failures that end at the same time are one ban, not one ban each.
func TestLoginGuardParallelFailuresAreOneBan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, ratelimit.LoginConfig{})
		var attempts []*ratelimit.Attempt
		for range 5 {
			a, err := g.Begin(t.Context(), home, "a")
			require.NoError(t, err)
			attempts = append(attempts, a)
		}
		for _, a := range attempts {
			a.Fail(t.Context())
		}
		require.InDelta(t, 30*time.Minute, fail(t, g, home, "a").RetryAfter, float64(time.Minute))
	})
}

// Whoever hangs up before the answer is counted, banned and forgiven like others.
func TestLoginGuardOutlivesTheConnection(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, ratelimit.Config{Store: politeStore{ratelimit.NewMemory(0)}})
	g, err := ratelimit.NewLoginGuard(l, ratelimit.LoginConfig{Failures: 1, AddressFailures: 5})
	require.NoError(t, err)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		a, err := g.Begin(ctx, home, "mine")
		require.NoError(t, err)
		cancel()
		require.NoError(t, a.Succeed(ctx))
	}
	ctx, cancel := context.WithCancel(t.Context())
	a, err := g.Begin(ctx, home, "victim")
	require.NoError(t, err)
	cancel()
	a.Fail(ctx)
	r := fail(t, g, home, "victim")
	require.NotNil(t, r)
	require.Less(t, r.RetryAfter, 30*time.Minute, "the ban began with the failure")
}

// politeStore does nothing for a caller that has gone.
type politeStore struct{ ratelimit.Store }

func (s politeStore) Take(ctx context.Context, p []ratelimit.Policy, r []ratelimit.Result) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.Store.Take(ctx, p, r)
}

// An outage of the store sets nobody free whom this process knows.
func TestLoginGuardLocalRemembersBans(t *testing.T) {
	t.Parallel()
	s := &brokenStore{Store: ratelimit.NewMemory(0)}
	l := newLimiter(t, ratelimit.Config{Store: s, Instances: 4})
	g, err := ratelimit.NewLoginGuard(l, ratelimit.LoginConfig{OnOutage: ratelimit.Local})
	require.NoError(t, err)
	for range 5 {
		require.Nil(t, fail(t, g, home, "banned"))
	}
	require.NotNil(t, fail(t, g, home, "banned"))
	for range 3 {
		require.Nil(t, fail(t, g, home, "tried"))
	}
	s.err = errors.New("down")
	r := fail(t, g, home, "banned")
	require.NotNil(t, r, "the outage lifted a ban")
	require.InDelta(t, 30*time.Minute, r.RetryAfter, float64(time.Minute))
	left := 0
	for fail(t, g, home, "tried") == nil {
		left++
	}
	require.Equal(t, 2, left, "the outage forgot failures")
	require.Nil(t, fail(t, g, home, "new"))
}
