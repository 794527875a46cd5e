package ratelimit_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/storetest"
)

func TestMemoryConforms(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t testing.TB) ratelimit.Store { return newMemory(t, 0) })
}

func TestMemoryZeroValueAnswersNothing(t *testing.T) {
	t.Parallel()
	for _, m := range []*ratelimit.Memory{nil, {}} {
		p := []ratelimit.Policy{perHour("a", ratelimit.TextKey("k"), 1)}
		require.Error(t, m.Take(t.Context(), p, make([]ratelimit.Result, 1)))
		require.Error(t, m.Forget(t.Context(), p))
		require.Error(t, m.Leave(t.Context(), p[0], "token"))
		_, err := m.Enter(t.Context(), p[0], "token", 1, time.Second)
		require.Error(t, err)
	}
}

func newMemory(t testing.TB, maxKeys int) *ratelimit.Memory {
	t.Helper()
	m, err := ratelimit.NewMemory(ratelimit.MemoryConfig{MaxKeys: maxKeys})
	require.NoError(t, err)
	return m
}

func perHour(name string, key ratelimit.Key, n int) ratelimit.Policy {
	return ratelimit.Policy{Name: name, Key: key, Limit: ratelimit.PerHour(n), Cost: 1}
}

func takeOne(t testing.TB, m *ratelimit.Memory, p ratelimit.Policy) ratelimit.Result {
	t.Helper()
	var results [1]ratelimit.Result
	require.NoError(t, m.Take(context.Background(), []ratelimit.Policy{p}, results[:]))
	return results[0]
}

func numbered(n int) ratelimit.Key {
	b := [4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	return ratelimit.AddrKey(netip.AddrFrom4(b))
}

// A flood of new keys fills the table. Keys known before keep their buckets,
// denied ones stay denied, and newcomers share one bucket.
func TestMemoryFloodGivesNoBudgetBack(t *testing.T) {
	t.Parallel()
	m := newMemory(t, 640)
	victim := perHour("a", ratelimit.TextKey("denied"), 3)
	for range 3 {
		require.True(t, takeOne(t, m, victim).Fits)
	}
	require.False(t, takeOne(t, m, victim).Fits)

	fresh := 0
	for i := range 20_000 {
		if takeOne(t, m, perHour("a", numbered(i), 3)).Fits {
			fresh++
		}
	}
	require.False(t, takeOne(t, m, victim).Fits, "eviction gave a denied key new budget")
	require.LessOrEqual(t, fresh, 640+64+3, "more than the table's places and one overflow bucket")
	require.GreaterOrEqual(t, fresh, 600)
}

// The overflow bucket is shared by keys, not by policies.
func TestMemoryOverflowIsPerPolicy(t *testing.T) {
	t.Parallel()
	m := newMemory(t, 1)
	for i := range 500 {
		takeOne(t, m, perHour("full", numbered(i), 1))
	}
	require.False(t, takeOne(t, m, perHour("full", numbered(501), 1)).Fits)
	r := takeOne(t, m, perHour("other", numbered(502), 5))
	require.True(t, r.Fits)
	require.Equal(t, 3, takeOne(t, m, perHour("other", numbered(503), 5)).Remaining, "one bucket")

	both := []ratelimit.Policy{
		perHour("full", numbered(504), 1), perHour("other", numbered(504), 5),
	}
	results := make([]ratelimit.Result, 2)
	require.NoError(t, m.Take(t.Context(), both, results))
	require.False(t, results[0].Fits)
	require.Equal(t, 3, results[1].Remaining, "all or none holds in overflow too")
}

// Policy names made from input must not grow the overflow table either.
func TestMemoryOverflowOfManyNames(t *testing.T) {
	t.Parallel()
	m := newMemory(t, 1)
	fresh := 0
	for i := range 5000 {
		if takeOne(t, m, perHour(fmt.Sprintf("p%d", i), numbered(i), 1)).Fits {
			fresh++
		}
	}
	require.LessOrEqual(t, fresh, 64+256)
}

// A place is free again once its bucket is full.
func TestMemoryReusesFullBuckets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, 64)
		for round := range 5 {
			fits := 0
			for i := range 1000 {
				if takeOne(t, m, perHour("a", numbered(1000*round+i), 1)).Fits {
					fits++
				}
			}
			require.InDelta(t, 64, fits, 2, "round %d", round)
			time.Sleep(time.Hour + time.Second)
		}
	})
}

// Every key stays findable while others come and go around it.
func TestMemoryTableAgainstModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const keys = 3000
		m := newMemory(t, keys*2)
		var used [keys]int
		state := uint64(1)
		for range 60_000 {
			state = state*6364136223846793005 + 1442695040888963407
			k := int(state >> 33 % keys)
			r := takeOne(t, m, perHour("a", numbered(k), 10))
			require.Equal(t, used[k] < 10, r.Fits, "key %d after %d", k, used[k])
			used[k] = min(used[k]+1, 10)
		}
	})
}

// Places change hands ten thousand times around buckets that stay: none of those
// may be lost, which would make them full again.
func TestMemoryChurnLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, 64*40)
		const stay = 1000
		long := func(i int) ratelimit.Policy { return perHour("stay", numbered(i), 1) }
		for i := range stay {
			require.True(t, takeOne(t, m, long(i)).Fits)
		}
		brief := ratelimit.Policy{Name: "brief", Limit: ratelimit.PerSecond(1), Cost: 1}
		for round := range 40 {
			for i := range 1000 {
				brief.Key = numbered(round*1000 + i)
				takeOne(t, m, brief)
			}
			time.Sleep(2 * time.Second)
			for i := range stay {
				require.False(t, takeOne(t, m, long(i)).Fits, "round %d: bucket %d was lost", round, i)
			}
		}
	})
}

func TestMemoryRaceOnOneKeyAndOverflow(t *testing.T) {
	t.Parallel()
	m := newMemory(t, 64)
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for g := range 1000 {
		wg.Go(func() {
			for i := range 20 {
				if takeOne(t, m, perHour("hot", ratelimit.TextKey("one"), 777)).Fits {
					admitted.Add(1)
				}
				takeOne(t, m, perHour("flood", numbered(g*20+i), 1))
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 777, admitted.Load())
}

// Decisions that need the same two shards in either order must not wait for each
// other.
func TestMemoryLocksInOrder(t *testing.T) {
	t.Parallel()
	m := newMemory(t, 0)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			results := make([]ratelimit.Result, 2)
			for i := range 20_000 {
				p := []ratelimit.Policy{
					perHour("a", numbered(i%50), 1_000_000), perHour("b", numbered(i%50), 1_000_000),
				}
				if g%2 == 0 {
					p[0], p[1] = p[1], p[0]
				}
				_ = m.Take(context.Background(), p, results)
			}
		})
	}
	wg.Wait()
}

// The in-process store counts on the monotonic clock and so cannot be fooled by
// a wall clock that is set; synctest shows the time it does follow.
func TestMemoryFollowsTimeExactly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, 0)
		p := ratelimit.Policy{
			Name: "a", Key: ratelimit.TextKey("k"), Limit: ratelimit.PerMinute(7), Cost: 1,
		}
		for range 7 {
			require.True(t, takeOne(t, m, p).Fits)
		}
		for range 200 {
			r := takeOne(t, m, p)
			require.False(t, r.Fits)
			time.Sleep(r.RetryAfter - time.Nanosecond)
			require.False(t, takeOne(t, m, p).Fits, "before RetryAfter")
			time.Sleep(time.Nanosecond)
			require.True(t, takeOne(t, m, p).Fits, "at RetryAfter")
		}
	})
}

func TestMemoryTurnsAwayTooManyHeldKeys(t *testing.T) {
	t.Parallel()
	m := newMemory(t, 2)
	for i, want := range []bool{true, true, false} {
		got, err := m.Enter(t.Context(), perHour("a", numbered(i), 1), "token", 1, time.Minute)
		require.NoError(t, err)
		require.Equal(t, want, got, "key %d", i)
	}
}

// Of two policies decided together, the second must not push out the bucket of
// the first, which is full until it is charged: its charge would be lost.
func TestMemoryKeepsBucketsOfOneDecision(t *testing.T) {
	t.Parallel()
	for i := range 500 { // places for one key per shard: one pair in 64 meets in one
		m := newMemory(t, 64)
		p := []ratelimit.Policy{perHour("a", numbered(i), 1), perHour("b", numbered(i), 1)}
		results := make([]ratelimit.Result, 2)
		require.NoError(t, m.Take(t.Context(), p, results))
		require.True(t, results[0].Fits && results[1].Fits)
		require.False(t, takeOne(t, m, p[0]).Fits, "pair %d: the charge was lost", i)
	}
}

// Holders that expired hold nothing: without their Leave, other keys get in.
func TestMemoryForgetsExpiredHolders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, 10)
		for i := range 30 {
			entered, err := m.Enter(t.Context(), perHour("a", numbered(i), 1), "token", 1, time.Minute)
			require.NoError(t, err)
			require.True(t, entered, "key %d", i)
			if i%10 == 9 {
				time.Sleep(time.Minute)
			}
		}
	})
}

// With a tenth of the places free, newcomers find them.
func TestMemoryNewcomersFindTheFreePlaces(t *testing.T) {
	t.Parallel()
	for _, size := range []int{500, 10_000} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory(t, size)
			brief := ratelimit.Policy{Name: "brief", Limit: ratelimit.PerSecond(1), Cost: 1}
			for i := range size {
				if i%10 == 0 {
					brief.Key = numbered(i)
					takeOne(t, m, brief)
					continue
				}
				takeOne(t, m, perHour("a", numbered(i), 1))
			}
			time.Sleep(2 * time.Second) // what was brief is free again
			refused, newcomers := 0, size/20
			for i := range newcomers {
				if takeOne(t, m, perHour("a", numbered(size+i), 1)).Shared {
					refused++
				}
			}
			require.LessOrEqual(t, refused, newcomers/50, "of %d newcomers", newcomers)
		})
	}
}

// Whoever looks, or is refused, leaves nothing behind.
func TestMemoryRefusedTakesNoPlace(t *testing.T) {
	t.Parallel()
	m := newMemory(t, 10)
	blocked := perHour("blocked", ratelimit.TextKey("k"), 1)
	takeOne(t, m, blocked)
	results := make([]ratelimit.Result, 2)
	for i := range 1000 {
		look := perHour("a", numbered(i), 5)
		look.Cost = 0
		require.Equal(t, 5, takeOne(t, m, look).Remaining)
		look.Cost = 6
		require.False(t, takeOne(t, m, look).Fits)
		look.Cost = -1
		require.Equal(t, 5, takeOne(t, m, look).Remaining)
		both := []ratelimit.Policy{perHour("a", numbered(i), 5), blocked}
		require.NoError(t, m.Take(t.Context(), both, results))
		require.False(t, results[1].Fits)
		require.Equal(t, 5, results[0].Remaining)
	}
	for i := range 9 {
		r := takeOne(t, m, perHour("a", numbered(i), 5))
		require.False(t, r.Shared, "key %d found no place", i)
		require.Equal(t, 4, r.Remaining)
	}
	require.True(t, takeOne(t, m, perHour("a", numbered(10), 5)).Shared)
}

// The debts of more buckets than a shard remembers apart are forgiven by a refusal
// under a smaller limit, as documented; nothing else happens to them.
func TestMemoryForgivesOnlyBeyondItsBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, 500) // one shard
		const keys = 100
		small := func(i int) ratelimit.Policy {
			return ratelimit.Policy{
				Name: "a", Key: numbered(i), Cost: 1,
				Limit: ratelimit.Limit{Count: 1, Window: time.Second, Burst: 2},
			}
		}
		for i := range keys {
			require.True(t, takeOne(t, m, perHour("a", numbered(i), 1)).Fits)
			r := takeOne(t, m, small(i))
			require.False(t, r.Fits)
			require.Equal(t, time.Second, r.RetryAfter)
		}
		kept := 0
		for i := range keys {
			if !takeOne(t, m, perHour("a", numbered(i), 1)).Fits {
				kept++
			}
		}
		require.Equal(t, keys, kept, "a second of debt is debt as well")
		time.Sleep(time.Second)
		for i := range keys {
			require.True(t, takeOne(t, m, small(i)).Fits, "key %d: RetryAfter has passed", i)
			require.True(t, takeOne(t, m, small(i)).RetryAfter > 0)
		}
	})
}
