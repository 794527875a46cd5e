package loginguard_test

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

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/loginguard"
)

var (
	home   = netip.MustParseAddr("198.51.100.7")
	secret = []byte("sixteen or more bytes")
)

func newMemory(t testing.TB) *ratelimit.Memory {
	t.Helper()
	m, err := ratelimit.NewMemory(ratelimit.MemoryConfig{})
	require.NoError(t, err)
	return m
}

func newGuard(t testing.TB, cfg loginguard.Config) *loginguard.Guard {
	t.Helper()
	g, err := loginguard.New(cfg)
	require.NoError(t, err)
	return g
}

// by is a login from an address on an account.
func by(addr netip.Addr, account string) loginguard.Login {
	return loginguard.Login{Addr: addr, Account: account}
}

// fail makes one failed login and returns nil, or the refusal.
func fail(
	t testing.TB, g *loginguard.Guard, addr netip.Addr, account string,
) *sallyport.Refusal {
	t.Helper()
	a, err := g.Begin(t.Context(), by(addr, account))
	if err != nil {
		r, ok := errors.AsType[*sallyport.Refusal](err)
		require.True(t, ok)
		return r
	}
	a.Fail(t.Context())
	return nil
}

func TestBansAfterFiveFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{})
		for i := range 5 {
			require.Nil(t, fail(t, g, home, "a@example.test"), "failure %d", i+1)
		}
		time.Sleep(14 * time.Minute)
		r := fail(t, g, home, " A@Example.test ")
		require.Equal(t, loginguard.CodeBlocked, r.Code)
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

// Whoever hangs up between two steps, or meets an error there, has failed at
// nothing, and leaves nothing behind.
func TestHangUpLeavesNoBan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{})
		for range 500 {
			ctx, cancel := context.WithCancel(t.Context())
			a, err := g.Begin(ctx, by(home, "a"))
			require.NoError(t, err)
			cancel()
			a.Release()
			a.Release()
		}
		// Nor does one who never says how it ended, but for half a minute.
		for range 5 {
			ctx, cancel := context.WithCancel(t.Context())
			_, err := g.Begin(ctx, by(home, "a"))
			require.NoError(t, err)
			cancel()
		}
		time.Sleep(31 * time.Second)
		for range 4 {
			require.Nil(t, fail(t, g, home, "a"))
		}
	})
}

func TestSuccessesCountNothing(t *testing.T) {
	t.Parallel()
	g := newGuard(t, loginguard.Config{})
	for range 200 { // an office behind one address, all at nine o'clock
		a, err := g.Begin(t.Context(), by(home, "a"))
		require.NoError(t, err)
		require.NoError(t, a.Succeed(t.Context()))
	}
}

func TestBansGrowAndDecay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{AddressFailures: 10_000})
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

// Somebody else's failures never refuse the owner of the account on a device that
// it knows, and strangers only for a while.
func TestNobodyLocksAnAccountForItsOwner(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{DeviceSecret: secret})
		token := g.Remember("Owner@example.test")
		guesses := 0
		for i := range 1000 {
			attacker := netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})
			for range 6 {
				if fail(t, g, attacker, "owner@example.test") == nil {
					guesses++
				}
			}
		}
		require.Equal(t, 100, guesses, "the account's budget, over all addresses")
		for range 3 {
			l := by(home, "owner@example.test")
			l.Device = token
			a, err := g.Begin(t.Context(), l)
			require.NoError(t, err)
			require.Zero(t, a.Delay)
			require.NoError(t, a.Succeed(t.Context()))
		}
		r := fail(t, g, home, "owner@example.test")
		require.Equal(t, loginguard.CodeAccountSlowed, r.Code, "signing in refills nobody's budget")
		require.InDelta(t, 6*time.Minute, r.RetryAfter, float64(time.Second))
		time.Sleep(r.RetryAfter - time.Nanosecond)
		require.NotNil(t, fail(t, g, home, "owner@example.test"), "before Retry-After")
		time.Sleep(time.Nanosecond)
		a, err := g.Begin(t.Context(), by(home, "owner@example.test"))
		require.NoError(t, err, "at Retry-After")
		require.LessOrEqual(t, a.Delay, 5*time.Second)
		start := time.Now()
		require.NoError(t, a.Wait(t.Context()))
		require.Equal(t, a.Delay, time.Since(start))
		require.NoError(t, a.Succeed(t.Context()))
		require.Nil(t, fail(t, g, home, "somebody.else@example.test"))
	})
}

func TestDelaysGrow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{})
		var delays []time.Duration
		for range 5 {
			a, err := g.Begin(t.Context(), by(home, "a"))
			require.NoError(t, err)
			delays = append(delays, a.Delay)
			a.Fail(t.Context())
		}
		ms := time.Millisecond
		require.Equal(t, []time.Duration{0, 0, 250 * ms, 500 * ms, 1000 * ms}, delays)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		a, err := g.Begin(t.Context(), by(netip.MustParseAddr("203.0.113.1"), "b"))
		require.NoError(t, err)
		require.ErrorIs(t, a.Wait(ctx), context.Canceled)
		a.Delay = time.Hour
		require.ErrorIs(t, a.Wait(ctx), context.Canceled)
	})
}

func TestSuccessResets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{})
		for range 10 { // ten times more often than five failures would allow
			for range 4 {
				require.Nil(t, fail(t, g, home, "a"))
			}
			a, err := g.Begin(t.Context(), by(home, "a"))
			require.NoError(t, err)
			require.NoError(t, a.Succeed(t.Context()))
			// The address is not reset: only its own account is forgiven.
			time.Sleep(5 * time.Minute)
		}
	})
}

// One who owns an account must not earn guesses on others with it.
func TestOwnAccountEarnsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{})
		guesses := 0
		for i := range 200 {
			if fail(t, g, home, fmt.Sprint("victim", i)) == nil {
				guesses++
			}
			if a, err := g.Begin(t.Context(), by(home, "mine")); err == nil {
				require.NoError(t, a.Succeed(t.Context()))
			}
		}
		require.LessOrEqual(t, guesses, 20)
	})
}

// Spraying one password over many accounts is banned by address, and a whole
// IPv6 /64 counts as one address.
func TestBansSprayingAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{})
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

// A thousand guesses at once get no further than five in a row, and the rest are
// asked to come again: they did nothing wrong.
func TestParallelGuesses(t *testing.T) {
	t.Parallel()
	g := newGuard(t, loginguard.Config{MaxWait: time.Millisecond})
	var allowed, crowded atomic.Int64
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			_, err := g.Begin(context.Background(), by(home, "a"))
			refused, _ := errors.AsType[*sallyport.Refusal](err)
			switch {
			case err == nil:
				allowed.Add(1)
			case refused.Code == loginguard.CodeCrowded && refused.Status == 503:
				crowded.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 5, allowed.Load())
	require.EqualValues(t, 995, crowded.Load())
}

// The answer tells when to come back, and nothing about budgets.
func TestAnswer(t *testing.T) {
	t.Parallel()
	g := newGuard(t, loginguard.Config{Failures: 1, Ban: time.Minute})
	require.Nil(t, fail(t, g, home, "a"))
	w := httptest.NewRecorder()
	require.False(t, g.Answer(w, httptest.NewRequest(http.MethodPost, "/", nil), fail(t, g,
		home, "a")))
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Equal(t, "60", w.Header().Get("Retry-After"))
	require.Empty(t, w.Header().Get("RateLimit"))
	require.NotContains(t, w.Body.String(), "policies")
	require.Contains(t, w.Body.String(), `"code":"login_blocked"`)
}

func TestOutage(t *testing.T) {
	t.Parallel()
	for outage, allowed := range map[ratelimit.Outage]int{
		ratelimit.Closed: 0, ratelimit.Local: 5, ratelimit.Open: 50,
	} {
		g := newGuard(t, loginguard.Config{
			Store: &brokenStore{err: errors.New("down")}, OnOutage: outage,
		})
		got := 0
		for range 50 {
			r := fail(t, g, home, "a")
			if r == nil {
				got++
			} else if outage == ratelimit.Closed {
				require.Equal(t, loginguard.CodeUnavailable, r.Code)
				require.ErrorContains(t, r, "down")
			}
		}
		require.Equal(t, allowed, got, outage.String())
	}
}

func TestZeroValuesRefuse(t *testing.T) {
	t.Parallel()
	for _, g := range []*loginguard.Guard{nil, {}} {
		for _, begin := range []func(context.Context, loginguard.Login) (*loginguard.Attempt, error){
			g.Begin, g.BeginFactor,
		} {
			a, err := begin(t.Context(), by(home, "a"))
			require.Nil(t, a)
			require.ErrorContains(t, err, loginguard.CodeNotConfigured)
			w := httptest.NewRecorder()
			require.False(t, g.Answer(w, httptest.NewRequest(http.MethodPost, "/", nil), err))
			require.Equal(t, http.StatusServiceUnavailable, w.Code)
			require.Contains(t, w.Body.String(), loginguard.CodeNotConfigured)
		}
		require.Empty(t, g.Remember("a"))
	}
	for _, a := range []*loginguard.Attempt{nil, {}} {
		require.ErrorContains(t, a.Wait(t.Context()), loginguard.CodeNotConfigured)
		require.ErrorContains(t, a.Succeed(t.Context()), loginguard.CodeNotConfigured)
		require.Zero(t, a.Fail(t.Context()))
		a.Release()
	}
}

func TestConfigProblems(t *testing.T) {
	t.Parallel()
	_, err := newGuard(t, loginguard.Config{}).Begin(t.Context(), by(netip.Addr{}, "a"))
	require.ErrorContains(t, err, loginguard.CodeNoAddress)
	_, err = loginguard.New(loginguard.Config{
		Store: &ratelimit.Memory{}, MaxKeys: -1, Failures: -1, AddressFailures: -1,
		AccountFailures: -1, FactorFailures: -1, Window: -1, Ban: -1, MaxDelay: -1, MaxWait: -1,
		DeviceSecret: []byte("short"), DeviceAge: -1, OnOutage: 9,
	})
	for _, field := range []string{
		"Failures", "AddressFailures", "AccountFailures", "FactorFailures", "Window", "Ban",
		"MaxDelay", "MaxWait", "DeviceSecret", "DeviceAge", "OnOutage",
	} {
		require.ErrorContains(t, err, "loginguard: "+field)
	}
	require.ErrorContains(t, err, "Store")
	require.ErrorContains(t, err, "MaxKeys")
	require.NotContains(t, err.Error(), "short")
}

// Failures that end at the same time are one ban, not one ban each.
func TestParallelFailuresAreOneBan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{})
		var attempts []*loginguard.Attempt
		for range 5 {
			a, err := g.Begin(t.Context(), by(home, "a"))
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
func TestOutlivesTheConnection(t *testing.T) {
	t.Parallel()
	g := newGuard(t, loginguard.Config{
		Store: politeStore{newMemory(t)}, Failures: 1, AddressFailures: 5,
	})
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		a, err := g.Begin(ctx, by(home, "mine"))
		require.NoError(t, err)
		cancel()
		require.NoError(t, a.Succeed(ctx))
	}
	ctx, cancel := context.WithCancel(t.Context())
	a, err := g.Begin(ctx, by(home, "victim"))
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
func TestLocalRemembersBans(t *testing.T) {
	t.Parallel()
	s := &brokenStore{Store: newMemory(t)}
	g := newGuard(t, loginguard.Config{Store: s, OnOutage: ratelimit.Local})
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

// brokenStore fails, or is a store, as the test says.
type brokenStore struct {
	ratelimit.Store
	err error
}

func (s *brokenStore) Take(ctx context.Context, p []ratelimit.Policy, r []ratelimit.Result) error {
	if s.err != nil {
		return s.err
	}
	return s.Store.Take(ctx, p, r)
}

func (s *brokenStore) Forget(ctx context.Context, p []ratelimit.Policy) error {
	if s.err != nil {
		return s.err
	}
	return s.Store.Forget(ctx, p)
}

func (s *brokenStore) Enter(
	ctx context.Context, p ratelimit.Policy, token string, limit int, lease time.Duration,
) (bool, error) {
	if s.err != nil {
		return false, s.err
	}
	return s.Store.Enter(ctx, p, token, limit, lease)
}

func (s *brokenStore) Leave(ctx context.Context, p ratelimit.Policy, token string) error {
	if s.err != nil {
		return s.err
	}
	return s.Store.Leave(ctx, p, token)
}
