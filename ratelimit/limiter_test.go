package ratelimit_test

import (
	"context"
	"encoding/json"
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

var ok = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })

func policies(f ...func(*http.Request) ratelimit.Policy) []func(*http.Request) ratelimit.Policy {
	return f
}

func fixed(p ratelimit.Policy) func(*http.Request) ratelimit.Policy {
	return func(*http.Request) ratelimit.Policy { return p }
}

func serve(h http.Handler) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w
}

func TestWrapHeadersAndProblem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit := ratelimit.Limit{Count: 60, Window: time.Minute, Burst: 2}
		l := newLimiter(t, ratelimit.Config{
			Policies: policies(ratelimit.PerAddress("address", limit)), LegacyHeaders: true,
		})
		h := clientAddr(t, "").Wrap(l.Wrap(ok))
		w := serve(h)
		require.Equal(t, 204, w.Code)
		require.Equal(t, `"address";q=2;w=2`, w.Header().Get("RateLimit-Policy"))
		require.Equal(t, `"address";r=1;t=1`, w.Header().Get("RateLimit"))
		require.Equal(t, "2", w.Header().Get("X-RateLimit-Limit"))
		require.Equal(t, "1", w.Header().Get("X-RateLimit-Remaining"))
		require.Equal(t, "1", w.Header().Get("X-RateLimit-Reset"))
		require.Empty(t, w.Header().Get("Retry-After"))
		serve(h)
		w = serve(h)
		require.Equal(t, 429, w.Code)
		require.Equal(t, `"address";r=0;t=1`, w.Header().Get("RateLimit"))
		require.Equal(t, "1", w.Header().Get("Retry-After"))
		require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
		var body map[string]any
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
		require.Equal(t, "rate_limited", body["code"])
		require.Equal(t, []any{"address"}, body["violated-policies"])
		time.Sleep(time.Second)
		require.Equal(t, 204, serve(h).Code, "Retry-After was enough")
	})
}

func TestHeadersOfSeveralLimitersAddUp(t *testing.T) {
	t.Parallel()
	key := ratelimit.TextKey("k")
	outer := newLimiter(t, ratelimit.Config{Policies: policies(fixed(perHour("outer", key, 10)))})
	inner := newLimiter(t, ratelimit.Config{Policies: policies(fixed(perHour("inner", key, 5)))})
	w := serve(outer.Wrap(inner.Wrap(ok)))
	require.Equal(t, []string{`"outer";r=9;t=360`, `"inner";r=4;t=720`}, w.Header()["Ratelimit"])
	require.Equal(t, []string{`"outer";q=10;w=3600`, `"inner";q=5;w=3600`}, w.Header()["Ratelimit-Policy"])
}

func TestHideBudget(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, ratelimit.Config{
		Policies:   policies(fixed(perHour("a", ratelimit.TextKey("k"), 1))),
		HideBudget: true, LegacyHeaders: true,
	})
	for _, code := range []int{204, 429} {
		w := serve(l.Wrap(ok))
		require.Equal(t, code, w.Code)
		for _, name := range []string{"RateLimit", "RateLimit-Policy", "X-RateLimit-Limit"} {
			require.Empty(t, w.Header().Get(name))
		}
	}
}

func TestRetryJitterOnlyAdds(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, ratelimit.Config{
		Policies:    policies(fixed(perHour("a", ratelimit.TextKey("k"), 60))),
		RetryJitter: time.Hour,
	})
	h := l.Wrap(ok)
	for range 60 {
		serve(h)
	}
	seen := map[string]bool{}
	for range 20 {
		v := serve(h).Header().Get("Retry-After")
		d, err := time.ParseDuration(v + "s")
		require.NoError(t, err)
		require.GreaterOrEqual(t, d, 59*time.Second)
		require.LessOrEqual(t, d, time.Hour+time.Minute)
		seen[v] = true
	}
	require.Greater(t, len(seen), 5)
}

func TestOnRejectAddsToTheDefault(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, ratelimit.Config{
		Policies: policies(fixed(perHour("a", ratelimit.TextKey("k"), 0))),
		OnReject: func(w http.ResponseWriter, _ *http.Request, r *ratelimit.Rejection) {
			require.Equal(t, "a", r.Decision.Policy)
			w.Header().Set("X-Own", "1")
			r.Write(w)
		},
	})
	w := serve(l.Wrap(ok))
	require.Equal(t, 422, w.Code)
	require.Equal(t, "1", w.Header().Get("X-Own"))
	require.Empty(t, w.Header().Get("Retry-After"), "waiting cannot help")
	require.Contains(t, w.Body.String(), `"code":"cost_exceeds_limit"`)
}

func TestDecide(t *testing.T) {
	t.Parallel()
	key := ratelimit.TextKey("k")
	with := func(p ratelimit.Policy, edit func(*ratelimit.Policy)) ratelimit.Policy {
		edit(&p)
		return p
	}
	base := perHour("a", key, 10)
	for name, tc := range map[string]struct {
		policies []ratelimit.Policy
		reason   ratelimit.Reason
	}{
		"allowed":       {[]ratelimit.Policy{base}, ""},
		"no policy":     {nil, ratelimit.ReasonPolicyInvalid},
		"nine policies": {make([]ratelimit.Policy, 9), ratelimit.ReasonPolicyInvalid},
		"zero policy":   {[]ratelimit.Policy{{}}, ratelimit.ReasonPolicyInvalid},
		"no key":        {[]ratelimit.Policy{perHour("a", ratelimit.Key{}, 1)}, ratelimit.ReasonNoKey},
		"same name":     {[]ratelimit.Policy{base, base}, ratelimit.ReasonPolicyInvalid},
		"bad name":      {[]ratelimit.Policy{perHour(`a"b`, key, 1)}, ratelimit.ReasonPolicyInvalid},
		"long name": {
			[]ratelimit.Policy{perHour("a23456789012345678901234567890123", key, 1)},
			ratelimit.ReasonPolicyInvalid,
		},
		"negative limit": {[]ratelimit.Policy{perHour("a", key, -1)}, ratelimit.ReasonPolicyInvalid},
		"no window": {
			[]ratelimit.Policy{with(base, func(p *ratelimit.Policy) { p.Limit.Window = 0 })},
			ratelimit.ReasonPolicyInvalid,
		},
		"endless window": {
			[]ratelimit.Policy{with(base, func(p *ratelimit.Policy) { p.Limit.Window = 1 << 62 })},
			ratelimit.ReasonPolicyInvalid,
		},
		"overflowing burst": {
			[]ratelimit.Policy{with(base, func(p *ratelimit.Policy) { p.Limit.Burst = 1 << 62 })},
			ratelimit.ReasonPolicyInvalid,
		},
		"too fast": {
			[]ratelimit.Policy{with(base, func(p *ratelimit.Policy) { p.Limit.Count = 1 << 62 })},
			ratelimit.ReasonPolicyInvalid,
		},
		"negative cost": {
			[]ratelimit.Policy{with(base, func(p *ratelimit.Policy) { p.Cost = -1 })},
			ratelimit.ReasonPolicyInvalid,
		},
		"unknown outage": {
			[]ratelimit.Policy{with(base, func(p *ratelimit.Policy) { p.OnOutage = 3 })},
			ratelimit.ReasonPolicyInvalid,
		},
		"cost above burst": {
			[]ratelimit.Policy{with(base, func(p *ratelimit.Policy) { p.Cost = 11 })},
			ratelimit.ReasonCostExceedsLimit,
		},
		"huge cost": {
			[]ratelimit.Policy{with(base, func(p *ratelimit.Policy) { p.Cost = 1 << 62 })},
			ratelimit.ReasonCostExceedsLimit,
		},
		"nothing allowed": {[]ratelimit.Policy{perHour("a", key, 0)}, ratelimit.ReasonCostExceedsLimit},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var reported []ratelimit.Decision
			l := newLimiter(t, ratelimit.Config{
				OnDecision: func(_ context.Context, d ratelimit.Decision) { reported = append(reported, d) },
			})
			d := l.Decide(t.Context(), tc.policies...)
			require.Equal(t, tc.reason, d.Reason)
			require.Equal(t, tc.reason == "", d.Allowed)
			require.Equal(t, []ratelimit.Decision{d}, reported, "reported once, as it is")
			if tc.reason == "" {
				require.Nil(t, d.Rejection())
				return
			}
			require.Equal(t, tc.reason, d.Rejection().Reason)
			require.GreaterOrEqual(t, d.Rejection().Status, 400)
			require.Zero(t, d.RetryAfter)
		})
	}
}

func TestDecideReportsTheBindingPolicy(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, ratelimit.Config{})
	wide, tight := perHour("wide", ratelimit.TextKey("k"), 100), perHour("tight", ratelimit.TextKey("k"), 2)
	d := l.Decide(t.Context(), wide, tight)
	require.Equal(t, "tight", d.Policy)
	require.Equal(t, 1, d.Remaining)
	l.Decide(t.Context(), wide, tight)
	d = l.Decide(t.Context(), wide, tight)
	require.False(t, d.Allowed)
	require.Equal(t, []string{"tight"}, d.Violated)
	require.Positive(t, d.RetryAfter)
	require.Equal(t, 97, l.Decide(t.Context(), wide).Remaining, "a refusal charged nothing")

	slow := perHour("slow", ratelimit.TextKey("k"), 1)
	l.Decide(t.Context(), slow)
	d = l.Decide(t.Context(), tight, slow)
	require.Equal(t, []string{"tight", "slow"}, d.Violated)
	require.Equal(t, "slow", d.Policy, "the longest wait binds")
	w := httptest.NewRecorder()
	require.False(t, l.Answer(w, httptest.NewRequest(http.MethodGet, "/", nil), d))
	require.Contains(t, w.Body.String(), `["tight","slow"]`)
}

func TestShadowReportsAndNeverRefuses(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, ratelimit.Config{})
	p := perHour("trial", ratelimit.TextKey("k"), 1)
	p.Shadow = true
	require.Empty(t, l.Decide(t.Context(), p).Shadowed)
	for _, also := range [][]ratelimit.Policy{nil, {perHour("real", ratelimit.TextKey("k"), 5)}} {
		d := l.Decide(t.Context(), append(also, p)...)
		require.True(t, d.Allowed)
		require.Equal(t, []string{"trial"}, d.Shadowed)
	}
}

func TestLimitsPerTenantAreValues(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, ratelimit.Config{})
	for tenant, rate := range map[string]int{"small": 2, "large": 5} {
		admitted := 0
		for range 10 {
			p := perHour("site", ratelimit.TextKey("x").In(tenant), rate)
			if l.Decide(t.Context(), p).Allowed {
				admitted++
			}
		}
		require.Equal(t, rate, admitted, tenant)
	}
}

func TestReloadKeepsBuckets(t *testing.T) {
	t.Parallel()
	key := ratelimit.TextKey("k")
	l := newLimiter(t, ratelimit.Config{Policies: policies(fixed(perHour("a", key, 10)))})
	for range 10 {
		require.Equal(t, 204, serve(l.Wrap(ok)).Code)
	}
	require.Equal(t, 429, serve(l.Wrap(ok)).Code)
	require.NoError(t, l.Reload(policies(fixed(perHour("a", key, 1000)))))
	require.Equal(t, 429, serve(l.Wrap(ok)).Code, "an empty bucket stays empty")
	require.NoError(t, l.Reload(policies(fixed(perHour("b", key, 1)))))
	require.Equal(t, 204, serve(l.Wrap(ok)).Code)
	require.Error(t, l.Reload(policies(nil)))
	require.Error(t, l.Reload(make([]func(*http.Request) ratelimit.Policy, 9)))
	require.Error(t, (&ratelimit.Limiter{}).Reload(nil))
}

func TestZeroLimiterRefuses(t *testing.T) {
	t.Parallel()
	for _, l := range []*ratelimit.Limiter{nil, {}} {
		require.Equal(t, ratelimit.ReasonNotConfigured, l.Decide(t.Context(), perHour("a", addrKey("::1"), 1)).Reason)
		w := serve(l.Wrap(ok))
		require.Equal(t, 500, w.Code)
		require.Contains(t, w.Body.String(), "not_configured")
		_, err := l.Check(httptest.NewRequest(http.MethodGet, "/", nil))
		require.ErrorContains(t, err, "not_configured")
		release, d := l.Acquire(t.Context(), ratelimit.InFlight{})
		require.Equal(t, ratelimit.ReasonNotConfigured, d.Reason)
		release()
	}
	require.False(t, ratelimit.Decision{}.Allowed)
	require.Equal(t, ratelimit.ReasonNotConfigured, ratelimit.Decision{}.Rejection().Reason)
	// A limiter without policies refuses what it wraps: forgetting them is no
	// way to have none.
	require.Equal(t, 500, serve(newLimiter(t, ratelimit.Config{}).Wrap(ok)).Code)
}

func TestCheckDecidesWithoutAnswering(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, ratelimit.Config{
		Policies: policies(fixed(perHour("a", ratelimit.TextKey("k"), 1))),
	})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	d, err := l.Check(r)
	require.NoError(t, err)
	require.True(t, d.Allowed)
	d, err = l.Check(r)
	rejection, isRejection := errors.AsType[*ratelimit.Rejection](err)
	require.True(t, isRejection)
	require.Equal(t, d, rejection.Decision)
}

// Every reason has a status, and a text of its own or a shared one.
func TestEveryReasonAnswers(t *testing.T) {
	t.Parallel()
	for reason, status := range map[ratelimit.Reason]int{
		ratelimit.ReasonRateLimited: 429, ratelimit.ReasonCostExceedsLimit: 422,
		ratelimit.ReasonInFlight: 429, ratelimit.ReasonLoginBlocked: 429,
		ratelimit.ReasonUnavailable: 503, ratelimit.ReasonNoKey: 400,
		ratelimit.ReasonPolicyInvalid: 500, ratelimit.ReasonNotConfigured: 500,
		ratelimit.ReasonForwardedMalformed: 400, ratelimit.ReasonPeerUnknown: 400,
	} {
		w := httptest.NewRecorder()
		ratelimit.Decision{Reason: reason}.Rejection().Write(w)
		require.Equal(t, status, w.Code, reason)
		var body struct{ Code, Title string }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
		require.Equal(t, string(reason), body.Code)
		require.NotEmpty(t, body.Title)
	}
}

// A refusal that can never pass outweighs one that only waits.
func TestImpossibleCostBinds(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, ratelimit.Config{})
	one, two := perHour("one", ratelimit.TextKey("k"), 1), perHour("two", ratelimit.TextKey("k"), 1)
	two.Cost = 2
	l.Decide(t.Context(), one)
	for _, order := range [][]ratelimit.Policy{{one, two}, {two, one}} {
		d := l.Decide(t.Context(), order...)
		require.Equal(t, ratelimit.ReasonCostExceedsLimit, d.Reason)
		require.Equal(t, "two", d.Policy)
		require.Zero(t, d.RetryAfter)
	}
}

func TestRequestsWithoutAddressAreRefused(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, ratelimit.Config{
		Policies: policies(ratelimit.PerAddress("address", ratelimit.PerMinute(1))),
	})
	w := serve(l.Wrap(ok))
	require.Equal(t, 400, w.Code)
	require.Contains(t, w.Body.String(), `"code":"no_key"`)
}

func TestNewReportsEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := ratelimit.New(ratelimit.Config{
		Policies: policies(nil), Store: &ratelimit.Memory{}, MaxKeys: -1, Instances: -1, RetryJitter: -1,
	})
	for _, field := range []string{"Policies", "Store", "MaxKeys", "Instances", "RetryJitter"} {
		require.ErrorContains(t, err, "ratelimit: "+field)
	}
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
	closed, local, open := mode("c", ratelimit.Closed), mode("l", ratelimit.Local), mode("o", ratelimit.Open)
	s := &brokenStore{Store: ratelimit.NewMemory(0)}
	l := newLimiter(t, ratelimit.Config{Store: s, Instances: 4})
	require.False(t, l.Decide(t.Context(), closed, local, open).Degraded)
	s.err = down

	for name, tc := range map[string]struct {
		policies []ratelimit.Policy
		reason   ratelimit.Reason
	}{
		"closed":             {[]ratelimit.Policy{closed}, ratelimit.ReasonUnavailable},
		"closed closes":      {[]ratelimit.Policy{open, local, closed}, ratelimit.ReasonUnavailable},
		"open":               {[]ratelimit.Policy{open}, ""},
		"a shadow never can": {[]ratelimit.Policy{{Name: "s", Key: key, Limit: ratelimit.PerHour(1), Shadow: true}}, ""},
	} {
		d := l.Decide(t.Context(), tc.policies...)
		require.Equal(t, tc.reason, d.Reason, name)
		require.True(t, d.Degraded, name)
		require.ErrorIs(t, d.Err, down, name)
	}
	// Of 8, 7 remained; a fourth of them is one whole unit.
	require.True(t, l.Decide(t.Context(), local, open).Allowed)
	d := l.Decide(t.Context(), local, open)
	require.Equal(t, ratelimit.ReasonRateLimited, d.Reason)
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

func TestAcquire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{})
		f := ratelimit.InFlight{Name: "export", Key: ratelimit.TextKey("site"), Max: 2}
		ctx, cancel := context.WithCancel(t.Context())
		first, d := l.Acquire(t.Context(), f)
		require.True(t, d.Allowed)
		forgotten, d := l.Acquire(ctx, f)
		require.True(t, d.Allowed)
		_, d = l.Acquire(t.Context(), f)
		require.Equal(t, ratelimit.ReasonInFlight, d.Reason)
		require.Equal(t, 429, d.Rejection().Status)
		time.Sleep(10 * time.Minute)
		_, d = l.Acquire(t.Context(), f)
		require.False(t, d.Allowed, "places are renewed while their holders live")
		first()
		first()
		again, d := l.Acquire(t.Context(), f)
		require.True(t, d.Allowed)
		cancel()
		time.Sleep(31 * time.Second)
		last, d := l.Acquire(t.Context(), f)
		require.True(t, d.Allowed, "a forgotten place is free after its lease")
		forgotten()
		again()
		last()
	})
}

func TestAcquireRefusals(t *testing.T) {
	t.Parallel()
	down := &brokenStore{err: errors.New("down")}
	l, out := newLimiter(t, ratelimit.Config{}), newLimiter(t, ratelimit.Config{Store: down})
	f := ratelimit.InFlight{Name: "a", Key: ratelimit.TextKey("k"), Max: 1}
	for name, tc := range map[string]struct {
		l    *ratelimit.Limiter
		edit func(*ratelimit.InFlight)
		want ratelimit.Reason
	}{
		"no key":    {l, func(f *ratelimit.InFlight) { f.Key = ratelimit.Key{} }, ratelimit.ReasonNoKey},
		"no max":    {l, func(f *ratelimit.InFlight) { f.Max = 0 }, ratelimit.ReasonPolicyInvalid},
		"bad name":  {l, func(f *ratelimit.InFlight) { f.Name = "" }, ratelimit.ReasonPolicyInvalid},
		"bad lease": {l, func(f *ratelimit.InFlight) { f.Lease = 1 }, ratelimit.ReasonPolicyInvalid},
		"closed":    {out, func(*ratelimit.InFlight) {}, ratelimit.ReasonUnavailable},
		"open":      {out, func(f *ratelimit.InFlight) { f.OnOutage = ratelimit.Open }, ""},
		"local":     {out, func(f *ratelimit.InFlight) { f.OnOutage = ratelimit.Local }, ""},
	} {
		g := f
		tc.edit(&g)
		release, d := tc.l.Acquire(t.Context(), g)
		require.Equal(t, tc.want, d.Reason, name)
		release()
	}
	f.OnOutage = ratelimit.Local
	release, _ := out.Acquire(t.Context(), f)
	defer release()
	_, d := out.Acquire(t.Context(), f)
	require.Equal(t, ratelimit.ReasonInFlight, d.Reason, "bounded here, if nowhere else")
}

func TestOutageNames(t *testing.T) {
	t.Parallel()
	for o, want := range map[ratelimit.Outage]string{
		ratelimit.Closed: "closed", ratelimit.Local: "local", ratelimit.Open: "open", 9: "invalid",
	} {
		require.Equal(t, want, o.String())
	}
}
