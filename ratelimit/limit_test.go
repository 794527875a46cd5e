package ratelimit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/ratelimit"
)

func TestLimit(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		limit    ratelimit.Limit
		interval time.Duration
		capacity int
	}{
		"even":       {ratelimit.PerMinute(100), 600 * time.Millisecond, 100},
		"rounded up": {ratelimit.PerSecond(3), 333_333_334, 3},
		"burst":      {ratelimit.Limit{Count: 1, Window: time.Hour, Burst: 5}, time.Hour, 5},
		"nothing":    {ratelimit.PerHour(0), 0, 0},
		"no burst":   {ratelimit.Limit{Window: time.Hour, Burst: 5}, 0, 0},
		"negative":   {ratelimit.PerHour(-1), 0, 0},
	} {
		require.Equal(t, tc.interval, tc.limit.Interval(), name)
		require.Equal(t, tc.capacity, tc.limit.Capacity(), name)
	}
}

// Suspended and admitted again, a key that was out of budget still is.
func TestLimitOfNothingForgetsNothing(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, ratelimit.Config{})
	p := perHour("a", ratelimit.TextKey("k"), 1)
	require.True(t, l.Decide(t.Context(), p).Allowed)
	p.Limit = ratelimit.PerHour(0)
	require.False(t, l.Decide(t.Context(), p).Allowed)
	p.Limit = ratelimit.PerHour(1)
	require.False(t, l.Decide(t.Context(), p).Allowed)
}
