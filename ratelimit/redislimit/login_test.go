package redislimit_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/ratelimit"
)

// Instances share failures and bans, and failures that end together are one ban.
func TestLoginGuardAcrossInstances(t *testing.T) {
	t.Parallel()
	addr := loopback.Redis(t)
	var guards [2]*ratelimit.LoginGuard
	for i := range guards {
		l, err := ratelimit.New(ratelimit.Config{Store: open(t, addr)})
		require.NoError(t, err)
		guards[i], err = ratelimit.NewLoginGuard(l, ratelimit.LoginConfig{})
		require.NoError(t, err)
	}
	home := netip.MustParseAddr("198.51.100.7")
	var attempts []*ratelimit.Attempt
	for i := range 5 {
		a, err := guards[i%2].Begin(t.Context(), home, "a")
		require.NoError(t, err)
		attempts = append(attempts, a)
	}
	for _, a := range attempts {
		a.Fail(t.Context())
	}
	for _, g := range guards {
		_, err := g.Begin(t.Context(), home, "a")
		r, ok := errors.AsType[*ratelimit.Rejection](err)
		require.True(t, ok)
		require.Equal(t, ratelimit.ReasonLoginBlocked, r.Reason)
		require.InDelta(t, 30*time.Minute, r.RetryAfter, float64(time.Minute))
	}
	a, err := guards[0].Begin(t.Context(), home, "b")
	require.NoError(t, err)
	require.NoError(t, a.Succeed(t.Context()))
}
