package ratelimit_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/ratelimit"
)

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
		reason   string
	}{
		"allowed":       {[]ratelimit.Policy{base}, ratelimit.CodeWithinLimit},
		"no policy":     {nil, ratelimit.CodePolicyInvalid},
		"nine policies": {make([]ratelimit.Policy, 9), ratelimit.CodePolicyInvalid},
		"zero policy":   {[]ratelimit.Policy{{}}, ratelimit.CodePolicyInvalid},
		"no key":        {[]ratelimit.Policy{perHour("a", ratelimit.Key{}, 1)}, ratelimit.CodeNoKey},
		"same name":     {[]ratelimit.Policy{base, base}, ratelimit.CodePolicyInvalid},
		"bad name":      {[]ratelimit.Policy{perHour(`a"b`, key, 1)}, ratelimit.CodePolicyInvalid},
		"long name": {
			[]ratelimit.Policy{perHour("a23456789012345678901234567890123", key, 1)},
			ratelimit.CodePolicyInvalid,
		},
		"negative limit": {[]ratelimit.Policy{perHour("a", key, -1)}, ratelimit.CodePolicyInvalid},
		"no window": {
			[]ratelimit.Policy{with(base, func(p *ratelimit.Policy) { p.Limit.Window = 0 })},
			ratelimit.CodePolicyInvalid,
		},
		"endless window": {
			[]ratelimit.Policy{with(base, func(p *ratelimit.Policy) { p.Limit.Window = 1 << 62 })},
			ratelimit.CodePolicyInvalid,
		},
		"overflowing burst": {
			[]ratelimit.Policy{with(base, func(p *ratelimit.Policy) { p.Limit.Burst = 1 << 62 })},
			ratelimit.CodePolicyInvalid,
		},
		"too fast": {
			[]ratelimit.Policy{with(base, func(p *ratelimit.Policy) { p.Limit.Count = 1 << 62 })},
			ratelimit.CodePolicyInvalid,
		},
		"negative cost": {
			[]ratelimit.Policy{with(base, func(p *ratelimit.Policy) { p.Cost = -1 })},
			ratelimit.CodePolicyInvalid,
		},
		"unknown outage": {
			[]ratelimit.Policy{with(base, func(p *ratelimit.Policy) { p.OnOutage = 3 })},
			ratelimit.CodePolicyInvalid,
		},
		"cost above burst": {
			[]ratelimit.Policy{with(base, func(p *ratelimit.Policy) { p.Cost = 11 })},
			ratelimit.CodeCostExceedsLimit,
		},
		"huge cost": {
			[]ratelimit.Policy{with(base, func(p *ratelimit.Policy) { p.Cost = 1 << 62 })},
			ratelimit.CodeCostExceedsLimit,
		},
		"nothing allowed": {[]ratelimit.Policy{perHour("a", key, 0)}, ratelimit.CodeCostExceedsLimit},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var reported []sallyport.Event
			l := newLimiter(t, ratelimit.Config{
				OnEvent: func(_ context.Context, e sallyport.Event) { reported = append(reported, e) },
			})
			d := l.Decide(t.Context(), tc.policies...)
			require.Equal(t, tc.reason, d.Code)
			allowed := tc.reason == ratelimit.CodeWithinLimit
			require.Equal(t, allowed, d.Allowed)
			require.Equal(t, []sallyport.Event{{
				Gate: "ratelimit", Code: tc.reason, Allowed: allowed, Policy: d.Policy, Detail: d,
			}}, reported, "reported once, as it is")
			if allowed {
				require.Nil(t, d.Refusal())
				return
			}
			require.Equal(t, tc.reason, d.Refusal().Code)
			require.GreaterOrEqual(t, d.Refusal().Status, 400)
			require.Zero(t, d.RetryAfter)
		})
	}
}

func TestDecideReportsTheBindingPolicy(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, ratelimit.Config{})
	wide := perHour("wide", ratelimit.TextKey("k"), 100)
	tight := perHour("tight", ratelimit.TextKey("k"), 2)
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
		d := l.Decide(t.Context(), perHour("a", addrKey("::1"), 1))
		require.Equal(t, ratelimit.CodeNotConfigured, d.Code)
		w := serve(l.Wrap(ok))
		require.Equal(t, 503, w.Code)
		require.Contains(t, w.Body.String(), ratelimit.CodeNotConfigured)
		_, err := l.Check(httptest.NewRequest(http.MethodGet, "/", nil))
		require.ErrorContains(t, err, "not_configured")
		release, d := l.Acquire(t.Context(), ratelimit.InFlight{})
		require.Equal(t, ratelimit.CodeNotConfigured, d.Code)
		release()
	}
	require.False(t, ratelimit.Decision{}.Allowed)
	require.Equal(t, ratelimit.CodeNotConfigured, ratelimit.Decision{}.Refusal().Code)
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
	rejection, isRejection := errors.AsType[*sallyport.Refusal](err)
	require.True(t, isRejection)
	require.Equal(t, d, rejection.Detail)
}

// Every reason has a status, and a text of its own or a shared one.
func TestEveryReasonAnswers(t *testing.T) {
	t.Parallel()
	for reason, status := range map[string]int{
		ratelimit.CodeRateLimited: 429, ratelimit.CodeCostExceedsLimit: 422,
		ratelimit.CodeInFlight: 429, ratelimit.CodeUnavailable: 503, ratelimit.CodeNoKey: 400,
		ratelimit.CodePolicyInvalid: 500, ratelimit.CodeNotConfigured: 503,
	} {
		w := httptest.NewRecorder()
		ratelimit.Decision{Code: reason}.Refusal().Write(w)
		require.Equal(t, status, w.Code, reason)
		var body struct{ Code, Title string }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
		require.Equal(t, reason, body.Code)
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
		require.Equal(t, ratelimit.CodeCostExceedsLimit, d.Code)
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
