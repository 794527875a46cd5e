package ratelimit_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/ratelimit"
)

// small is a limit of two seconds beside one of an hour.
var small = ratelimit.Limit{Count: 1, Window: time.Second, Burst: 2}

func owing(t *testing.T) (*ratelimit.Memory, ratelimit.Policy) {
	t.Helper()
	m := newMemory(t, 0)
	p := perHour("a", ratelimit.TextKey("k"), 10)
	p.Cost = 10
	require.True(t, takeOne(t, m, p).Fits)
	p.Cost = 1
	return m, p
}

func under(p ratelimit.Policy, limit ratelimit.Limit, cost int) ratelimit.Policy {
	p.Limit, p.Cost = limit, cost
	return p
}

// What refilled while a debt rested is counted once: the next debt rests anew.
func TestSecondDebtRestsAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, p := owing(t)
		require.False(t, takeOne(t, m, under(p, small, 1)).Fits)
		time.Sleep(10 * time.Second)
		require.True(t, takeOne(t, m, under(p, small, 1)).Fits)
		require.True(t, takeOne(t, m, under(p, p.Limit, 9)).Fits, "the old debt went with the charge")
		r := takeOne(t, m, under(p, small, 1))
		require.False(t, r.Fits)
		require.Equal(t, time.Second, r.RetryAfter)
	})
}

// Looking forgives nothing and starts nothing.
func TestLookUnderAnotherLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, p := owing(t)
		require.Zero(t, takeOne(t, m, under(p, small, 0)).Remaining)
		require.False(t, takeOne(t, m, p).Fits)
		time.Sleep(10 * time.Second)
		require.False(t, takeOne(t, m, under(p, small, 1)).Fits, "empty from its first refusal on")
		require.False(t, takeOne(t, m, p).Fits)
	})
}

// A time without any budget is no time of refilling.
func TestSuspensionRefillsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, p := owing(t)
		require.False(t, takeOne(t, m, under(p, ratelimit.PerHour(0), 1)).Fits)
		time.Sleep(10 * time.Second)
		require.False(t, takeOne(t, m, under(p, small, 1)).Fits)
		require.False(t, takeOne(t, m, p).Fits)
	})
}

// Of two policies decided together the second must not take the place of the
// first, which is full until it is charged, in a table with one place left.
func TestOneDecisionKeepsItsOnlyPlace(t *testing.T) {
	t.Parallel()
	m := newMemory(t, 2)
	takeOne(t, m, perHour("other", ratelimit.TextKey("k"), 1))
	p := []ratelimit.Policy{
		perHour("a", ratelimit.TextKey("k"), 1), perHour("b", ratelimit.TextKey("k"), 1),
	}
	results := make([]ratelimit.Result, 2)
	require.NoError(t, m.Take(t.Context(), p, results))
	require.True(t, results[0].Fits && results[1].Fits)
	require.False(t, results[0].Shared)
	require.True(t, results[1].Shared)
	require.False(t, takeOne(t, m, p[0]).Fits, "the charge was lost")
	require.Error(t, m.Take(t.Context(), make([]ratelimit.Policy, 9), make([]ratelimit.Result, 9)))
}

// A place that is free again is found, though the table has just been searched in
// vain: its bucket was given back, or forgotten.
func TestFreedPlaceIsFoundAtOnce(t *testing.T) {
	t.Parallel()
	for name, free := range map[string]func(*ratelimit.Memory, ratelimit.Policy){
		"given back": func(m *ratelimit.Memory, p ratelimit.Policy) {
			p.Cost = -1
			takeOne(t, m, p)
		},
		"forgotten": func(m *ratelimit.Memory, p ratelimit.Policy) {
			require.NoError(t, m.Forget(t.Context(), []ratelimit.Policy{p}))
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory(t, 300)
			for i := range 300 {
				takeOne(t, m, perHour("a", numbered(i), 1))
			}
			for i := range 10 { // searches everything
				require.True(t, takeOne(t, m, perHour("a", numbered(1000+i), 9)).Shared, name)
			}
			free(m, perHour("a", numbered(7), 1))
			time.Sleep(time.Nanosecond)
			require.False(t, takeOne(t, m, perHour("a", numbered(2000), 1)).Shared, name)
		})
	}
}

// The capacity holds for stores of several shards as well.
func TestCapacityOfManyShards(t *testing.T) {
	t.Parallel()
	const size = 4096
	m := newMemory(t, size)
	places := 0
	for i := range 4 * size {
		if !takeOne(t, m, perHour("a", numbered(i), 1)).Shared {
			places++
		}
	}
	require.LessOrEqual(t, places, size+4)
	require.GreaterOrEqual(t, places, size-100)
}

func TestNobodysLimiterAnswers(t *testing.T) {
	t.Parallel()
	var l *ratelimit.Limiter
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	require.False(t, l.Answer(w, r, l.Decide(t.Context())))
	require.Equal(t, 503, w.Code)
	require.False(t, (&ratelimit.Limiter{}).Answer(httptest.NewRecorder(), r, ratelimit.Decision{}))
}

// A bucket that was forgotten takes with it how long its debt had rested.
func TestForgottenDebtLeavesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, p := owing(t)
		require.False(t, takeOne(t, m, under(p, small, 1)).Fits)
		require.NoError(t, m.Forget(t.Context(), []ratelimit.Policy{p}))
		time.Sleep(10 * time.Second)
		require.True(t, takeOne(t, m, under(p, p.Limit, 10)).Fits)
		r := takeOne(t, m, under(p, small, 1))
		require.False(t, r.Fits)
		require.Equal(t, time.Second, r.RetryAfter)
	})
}

// However many such debts were forgotten, there is room to remember the next.
func TestForgottenDebtsMakeRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, 500) // one shard
		for i := range 200 {
			p := perHour("a", numbered(i), 10)
			p.Cost = 10
			require.True(t, takeOne(t, m, p).Fits)
			require.False(t, takeOne(t, m, under(p, small, 1)).Fits)
			require.False(t, takeOne(t, m, under(p, p.Limit, 1)).Fits, "debt %d was forgiven", i)
			require.NoError(t, m.Forget(t.Context(), []ratelimit.Policy{p}))
		}
	})
}
