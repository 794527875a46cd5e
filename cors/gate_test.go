package cors_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opsmantik/sallyport/cors"
	"github.com/stretchr/testify/require"
)

const (
	app  = "https://app.example.com"
	evil = "https://evil.test"
)

var teapot = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusTeapot)
})

func newGate(t testing.TB, cfg cors.Config) *cors.Gate {
	t.Helper()
	gate, err := cors.New(cfg)
	require.NoError(t, err)
	return gate
}

// newRequest makes a request with headers in pairs.
func newRequest(method string, pairs ...string) *http.Request {
	r := httptest.NewRequest(method, "/", nil)
	for i := 0; i < len(pairs); i += 2 {
		r.Header.Add(pairs[i], pairs[i+1])
	}
	return r
}

func newPreflight(origin, names string) *http.Request {
	return newRequest("OPTIONS", "Origin", origin, "Access-Control-Request-Method", "PUT",
		"Access-Control-Request-Headers", names)
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestZeroGateRefuses: a Gate that New did not make admits nobody.
func TestZeroGateRefuses(t *testing.T) {
	t.Parallel()
	var gate cors.Gate
	for _, r := range []*http.Request{
		newRequest("GET"), newRequest("POST", "Origin", app), newPreflight(app, ""),
		{},
		newRequest("GET", "Sec-Fetch-Site", "same-origin"),
	} {
		d := gate.Check(r)
		require.False(t, d.Allowed)
		require.Equal(t, cors.ReasonNotConfigured, d.Reason)
		w := serve(gate.Wrap(teapot), r)
		require.Equal(t, http.StatusForbidden, w.Code)
		require.Contains(t, w.Body.String(), `"code":"not_configured"`)
	}
	require.False(t, gate.TenantAllows("", ""))
	require.False(t, gate.TenantAllows("t", app))
	require.NoError(t, gate.Reload(cors.Config{Origins: []string{app}}))
	require.True(t, gate.Check(newRequest("POST", "Origin", app)).Allowed)
}

// TestEmptyRequest: a request without any field set is decided, not a panic.
func TestEmptyRequest(t *testing.T) {
	t.Parallel()
	gate := newGate(t, cors.Config{Origins: []string{app}, ResourceIsolation: true})
	require.Equal(t, cors.ReasonOriginMissing, gate.Check(&http.Request{}).Reason)
}

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
	const vary = "Origin, Sec-Fetch-Site"
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
			"Vary":                          {vary},
		}},
		"public preflight": {
			public,
			newRequest("OPTIONS", "Origin", evil, "Access-Control-Request-Method", "POST"), 204,
			http.Header{
				"Access-Control-Allow-Origin": {"*"},
				"Access-Control-Max-Age":      {"0"},
				"Vary":                        {varyOptions},
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
	require.Equal(t, []string{"Origin, Sec-Fetch-Site", "Accept"}, w.Header()["Vary"])
	require.Equal(t, []string{app, "x"}, w.Header()["Access-Control-Allow-Origin"])
	require.Equal(t, []string{"X-B"}, w.Header()["Access-Control-Expose-Headers"])
}

// TestHooks: once per request, after the decision, with no say in it.
func TestHooks(t *testing.T) {
	t.Parallel()
	var seen []cors.Decision
	cfg := cors.Config{
		Origins: []string{app}, Methods: []string{"PUT"},
		OnDecision: func(r *http.Request, d cors.Decision) {
			r.Header.Set("Origin", app)
			d.Allowed, d.ReportOnly = true, true
			seen = append(seen, d)
		},
	}
	h := newGate(t, cfg).Wrap(teapot)
	require.Equal(t, 418, serve(h, newRequest("POST", "Origin", app)).Code)
	require.Equal(t, 403, serve(h, newRequest("POST", "Origin", evil)).Code)
	require.Equal(t, 204, serve(h, newPreflight(app, "")).Code)
	require.Equal(t, 418, serve(h, newRequest("GET")).Code)
	var reasons []cors.Reason
	for _, d := range seen {
		reasons = append(reasons, d.Reason)
	}
	require.Equal(t, []cors.Reason{
		cors.ReasonOriginListed, cors.ReasonOriginNotListed, cors.ReasonOriginListed,
		cors.ReasonNoOrigin,
	}, reasons)
	require.True(t, seen[2].Preflight)
}

func TestOnReject(t *testing.T) {
	t.Parallel()
	var got *cors.Rejection
	cfg := cors.Config{
		Origins: []string{app},
		OnReject: func(w http.ResponseWriter, _ *http.Request, rejection *cors.Rejection) {
			got = rejection
			w.WriteHeader(http.StatusGone)
		},
	}
	w := serve(newGate(t, cfg).Wrap(teapot), newRequest("POST", "Origin", evil))
	require.Equal(t, http.StatusGone, w.Code)
	require.Equal(t, "Origin, Sec-Fetch-Site", w.Header().Get("Vary"))
	require.Empty(t, w.Body.String())
	require.Equal(t, cors.ReasonOriginNotListed, got.Reason)
	require.Equal(t, http.StatusForbidden, got.Status)
	require.EqualError(t, got, "cors: origin_not_listed")
	require.ErrorContains(t, errors.Unwrap(got), evil)
}

// TestReportOnlyHook: the flag tells what would have been blocked.
func TestReportOnlyHook(t *testing.T) {
	t.Parallel()
	var last cors.Decision
	h := newGate(t, cors.Config{
		Origins: []string{app}, ReportOnly: true,
		OnDecision: func(_ *http.Request, d cors.Decision) { last = d },
		OnReject: func(http.ResponseWriter, *http.Request, *cors.Rejection) {
			panic("report-only rejected")
		},
	}).Wrap(teapot)
	w := serve(h, newRequest("POST", "Origin", evil))
	require.Equal(t, http.StatusTeapot, w.Code)
	require.Empty(t, w.Header().Get("Access-Control-Allow-Origin"))
	require.True(t, last.ReportOnly)
	require.False(t, last.Allowed)
	require.Equal(t, cors.ReasonOriginNotListed, last.Reason)
}

func TestTenantAllows(t *testing.T) {
	t.Parallel()
	gate := newGate(t, cors.Config{
		Origins:      []string{"https://shop.example", "https://*.brand.example", app},
		PublicSuffix: lastLabel,
		Tenants: map[string][]string{
			"one": {"https://shop.example"},
			"two": {"https://*.brand.example"},
			"off": nil,
		},
	})
	for _, test := range []struct {
		tenant, origin string
		want           bool
	}{
		{"one", "https://shop.example", true},
		{"one", "https://a.brand.example", false},
		{"one", app, false}, // the platform's list does not count
		{"one", "", false},
		{"one", "null", false},
		{"one", "https://shop.example/", false},
		{"two", "https://a.brand.example", true},
		{"two", "https://brand.example", false},
		{"two", "https://evil.test#.brand.example", false},
		{"two", "https://" + strings.Repeat("a.", 200) + "brand.example", false},
		{"off", "https://shop.example", false},
		{"nobody", "https://shop.example", false},
		{"", "https://shop.example", false},
	} {
		require.Equal(t, test.want, gate.TenantAllows(test.tenant, test.origin), "%v", test)
	}
}

// TestReloadIsAtomic: under fire, each request sees the old or the new lists,
// origins and preflight headers together; a bad reload changes nothing.
func TestReloadIsAtomic(t *testing.T) {
	t.Parallel()
	old := cors.Config{Origins: []string{app}, Methods: []string{"PUT"}, ExposedHeaders: []string{"A"}}
	other := cors.Config{Origins: []string{"*"}, Methods: []string{"PATCH"}, ExposedHeaders: []string{"B"}}
	gate := newGate(t, old)
	h := gate.Wrap(teapot)
	var clients sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				header := serve(h, newRequest("POST", "Origin", app)).Header()
				pair := header.Get("Access-Control-Allow-Origin") +
					header.Get("Access-Control-Expose-Headers")
				if pair != app+"A" && pair != "*B" {
					t.Errorf("mixed configurations: %q", pair)
					return
				}
			}
		})
	}
	for range 200 {
		require.NoError(t, gate.Reload(other))
		require.NoError(t, gate.Reload(old))
	}
	close(done)
	clients.Wait()

	require.Error(t, gate.Reload(cors.Config{Origins: []string{"null"}}))
	require.True(t, gate.Check(newRequest("POST", "Origin", app)).Allowed)
}

// TestExplain: every reason names the header and the setting, and quotes the
// client's input escaped and bounded.
func TestExplain(t *testing.T) {
	t.Parallel()
	gate := newGate(t, configs()["isolate"])
	for _, test := range []struct {
		request *http.Request
		want    []string
	}{
		{newRequest("POST", "Origin", app), []string{"origin_listed: ", "Config.Origins", app}},
		{newRequest("POST", "Origin", evil), []string{"Config.OwnOrigins", `got "https://evil.test"`, "add it"}},
		{newRequest("POST", "Origin", "a\n\x00"), []string{`"a\n\x00"`, "not one origin"}},
		{newRequest("POST", "Origin", "null"), []string{"Sec-Fetch-Site", "sandboxed"}},
		{newRequest("POST", "Origin", app, "Origin", app), []string{"more than one Origin", "proxy"}},
		{newRequest("POST"), []string{"origin_missing", "Config.NoOrigin"}},
		{newRequest("GET"), []string{"no_origin", "Config.NoOrigin"}},
		{newRequest("GET", "Sec-Fetch-Site", "cross-site"), []string{"Config.ResourceIsolation"}},
		{newPreflight(app, "x-other"), []string{"Config.RequestHeaders", `got "x-other"`}},
		{newPreflight(app, strings.Repeat(",", 999)), []string{"preflight_malformed", `,,,"`}},
		{
			newRequest("OPTIONS", "Origin", app, "Access-Control-Request-Method", "BREW"),
			[]string{"Config.Methods", `got "BREW"`, "upper case"},
		},
	} {
		text := gate.Check(test.request).Explain()
		for _, want := range test.want {
			require.Contains(t, text, want)
		}
		require.NotContains(t, text, "\n")
		require.Less(t, len(text), 500)
	}
	require.Contains(t, cors.Decision{}.Explain(), "make it with cors.New")
	exactly := strings.Repeat("a", 100)
	long := gate.Check(newRequest("POST", "Origin", exactly+"b")).Explain()
	require.Contains(t, long, `"`+exactly+`"`)
}

// TestCheckDoesNotAllocate: on any input of the truth table.
func TestCheckDoesNotAllocate(t *testing.T) {
	for name, cfg := range configs() {
		gate := newGate(t, cfg)
		for _, row := range rows(t) {
			if row.config != name {
				continue
			}
			r := row.request()
			require.Zero(t, testing.AllocsPerRun(5, func() { gate.Check(r) }), row)
		}
	}
}

// quiet is a response writer that costs nothing.
type quiet struct{ header http.Header }

func (w *quiet) Header() http.Header         { return w.header }
func (w *quiet) Write(p []byte) (int, error) { return len(p), nil }
func (w *quiet) WriteHeader(int)             {}

func allocs(h http.Handler, r *http.Request) float64 {
	w := &quiet{make(http.Header)}
	return testing.AllocsPerRun(50, func() {
		clear(w.header)
		h.ServeHTTP(w, r)
	})
}

// TestAllocations guards the figures in docs/benchmarks.md: one allocation for
// all header values of a response; a refusal has the problem's own besides.
func TestAllocations(t *testing.T) {
	gate := newGate(t, cors.Config{
		Origins: []string{app}, Methods: []string{"PUT"}, RequestHeaders: []string{"X-A"},
		ExposedHeaders: []string{"X-B"}, Credentials: true, MaxAge: time.Minute,
	})
	h := gate.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for name, test := range map[string]struct {
		request *http.Request
		most    float64
	}{
		"allowed":           {newRequest("POST", "Origin", app), 1},
		"no origin":         {newRequest("GET"), 1},
		"same origin":       {newRequest("POST", "Origin", evil, "Sec-Fetch-Site", "same-origin"), 1},
		"preflight":         {newPreflight(app, "x-a"), 1},
		"disallowed":        {newRequest("POST", "Origin", evil), 2},
		"refused preflight": {newPreflight(evil, "x-a"), 2},
		"refused header":    {newPreflight(app, "x-b"), 2},
	} {
		require.LessOrEqual(t, allocs(h, test.request), test.most, name)
	}
}

// TestHostileHeaders: a megabyte costs no more memory than a small refusal,
// and no more bytes are read than the configuration can need.
func TestHostileHeaders(t *testing.T) {
	const size = 1 << 20
	gate := newGate(t, cors.Config{
		Origins: []string{app}, Methods: []string{"PUT"}, RequestHeaders: []string{"X-A"},
	})
	h := gate.Wrap(teapot)
	small := allocs(h, newPreflight(app, "x-b"))
	lines := newPreflight(app, "")
	lines.Header["Access-Control-Request-Headers"] = make([]string, size)
	method := newPreflight(app, "x-a")
	method.Header.Set("Access-Control-Request-Method", strings.Repeat("P", size))
	for name, r := range map[string]*http.Request{
		"commas":         newPreflight(app, strings.Repeat(",", size)),
		"listed name":    newPreflight(app, strings.Repeat("x-a,", size/4)),
		"distinct names": newPreflight(app, strings.Repeat("x-b,x-c,", size/8)),
		"space":          newPreflight(app, strings.Repeat(" ", size)),
		"empty lines":    lines,
		"method":         method,
		"upper case":     newPreflight("https://"+strings.Repeat("A", size), "x-a"),
		"labels":         newPreflight("https://"+strings.Repeat("a.", size/2)+"test", "x-a"),
	} {
		require.False(t, gate.Check(r).Allowed, name)
		require.LessOrEqual(t, allocs(h, r), small, name)
	}
}

// TestPreflightPadding: what proxies may add to a list is bounded, and the
// bound is where the constants say.
func TestPreflightPadding(t *testing.T) {
	t.Parallel()
	gate := newGate(t, cors.Config{
		Origins: []string{app}, Methods: []string{"PUT"}, RequestHeaders: []string{"X-A", "X-B"},
	})
	const all = "x-a, x-b"
	for _, test := range []struct {
		names string
		want  cors.Reason
	}{
		{all, cors.ReasonOriginListed},
		{"\tx-a \t,\tx-b ", cors.ReasonOriginListed},
		{all + strings.Repeat(",", 16), cors.ReasonOriginListed},
		{all + strings.Repeat(",", 17), cors.ReasonPreflightMalformed},
		{all + strings.Repeat(" ", 258), cors.ReasonOriginListed},
		{all + strings.Repeat(" ", 259), cors.ReasonPreflightMalformed},
		{"\u00a0x-a", cors.ReasonHeaderNotListed},
	} {
		require.Equal(t, test.want, gate.Check(newPreflight(app, test.names)).Reason, "%q", test.names)
	}
}
