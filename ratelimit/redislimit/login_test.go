package redislimit_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/ratelimit/loginguard"
)

// Instances share failures and bans, and failures that end together are one ban.
func TestLoginGuardAcrossInstances(t *testing.T) {
	t.Parallel()
	addr := loopback.Redis(t)
	var guards [2]*loginguard.Guard
	for i := range guards {
		var err error
		guards[i], err = loginguard.New(loginguard.Config{Store: open(t, addr)})
		require.NoError(t, err)
	}
	login := func(account string) loginguard.Login {
		return loginguard.Login{Addr: netip.MustParseAddr("198.51.100.7"), Account: account}
	}
	var attempts []*loginguard.Attempt
	for i := range 5 {
		a, err := guards[i%2].Begin(t.Context(), login("a"))
		require.NoError(t, err)
		attempts = append(attempts, a)
	}
	for _, a := range attempts {
		a.Fail(t.Context())
	}
	for _, g := range guards {
		_, err := g.Begin(t.Context(), login("a"))
		r, ok := errors.AsType[*sallyport.Refusal](err)
		require.True(t, ok)
		require.Equal(t, loginguard.CodeBlocked, r.Code)
		require.InDelta(t, 30*time.Minute, r.RetryAfter, float64(time.Minute))
	}
	a, err := guards[0].Begin(t.Context(), login("b"))
	require.NoError(t, err)
	require.NoError(t, a.Succeed(t.Context()))
}
