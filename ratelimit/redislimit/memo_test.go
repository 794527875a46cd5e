package redislimit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/redislimit"
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

// Numbers travel as MessagePack, whose short form ends at 127.
func TestNumbersAroundTheShortForm(t *testing.T) {
	t.Parallel()
	s := open(t, loopback.Redis(t))
	for _, n := range []int{1, 126, 127, 128, 129, 255, 256, 70_000} {
		p := perHour("a", fmt.Sprint(n), n)
		p.Cost = n
		r := take(t, s, p)[0]
		require.True(t, r.Fits, n)
		require.Zero(t, r.Remaining, n)
		p.Cost = 0
		require.Zero(t, take(t, s, p)[0].Remaining, n)
	}
	require.Zero(t, s.Stats().Unknown)
	require.Zero(t, s.Stats().Failures)
}

// What is answered from a lease tells what is left, less with each.
func TestLeasedAnswersCountDown(t *testing.T) {
	t.Parallel()
	s := open(t, loopback.Redis(t), func(c *redislimit.Config) {
		c.Lease, c.LeaseTime = 100, time.Minute
	})
	p := perHour("a", "k", 100_000)
	last := 100_000
	for i := range 400 {
		r := take(t, s, p)[0]
		require.True(t, r.Fits)
		require.Less(t, r.Remaining, last+1, "decision %d", i)
		require.Greater(t, r.Remaining, 99_000, "decision %d", i)
		last = r.Remaining
	}
	require.Greater(t, s.Stats().Local, uint64(200))
}
