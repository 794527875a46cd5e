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

// TestCheckDoesNotAllocate: on any allowed input of the truth table. A refusal is
// the error itself and the decision in it.
func TestCheckDoesNotAllocate(t *testing.T) {
	for name, cfg := range configs() {
		gate := newGate(t, cfg)
		for _, row := range rows(t) {
			if row.config != name {
				continue
			}
			r := row.request()
			most := 2.0
			if d := check(gate, r); d.Allowed || d.ReportOnly {
				most = 0
			}
			got := testing.AllocsPerRun(5, func() { _, _ = gate.Check(r) })
			require.LessOrEqual(t, got, most, row)
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
// all header values of a response, the refusal's own included.
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
		"disallowed":        {newRequest("POST", "Origin", evil), 1},
		"refused preflight": {newPreflight(evil, "x-a"), 1},
		"refused header":    {newPreflight(app, "x-b"), 1},
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
		require.False(t, check(gate, r).Allowed, name)
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
		want  string
	}{
		{all, cors.CodeOriginListed},
		{"\tx-a \t,\tx-b ", cors.CodeOriginListed},
		{all + strings.Repeat(",", 16), cors.CodeOriginListed},
		{all + strings.Repeat(",", 17), cors.CodePreflightMalformed},
		{all + strings.Repeat(" ", 258), cors.CodeOriginListed},
		{all + strings.Repeat(" ", 259), cors.CodePreflightMalformed},
		{"\u00a0x-a", cors.CodeHeaderNotListed},
	} {
		require.Equal(t, test.want, check(gate, newPreflight(app, test.names)).Code, "%q", test.names)
	}
}

// TestLongOriginsCostNothing: the length is checked before anything else hashes
// the value or asks for the tenant.
func TestLongOriginsCostNothing(t *testing.T) {
	t.Parallel()
	asked := 0
	gate := newGate(t, cors.Config{
		Origins: []string{"https://a.test"},
		Tenants: map[string][]string{"t": {"https://b.test"}},
		Tenant:  func(*http.Request) string { asked++; return "t" },
	})
	for origin, want := range map[string]int{
		"https://" + longHost(253):            1,
		"https://" + strings.Repeat("a", 323): 0,
	} {
		asked = 0
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Origin", origin)
		check(gate, r)
		require.Equal(t, want, asked, "%d bytes", len(origin))
	}
}
