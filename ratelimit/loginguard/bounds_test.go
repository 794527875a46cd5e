package loginguard_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/loginguard"
)

func TestConfigBounds(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, row := range []struct {
		field     string
		good, bad []loginguard.Config
	}{
		{
			"Failures",
			[]loginguard.Config{{Failures: 1}, {Failures: 100}},
			[]loginguard.Config{{Failures: 101}, {Failures: -1}},
		},
		{
			"AddressFailures",
			[]loginguard.Config{{AddressFailures: 5}, {AddressFailures: 10_000}},
			[]loginguard.Config{{AddressFailures: 4}, {AddressFailures: 10_001}},
		},
		{
			"AccountFailures",
			[]loginguard.Config{{AccountFailures: 5}, {AccountFailures: 1000}},
			[]loginguard.Config{{AccountFailures: 4}, {AccountFailures: 1001}},
		},
		{
			"FactorFailures",
			[]loginguard.Config{{FactorFailures: 1}, {FactorFailures: 100}},
			[]loginguard.Config{{FactorFailures: -1}, {FactorFailures: 101}},
		},
		{
			"Window",
			[]loginguard.Config{{Window: time.Second}, {Window: day}},
			[]loginguard.Config{{Window: time.Second - 1}, {Window: day + 1}},
		},
		{
			"Ban",
			[]loginguard.Config{{Ban: time.Second}, {Ban: day}},
			[]loginguard.Config{{Ban: time.Second - 1}, {Ban: day + 1}},
		},
		{
			"MaxDelay",
			[]loginguard.Config{{MaxDelay: 1}, {MaxDelay: time.Minute}},
			[]loginguard.Config{{MaxDelay: -1}, {MaxDelay: time.Minute + 1}},
		},
		{
			"MaxWait",
			[]loginguard.Config{{MaxWait: 1}, {MaxWait: time.Minute}},
			[]loginguard.Config{{MaxWait: -1}, {MaxWait: time.Minute + 1}},
		},
		{
			"DeviceAge",
			[]loginguard.Config{{DeviceAge: time.Minute}, {DeviceAge: 400 * day}},
			[]loginguard.Config{{DeviceAge: time.Minute - 1}, {DeviceAge: 400*day + 1}},
		},
		{
			"DeviceSecret",
			[]loginguard.Config{{DeviceSecret: make([]byte, 16)}},
			[]loginguard.Config{{DeviceSecret: make([]byte, 15)}, {DeviceSecret: make([]byte, 1)}},
		},
	} {
		for _, cfg := range row.good {
			_, err := loginguard.New(cfg)
			require.NoError(t, err, row.field)
		}
		for _, cfg := range row.bad {
			_, err := loginguard.New(cfg)
			require.ErrorContains(t, err, "loginguard: "+row.field+":")
		}
	}
}

// The defaults that the documentation names.
func TestDefaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{DeviceSecret: secret})
		l := by(home, "a")
		l.Device = g.Remember("a")
		time.Sleep(180 * 24 * time.Hour)
		a, err := g.Begin(t.Context(), l)
		require.NoError(t, err)
		require.True(t, a.Known())
		a.Release()
		time.Sleep(time.Second)
		a, err = g.Begin(t.Context(), l)
		require.NoError(t, err)
		require.False(t, a.Known(), "after 180 days")
		a.Release()
		require.False(t, (*loginguard.Attempt)(nil).Known())
	})
}

// Who finds all places taken waits for one, five seconds at most.
func TestWaitingForAPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{})
		var held []*loginguard.Attempt
		for range 5 {
			a, err := g.Begin(t.Context(), by(home, "a"))
			require.NoError(t, err)
			held = append(held, a)
		}
		start := time.Now()
		_, err := g.Begin(t.Context(), by(home, "a"))
		refused, _ := errors.AsType[*sallyport.Refusal](err)
		require.Equal(t, loginguard.CodeCrowded, refused.Code)
		require.Equal(t, time.Second, refused.RetryAfter)
		require.InDelta(t, 5*time.Second, time.Since(start), float64(100*time.Millisecond))

		go func() {
			time.Sleep(2 * time.Second)
			held[0].Release()
		}()
		start = time.Now()
		a, err := g.Begin(t.Context(), by(home, "a"))
		require.NoError(t, err)
		require.InDelta(t, 2*time.Second, time.Since(start), float64(100*time.Millisecond))
		a.Release()

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		held[0], err = g.Begin(t.Context(), by(home, "a"))
		require.NoError(t, err)
		start = time.Now()
		_, err = g.Begin(ctx, by(home, "a"))
		refused, _ = errors.AsType[*sallyport.Refusal](err)
		require.Equal(t, loginguard.CodeCrowded, refused.Code)
		require.ErrorIs(t, refused, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start), "who has gone waits no longer")
	})
}

// Who waited is judged by what the others made of it meanwhile.
func TestWaitingEndsInABan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{})
		var held []*loginguard.Attempt
		for range 5 {
			a, err := g.Begin(t.Context(), by(home, "a"))
			require.NoError(t, err)
			held = append(held, a)
		}
		go func() {
			time.Sleep(time.Second)
			for _, a := range held {
				a.Fail(context.Background())
			}
		}()
		_, err := g.Begin(t.Context(), by(home, "a"))
		refused, _ := errors.AsType[*sallyport.Refusal](err)
		require.Equal(t, loginguard.CodeBlocked, refused.Code)
		require.InDelta(t, 30*time.Minute, refused.RetryAfter, float64(time.Second))
	})
}

// A known device's parallel guesses are bounded like an address's.
func TestParallelGuessesOfADevice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{DeviceSecret: secret, MaxWait: time.Millisecond})
		l := by(home, "a")
		l.Device = g.Remember("a")
		for begin, most := range map[string]int{"password": 5, "factor": 10} {
			allowed := 0
			for i := range 30 {
				l.Addr = netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})
				var err error
				if begin == "password" {
					_, err = g.Begin(t.Context(), l)
				} else {
					_, err = g.BeginFactor(t.Context(), l)
				}
				if err == nil {
					allowed++
				}
			}
			require.Equal(t, most, allowed, begin)
		}
	})
}

// Fail tells how long the ban is that it started, once; and however many bans there
// were, there is a next one, and the longest is 32 times the first.
func TestBansHaveALongest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{
			Failures: 1, AddressFailures: 10_000, AccountFailures: 1000,
			Ban: time.Second, Window: time.Second,
		})
		for i := range 12 {
			a, err := g.Begin(t.Context(), by(home, "a"))
			require.NoError(t, err, "ban %d", i)
			want := min(1<<i, 32) * int(time.Second)
			require.EqualValues(t, want, a.Fail(t.Context()))
			r := fail(t, g, home, "a")
			require.EqualValues(t, want, r.RetryAfter)
			time.Sleep(r.RetryAfter)
		}
	})
}

// A ban that ends before its failures are forgotten leaves a wait, and it is true.
func TestRetryAfterWithoutABan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{Ban: time.Second, Window: 15 * time.Minute})
		for range 5 {
			require.Nil(t, fail(t, g, home, "a"))
		}
		r := fail(t, g, home, "a")
		require.Equal(t, time.Second, r.RetryAfter)
		time.Sleep(r.RetryAfter)
		r = fail(t, g, home, "a")
		require.Equal(t, 3*time.Minute-time.Second, r.RetryAfter)
		time.Sleep(r.RetryAfter - 1)
		require.NotNil(t, fail(t, g, home, "a"))
		time.Sleep(time.Nanosecond)
		require.Nil(t, fail(t, g, home, "a"))
	})
}

// Whoever has a count of his own is not paced with those who found no place.
func TestOverflowPacesStrangersOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{MaxKeys: 100})
		require.Nil(t, fail(t, g, home, "mine"))
		for i := range 1000 {
			fail(t, g, netip.AddrFrom4([4]byte{100, 0, byte(i >> 8), byte(i)}), "x")
		}
		for range 100 {
			a, err := g.Begin(t.Context(), by(home, "other"))
			require.NoError(t, err)
			a.Release()
		}
	})
}

// entersFail is a store that counts, and cannot bound what is under way.
type entersFail struct{ ratelimit.Store }

func (entersFail) Enter(
	context.Context, ratelimit.Policy, string, int, time.Duration,
) (bool, error) {
	return false, errors.New("down")
}

func TestStoreThatCannotBound(t *testing.T) {
	t.Parallel()
	g := newGuard(t, loginguard.Config{Store: entersFail{newMemory(t)}})
	_, err := g.Begin(t.Context(), by(home, "a"))
	refused, _ := errors.AsType[*sallyport.Refusal](err)
	require.Equal(t, loginguard.CodeUnavailable, refused.Code)
	require.Equal(t, 5*time.Second, refused.RetryAfter)
	require.ErrorContains(t, refused.Err, "down")
	require.Nil(t, fail(t, newGuard(t, loginguard.Config{
		Store: entersFail{newMemory(t)}, OnOutage: ratelimit.Open,
	}), home, "a"))
}

// Of failures that end together, past what was left, one starts the ban.
func TestOneOfManyStartsTheBan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{Failures: 2, AddressFailures: 2}) // a /56 has 8
		var attempts []*loginguard.Attempt
		for i := range 12 {
			a, err := g.Begin(t.Context(), by(inside(i), string(rune('a'+i))))
			require.NoError(t, err)
			attempts = append(attempts, a)
		}
		for i, a := range attempts {
			want := time.Duration(0)
			if i == 7 {
				want = 30 * time.Minute
			}
			require.Equal(t, want, a.Fail(t.Context()), "failure %d", i)
		}
		r := fail(t, g, inside(20), "z")
		require.Equal(t, 30*time.Minute, r.RetryAfter)
	})
}

// A ban that Fail tells of is one: where the table has no place for it, it tells of
// none.
func TestToldBansHold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{MaxKeys: 100, Failures: 1, AddressFailures: 1})
		told, silent := 0, 0
		for i := range 200 {
			addr := netip.AddrFrom4([4]byte{100, 0, 0, byte(i)})
			time.Sleep(100 * time.Millisecond) // as fast as strangers are let in
			a, err := g.Begin(t.Context(), by(addr, string(rune('a'+i))))
			require.NoError(t, err)
			if a.Fail(t.Context()) == 0 {
				silent++
				continue
			}
			told++
			require.NotNil(t, fail(t, g, addr, string(rune('a'+i))), "address %d", i)
		}
		require.Positive(t, told)
		require.Positive(t, silent)
	})
}

// A fifth of the default window brings one failure back.
func TestDefaultWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{})
		for range 4 {
			require.Nil(t, fail(t, g, home, "a"))
		}
		time.Sleep(3 * time.Minute)
		require.Nil(t, fail(t, g, home, "a"))
		require.Nil(t, fail(t, g, home, "a"))
		require.NotNil(t, fail(t, g, home, "a"))
	})
}

// Who could not be forgiven is told so.
func TestSucceedTellsOfAnOutage(t *testing.T) {
	t.Parallel()
	s := &brokenStore{Store: newMemory(t)}
	g := newGuard(t, loginguard.Config{Store: s})
	a, err := g.Begin(t.Context(), by(home, "a"))
	require.NoError(t, err)
	s.err = errors.New("down")
	require.ErrorIs(t, a.Succeed(t.Context()), s.err)
}

// Whoever waited, and has to wait for a narrower place now, holds none meanwhile.
func TestWaitingHoldsNoPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{Failures: 2, AddressFailures: 20})
		var held [2]*loginguard.Attempt
		for i := range held {
			var err error
			held[i], err = g.Begin(t.Context(), by(home, "a"))
			require.NoError(t, err)
		}
		go func() {
			time.Sleep(time.Second)
			held[0].Fail(context.Background())
			held[1].Release()
		}()
		a, err := g.Begin(t.Context(), by(home, "a"))
		require.NoError(t, err)
		a.Release()
	})
}

// Failures from many addresses delay strangers, each of whom failed once at most.
func TestStrangersAreDelayedByOneAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{})
		for i := range 8 {
			require.Nil(t, fail(t, g, netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), "a"))
		}
		a, err := g.Begin(t.Context(), by(home, "a"))
		require.NoError(t, err)
		require.Equal(t, time.Second, a.Delay) // 250 ms for the sixth, and doubled twice
		a.Release()
	})
}

// What strangers may try together on an account bounds what they try at once.
func TestAccountBoundsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, loginguard.Config{AccountFailures: 5, MaxWait: time.Millisecond})
		from := func(i int) loginguard.Login {
			return by(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), "a")
		}
		for i := range 5 {
			_, err := g.Begin(t.Context(), from(i))
			require.NoError(t, err)
		}
		_, err := g.Begin(t.Context(), from(5))
		refused, _ := errors.AsType[*sallyport.Refusal](err)
		require.Equal(t, loginguard.CodeCrowded, refused.Code)
		require.Equal(t, "login-account", refused.Detail.(loginguard.Decision).Track)
		require.Equal(t, time.Second, refused.RetryAfter)
	})
}

// noAccounts is a store that cannot tell of accounts.
type noAccounts struct{ ratelimit.Store }

func (s noAccounts) Take(ctx context.Context, p []ratelimit.Policy, r []ratelimit.Result) error {
	if p[0].Name == "login-account" {
		return errors.New("down")
	}
	return s.Store.Take(ctx, p, r)
}

func TestStoreThatFailsHalfWay(t *testing.T) {
	t.Parallel()
	g := newGuard(t, loginguard.Config{Store: noAccounts{newMemory(t)}, MaxWait: time.Millisecond})
	for range 30 { // it holds no place either
		_, err := g.Begin(t.Context(), by(home, "a"))
		refused, _ := errors.AsType[*sallyport.Refusal](err)
		require.Equal(t, loginguard.CodeUnavailable, refused.Code)
		require.Equal(t, 5*time.Second, refused.RetryAfter)
		require.ErrorContains(t, refused.Err, "down")
	}
}

// forge makes a token as the comment on its format says.
func forge(key []byte, account string) string {
	signed := append(make([]byte, 16), 0, 0, 0, 0x7f, 0, 0, 0, 0)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("sallyport loginguard device 1\x00"))
	mac.Write(signed)
	mac.Write([]byte(account))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(signed))
}

// The secret that New was given is copied.
func TestSecretIsCopied(t *testing.T) {
	t.Parallel()
	own := append([]byte(nil), secret...)
	g := newGuard(t, loginguard.Config{DeviceSecret: own})
	l := by(home, "a")
	l.Device = g.Remember("a")
	clear(own)
	a, err := g.Begin(t.Context(), l)
	require.NoError(t, err)
	require.True(t, a.Known())
}

// Without a secret nobody is known, and certainly not who signs with none. With one,
// the format is what it was: devices stay known across releases.
func TestTokenFormat(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		cfg   loginguard.Config
		token string
		known bool
	}{
		{loginguard.Config{}, forge(nil, "a"), false},
		{loginguard.Config{DeviceSecret: secret}, forge(nil, "a"), false},
		{loginguard.Config{DeviceSecret: secret}, forge(secret, "a"), true},
		{loginguard.Config{DeviceSecret: secret}, forge(secret, "b"), false},
	} {
		g := newGuard(t, row.cfg)
		l := by(home, "a")
		l.Device = row.token
		a, err := g.Begin(t.Context(), l)
		require.NoError(t, err)
		require.Equal(t, row.known, a.Known())
	}
}
