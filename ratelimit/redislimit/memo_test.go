package redislimit_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/ratelimit"
)

// Forgetting one key, which every login does, leaves what is known of others.
func TestForgetLeavesOtherDenials(t *testing.T) {
	t.Parallel()
	s := open(t, loopback.Redis(t))
	for i := range 20 {
		p := perHour("a", fmt.Sprint(i), 1)
		take(t, s, p)
		require.False(t, take(t, s, p)[0].Fits)
	}
	p := perHour("a", "0", 1)
	require.NoError(t, s.Forget(t.Context(), []ratelimit.Policy{p}))
	require.True(t, take(t, s, p)[0].Fits, "its own denial is forgotten")
	calls := s.Stats().Calls
	for i := range 20 {
		require.False(t, take(t, s, perHour("a", fmt.Sprint(i), 1))[0].Fits)
	}
	require.LessOrEqual(t, s.Stats().Calls-calls, uint64(4), "the others were forgotten too")
}
