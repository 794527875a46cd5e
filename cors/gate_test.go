package cors_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/opsmantik/sallyport"
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

// none is for a server without pages of its own.
var none = []string{"none"}

// newGate fills in what a test is not about.
func newGate(t testing.TB, cfg cors.Config) *cors.Gate {
	t.Helper()
	if cfg.OwnOrigins == nil {
		cfg.OwnOrigins = none
	}
	gate, err := cors.New(cfg)
	require.NoError(t, err)
	return gate
}

// check is Check without the error, which says the same.
func check(gate *cors.Gate, r *http.Request) cors.Decision {
	d, err := gate.Check(r)
	if (err == nil) != (d.Allowed || d.ReportOnly) {
		panic(fmt.Sprintf("%+v and %v contradict each other", d, err))
	}
	return d
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
	for name, gate := range map[string]*cors.Gate{"zero": new(cors.Gate), "nil": nil} {
		for _, r := range []*http.Request{
			newRequest("GET"), newRequest("POST", "Origin", app), newPreflight(app, ""),
			{},
			newRequest("GET", "Sec-Fetch-Site", "same-origin"),
		} {
			d, err := gate.Check(r)
			require.False(t, d.Allowed, name)
			require.Equal(t, cors.CodeNotConfigured, d.Code)
			requireRefused(t, err, cors.CodeNotConfigured, http.StatusServiceUnavailable)
			requireRefused(t, gate.CheckTenant(r, "t"), cors.CodeNotConfigured,
				http.StatusServiceUnavailable)
			w := serve(gate.Wrap(teapot), r)
			require.Equal(t, http.StatusServiceUnavailable, w.Code)
			require.Contains(t, w.Body.String(), `"code":"cors_not_configured"`)
		}
	}
	cfg := cors.Config{Origins: []string{app}, OwnOrigins: none}
	require.Error(t, (*cors.Gate)(nil).Reload(cfg))
	gate := new(cors.Gate)
	require.NoError(t, gate.Reload(cfg))
	require.True(t, check(gate, newRequest("POST", "Origin", app)).Allowed)
}

func requireRefused(t testing.TB, err error, code string, status int) *sallyport.Refusal {
	t.Helper()
	refused, ok := errors.AsType[*sallyport.Refusal](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "cors", refused.Gate)
	require.Equal(t, code, refused.Code)
	require.Equal(t, status, refused.Status)
	return refused
}

// TestEmptyRequest: a request without any field set is decided, not a panic.
func TestEmptyRequest(t *testing.T) {
	t.Parallel()
	gate := newGate(t, cors.Config{Origins: []string{app}})
	require.Equal(t, cors.CodeOriginMissing, check(gate, &http.Request{}).Code)
	empty := newRequest("OPTIONS", "Origin", app)
	empty.Header["Access-Control-Request-Method"] = []string{}
	require.False(t, check(gate, empty).Preflight)
	empty.Header["Origin"] = []string{}
	require.Equal(t, cors.CodeNoOrigin, check(gate, empty).Code)
}

// TestOnEvent: once per decision, after it, with no say in it.
func TestOnEvent(t *testing.T) {
	t.Parallel()
	var seen []sallyport.Event
	cfg := cors.Config{
		Origins: []string{app}, Methods: []string{"PUT"},
		Tenants: map[string][]string{"t": {app}},
		OnEvent: func(ctx context.Context, e sallyport.Event) {
			require.Equal(t, e.Request.Context(), ctx)
			e.Request.Header.Set("Origin", app)
			e.Allowed = true
			seen = append(seen, e)
		},
	}
	gate := newGate(t, cfg)
	h := gate.Wrap(teapot)
	require.Equal(t, 418, serve(h, newRequest("POST", "Origin", app)).Code)
	require.Equal(t, 403, serve(h, newRequest("POST", "Origin", evil)).Code)
	require.Equal(t, 204, serve(h, newPreflight(app, "")).Code)
	require.Equal(t, 418, serve(h, newRequest("GET")).Code)
	check(gate, newRequest("POST", "Origin", evil))
	require.NoError(t, gate.CheckTenant(newRequest("POST", "Origin", app), "t"))
	require.Error(t, gate.CheckTenant(newRequest("POST", "Origin", app), "u"))
	var codes []string
	for _, e := range seen {
		require.Equal(t, "cors", e.Gate)
		require.Equal(t, e.Code, e.Detail.(*cors.Decision).Code)
		codes = append(codes, e.Code)
	}
	require.Equal(t, []string{
		cors.CodeOriginListed, cors.CodeOriginNotListed, cors.CodeOriginListed,
		cors.CodeNoOrigin, cors.CodeOriginNotListed,
		cors.CodeTenantOriginListed, cors.CodeTenantOriginNotListed,
	}, codes)
	require.True(t, seen[2].Detail.(*cors.Decision).Preflight)
	require.NoError(t, seen[0].Err)
	require.ErrorContains(t, seen[1].Err, evil)
	require.Equal(t, "u", seen[6].Tenant)
}

// TestEventTenant: the tenant that Config.Tenant named, where it was asked.
func TestEventTenant(t *testing.T) {
	t.Parallel()
	var last sallyport.Event
	cfg := configs()["tenant"]
	cfg.OnEvent = func(_ context.Context, e sallyport.Event) { last = e }
	gate := newGate(t, cfg)
	for _, origin := range []string{"https://shop.example", "https://a.brand.example", evil} {
		r := newRequest("POST", "Origin", origin)
		r.Host = "one.test"
		check(gate, r)
		require.Equal(t, "one.test", last.Tenant, origin)
	}
	check(gate, newRequest("POST", "Origin", app))
	require.Empty(t, last.Tenant, "the platform's own list decided")
}

func TestOnReject(t *testing.T) {
	t.Parallel()
	var got *sallyport.Refusal
	cfg := cors.Config{
		Origins: []string{app},
		OnReject: func(w http.ResponseWriter, _ *http.Request, refused *sallyport.Refusal) {
			got = refused
			w.WriteHeader(http.StatusGone)
		},
	}
	w := serve(newGate(t, cfg).Wrap(teapot), newRequest("POST", "Origin", evil))
	require.Equal(t, http.StatusGone, w.Code)
	require.Equal(t, defaultVary, w.Header().Get("Vary"))
	require.Empty(t, w.Body.String())
	requireRefused(t, got, cors.CodeOriginNotListed, http.StatusForbidden)
	require.ErrorContains(t, got.Err, evil)
	require.Equal(t, cors.CodeOriginNotListed, got.Detail.(*cors.Decision).Code)
}

// TestSilentOnReject: a hook that only counts must not turn a refusal into 200.
func TestSilentOnReject(t *testing.T) {
	t.Parallel()
	h := newGate(t, cors.Config{
		Origins:  []string{app},
		OnReject: func(http.ResponseWriter, *http.Request, *sallyport.Refusal) {},
	}).Wrap(teapot)
	w := serve(h, newRequest("POST", "Origin", evil))
	require.Equal(t, http.StatusForbidden, w.Code)
	require.Contains(t, w.Body.String(), cors.CodeOriginNotListed)
}

// TestProblemBase: the type of a problem links to the operator's own page.
func TestProblemBase(t *testing.T) {
	t.Parallel()
	cfg := cors.Config{Origins: []string{app}, ProblemBase: "https://docs.example.com/p#"}
	w := serve(newGate(t, cfg).Wrap(teapot), newRequest("POST", "Origin", evil))
	require.Contains(t, w.Body.String(), `"https://docs.example.com/p#origin_not_listed"`)
}

// TestReportOnlyIsPassive: in front of a service that has its own CORS, every
// header that the gate adds and every preflight that it answers breaks a page.
func TestReportOnlyIsPassive(t *testing.T) {
	t.Parallel()
	var events []string
	gate := newGate(t, cors.Config{
		Origins: []string{app}, Credentials: true, ExposedHeaders: []string{"Etag"}, ReportOnly: true,
		OnEvent: func(_ context.Context, e sallyport.Event) {
			require.True(t, e.Detail.(*cors.Decision).ReportOnly)
			events = append(events, fmt.Sprint(e.Code, " ", e.Allowed))
		},
		OnReject: func(http.ResponseWriter, *http.Request, *sallyport.Refusal) {
			panic("report-only rejected")
		},
	})
	for _, r := range []*http.Request{
		newRequest("POST", "Origin", app), newPreflight(app, ""), newRequest("POST", "Origin", evil),
		newRequest("GET"), newPreflight(evil, ""), newRequest("POST"),
	} {
		w := serve(gate.Wrap(teapot), r)
		require.Equal(t, http.StatusTeapot, w.Code)
		require.Empty(t, w.Header())
		_, err := gate.Check(r)
		require.NoError(t, err)
		require.NoError(t, gate.CheckTenant(r, "t"))
	}
	require.Len(t, events, 6*3)
	require.Equal(t, "origin_listed true", events[0])
	require.Equal(t, "method_not_listed false", events[3])
	require.Equal(t, "origin_not_listed false", events[6])
}

func TestCheckTenant(t *testing.T) {
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
		err := gate.CheckTenant(newRequest("POST", "Origin", test.origin), test.tenant)
		if test.want {
			require.NoError(t, err, "%v", test)
			continue
		}
		requireRefused(t, err, cors.CodeTenantOriginNotListed, http.StatusForbidden)
	}
	twice := newRequest("POST", "Origin", "https://shop.example", "Origin", evil)
	requireRefused(t, gate.CheckTenant(twice, "one"), cors.CodeOriginRepeated, 403)
	requireRefused(t, gate.CheckTenant(newRequest("POST"), "one"), cors.CodeOriginMissing, 403)
	require.NoError(t, gate.CheckTenant(newRequest("GET"), "one"), "NoOrigin decides, as in front")
}

// TestReloadIsAtomic: under fire, each request sees the old or the new lists,
// origins and preflight headers together; a bad reload changes nothing.
func TestReloadIsAtomic(t *testing.T) {
	t.Parallel()
	old := cors.Config{Origins: []string{app}, OwnOrigins: none, ExposedHeaders: []string{"A"}}
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
	require.True(t, check(gate, newRequest("POST", "Origin", app)).Allowed)
}

// TestExplain: every reason names the header and the setting, and quotes the
// client's input escaped and bounded.
func TestExplain(t *testing.T) {
	t.Parallel()
	gate := newGate(t, configs()["plain"])
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
		{newRequest("GET", "Sec-Fetch-Site", "cross-site"), []string{"Config.Embeddable"}},
		{newPreflight(app, "x-other"), []string{"Config.RequestHeaders", `got "x-other"`}},
		{newPreflight(app, strings.Repeat(",", 999)), []string{"preflight_malformed", `,,,"`}},
		{
			newRequest("OPTIONS", "Origin", app, "Access-Control-Request-Method", "BREW"),
			[]string{"Config.Methods", `got "BREW"`, "add the method there"},
		},
	} {
		text := check(gate, test.request).Explain()
		for _, want := range test.want {
			require.Contains(t, text, want)
		}
		require.NotContains(t, text, "\n")
		require.Less(t, len(text), 500)
	}
	require.Contains(t, check(nil, newRequest("GET")).Explain(), "make it with cors.New")
	require.Equal(t, "no decision", cors.Decision{}.Explain())
	exactly := strings.Repeat("a", 100)
	long := check(gate, newRequest("POST", "Origin", exactly+"b")).Explain()
	require.Contains(t, long, `"`+exactly+`"`)
}
