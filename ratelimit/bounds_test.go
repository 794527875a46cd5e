package ratelimit_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/ratelimit"
)

func TestConfigBounds(t *testing.T) {
	t.Parallel()
	p := fixed(perHour("a", ratelimit.TextKey("k"), 1))
	eight := policies(p, p, p, p, p, p, p, p)
	for _, cfg := range []ratelimit.Config{
		{RetryJitter: time.Hour}, {Policies: eight}, {Instances: 1 << 30}, {MaxKeys: 1},
	} {
		_, err := ratelimit.New(cfg)
		require.NoError(t, err)
	}
	for field, cfg := range map[string]ratelimit.Config{
		"RetryJitter": {RetryJitter: time.Hour + 1}, "Policies": {Policies: append(eight, p)},
		"Instances": {Instances: 1<<30 + 1}, "MaxKeys": {MaxKeys: 1<<30 + 1},
		"Policies[1]": {Policies: policies(p, nil)},
	} {
		_, err := ratelimit.New(cfg)
		var problem *sallyport.ConfigError
		require.ErrorAs(t, err, &problem)
		require.Equal(t, field, problem.Field)
		require.Equal(t, "ratelimit", problem.Gate)
	}
	for _, n := range []int{-1, 1<<30 + 1} {
		_, err := ratelimit.NewMemory(ratelimit.MemoryConfig{MaxKeys: n})
		require.ErrorContains(t, err, "MaxKeys")
	}
	l := newLimiter(t, ratelimit.Config{})
	require.NoError(t, l.Reload(eight))
	require.ErrorContains(t, l.Reload(append(eight, p)), "at most 8")
}

// What Reload was given is copied.
func TestReloadCopies(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, ratelimit.Config{})
	all := policies(fixed(perHour("a", ratelimit.TextKey("k"), 1)))
	require.NoError(t, l.Reload(all))
	all[0] = nil
	require.Equal(t, 204, serve(l.Wrap(ok)).Code)
}

func TestLimitBounds(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	l := newLimiter(t, ratelimit.Config{})
	for code, limits := range map[string][]ratelimit.Limit{
		ratelimit.CodeWithinLimit: {
			{Count: 1, Window: day, Burst: 90},
			{Count: 1, Window: time.Millisecond},
			{Count: 1, Window: 31 * day},
			{Count: int(time.Second), Window: time.Second},
		},
		ratelimit.CodePolicyInvalid: {
			{Count: 1, Window: day, Burst: 91},
			{Count: 1, Window: time.Millisecond - 1},
			{Count: 1, Window: 31*day + 1},
			{Count: int(time.Second) + 1, Window: time.Second},
			{Count: 1, Window: day, Burst: 1 << 62},
			{Count: 1, Window: day, Burst: -1},
		},
		// Nothing is allowed, whatever the burst says.
		ratelimit.CodeCostExceedsLimit: {{Window: day, Burst: 1 << 62}, {Window: day}},
	} {
		for i, limit := range limits {
			d := l.Decide(t.Context(), ratelimit.Policy{Name: "a", Key: numbered(i), Limit: limit})
			require.Equal(t, code, d.Code, "%+v", limit)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, ratelimit.Config{})
	for _, name := range []string{
		"a", "z", "0", "9", "a_b", "a-b", "a.b",
		"a2345678901234567890123456789012",
	} {
		d := l.Decide(t.Context(), perHour(name, ratelimit.TextKey("k"), 1))
		require.Equal(t, ratelimit.CodeWithinLimit, d.Code, name)
	}
	for _, name := range []string{
		"", "A", "a b", "`", "{", "/", ":", "ä",
		"a2345678901234567890123456789012x",
	} {
		d := l.Decide(t.Context(), perHour(name, ratelimit.TextKey("k"), 1))
		require.Equal(t, ratelimit.CodePolicyInvalid, d.Code, name)
	}
}

func TestPrefixBounds(t *testing.T) {
	t.Parallel()
	a := netip.MustParseAddr("2001:db8::1")
	require.False(t, refused(t, ratelimit.PrefixKey(a, 128)))
	require.False(t, refused(t, ratelimit.PrefixKey(a, 32)))
	require.NotEqual(t, ratelimit.PrefixKey(a, 128),
		ratelimit.PrefixKey(netip.MustParseAddr("2001:db8::2"), 128))
	require.True(t, refused(t, ratelimit.TextKey()))
	require.False(t, refused(t, ratelimit.TextKey("")), "an empty text is a text")
	require.False(t, refused(t, ratelimit.Key{}.In("tenant")), "all of a tenant")
}

// To the nanosecond: a unit is back after the interval and not before, and a full
// bucket is as full as its limit says.
func TestIntervalIsExact(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, 0)
		p := ratelimit.Policy{
			Name: "a", Key: ratelimit.TextKey("k"), Limit: ratelimit.PerMinute(7), Cost: 7,
		}
		interval := p.Limit.Interval()
		r := takeOne(t, m, p)
		require.True(t, r.Fits)
		require.Equal(t, 7*interval, r.Reset)
		p.Cost = 1
		r = takeOne(t, m, p)
		require.False(t, r.Fits)
		require.Equal(t, interval, r.RetryAfter)
		time.Sleep(interval - 1)
		require.False(t, takeOne(t, m, p).Fits)
		time.Sleep(time.Nanosecond)
		require.True(t, takeOne(t, m, p).Fits)
		time.Sleep(7 * interval)
		p.Cost = 0
		require.Equal(t, ratelimit.Result{Fits: true, Remaining: 7}, takeOne(t, m, p))
		require.Equal(t, ratelimit.Result{Fits: true, Remaining: 7}, p.Result(0))
		require.Equal(t, ratelimit.Result{Fits: true, Reset: 7 * interval}, p.Result(7*interval))
		p.Cost = 1
		require.Equal(t, ratelimit.Result{Reset: 7 * interval, RetryAfter: interval},
			p.Result(7*interval))
		p.Cost = 8
		require.Equal(t, ratelimit.Result{Remaining: 7}, p.Result(0), "never fits")
	})
}

// Looking at several buckets together leaves them as they were, to the nanosecond.
func TestLooksLeaveNoTrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, 0)
		p := []ratelimit.Policy{
			perHour("a", ratelimit.TextKey("k"), 1), perHour("b", ratelimit.TextKey("k"), 1),
		}
		results := make([]ratelimit.Result, 2)
		require.NoError(t, m.Take(t.Context(), p, results))
		time.Sleep(time.Hour)
		p[0].Cost, p[1].Cost = 0, 0
		for range 3 {
			require.NoError(t, m.Take(t.Context(), p, results))
			for _, r := range results {
				require.Equal(t, ratelimit.Result{Fits: true, Remaining: 1}, r)
			}
		}
		p[0].Cost, p[1].Cost = 1, 2 // the second refuses
		require.NoError(t, m.Take(t.Context(), p, results))
		require.Equal(t, ratelimit.Result{Fits: true, Remaining: 1}, results[0])
		require.True(t, takeOne(t, m, p[0]).Fits)
	})
}

func TestTheTightestPolicyIsShown(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, ratelimit.Config{})
	tight := perHour("tight", ratelimit.TextKey("k"), 2)
	wide := perHour("wide", ratelimit.TextKey("k"), 100)
	wider := perHour("wider", ratelimit.TextKey("k"), 200)
	require.Equal(t, "tight", l.Decide(t.Context(), tight, wide, wider).Policy)
	require.Equal(t, "tight", l.Decide(t.Context(), wider, wide, tight).Policy)
}

// In an outage the local part is shown, and what nobody counts is not.
func TestOutageShowsWhatIsKnown(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, ratelimit.Config{Store: &brokenStore{err: errors.New("down")}, Instances: 2})
	local := perHour("local", ratelimit.TextKey("k"), 10)
	open := perHour("open", ratelimit.TextKey("k"), 10)
	local.OnOutage, open.OnOutage = ratelimit.Local, ratelimit.Open
	d := l.Decide(t.Context(), open, local)
	require.Equal(t, "local", d.Policy)
	require.Equal(t, 4, d.Remaining)
	d = l.Decide(t.Context(), open)
	require.Empty(t, d.Policy)
	require.Zero(t, d.Remaining)
	require.Zero(t, d.Limit)
}

// Events of Check have the request, and the first tenant that a key names.
func TestEvents(t *testing.T) {
	t.Parallel()
	var events []sallyport.Event
	l := newLimiter(t, ratelimit.Config{
		Policies: policies(
			fixed(perHour("a", ratelimit.TextKey("k"), 1)),
			fixed(perHour("b", ratelimit.TextKey("k").In("first"), 9)),
			fixed(perHour("c", ratelimit.TextKey("k").In("second"), 9)),
		),
		OnEvent: func(_ context.Context, e sallyport.Event) { events = append(events, e) },
	})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	_, err := l.Check(r)
	require.NoError(t, err)
	l.Wrap(ok).ServeHTTP(httptest.NewRecorder(), r)
	require.Len(t, events, 2)
	for i, code := range []string{ratelimit.CodeWithinLimit, ratelimit.CodeRateLimited} {
		require.Same(t, r, events[i].Request)
		require.Equal(t, "first", events[i].Tenant)
		require.Equal(t, "a", events[i].Policy)
		require.Equal(t, code, events[i].Code)
		require.Equal(t, code, events[i].Detail.(ratelimit.Decision).Code)
	}
	d, err := (&ratelimit.Limiter{}).Check(r)
	require.Error(t, err)
	require.Equal(t, ratelimit.CodeNotConfigured, d.Code)
}
