package cors_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

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
	empty := newRequest("OPTIONS", "Origin", app)
	empty.Header["Access-Control-Request-Method"] = []string{}
	require.False(t, gate.Check(empty).Preflight)
	empty.Header["Origin"] = []string{}
	require.Equal(t, cors.ReasonNoOrigin, gate.Check(empty).Reason)
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
	old := cors.Config{Origins: []string{app}, ExposedHeaders: []string{"A"}}
	other := cors.Config{Origins: []string{"*"}, ExposedHeaders: []string{"B"}}
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
		{newRequest("POST", "Origin", evil), []string{"Config.OwnOrigins", `"https://evil.test"`, "add"}},
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
