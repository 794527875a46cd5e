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

// TestReportsElsewhere replays what users of other packages have reported. Each
// row names the report; none of them is about this package.
func TestReportsElsewhere(t *testing.T) {
	t.Parallel()
	cfg := cors.Config{
		Origins: []string{app, "https://*.shop.example"}, OwnOrigins: []string{"https://own.example"},
		Methods: []string{"PUT"}, PublicSuffix: lastLabel,
	}
	proxied := newRequest("POST", "Origin", "https://own.example", "X-Forwarded-Proto", "http")
	proxied.Host = "127.0.0.1:8015"
	forged := newRequest("POST", "Origin", evil, "X-Forwarded-Host", "evil.test")
	forged.Host = "evil.test"
	rows := []struct {
		report  string
		request *http.Request
		status  int
		acao    string
		vary    bool
	}{
		{
			"vert-x3/vertx-web#2880: a preflight's answer does not vary by Origin",
			newPreflight(app, ""), 204, app, true,
		},
		{
			"expressjs/cors#330: no Vary without Access-Control-Allow-Origin",
			newRequest("GET"), 418, "", true,
		},
		{"expressjs/cors#330: nor on refusals", newRequest("POST", "Origin", evil), 403, "", true},
		{"ringo/stick#37: the route runs for preflights", newPreflight(app, ""), 204, app, true},
		{
			"gorilla/csrf#187: the server's own pages, refused behind a proxy that rewrites Host",
			proxied, 418, "", true,
		},
		{
			"builderz-labs/mission-control#592: a forwarded host makes anybody same-origin",
			forged, 403, "", true,
		},
		{
			"wso2/api-manager#3832: the dot of a pattern is any character",
			newRequest("POST", "Origin", "https://a-shop-example.com"), 403, "", true,
		},
		{
			"wso2/api-manager#3832: and its end is open",
			newRequest("POST", "Origin", "https://a.shop.example.test"), 403, "", true,
		},
		{
			"bluenviron/mediamtx#6199: likewise of an exact origin",
			newRequest("POST", "Origin", "https://appxexample.com"), 403, "", true,
		},
		{
			"mailcow/mailcow-dockerized#7346: no match names the first of the list",
			newRequest("GET", "Origin", "https://other.test"), 403, "", true,
		},
		{
			"nithiink/yapcode#37: another port of the same host is the same site",
			newRequest("POST", "Origin", "https://own.example:9999", "Sec-Fetch-Site", "same-site"),
			403, "", true,
		},
		{
			"gofiber/fiber#4461: an origin with a path",
			newRequest("POST", "Origin", app+"/x"), 403, "", true,
		},
	}
	for _, row := range rows {
		w := serve(newGate(t, cfg).Wrap(teapot), row.request)
		require.Equal(t, row.status, w.Code, row.report)
		require.Equal(t, row.acao, w.Header().Get("Access-Control-Allow-Origin"), row.report)
		require.Equal(t, row.vary, strings.Contains(w.Header().Get("Vary"), "Origin"), row.report)
	}
}

// TestConfigReportsElsewhere: lists that other packages take and that then match
// nothing, or everybody.
func TestConfigReportsElsewhere(t *testing.T) {
	t.Parallel()
	for report, cfg := range map[string]cors.Config{
		"actix/actix-web#3172: upper case never matches":   {Origins: []string{"https://MyWebSite.com"}},
		"jeanibarz/knowledge-base-mcp-server#77: a slash":  {Origins: []string{"http://localhost:5173/"}},
		"onecli/onecli#560: a default port never matches":  {Origins: []string{"https://a.test:443"}},
		"mailcow/mailcow-dockerized#7346: a bare host":     {Origins: []string{"example.com"}},
		"gin-contrib/cors#62: null is everybody's sandbox": {Origins: []string{"null"}},
		"gofiber/fiber#2338: * with credentials is reflected": {
			Origins: []string{"*"}, Credentials: true,
		},
	} {
		cfg.OwnOrigins = none
		_, err := cors.New(cfg)
		require.Len(t, problemsOf(t, err), 1, report)
	}
}

// TestErrorsAreReadable: aspnet/CORS#46, expressjs/cors#126 and a dozen others.
// A page has to read the 500 of a panic that an outer handler recovers, and the
// 503 of a timeout further in.
func TestErrorsAreReadable(t *testing.T) {
	t.Parallel()
	gate := newGate(t, cors.Config{Origins: []string{app}})
	boom := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") })
	recovered := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				http.Error(w, "internal error", http.StatusInternalServerError)
			}
		}()
		gate.Wrap(boom).ServeHTTP(w, r)
	})
	slow := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for status, h := range map[int]http.Handler{
		500: recovered,
		503: gate.Wrap(http.TimeoutHandler(slow, time.Millisecond, "")),
		404: gate.Wrap(http.NotFoundHandler()),
	} {
		w := serve(h, newRequest("POST", "Origin", app))
		require.Equal(t, status, w.Code)
		require.Equal(t, app, w.Header().Get("Access-Control-Allow-Origin"), status)
	}
}

// TestNestedGates: traefik/traefik#7607, where a second layer with CORS settings
// discarded the first one's. Here the outer gate answers the preflights, and both
// have to admit the request; what either varies by stays.
func TestNestedGates(t *testing.T) {
	t.Parallel()
	outer := newGate(t, cors.Config{
		Origins: []string{app, "https://b.test"}, Methods: []string{"PUT"},
	})
	inner := newGate(t, cors.Config{Origins: []string{app}, Embeddable: true})
	h := outer.Wrap(inner.Wrap(teapot))
	require.Equal(t, 204, serve(h, newPreflight(app, "")).Code)
	w := serve(h, newRequest("PUT", "Origin", app))
	require.Equal(t, 418, w.Code)
	require.Equal(t, []string{app}, w.Header()["Access-Control-Allow-Origin"])
	require.Equal(t, []string{defaultVary, "Origin, Sec-Fetch-Site"}, w.Header()["Vary"])
	require.Equal(t, 403, serve(h, newRequest("PUT", "Origin", "https://b.test")).Code)
}

// TestUpgradeThroughTheGate: wai-cors#12, where a WebSocket handshake became a
// 500. The gate hands on the writer that it got, and it can be hijacked.
func TestUpgradeThroughTheGate(t *testing.T) {
	t.Parallel()
	gate := newGate(t, cors.Config{Origins: []string{app}})
	server := httptest.NewServer(gate.Wrap(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\n\r\n"))
		})))
	defer server.Close()
	for origin, want := range map[string]int{app: 101, evil: 403} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		require.NoError(t, err)
		r.Header.Set("Origin", origin)
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "websocket")
		resp, err := server.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, want, resp.StatusCode)
	}
}
