package cors_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/opsmantik/sallyport/cors"
	"github.com/stretchr/testify/require"
)

// configs are the configurations that testdata/decisions.txt refers to.
func configs() map[string]cors.Config {
	plain := cors.Config{
		Origins: []string{
			"https://app.example.com", "https://app.example.com:8443",
			"http://localhost:9102", "http://127.0.0.1:9102", "http://[::1]:9102",
			"capacitor://localhost", "https://xn--bcher-kva.example", "https://203.0.113.7",
		},
		OwnOrigins:     []string{"https://www.example.com"},
		Methods:        []string{"PUT"},
		RequestHeaders: []string{"X-Ops-Site-Id", "X-Ops-Ts"},
	}
	all := make(map[string]cors.Config)
	derive := func(name string, change func(*cors.Config)) {
		cfg := plain
		change(&cfg)
		all[name] = cfg
	}
	derive("plain", func(*cors.Config) {})
	derive("embeddable", func(c *cors.Config) { c.Embeddable = true })
	derive("own", func(c *cors.Config) { c.Origins = nil })
	derive("any", func(c *cors.Config) { c.Origins = []string{"*"} })
	derive("pattern", func(c *cors.Config) {
		c.Origins = []string{"https://*.example.com", "https://*.example.com:8443"}
		c.OwnOrigins = []string{"https://*.own.example"}
		c.PublicSuffix = lastLabel
	})
	derive("pass", func(c *cors.Config) { c.NoOrigin, c.Embeddable = cors.NoOriginPass, true })
	derive("refuse", func(c *cors.Config) { c.NoOrigin, c.Embeddable = cors.NoOriginRefuse, true })
	derive("proxied", func(c *cors.Config) { c.NoOrigin = cors.NoOriginPass })
	derive("report", func(c *cors.Config) { c.ReportOnly = true })
	derive("tenant", func(c *cors.Config) {
		c.Tenant = func(r *http.Request) string {
			if r.Host == "none.test" {
				return ""
			}
			return r.Host
		}
		c.Tenants = map[string][]string{
			"one.test": {"https://shop.example"},
			"two.test": {"https://*.brand.example"},
		}
		c.PublicSuffix = lastLabel
	})
	return all
}

// lastLabel is a stand-in for the public suffix list.
func lastLabel(domain string) (string, bool) {
	return domain[strings.LastIndexByte(domain, '.')+1:], true
}

// row is one line of testdata/decisions.txt.
type row struct {
	config, method, origin, site, extra, reason, outcome, acao string
}

func rows(t testing.TB) []row {
	data, err := os.ReadFile("testdata/decisions.txt")
	require.NoError(t, err)
	var all []row
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		require.Len(t, f, 8, line)
		all = append(all, row{f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7]})
	}
	return all
}

var longOrigins = map[string]string{
	"(empty)":       "",
	"(331 bytes)":   "x" + strings.Repeat("y", 64) + "://" + longHost(253) + ":12345678"[:6] + "1234",
	"(330 bytes)":   "x" + strings.Repeat("y", 67) + "://" + longHost(253) + ":12345",
	"(label of 63)": "https://" + strings.Repeat("a", 63) + ".test",
	"(label of 64)": "https://" + strings.Repeat("a", 64) + ".test",
	"(host of 254)": "https://" + longHost(254),
}

// longHost returns a host of n bytes in labels of at most 63.
func longHost(n int) string {
	return strings.Repeat(strings.Repeat("a", 49)+".", 6)[:n-1] + "b"
}

// values turns a column into header values.
func values(column string) []string {
	if column == "-" {
		return nil
	}
	all := strings.Split(column, " | ")
	for i, value := range all {
		if long, ok := longOrigins[value]; ok {
			all[i] = long
		} else if decoded, err := url.PathUnescape(value); err == nil {
			all[i] = decoded
		}
		all[i] = strings.Replace(all[i], "(commas)", strings.Repeat(",", 100), 1)
	}
	return all
}

func (row row) request() *http.Request {
	r := httptest.NewRequest(row.method, "/", nil)
	set := func(name, column string) {
		if all := values(column); all != nil {
			r.Header[name] = all
		}
	}
	set("Origin", row.origin)
	set("Sec-Fetch-Site", row.site)
	if row.extra == "-" {
		return r
	}
	names := map[string]string{
		"mode": "Sec-Fetch-Mode", "dest": "Sec-Fetch-Dest", "upgrade": "Upgrade",
		"acrm": "Access-Control-Request-Method", "acrh": "Access-Control-Request-Headers",
	}
	for pair := range strings.SplitSeq(row.extra, ";") {
		key, value, _ := strings.Cut(pair, "=")
		if key == "host" {
			r.Host = value
			continue
		}
		set(names[key], value)
	}
	return r
}

func (row row) String() string {
	return strings.Join([]string{row.config, row.method, row.origin, row.site, row.extra}, " ")
}

// TestDecisions is the truth table: decision, outcome and headers.
func TestDecisions(t *testing.T) {
	t.Parallel()
	gates := make(map[string]*cors.Gate)
	for name, cfg := range configs() {
		gates[name] = newGate(t, cfg)
	}
	all := rows(t)
	require.GreaterOrEqual(t, len(all), 150)
	for _, row := range all {
		t.Run(row.String(), func(t *testing.T) {
			t.Parallel()
			require.Contains(t, gates, row.config)
			checkRow(t, gates[row.config], row)
		})
	}
}

func checkRow(t *testing.T, gate *cors.Gate, row row) {
	t.Helper()
	r := row.request()
	d := check(gate, r)
	require.Equal(t, row.reason, d.Code, d.Explain())
	allowing := []string{cors.CodeOriginListed, cors.CodeSameOrigin, cors.CodeNoOrigin}
	require.Equal(t, slices.Contains(allowing, row.reason), d.Allowed)
	require.Equal(t, row.config == "report", d.ReportOnly)

	ran := false
	w := httptest.NewRecorder()
	gate.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		ran = true
		w.WriteHeader(http.StatusTeapot)
	})).ServeHTTP(w, r)
	status := map[string]int{
		"runs": http.StatusTeapot, "reported": http.StatusTeapot,
		"blocked": http.StatusForbidden, "preflight": http.StatusNoContent,
	}[row.outcome]
	require.NotZero(t, status, "unknown outcome %q", row.outcome)
	require.Equal(t, status, w.Code)
	require.Equal(t, status == http.StatusTeapot, ran, "handler ran")
	require.Equal(t, d.Preflight && d.Allowed && !d.ReportOnly, row.outcome == "preflight")
	require.Equal(t, values(row.acao), w.Header()["Access-Control-Allow-Origin"])
	require.NotContains(t, w.Header(), "Access-Control-Max-Age", "unset")
	requireVary(t, w.Header(), row)
	if row.outcome == "blocked" {
		require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
		require.Contains(t, w.Body.String(), `"code":"`+row.reason+`"`)
	}
}

const defaultVary = "Origin, Sec-Fetch-Site, Sec-Fetch-Mode, Sec-Fetch-Dest"

// requireVary: on every path, refusals included.
func requireVary(t *testing.T, h http.Header, row row) {
	t.Helper()
	want := []string{defaultVary}
	switch row.config {
	case "report":
		require.Empty(t, h["Vary"])
		return
	case "any":
		want = nil
	case "embeddable", "pass", "refuse":
		want = []string{"Origin, Sec-Fetch-Site"}
	}
	if row.method == http.MethodOptions {
		want = append(want, "Access-Control-Request-Method, Access-Control-Request-Headers")
		want = []string{strings.Join(want, ", ")}
	}
	require.Equal(t, want, h["Vary"])
}
