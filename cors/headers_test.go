package cors_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/opsmantik/sallyport/cors"
	"github.com/stretchr/testify/require"
)

// TestResponseHeaders: the whole header, for each kind of response.
func TestResponseHeaders(t *testing.T) {
	t.Parallel()
	full := cors.Config{
		Origins:         []string{app},
		Methods:         []string{"PUT", "DELETE"},
		RequestHeaders:  []string{"X-Ops-Site-Id", "Content-Type"},
		ExposedHeaders:  []string{"Retry-After", "x-opsmantik-ratelimit"},
		Credentials:     true,
		MaxAge:          2 * time.Hour,
		PreflightStatus: 200,
	}
	public := cors.Config{Origins: []string{"*"}, ExposedHeaders: []string{"Etag"}, MaxAge: -1}
	const vary = defaultVary
	const varyOptions = vary + ", Access-Control-Request-Method, Access-Control-Request-Headers"
	for name, test := range map[string]struct {
		cfg     cors.Config
		request *http.Request
		status  int
		want    http.Header
	}{
		"actual": {full, newRequest("POST", "Origin", app), 418, http.Header{
			"Access-Control-Allow-Origin":      {app},
			"Access-Control-Allow-Credentials": {"true"},
			"Access-Control-Expose-Headers":    {"Retry-After,x-opsmantik-ratelimit"},
			"Vary":                             {vary},
		}},
		"preflight": {full, newPreflight(app, "content-type"), 200, http.Header{
			"Access-Control-Allow-Origin":      {app},
			"Access-Control-Allow-Credentials": {"true"},
			"Access-Control-Allow-Methods":     {"PUT,DELETE"},
			"Access-Control-Allow-Headers":     {"x-ops-site-id,content-type"},
			"Access-Control-Max-Age":           {"7200"},
			"Vary":                             {varyOptions},
		}},
		"public": {public, newRequest("GET", "Origin", evil), 418, http.Header{
			"Access-Control-Allow-Origin":   {"*"},
			"Access-Control-Expose-Headers": {"Etag"},
		}},
		"public preflight": {
			public,
			newRequest("OPTIONS", "Origin", evil, "Access-Control-Request-Method", "POST"), 204,
			http.Header{
				"Access-Control-Allow-Origin": {"*"},
				"Access-Control-Max-Age":      {"0"},
				"Vary":                        {varyOptions[len(vary+", "):]},
			},
		},
		"no origin": {full, newRequest("GET"), 418, http.Header{"Vary": {vary}}},
		"same origin": {
			full, newRequest("PUT", "Origin", evil, "Sec-Fetch-Site", "same-origin"), 418,
			http.Header{"Vary": {vary}},
		},
		"refused": {full, newRequest("POST", "Origin", evil), 403, http.Header{
			"Content-Type":           {"application/problem+json"},
			"Cache-Control":          {"no-store"},
			"X-Content-Type-Options": {"nosniff"},
			"Vary":                   {vary},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := serve(newGate(t, test.cfg).Wrap(teapot), test.request)
			require.Equal(t, test.status, w.Code)
			require.Equal(t, test.want, w.Header())
		})
	}
}

// TestInnerRefusalsAreReadable: the headers are set before the next handler
// runs, so a page learns why a gate further in refused it.
func TestInnerRefusalsAreReadable(t *testing.T) {
	t.Parallel()
	gate := newGate(t, cors.Config{
		Origins: []string{app}, ExposedHeaders: []string{"Retry-After"},
	})
	w := serve(gate.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30")
		http.Error(w, "slow down", http.StatusTooManyRequests)
	})), newRequest("POST", "Origin", app))
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Equal(t, app, w.Header().Get("Access-Control-Allow-Origin"))
	require.Equal(t, "Retry-After", w.Header().Get("Access-Control-Expose-Headers"))
}

// TestOuterVaryIsKept: on every path, and without writing into the outer
// handler's memory.
func TestOuterVaryIsKept(t *testing.T) {
	t.Parallel()
	gate := newGate(t, cors.Config{Origins: []string{app}, Methods: []string{"PUT"}})
	for _, r := range []*http.Request{
		newRequest("GET"), newRequest("POST", "Origin", app), newRequest("POST", "Origin", evil),
		newPreflight(app, ""), newPreflight(evil, ""),
	} {
		shared := append(make([]string, 0, 4), "Accept-Encoding")
		w := httptest.NewRecorder()
		w.Header()["Vary"] = shared
		gate.Wrap(teapot).ServeHTTP(w, r)
		vary := w.Header()["Vary"]
		require.Len(t, vary, 2)
		require.Equal(t, "Accept-Encoding", vary[0])
		require.True(t, strings.HasPrefix(vary[1], "Origin"), vary[1])
		require.Empty(t, shared[:2][1], "wrote into the outer slice's spare capacity")
	}
}

// TestOuterVaryIsAlone: public data adds nothing to what an outer handler names.
func TestOuterVaryIsAlone(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	w.Header().Set("Vary", "Accept-Encoding")
	newGate(t, cors.Config{Origins: []string{"*"}}).Wrap(teapot).ServeHTTP(w, newRequest("GET"))
	require.Equal(t, []string{"Accept-Encoding"}, w.Header()["Vary"])
}

// TestResponsesShareNoMemory poisons every header value of every response,
// from inside and from outside, and expects the next response to be clean.
func TestResponsesShareNoMemory(t *testing.T) {
	t.Parallel()
	poison := func(h http.Header) {
		for name, values := range h {
			for i := range values {
				values[i] = "poison"
			}
			h[name] = append(values, "poison")
			_ = append(values[:0:cap(values)], "poison")
		}
	}
	gate := newGate(t, cors.Config{
		Origins: []string{app}, Methods: []string{"PUT"}, RequestHeaders: []string{"X-A"},
		ExposedHeaders: []string{"X-B"}, Credentials: true, MaxAge: time.Minute,
	})
	h := gate.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		poison(w.Header())
	}))
	for _, make := range []func() *http.Request{
		func() *http.Request { return newRequest("GET") },
		func() *http.Request { return newRequest("POST", "Origin", app) },
		func() *http.Request { return newRequest("POST", "Origin", evil) },
		func() *http.Request { return newPreflight(app, "x-a") },
		func() *http.Request { return newPreflight(evil, "x-a") },
	} {
		want := serve(gate.Wrap(teapot), make()).Header().Clone()
		r := make()
		w := serve(h, r)
		poison(w.Header())
		require.NotContains(t, r.Header["Origin"], "poison", "reached the request")
		require.Equal(t, want, serve(gate.Wrap(teapot), make()).Header())
	}
}

// TestAppendStaysInItsHeader: a value that grows does not reach its neighbour.
func TestAppendStaysInItsHeader(t *testing.T) {
	t.Parallel()
	gate := newGate(t, cors.Config{Origins: []string{app}, ExposedHeaders: []string{"X-B"}})
	h := gate.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("Vary", "Accept")
		w.Header().Add("Access-Control-Allow-Origin", "x")
	}))
	w := serve(h, newRequest("POST", "Origin", app))
	require.Equal(t, []string{defaultVary, "Accept"}, w.Header()["Vary"])
	require.Equal(t, []string{app, "x"}, w.Header()["Access-Control-Allow-Origin"])
	require.Equal(t, []string{"X-B"}, w.Header()["Access-Control-Expose-Headers"])
}
