package ratelimit_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/ratelimit"
)

// brokenStore fails, or is a store, as the test says.
type brokenStore struct {
	ratelimit.Store
	err error
}

func (s *brokenStore) Take(ctx context.Context, p []ratelimit.Policy, r []ratelimit.Result) error {
	if s.err != nil {
		return s.err
	}
	return s.Store.Take(ctx, p, r)
}

func (s *brokenStore) Forget(ctx context.Context, p []ratelimit.Policy) error {
	if s.err != nil {
		return s.err
	}
	return s.Store.Forget(ctx, p)
}

func (s *brokenStore) Enter(
	ctx context.Context, p ratelimit.Policy, token string, limit int, lease time.Duration,
) (bool, error) {
	if s.err != nil {
		return false, s.err
	}
	return s.Store.Enter(ctx, p, token, limit, lease)
}

func TestOutage(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	key := ratelimit.TextKey("k")
	mode := func(name string, o ratelimit.Outage) ratelimit.Policy {
		p := perHour(name, key, 8)
		p.OnOutage = o
		return p
	}
	closed, local := mode("c", ratelimit.Closed), mode("l", ratelimit.Local)
	open := mode("o", ratelimit.Open)
	trial := ratelimit.Policy{Name: "s", Key: key, Limit: ratelimit.PerHour(1), Shadow: true}
	s := &brokenStore{Store: newMemory(t, 0)}
	l := newLimiter(t, ratelimit.Config{Store: s, Instances: 4})
	require.False(t, l.Decide(t.Context(), closed, local, open).Degraded)
	s.err = down

	for name, tc := range map[string]struct {
		policies []ratelimit.Policy
		reason   string
	}{
		"closed":             {[]ratelimit.Policy{closed}, ratelimit.CodeUnavailable},
		"closed closes":      {[]ratelimit.Policy{open, local, closed}, ratelimit.CodeUnavailable},
		"open":               {[]ratelimit.Policy{open}, ratelimit.CodeDegraded},
		"a shadow never can": {[]ratelimit.Policy{trial}, ratelimit.CodeDegraded},
	} {
		d := l.Decide(t.Context(), tc.policies...)
		require.Equal(t, tc.reason, d.Code, name)
		require.True(t, d.Degraded, name)
		require.ErrorIs(t, d.Err, down, name)
	}
	// Of 8, 7 remained; a fourth of them is one whole unit.
	require.True(t, l.Decide(t.Context(), local, open).Allowed)
	d := l.Decide(t.Context(), local, open)
	require.Equal(t, ratelimit.CodeRateLimited, d.Code)
	require.Equal(t, "l", d.Policy)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.False(t, l.Decide(ctx, open).Allowed, "nobody is waiting")

	w := httptest.NewRecorder()
	d = l.Decide(t.Context(), closed)
	require.False(t, l.Answer(w, httptest.NewRequest(http.MethodGet, "/", nil), d))
	require.Equal(t, 503, w.Code)
	require.Equal(t, "5", w.Header().Get("Retry-After"))
	require.Empty(t, w.Header().Get("RateLimit"))
	require.NotContains(t, w.Body.String(), "down", "causes are for hooks")
}

// However the calls fall, one instance admits its share and one batch.
func TestLocalShareOverTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &brokenStore{err: errors.New("down")}
		const instances = 4
		l := newLimiter(t, ratelimit.Config{Store: s, Instances: instances})
		p := ratelimit.Policy{
			Name: "a", Key: ratelimit.TextKey("k"), Limit: ratelimit.PerMinute(100),
			OnOutage: ratelimit.Local,
		}
		admitted := 0
		for range 600 {
			if l.Decide(t.Context(), p).Allowed {
				admitted++
			}
			time.Sleep(100 * time.Millisecond)
		}
		require.LessOrEqual(t, admitted, 2*100/instances+1, "burst and one minute, of a fourth")
		require.GreaterOrEqual(t, admitted, 2*100/instances-2)
	})
}

func TestOutageNames(t *testing.T) {
	t.Parallel()
	for o, want := range map[ratelimit.Outage]string{
		ratelimit.Closed: "closed", ratelimit.Local: "local", ratelimit.Open: "open", 9: "invalid",
	} {
		require.Equal(t, want, o.String())
	}
}

// So many instances that a naive product of their number and the interval
// overflows: the share must stay a share.
func TestLocalShareOfVeryManyInstances(t *testing.T) {
	t.Parallel()
	s := &brokenStore{err: errors.New("down")}
	l := newLimiter(t, ratelimit.Config{Store: s, Instances: 1 << 30})
	for i, limit := range []ratelimit.Limit{
		ratelimit.PerHour(10), {Count: 1, Window: 31 * 24 * time.Hour, Burst: 2}, ratelimit.PerSecond(5),
	} {
		p := ratelimit.Policy{
			Name: "a", Key: numbered(i), Limit: limit, OnOutage: ratelimit.Local,
		}
		require.True(t, l.Decide(t.Context(), p).Allowed)
		for range 20 {
			require.False(t, l.Decide(t.Context(), p).Allowed, "%+v", limit)
		}
	}
}

// forgetfulStore breaks its contract: it fills in no results.
type forgetfulStore struct{ ratelimit.Store }

func (forgetfulStore) Take(context.Context, []ratelimit.Policy, []ratelimit.Result) error {
	return nil
}

func TestResultsThatAStoreLeavesOutRefuse(t *testing.T) {
	t.Parallel()
	good := newLimiter(t, ratelimit.Config{Store: &brokenStore{Store: newMemory(t, 0)}})
	bad := newLimiter(t, ratelimit.Config{Store: forgetfulStore{}})
	p := perHour("a", ratelimit.TextKey("k"), 1000)
	for range 100 { // they share pooled arrays
		require.True(t, good.Decide(t.Context(), p).Allowed)
		require.False(t, bad.Decide(t.Context(), p).Allowed)
	}
}

// A cost that fits the limit, and not this process's part of it, waits for the end
// of the outage. It is not told that it never will.
func TestLocalOutageAnswersAreTemporary(t *testing.T) {
	t.Parallel()
	s := &brokenStore{err: errors.New("down")}
	l := newLimiter(t, ratelimit.Config{Store: s, Instances: 4})
	p := perHour("a", ratelimit.TextKey("k"), 100)
	p.OnOutage = ratelimit.Local
	p.Cost = 26
	d := l.Decide(t.Context(), p)
	require.Equal(t, ratelimit.CodeUnavailable, d.Code)
	require.Equal(t, http.StatusServiceUnavailable, d.Refusal().Status)
	require.Positive(t, d.RetryAfter)
	trial := p
	trial.Name, trial.Shadow = "trial", true
	d = l.Decide(t.Context(), trial)
	require.True(t, d.Allowed, "a shadow never refuses")
	require.Equal(t, []string{"trial"}, d.Shadowed)
	p.Cost = 25
	require.True(t, l.Decide(t.Context(), p).Allowed, "the refusal charged nothing")
	p.Cost = 101
	require.Equal(t, ratelimit.CodeCostExceedsLimit, l.Decide(t.Context(), p).Code, "now or later")
}

// The raw results of Take say of an outage only what is known.
func TestTakeForOthers(t *testing.T) {
	t.Parallel()
	for _, l := range []*ratelimit.Limiter{nil, {}} {
		outage, decided := l.Take(t.Context(), nil, nil)
		require.Error(t, outage)
		require.False(t, decided)
		require.Error(t, l.Forget(t.Context()))
	}
	s := &brokenStore{Store: newMemory(t, 0)}
	l := newLimiter(t, ratelimit.Config{Store: s})
	p := []ratelimit.Policy{perHour("a", ratelimit.TextKey("k"), 5)}
	p[0].OnOutage = ratelimit.Local
	results := make([]ratelimit.Result, 1)
	outage, decided := l.Take(t.Context(), p, results)
	require.NoError(t, outage)
	require.True(t, decided)
	require.Equal(t, 4, results[0].Remaining)
	s.err = errors.New("down")
	outage, decided = l.Take(t.Context(), p, results)
	require.ErrorIs(t, outage, s.err)
	require.True(t, decided)
	require.Equal(t, 3, results[0].Remaining, "the mirror knew of the first")
	require.ErrorIs(t, l.Forget(t.Context(), p...), s.err)
	_, _ = l.Take(t.Context(), p, results)
	require.Equal(t, 4, results[0].Remaining, "forgotten here, at least")
	s.err = nil
	p[0].Cost = -1
	_, _ = l.Take(t.Context(), p, results)
	require.Equal(t, 5, results[0].Remaining)
	s.err, p[0].Cost = errors.New("down"), 0
	_, _ = l.Take(t.Context(), p, results)
	require.Equal(t, 5, results[0].Remaining, "what was given back is so in the mirror")
}
