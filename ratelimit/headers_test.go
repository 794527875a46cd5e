package ratelimit_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
)

func TestWrapHeadersAndProblem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit := ratelimit.Limit{Count: 60, Window: time.Minute, Burst: 2}
		l := newLimiter(t, ratelimit.Config{
			Policies: policies(ratelimit.PerAddress("address", limit)), LegacyHeaders: true,
		})
		h := newAddr(t).Wrap(l.Wrap(ok))
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
	require.Equal(t, []string{`"outer";q=10;w=3600`, `"inner";q=5;w=3600`},
		w.Header()["Ratelimit-Policy"])
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
		OnReject: func(w http.ResponseWriter, _ *http.Request, r *sallyport.Refusal) {
			require.Equal(t, "a", r.Detail.(ratelimit.Decision).Policy)
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

func newAddr(t testing.TB) *clientaddr.Gate {
	t.Helper()
	g, err := clientaddr.New(clientaddr.Config{})
	require.NoError(t, err)
	return g
}

// Clients never hear of limits that are only tried out.
func TestShadowIsNotShown(t *testing.T) {
	t.Parallel()
	trial := perHour("trial", ratelimit.TextKey("k"), 1)
	trial.Shadow = true
	real := perHour("real", ratelimit.TextKey("k"), 2)
	for _, all := range [][]ratelimit.Policy{{trial}, {trial, real}, {real, trial}} {
		var f []func(*http.Request) ratelimit.Policy
		for _, p := range all {
			f = append(f, fixed(p))
		}
		l := newLimiter(t, ratelimit.Config{Policies: f, LegacyHeaders: true})
		for range 3 {
			w := serve(l.Wrap(ok))
			require.NotContains(t, fmt.Sprint(w.Header(), w.Body), "trial")
			if len(all) == 1 {
				require.Empty(t, w.Header(), "nothing is limited")
			}
		}
	}
}

// RFC 9651 section 3.3.1: integers have 15 digits at most.
func TestFieldsStayWithinIntegers(t *testing.T) {
	t.Parallel()
	const month = 31 * 24 * time.Hour
	l := newLimiter(t, ratelimit.Config{Policies: policies(fixed(ratelimit.Policy{
		Name: "a", Key: ratelimit.TextKey("k"), Limit: ratelimit.Limit{Count: int(month), Window: month},
	}))})
	w := serve(l.Wrap(ok))
	require.Equal(t, 204, w.Code)
	require.Equal(t, `"a";q=999999999999999;w=2678400`, w.Header().Get("RateLimit-Policy"))
	require.Equal(t, `"a";r=999999999999999;t=1`, w.Header().Get("RateLimit"))
}

// The type of a problem begins with what the operator says, cached or not.
func TestProblemBase(t *testing.T) {
	t.Parallel()
	p := fixed(perHour("a", ratelimit.TextKey("k"), 0))
	q := fixed(perHour("b", ratelimit.TextKey("k"), 0))
	for _, all := range [][]func(*http.Request) ratelimit.Policy{{p}, {p, q}, {p}} {
		l := newLimiter(t, ratelimit.Config{Policies: all, ProblemBase: "https://example.test/p#"})
		for range 2 {
			require.Contains(t, serve(l.Wrap(ok)).Body.String(),
				`"https://example.test/p#cost_exceeds_limit"`)
		}
	}
}
