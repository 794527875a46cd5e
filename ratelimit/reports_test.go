package ratelimit_test

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/ratelimit"
)

// Faults that were reported of other limiters, tried here.

// A refused client that keeps asking must not push the end of its wait away: some
// stores renew the time to live of a key with every request.
func TestReportAskingDoesNotProlong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, 0)
		p := ratelimit.Policy{
			Name: "a", Key: ratelimit.TextKey("k"), Limit: ratelimit.PerMinute(1), Cost: 1,
		}
		require.True(t, takeOne(t, m, p).Fits)
		for range 59 {
			time.Sleep(time.Second)
			require.False(t, takeOne(t, m, p).Fits)
		}
		time.Sleep(time.Second)
		require.True(t, takeOne(t, m, p).Fits)
	})
}

// Two limiters over one store and one key, with rates of their own, must not reset
// each other: the policy's name is part of the bucket.
func TestReportTwoRatesOnOneKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, 0)
		second := newLimiter(t, ratelimit.Config{Store: m})
		hour := newLimiter(t, ratelimit.Config{Store: m})
		for i := range 20 {
			second.Decide(t.Context(), ratelimit.Policy{
				Name: "second", Key: ratelimit.TextKey("k"), Limit: ratelimit.PerSecond(10),
			})
			d := hour.Decide(t.Context(), perHour("hour", ratelimit.TextKey("k"), 30))
			require.Equal(t, 29-i, d.Remaining)
			time.Sleep(time.Second)
		}
	})
}

// Forgetting what is not there is no error.
func TestReportForgetNothing(t *testing.T) {
	t.Parallel()
	m := newMemory(t, 0)
	p := perHour("a", ratelimit.TextKey("k"), 1)
	require.NoError(t, m.Forget(t.Context(), []ratelimit.Policy{p}))
	takeOne(t, m, p)
	require.NoError(t, m.Forget(t.Context(), []ratelimit.Policy{p, p}))
	require.True(t, takeOne(t, m, p).Fits)
}

// What is left over from an earlier bucket of the same key must not end a later
// one: timers that outlive their entry did, elsewhere.
func TestReportEarlierBucketEndsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, 1)
		p := ratelimit.Policy{
			Name: "a", Key: ratelimit.TextKey("k"), Limit: ratelimit.PerMinute(60), Cost: 60,
		}
		admitted := 0
		for range 5 * 60 {
			p.Cost = 1
			for range 3 { // three times the limit, for five minutes
				if takeOne(t, m, p).Fits {
					admitted++
				}
			}
			time.Sleep(time.Second)
		}
		require.LessOrEqual(t, admitted, 60+5*60)
		require.GreaterOrEqual(t, admitted, 5*60)
	})
}

// Retry-After is never negative, never zero where waiting helps, and holds to the
// nanosecond, for limits that do not divide.
func TestReportRetryAfterHolds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, limit := range []ratelimit.Limit{
			ratelimit.PerSecond(7), ratelimit.PerMinute(13),
			{Count: 999, Window: time.Hour, Burst: 2},
			{Count: 1, Window: time.Millisecond},
			{Count: 1_000_000, Window: time.Millisecond, Burst: 3},
		} {
			m := newMemory(t, 0)
			p := ratelimit.Policy{Name: "a", Key: ratelimit.TextKey("k"), Limit: limit, Cost: 2}
			p.Cost = min(2, limit.Capacity())
			for range 50 {
				r := takeOne(t, m, p)
				if r.Fits {
					require.Zero(t, r.RetryAfter)
					continue
				}
				require.Positive(t, r.RetryAfter)
				if r.RetryAfter > 1 {
					time.Sleep(r.RetryAfter - 1)
					require.False(t, takeOne(t, m, p).Fits, "%+v", limit)
					time.Sleep(time.Nanosecond)
				} else {
					time.Sleep(r.RetryAfter)
				}
				require.True(t, takeOne(t, m, p).Fits, "%+v", limit)
			}
		}
	})
}

// Limits of 99 and 100 a second across a boundary admitted 199 elsewhere.
func TestReportNoBoundaryDoubles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, 0)
		p := ratelimit.Policy{
			Name: "a", Key: ratelimit.TextKey("k"), Limit: ratelimit.PerSecond(100), Cost: 1,
		}
		time.Sleep(999 * time.Millisecond)
		admitted := 0
		for range 20 {
			for range 100 {
				if takeOne(t, m, p).Fits {
					admitted++
				}
			}
			time.Sleep(time.Millisecond)
		}
		require.LessOrEqual(t, admitted, 102)
	})
}

// A client that rotates through its /64 is one client, in whichever spelling, and
// no text stands for an address.
func TestReportRotatingInOneNetwork(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, ratelimit.Config{})
	passed := 0
	for i := range 1000 {
		a := netip.MustParseAddr("2001:db8:1:2::").As16()
		a[9], a[15] = byte(i>>8), byte(i)
		if l.Decide(t.Context(), perHour("a", ratelimit.AddrKey(netip.AddrFrom16(a)), 5)).Allowed {
			passed++
		}
	}
	require.Equal(t, 5, passed)
	text := perHour("a", ratelimit.TextKey("2001:db8:1:2::"), 5)
	require.True(t, l.Decide(t.Context(), text).Allowed)
}

// A key and a path that meet in the middle are two keys: {ip}{path} was one.
func TestReportKeyAndPathDoNotMerge(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, ratelimit.Config{})
	for _, key := range []ratelimit.Key{
		ratelimit.TextKey("1.2.3.4", "5/x"), ratelimit.TextKey("1.2.3.45", "/x"),
	} {
		require.True(t, l.Decide(t.Context(), perHour("a", key, 1)).Allowed)
	}
}
