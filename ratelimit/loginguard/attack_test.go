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
	"github.com/opsmantik/sallyport/ratelimit/loginguard"
)

// inside is one of the addresses of 2001:db8:0::/48, each in a /64 of its own.
func inside(i int) netip.Addr {
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, 0, byte(i >> 8), byte(i), 15: 1})
}

// An attacker with a whole /48 has sixteen times what one address has, and a /56
// four times.
func TestNetworksAreBoundedInTiers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, row := range []struct {
			name  string
			addr  func(i int) netip.Addr
			most  int
			track string
		}{
			{"one address", func(int) netip.Addr { return inside(0) }, 20, "login-address"},
			{"one /64", func(i int) netip.Addr {
				a := inside(0).As16()
				a[14] = byte(i)
				return netip.AddrFrom16(a)
			}, 20, "login-address"},
			{"one /56", func(i int) netip.Addr { return inside(i % 256) }, 80, "login-56"},
			{"one /48", func(i int) netip.Addr { return inside(i * 13) }, 320, "login-48"},
			{"IPv4", func(int) netip.Addr { return home }, 20, "login-address"},
		} {
			g := newGuard(t, loginguard.Config{})
			guesses := 0
			var last *sallyport.Refusal
			for i := range 4000 {
				if r := fail(t, g, row.addr(i), fmt.Sprint("user", i)); r == nil {
					guesses++
				} else {
					last = r
				}
			}
			require.Equal(t, row.most, guesses, row.name)
			require.Equal(t, loginguard.CodeBlocked, last.Code)
			require.Equal(t, row.track, last.Detail.(loginguard.Decision).Track, row.name)
			outside := netip.MustParseAddr("2001:db8:1::1")
			require.Nil(t, fail(t, g, outside, "user0"), "%s: the neighbours are free", row.name)
		}
	})
}

// 363 guesses a second at a second factor, from many /64s behind one stolen
// password, are ten; then a pause that grows, and that no password shortens.
func TestSecondFactorCannotBeGuessed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{DeviceSecret: secret})
		token := g.Remember("owner")
		guess := func(i int) *sallyport.Refusal {
			// The attacker knows the password, and gives it each time.
			a, err := g.Begin(t.Context(), by(home, "owner"))
			require.NoError(t, err)
			require.NoError(t, a.Succeed(t.Context()))
			addr := netip.AddrFrom16([16]byte{0x20, byte(i >> 16), byte(i >> 8), byte(i), 15: 1})
			a, err = g.BeginFactor(t.Context(), by(addr, "owner"))
			if err != nil {
				refused, ok := errors.AsType[*sallyport.Refusal](err)
				require.True(t, ok)
				return refused
			}
			if ended := a.Fail(t.Context()) > 0; i < 10 {
				require.Equal(t, i == 9, ended, "the session ends with the tenth")
			}
			return nil
		}
		guesses := 0
		var pauses []time.Duration
		for i := range 2 * 3600 * 24 { // two days, twice a second
			r := guess(i)
			if r == nil {
				guesses++
				continue
			}
			require.Equal(t, loginguard.CodeFactorPaused, r.Code)
			if len(pauses) < 4 {
				pauses = append(pauses, r.RetryAfter)
			}
			time.Sleep(r.RetryAfter)
			if guesses > 30 {
				break
			}
		}
		require.Equal(t, 30*time.Minute, pauses[0].Round(time.Minute))
		require.Greater(t, pauses[1], pauses[0])

		// The owner's own device was never paused.
		l := by(netip.MustParseAddr("203.0.113.9"), "owner")
		l.Device = token
		a, err := g.BeginFactor(t.Context(), l)
		require.NoError(t, err)
		require.NoError(t, a.Succeed(t.Context()))
	})
}

// A right second factor ends the row, and a stolen device has a row of its own.
func TestSecondFactorsInARow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{DeviceSecret: secret})
		l := by(home, "owner")
		once := func(right bool) bool {
			a, err := g.BeginFactor(t.Context(), l)
			if err != nil {
				return false
			}
			if right {
				require.NoError(t, a.Succeed(t.Context()))
			} else {
				a.Fail(t.Context())
			}
			return true
		}
		for range 2 {
			for range 9 {
				require.True(t, once(false))
			}
			require.True(t, once(true))
		}
		l.Device = g.Remember("owner")
		wrong := 0
		for once(false) {
			wrong++
		}
		require.Equal(t, 10, wrong)
		l.Device = ""
		require.True(t, once(true), "strangers are another row")
	})
}

// Forty colleagues with right passwords come to work within two seconds, behind
// one address. Nobody is refused.
func TestOfficeIsNotBanned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{})
		cores := make(chan struct{}, 4) // that check passwords
		var in atomic.Int64
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 50 * time.Millisecond)
				a, err := g.Begin(context.Background(), by(home, fmt.Sprint("colleague", i)))
				if err != nil {
					t.Error(err)
					return
				}
				defer a.Release()
				cores <- struct{}{}
				time.Sleep(250 * time.Millisecond)
				<-cores
				if a.Succeed(context.Background()) == nil {
					in.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 40, in.Load())
		for i := range 19 {
			require.Nil(t, fail(t, g, home, fmt.Sprint("typo", i)), "and nothing was counted")
		}
	})
}

// 400 attempts a second for ten minutes from one /48, while forty colleagues sign
// in and a minute later a thousand strangers do.
func TestLoginFloodLocksNobodyOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{MaxKeys: 10_000})
		sign := func(addr netip.Addr, account string) error {
			a, err := g.Begin(t.Context(), by(addr, account))
			if err != nil {
				return err
			}
			return a.Succeed(t.Context())
		}
		guesses := 0
		for i := range 400 * 600 {
			if fail(t, g, inside(i), fmt.Sprint("user", i)) == nil {
				guesses++
			}
			if i%6000 == 0 {
				require.NoError(t, sign(home, fmt.Sprint("colleague", i)), "in the office")
			}
			time.Sleep(2500 * time.Microsecond)
		}
		require.LessOrEqual(t, guesses, 2*320)
		time.Sleep(time.Minute)
		for i := range 1000 {
			addr := netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})
			require.NoError(t, sign(addr, fmt.Sprint("stranger", i)), "one minute later")
		}
	})
}

// When the table is full all the same, those without a place are paced for a
// while, and never banned for one another.
func TestOverflowBansNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{MaxKeys: 100})
		crowded := 0
		for i := range 5000 { // a botnet, each address once
			addr := netip.AddrFrom4([4]byte{100, byte(i >> 16), byte(i >> 8), byte(i)})
			if r := fail(t, g, addr, fmt.Sprint("user", i)); r != nil {
				require.Equal(t, loginguard.CodeCrowded, r.Code)
				require.LessOrEqual(t, r.RetryAfter, time.Second)
				crowded++
			}
		}
		require.Greater(t, crowded, 4500)
		time.Sleep(time.Second)
		for i := range 20 { // as many a second as are let in
			a, err := g.Begin(t.Context(), by(home, fmt.Sprint("stranger", i)))
			require.NoError(t, err)
			require.NoError(t, a.Succeed(t.Context()))
		}
		time.Sleep(time.Minute)
		for i := range 1000 {
			addr := netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})
			a, err := g.Begin(t.Context(), by(addr, fmt.Sprint("stranger", i)))
			require.NoError(t, err, "stranger %d, a minute later", i)
			require.NoError(t, a.Succeed(t.Context()))
		}
	})
}

// A token is good for its account, its time and its secret, and for nothing else.
func TestDeviceTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{DeviceSecret: secret, DeviceAge: 24 * time.Hour})
		known := func(g *loginguard.Guard, account, token string) bool {
			var seen loginguard.Decision
			l := by(home, account)
			l.Device = token
			a, err := g.Begin(t.Context(), l)
			if err != nil {
				refused, _ := errors.AsType[*sallyport.Refusal](err)
				seen, _ = refused.Detail.(loginguard.Decision)
				return seen.Known
			}
			// Known devices bypass the tracks of the address: exhaust those first.
			a.Release()
			return a.Known()
		}
		token := g.Remember(" Owner@Example.test")
		require.True(t, known(g, "owner@example.test ", token))
		require.NotEqual(t, token, g.Remember("owner@example.test"), "each device its own")
		require.False(t, known(g, "other@example.test", token))
		require.False(t, known(g, "owner@example.test", ""))
		require.False(t, known(g, "owner@example.test", token+"A"))
		require.False(t, known(g, "owner@example.test", token[:len(token)-1]))
		for i := range token {
			forged := []byte(token)
			forged[i] ^= 1
			require.False(t, known(g, "owner@example.test", string(forged)), "character %d", i)
		}
		other := newGuard(t, loginguard.Config{DeviceSecret: []byte("another secret, as long")})
		require.False(t, known(other, "owner@example.test", token))
		without := newGuard(t, loginguard.Config{})
		require.False(t, known(without, "owner@example.test", token))
		require.Empty(t, without.Remember("owner@example.test"))
		time.Sleep(24 * time.Hour)
		require.True(t, known(g, "owner@example.test", token))
		time.Sleep(time.Second)
		require.False(t, known(g, "owner@example.test", token), "expired")
	})
}

// A stolen token buys five guesses on its account, like an address, and then rests.
func TestStolenDeviceIsBanned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{DeviceSecret: secret})
		l := by(home, "owner")
		l.Device = g.Remember("owner")
		guesses := 0
		var last error
		for i := range 100 {
			l.Addr = netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})
			a, err := g.Begin(t.Context(), l)
			if err != nil {
				last = err
				continue
			}
			a.Fail(t.Context())
			guesses++
		}
		require.Equal(t, 5, guesses)
		refused, _ := errors.AsType[*sallyport.Refusal](last)
		require.Equal(t, "login-device", refused.Detail.(loginguard.Decision).Track)
		l.Device = g.Remember("owner")
		_, err := g.Begin(t.Context(), l)
		require.NoError(t, err, "another device")
	})
}

// Every decision is one event, and a ban one event, not one per refused try.
func TestEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		codes := map[string]int{}
		var last sallyport.Event
		g := newGuard(t, loginguard.Config{OnEvent: func(_ context.Context, e sallyport.Event) {
			require.Equal(t, "loginguard", e.Gate)
			require.Equal(t, e.Code, e.Detail.(loginguard.Decision).Code)
			codes[e.Code]++
			last = e
		}})
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		for range 20 {
			l := by(home, "a")
			l.Request = r
			if a, err := g.Begin(t.Context(), l); err == nil {
				a.Fail(t.Context())
			}
			require.Same(t, r, last.Request)
			require.Equal(t, "a", last.Actor)
		}
		a, err := g.Begin(t.Context(), by(home, "b"))
		require.NoError(t, err)
		require.NoError(t, a.Succeed(t.Context()))
		require.True(t, last.Allowed)
		require.Equal(t, map[string]int{
			loginguard.CodeAllowed: 6, loginguard.CodeFailed: 4, loginguard.CodeBanned: 1,
			loginguard.CodeBlocked: 15, loginguard.CodeSucceeded: 1,
		}, codes)
	})
}

// OnReject may answer, or add to the answer; a foreign error is unavailability.
func TestAnswerRenders(t *testing.T) {
	t.Parallel()
	g := newGuard(t, loginguard.Config{
		ProblemBase: "https://example.test/#", Failures: 1,
		OnReject: func(w http.ResponseWriter, _ *http.Request, r *sallyport.Refusal) {
			w.Header().Set("X-Own", r.Code)
		},
	})
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	require.True(t, g.Answer(httptest.NewRecorder(), r, nil))
	require.Nil(t, fail(t, g, home, "a"))
	w := httptest.NewRecorder()
	require.False(t, g.Answer(w, r, fail(t, g, home, "a")))
	require.Equal(t, loginguard.CodeBlocked, w.Header().Get("X-Own"))
	require.Contains(t, w.Body.String(), "https://example.test/#login_blocked")
	w = httptest.NewRecorder()
	require.False(t, g.Answer(w, r, errors.New("other")))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
}

// A store that fails between two steps leaves no ban and no place taken.
func TestStoreErrorLeavesNoBan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &brokenStore{Store: newMemory(t)}
		g := newGuard(t, loginguard.Config{Store: s})
		for range 100 {
			a, err := g.Begin(t.Context(), by(home, "a"))
			require.NoError(t, err)
			s.err = errors.New("down")
			a.Fail(t.Context()) // cannot be counted
			s.err = nil
			time.Sleep(time.Minute) // the lease of the place
		}
		for range 4 {
			require.Nil(t, fail(t, g, home, "a"))
		}
	})
}
