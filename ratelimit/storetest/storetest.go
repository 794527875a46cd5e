// Package storetest is the conformance suite of ratelimit.Store. The stores of
// this module pass it; run it on your own:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t testing.TB) ratelimit.Store { return newStore(t) })
//	}
//
// It uses the wall clock and takes about two seconds.
package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/ratelimit"
)

// Run checks the contract of ratelimit.Store. open returns a store, which may
// be the same each time: every test uses keys of its own.
func Run(t *testing.T, open func(testing.TB) ratelimit.Store) {
	t.Helper()
	for _, test := range [...]struct {
		name string
		run  func(*testing.T, ratelimit.Store)
	}{
		{"admits exactly the burst", exactBurst},
		{"admits again after RetryAfter and not before", retry},
		{"refills up to the burst", refill},
		{"charges all or none", allOrNone},
		{"charges a shadow without refusing", shadow},
		{"a cost above the burst never fits", costAboveBurst},
		{"a limit of nothing admits nothing", nothing},
		{"cost 0 looks, a negative cost gives back", lookAndGiveBack},
		{"keeps names, keys and tenants apart", apart},
		{"keeps the time until full under a new limit", rescale},
		{"a smaller limit refills from its first refusal on", planChange},
		{"a refusal under one limit forgives nothing under another", debt},
		{"forgets", forget},
		{"is exact under 1,000 goroutines", race},
		{"is all or none under concurrency", raceAllOrNone},
		{"bounds holders", holders},
		{"frees a place after its lease", leaseEnds},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, open(t))
		})
	}
}

var serial atomic.Int64

// fresh returns a key that nothing else uses, also across runs of a binary
// against one server.
func fresh() ratelimit.Key {
	return ratelimit.TextKey("storetest", fmt.Sprint(time.Now().UnixNano(), serial.Add(1)))
}

func policy(name string, key ratelimit.Key, limit ratelimit.Limit) ratelimit.Policy {
	return ratelimit.Policy{Name: name, Key: key, Limit: limit, Cost: 1}
}

func take(t *testing.T, s ratelimit.Store, policies ...ratelimit.Policy) []ratelimit.Result {
	t.Helper()
	results := make([]ratelimit.Result, len(policies))
	require.NoError(t, s.Take(t.Context(), policies, results))
	return results
}

// drain takes until the first refusal and returns how many fitted, and it.
func drain(t *testing.T, s ratelimit.Store, p ratelimit.Policy) (int, ratelimit.Result) {
	t.Helper()
	for n := 0; ; n++ {
		require.Less(t, n, 10_000, "the bucket never runs out")
		if r := take(t, s, p)[0]; !r.Fits {
			return n, r
		}
	}
}

// wait lets real time pass.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		t.Fatal("out of time")
	}
}

func exactBurst(t *testing.T, s ratelimit.Store) {
	for _, limit := range []ratelimit.Limit{
		ratelimit.PerHour(100),
		ratelimit.PerHour(7), // an interval that does not divide
		{Count: 3, Window: time.Hour, Burst: 50},
		{Count: 1000, Window: 24 * time.Hour, Burst: 1},
	} {
		p := policy("burst", fresh(), limit)
		for i := range limit.Capacity() {
			r := take(t, s, p)[0]
			require.True(t, r.Fits, "unit %d of %d", i+1, limit.Capacity())
			require.Equal(t, limit.Capacity()-i-1, r.Remaining)
			require.Positive(t, r.Reset)
			require.Zero(t, r.RetryAfter)
		}
		r := take(t, s, p)[0]
		require.False(t, r.Fits)
		require.Zero(t, r.Remaining)
		require.InDelta(t, limit.Interval(), r.RetryAfter, float64(5*time.Second))
		full := limit.Interval() * time.Duration(limit.Capacity())
		require.InDelta(t, full, r.Reset, float64(5*time.Second))
	}
}

func retry(t *testing.T, s ratelimit.Store) {
	limit := ratelimit.Limit{Count: 4, Window: time.Second, Burst: 2}
	p := policy("retry", fresh(), limit)
	start := time.Now()
	n, r := drain(t, s, p)
	require.LessOrEqual(t, n, 2+int(time.Since(start)/limit.Interval()))
	require.LessOrEqual(t, r.RetryAfter, limit.Interval()+time.Nanosecond)
	early := take(t, s, p)[0]
	for early.Fits { // time has passed: this machine is busy
		early = take(t, s, p)[0]
	}
	require.Positive(t, early.RetryAfter)
	wait(t, early.RetryAfter+5*time.Millisecond)
	require.True(t, take(t, s, p)[0].Fits, "RetryAfter has passed")
}

func refill(t *testing.T, s ratelimit.Store) {
	p := policy("refill", fresh(), ratelimit.Limit{Count: 20, Window: time.Second, Burst: 3})
	_, r := drain(t, s, p)
	wait(t, r.Reset+300*time.Millisecond)
	look := p
	look.Cost = 0
	require.Equal(t, 3, take(t, s, look)[0].Remaining, "full, and not above")
}

func allOrNone(t *testing.T, s ratelimit.Store) {
	tenant := fmt.Sprint(time.Now().UnixNano())
	wide := policy("wide", fresh().In(tenant), ratelimit.PerHour(100))
	tight := policy("tight", fresh().In(tenant), ratelimit.PerHour(1))
	results := take(t, s, wide, tight)
	require.True(t, results[0].Fits && results[1].Fits)
	results = take(t, s, wide, tight)
	require.True(t, results[0].Fits, "there is room in the first")
	require.False(t, results[1].Fits)
	require.Equal(t, 99, results[0].Remaining, "a refusal by the second charges nothing")
	results = take(t, s, tight, wide)
	require.Equal(t, 99, results[1].Remaining, "whatever the order")
}

func shadow(t *testing.T, s ratelimit.Store) {
	tenant := fmt.Sprint(time.Now().UnixNano())
	real := policy("real", fresh().In(tenant), ratelimit.PerHour(2))
	trial := policy("trial", fresh().In(tenant), ratelimit.PerHour(1))
	trial.Shadow = true
	require.Equal(t, 0, take(t, s, real, trial)[1].Remaining, "charged")
	results := take(t, s, real, trial)
	require.True(t, results[0].Fits)
	require.Equal(t, 0, results[0].Remaining, "charged, although the shadow is out")
	require.False(t, results[1].Fits)
	require.False(t, take(t, s, real, trial)[0].Fits)
}

func costAboveBurst(t *testing.T, s ratelimit.Store) {
	p := policy("cost", fresh(), ratelimit.PerHour(10))
	p.Cost = 11
	r := take(t, s, p)[0]
	require.False(t, r.Fits)
	require.Zero(t, r.RetryAfter, "waiting cannot help")
	require.Equal(t, 10, r.Remaining, "nothing was charged")
	p.Cost = 10
	require.True(t, take(t, s, p)[0].Fits)
}

func nothing(t *testing.T, s ratelimit.Store) {
	r := take(t, s, policy("nothing", fresh(), ratelimit.PerHour(0)))[0]
	require.False(t, r.Fits)
	require.Zero(t, r.RetryAfter)
	require.Zero(t, r.Remaining)
}

func lookAndGiveBack(t *testing.T, s ratelimit.Store) {
	p := policy("back", fresh(), ratelimit.PerHour(5))
	for _, step := range []struct{ cost, remaining int }{
		{0, 5}, {3, 2}, {0, 2}, {-2, 4}, {4, 0}, {0, 0}, {-5, 5}, {1, 4}, {-100, 5},
	} {
		p.Cost = step.cost
		r := take(t, s, p)[0]
		require.True(t, r.Fits, "cost %d", step.cost)
		require.Equal(t, step.remaining, r.Remaining, "after cost %d", step.cost)
	}
}

func apart(t *testing.T, s ratelimit.Store) {
	id := fmt.Sprint(time.Now().UnixNano())
	limit := ratelimit.PerHour(1)
	for i, p := range []ratelimit.Policy{
		policy("a", ratelimit.TextKey(id, "b"), limit),
		policy("b", ratelimit.TextKey(id, "b"), limit),
		policy("a", ratelimit.TextKey(id+"x", "b"), limit),
		policy("a", ratelimit.TextKey(id, "c"), limit),
		policy("a", ratelimit.TextKey(id, "b", "c"), limit),
		policy("a", ratelimit.TextKey(id, "b", "d"), limit),
		policy("a", ratelimit.TextKey(id+"b"), limit),
		policy("a", ratelimit.TextKey(id, "b", ""), limit),
		policy("a", ratelimit.TextKey("", id, "b"), limit),
		policy("a", ratelimit.TextKey(id).In("b"), limit),
		policy("a", ratelimit.TextKey("b").In(id), limit),
		policy("a", ratelimit.TextKey(id, "b").In("c"), limit),
	} {
		require.True(t, take(t, s, p)[0].Fits, "policy %d shares a bucket with one before", i)
		require.False(t, take(t, s, p)[0].Fits, "policy %d", i)
	}
}

func rescale(t *testing.T, s ratelimit.Store) {
	p := policy("rescale", fresh(), ratelimit.PerHour(100))
	p.Cost = 50
	take(t, s, p)
	p.Cost = 0
	p.Limit = ratelimit.PerHour(1000)
	require.InDelta(t, 500, take(t, s, p)[0].Remaining, 2, "half full stays half full")
	p.Limit = ratelimit.PerHour(10)
	require.InDelta(t, 5, take(t, s, p)[0].Remaining, 1)
	p.Cost, p.Limit = 1, ratelimit.PerHour(0)
	require.False(t, take(t, s, p)[0].Fits)
}

// planChange: a bucket owes an hour, and its limit is now one of a second. It must
// not be refused for the hour, nor be told a Retry-After that does not hold.
func planChange(t *testing.T, s ratelimit.Store) {
	p := policy("plan", fresh(), ratelimit.PerHour(10))
	p.Cost = 10
	require.True(t, take(t, s, p)[0].Fits)
	p.Cost, p.Limit = 1, ratelimit.Limit{Count: 4, Window: time.Second, Burst: 2}
	start := time.Now()
	for i := range 3 {
		r := take(t, s, p)[0]
		if r.Fits {
			// This machine is busy, and a unit came back meanwhile; or it is a new bucket.
			require.True(t, i > 0 || time.Since(start) > p.Limit.Interval(), "the debt was forgiven")
			continue
		}
		require.Positive(t, r.RetryAfter)
		require.LessOrEqual(t, r.RetryAfter, p.Limit.Interval())
		require.LessOrEqual(t, r.Reset, 2*p.Limit.Interval())
		wait(t, r.RetryAfter+5*time.Millisecond)
		require.True(t, take(t, s, p)[0].Fits, "RetryAfter has passed")
	}
}

func debt(t *testing.T, s ratelimit.Store) {
	large, small := ratelimit.PerHour(10), ratelimit.Limit{Count: 1000, Window: time.Second, Burst: 1}
	p := policy("debt", fresh(), large)
	p.Cost = 10
	require.True(t, take(t, s, p)[0].Fits)
	p.Cost, p.Limit = 1, small
	if take(t, s, p)[0].Fits {
		return // it refilled in a millisecond; the next run will see
	}
	p.Limit = large
	r := take(t, s, p)[0]
	require.False(t, r.Fits, "the refusal forgave what was owed")
	require.InDelta(t, time.Hour, r.Reset, float64(time.Minute))
}

func forget(t *testing.T, s ratelimit.Store) {
	p := policy("forget", fresh(), ratelimit.PerHour(2))
	drain(t, s, p)
	require.NoError(t, s.Forget(t.Context(), []ratelimit.Policy{p}))
	r := take(t, s, p)[0]
	require.True(t, r.Fits)
	require.Equal(t, 1, r.Remaining, "full before")
}

// perDay is a limit none of which returns within a test.
func perDay(n int) ratelimit.Limit { return ratelimit.Limit{Count: n, Window: 24 * time.Hour} }

func race(t *testing.T, s ratelimit.Store) {
	p := policy("race", fresh(), perDay(250))
	require.EqualValues(t, 250, count(t, s, 1000, []ratelimit.Policy{p}))
}

func raceAllOrNone(t *testing.T, s ratelimit.Store) {
	tenant := fmt.Sprint(time.Now().UnixNano())
	a := policy("a", fresh().In(tenant), perDay(150))
	b := policy("b", fresh().In(tenant), perDay(100))
	require.EqualValues(t, 100, count(t, s, 300, []ratelimit.Policy{a, b}))
	a.Cost = 0
	require.Equal(t, 50, take(t, s, a)[0].Remaining, "refusals by b charged nothing to a")
}

// count takes once in each of n goroutines and returns how many were admitted.
func count(t *testing.T, s ratelimit.Store, n int, policies []ratelimit.Policy) int64 {
	t.Helper()
	var admitted atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range n {
		wg.Go(func() {
			<-start
			results := make([]ratelimit.Result, len(policies))
			if err := s.Take(t.Context(), policies, results); err != nil {
				failed.Store(&err)
				return
			}
			for _, r := range results {
				if !r.Fits {
					return
				}
			}
			admitted.Add(1)
		})
	}
	close(start)
	wg.Wait()
	if err := failed.Load(); err != nil {
		require.NoError(t, *err)
	}
	return admitted.Load()
}

func holders(t *testing.T, s ratelimit.Store) {
	p := ratelimit.Policy{Name: "holders", Key: fresh()}
	enter := func(token string) bool {
		entered, err := s.Enter(t.Context(), p, token, 2, time.Minute)
		require.NoError(t, err)
		return entered
	}
	require.True(t, enter("one"))
	require.True(t, enter("two"))
	require.False(t, enter("three"))
	require.True(t, enter("one"), "a renewal")
	require.NoError(t, s.Leave(t.Context(), p, "one"))
	require.NoError(t, s.Leave(t.Context(), p, "one"), "leaving twice is harmless")
	require.True(t, enter("three"))
	require.False(t, enter("one"))
}

func leaseEnds(t *testing.T, s ratelimit.Store) {
	p := ratelimit.Policy{Name: "lease", Key: fresh()}
	entered, err := s.Enter(t.Context(), p, "crashed", 1, 200*time.Millisecond)
	require.NoError(t, err)
	require.True(t, entered)
	deadline := time.Now().Add(5 * time.Second)
	for {
		entered, err = s.Enter(t.Context(), p, "next", 1, time.Minute)
		require.NoError(t, err)
		if entered {
			return
		}
		require.True(t, time.Now().Before(deadline), "the lease never ends")
		wait(t, 10*time.Millisecond)
	}
}
