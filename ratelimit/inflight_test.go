package ratelimit_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/ratelimit"
)

func TestAcquire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{})
		f := ratelimit.InFlight{Name: "export", Key: ratelimit.TextKey("site"), Max: 2}
		ctx, cancel := context.WithCancel(t.Context())
		first, d := l.Acquire(t.Context(), f)
		require.True(t, d.Allowed)
		forgotten, d := l.Acquire(ctx, f)
		require.True(t, d.Allowed)
		_, d = l.Acquire(t.Context(), f)
		require.Equal(t, ratelimit.CodeInFlight, d.Code)
		require.Equal(t, 429, d.Refusal().Status)
		time.Sleep(10 * time.Minute)
		_, d = l.Acquire(t.Context(), f)
		require.False(t, d.Allowed, "places are renewed while their holders live")
		first()
		first()
		again, d := l.Acquire(t.Context(), f)
		require.True(t, d.Allowed)
		cancel()
		time.Sleep(31 * time.Second)
		last, d := l.Acquire(t.Context(), f)
		require.True(t, d.Allowed, "a forgotten place is free after its lease")
		forgotten()
		again()
		last()
	})
}

func TestAcquireRefusals(t *testing.T) {
	t.Parallel()
	down := &brokenStore{err: errors.New("down")}
	l, out := newLimiter(t, ratelimit.Config{}), newLimiter(t, ratelimit.Config{Store: down})
	f := ratelimit.InFlight{Name: "a", Key: ratelimit.TextKey("k"), Max: 1}
	for name, tc := range map[string]struct {
		l    *ratelimit.Limiter
		edit func(*ratelimit.InFlight)
		want string
	}{
		"no key":    {l, func(f *ratelimit.InFlight) { f.Key = ratelimit.Key{} }, ratelimit.CodeNoKey},
		"no max":    {l, func(f *ratelimit.InFlight) { f.Max = 0 }, ratelimit.CodePolicyInvalid},
		"bad name":  {l, func(f *ratelimit.InFlight) { f.Name = "" }, ratelimit.CodePolicyInvalid},
		"bad lease": {l, func(f *ratelimit.InFlight) { f.Lease = 1 }, ratelimit.CodePolicyInvalid},
		"closed":    {out, func(*ratelimit.InFlight) {}, ratelimit.CodeUnavailable},
		"open":      {out, func(f *ratelimit.InFlight) { f.OnOutage = ratelimit.Open }, ratelimit.CodeDegraded},
		"local":     {out, func(f *ratelimit.InFlight) { f.OnOutage = ratelimit.Local }, ratelimit.CodeDegraded},
	} {
		g := f
		tc.edit(&g)
		release, d := tc.l.Acquire(t.Context(), g)
		require.Equal(t, tc.want, d.Code, name)
		release()
	}
	f.OnOutage = ratelimit.Local
	release, _ := out.Acquire(t.Context(), f)
	defer release()
	_, d := out.Acquire(t.Context(), f)
	require.Equal(t, ratelimit.CodeInFlight, d.Code, "bounded here, if nowhere else")
}

// slowStore takes its time to renew a place.
type slowStore struct{ ratelimit.Store }

func (s slowStore) Enter(
	ctx context.Context, p ratelimit.Policy, token string, limit int, lease time.Duration,
) (bool, error) {
	time.Sleep(500 * time.Millisecond)
	return s.Store.Enter(ctx, p, token, limit, lease)
}

// A renewal under way must not take the place again after it was given back.
func TestReleaseDuringRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Store: slowStore{newMemory(t, 0)}})
		f := ratelimit.InFlight{
			Name: "export", Key: ratelimit.TextKey("site"), Max: 1, Lease: 3 * time.Second,
		}
		release, d := l.Acquire(t.Context(), f)
		require.True(t, d.Allowed)
		time.Sleep(1100 * time.Millisecond)
		release()
		synctest.Wait()
		time.Sleep(time.Second)
		release, d = l.Acquire(t.Context(), f)
		require.True(t, d.Allowed, "the renewal came after the release")
		release()
	})
}
