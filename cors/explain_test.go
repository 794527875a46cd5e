package cors_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opsmantik/sallyport/cors"
	"github.com/stretchr/testify/require"
)

// advice is a change that an explanation recommends.
type advice struct {
	text  string
	apply func(*cors.Config, *http.Request)
}

// advices are all of them. A text that names none of these leaves nothing to
// change here: the client is at fault.
func advices() []advice {
	return []advice{
		{"add it to Config.Origins", func(c *cors.Config, r *http.Request) {
			c.Origins = append(c.Origins[:len(c.Origins):len(c.Origins)], r.Header.Get("Origin"))
		}},
		{"Config.OwnOrigins if", func(c *cors.Config, r *http.Request) {
			c.OwnOrigins = []string{r.Header.Get("Origin")}
		}},
		{"Config.Methods can list", func(c *cors.Config, r *http.Request) {
			upper := strings.ToUpper(r.Header.Get("Access-Control-Request-Method"))
			r.Header.Set("Access-Control-Request-Method", upper)
			c.Methods = appendNew(c.Methods, upper)
		}},
		{"add the method there", func(c *cors.Config, r *http.Request) {
			c.Methods = appendNew(c.Methods, r.Header.Get("Access-Control-Request-Method"))
		}},
		{"add the name there", func(c *cors.Config, r *http.Request) {
			for _, line := range r.Header["Access-Control-Request-Headers"] {
				for name := range strings.SplitSeq(line, ",") {
					c.RequestHeaders = appendNew(c.RequestHeaders, strings.TrimSpace(name))
				}
			}
		}},
		{"set NoOriginPass", func(c *cors.Config, _ *http.Request) { c.NoOrigin = cors.NoOriginPass }},
		{"send one;", func(_ *cors.Config, r *http.Request) { r.Header.Set("Origin", app) }},
		{"set Config.Embeddable", func(c *cors.Config, r *http.Request) {
			c.Embeddable, c.NoOrigin = true, cors.NoOriginPass
		}},
		{"crossorigin attribute from a listed origin", func(_ *cors.Config, r *http.Request) {
			r.Header.Set("Origin", app)
		}},
	}
}

func appendNew(list []string, entry string) []string {
	for _, known := range list {
		if strings.EqualFold(known, entry) {
			return list
		}
	}
	return append(list[:len(list):len(list)], entry)
}

// noAdvice are the texts that tell the reader to look at the client.
func noAdvice(text string) bool { return strings.Contains(text, "look for a") }

// requireGoodAdvice applies what the explanation of a refusal says, change by
// change, and expects New to take it and the gate to admit the request.
func requireGoodAdvice(t *testing.T, cfg cors.Config, r *http.Request) {
	t.Helper()
	d := check(newGate(t, cfg), r)
	if d.Allowed {
		return
	}
	text, followed := d.Explain(), 0
	for _, advice := range advices() {
		if !strings.Contains(text, advice.text) || noAdvice(text) {
			continue
		}
		changed, again := cfg, r.Clone(t.Context())
		advice.apply(&changed, again)
		if strings.Contains(text, "needs Config.DangerouslyAllowInsecureOrigins") {
			_, err := cors.New(changed)
			require.Error(t, err, "needed no such switch: %s", text)
			changed.DangerouslyAllowInsecureOrigins = true
		}
		gate, err := cors.New(changed)
		require.NoError(t, err, "%s: %s", advice.text, text)
		after := check(gate, again)
		if after.Code == d.Code || !after.Allowed && after.Code != cors.CodeMethodNotListed &&
			after.Code != cors.CodeHeaderNotListed {
			t.Fatalf("%q did not help: %s, then %s", advice.text, text, after.Explain())
		}
		followed++
	}
	require.True(t, followed > 0 || noAdvice(text), "no advice: %s", text)
}

// TestExplainGivesAdviceThatNewTakes: over the whole truth table.
func TestExplainGivesAdviceThatNewTakes(t *testing.T) {
	t.Parallel()
	all := configs()
	for _, row := range rows(t) {
		if row.config == "report" || row.config == "tenant" {
			continue
		}
		cfg := all[row.config]
		if cfg.OwnOrigins == nil {
			cfg.OwnOrigins = none
		}
		t.Run(row.String(), func(t *testing.T) {
			t.Parallel()
			requireGoodAdvice(t, cfg, row.request())
		})
	}
}

// TestExplainAdvisesOn: what the table does not have.
func TestExplainAdvisesOn(t *testing.T) {
	t.Parallel()
	cfg := cors.Config{Origins: []string{app}, OwnOrigins: none, RequestHeaders: []string{"X-A"}}
	ask := func(method, names string) *http.Request {
		return newRequest("OPTIONS", "Origin", app, "Access-Control-Request-Method", method,
			"Access-Control-Request-Headers", names)
	}
	for name, row := range map[string]struct {
		request *http.Request
		want    string
	}{
		"insecure page":       {newRequest("POST", "Origin", "http://a.test"), "move it to TLS first"},
		"insecure preflight":  {newPreflight("http://a.test", ""), "move it to TLS first"},
		"own socket":          {newRequest("GET", "Origin", "wss://api.test"), "Config.OwnOrigins if"},
		"own insecure socket": {newRequest("GET", "Origin", "ws://api.test"), "move it to TLS first"},
		"preflight of socket": {newPreflight("wss://api.test", ""), "no page has it"},
		"address respelt":     {newRequest("GET", "Origin", "https://[1:0:0:0:0:0:0:1]"), "look for"},
		"method of no client": {ask("TRACE", ""), "browsers never send it"},
		"method malformed":    {ask("P T", ""), "browsers never send it"},
		"method star":         {ask("*", ""), "browsers never send it"},
		"method lower":        {ask("patch", ""), `ask for "PATCH"`},
		"method lower, known": {ask("put", ""), `ask for "PUT"`},
		"method":              {ask("BREW", ""), "add the method there"},
		"header upper":        {ask("POST", "X-A"), "browsers do not ask like this"},
		"header forbidden":    {ask("POST", "cookie"), "browsers do not ask like this"},
		"header malformed":    {ask("POST", "x a"), "browsers do not ask like this"},
		"header for JSON":     {ask("POST", "content-type"), "JSON"},
		"header":              {ask("POST", "x-b"), "add the name there"},
		"app":                 {newRequest("POST", "Origin", "capacitor://localhost"), "Config.Origins"},
		"extension":           {newRequest("POST", "Origin", "chrome-extension://abc"), "Config.Origins"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, check(newGate(t, cfg), row.request).Explain(), row.want)
			requireGoodAdvice(t, cfg, row.request)
		})
	}
}

// TestExplainQuotesWhatDecided: of several lines or methods, the one at fault.
func TestExplainQuotesWhatDecided(t *testing.T) {
	t.Parallel()
	gate := newGate(t, cors.Config{Origins: []string{app}, Methods: []string{"PUT"}})
	twice := newPreflight(app, "")
	twice.Header.Add("Access-Control-Request-Method", "PATCH")
	require.Contains(t, check(gate, twice).Explain(), `got "PATCH"`)
	require.Contains(t, check(gate, newPreflight(app, strings.Repeat(",", 17))).Explain(), `got ",`)
	long := newPreflight(app, strings.Repeat(" ", 300))
	require.Contains(t, check(gate, long).Explain(), `got "  `)
}

// TestExplainAdvisesOnTenants: the second question has its own list.
func TestExplainAdvisesOnTenants(t *testing.T) {
	t.Parallel()
	gate := newGate(t, cors.Config{Origins: []string{app, "https://b.test"}})
	for origin, want := range map[string]string{
		"https://b.test":        "add it there if it is one of the tenant's",
		"wss://b.test":          "no list can have it",
		"null":                  "no list can have it",
		"https://b.test/":       "no list can have it",
		"https://[1:0:0::0:1]:": "no list can have it",
	} {
		err := gate.CheckTenant(newRequest("POST", "Origin", origin), "t")
		refused := requireRefused(t, err, cors.CodeTenantOriginNotListed, 403)
		require.ErrorContains(t, refused.Err, want, origin)
	}
}

// TestDebugOnLoopback: the developer of a page sees why, on this machine, and
// nobody else does.
func TestDebugOnLoopback(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name       string
		peer, host string
		header     []string
		want       bool
	}{
		{"loopback by name", "127.0.0.1:5000", "localhost:8080", nil, true},
		{"loopback by address", "127.0.0.1:5000", "127.0.0.1:8080", nil, true},
		{"default port", "127.0.0.1:5000", "localhost", nil, true},
		{"default port, written", "127.0.0.1:5000", "localhost:80", nil, true},
		{"upper case", "127.0.0.1:5000", "LocalHost:8080", nil, true},
		{"IPv6", "[::1]:5000", "[::1]:8080", nil, true},
		{"mapped", "[::ffff:127.0.0.1]:5000", "a.localhost:8080", nil, true},
		{"another machine", "192.0.2.1:5000", "localhost:8080", nil, false},
		{"a public name", "127.0.0.1:5000", "api.example.com", nil, false},
		{"a name bound to loopback", "127.0.0.1:5000", "localhost.evil.test:8080", nil, false},
		{"no port", "127.0.0.1:5000", "localhost:99999", nil, false},
		{"no host", "127.0.0.1:5000", "", nil, false},
		{"no name", "127.0.0.1:5000", "a b.localhost:8080", nil, false},
		{"no peer", "", "localhost:8080", nil, false},
		{"a Unix socket", "@", "localhost:8080", nil, false},
		{
			"a proxy here, X-Forwarded-For", "127.0.0.1:5000", "localhost:8080",
			[]string{"X-Forwarded-For", "192.0.2.1"},
			false,
		},
		{
			"a proxy here, X-Forwarded-Host", "127.0.0.1:5000", "localhost:8080",
			[]string{"X-Forwarded-Host", "api.example.com"},
			false,
		},
		{
			"a proxy here, Forwarded", "127.0.0.1:5000", "localhost:8080",
			[]string{"Forwarded", "for=192.0.2.1"},
			false,
		},
		{"a proxy here, Via", "127.0.0.1:5000", "localhost:8080", []string{"Via", "1.1 p"}, false},
	}
	cfg := cors.Config{Origins: []string{app}}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r := newRequest("POST", append(row.header, "Origin", evil)...)
			r.RemoteAddr, r.Host = row.peer, row.host
			silent := serve(newGate(t, cfg).Wrap(teapot), r)
			require.NotContains(t, silent.Body.String(), "Config.Origins")
			_, err := newGate(t, cfg).Check(r)
			require.Nil(t, requireRefused(t, err, cors.CodeOriginNotListed, 403).Members)

			debug := cfg
			debug.DebugOnLoopback = true
			w := serve(newGate(t, debug).Wrap(teapot), r)
			require.Equal(t, http.StatusForbidden, w.Code)
			require.Contains(t, w.Body.String(), `"code":"origin_not_listed"`)
			require.Equal(t, silent.Header(), w.Header())
			require.Equal(t, row.want, strings.Contains(w.Body.String(),
				`"detail":"origin_not_listed: neither Config.Origins`), w.Body)
			if !row.want {
				require.Equal(t, silent.Body.String(), w.Body.String())
			}
		})
	}
}

// TestDebugOnLoopbackOverTheWire: with a real connection.
func TestDebugOnLoopbackOverTheWire(t *testing.T) {
	t.Parallel()
	cfg := cors.Config{Origins: []string{app}, DebugOnLoopback: true}
	server := httptest.NewServer(newGate(t, cfg).Wrap(teapot))
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	r.Header.Set("Origin", "http://localhost:3000")
	resp, err := server.Client().Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body := make([]byte, 1000)
	n, _ := resp.Body.Read(body)
	require.Contains(t, string(body[:n]), "add it to Config.Origins")
}
