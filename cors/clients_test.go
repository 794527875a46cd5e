package cors_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/opsmantik/sallyport/cors"
	"github.com/stretchr/testify/require"
)

// TestOwnOriginWithoutFetchMetadata: what clients of the server itself send
// without Sec-Fetch-Site, which used to be refused unless somebody had thought
// of OwnOrigins. New asks for them now.
func TestOwnOriginWithoutFetchMetadata(t *testing.T) {
	t.Parallel()
	gate := newGate(t, cors.Config{
		Origins:    []string{app},
		OwnOrigins: []string{"https://api.example.com", "wss://api.example.com", "ws://localhost:8080"},
	})
	rows := []struct {
		name    string
		request *http.Request
		code    string
	}{
		{"Chromium's Reporting API", newRequest("POST", "Origin", "https://api.example.com",
			"Content-Type", "application/reports+json"), cors.CodeSameOrigin},
		{"NEL upload for another host", newRequest("POST", "Origin", "https://other.example.com",
			"Content-Type", "application/reports+json"), cors.CodeOriginNotListed},
		{"React Native on Android", newRequest("POST", "Origin", "https://api.example.com",
			"User-Agent", "okhttp/4.9.2"), cors.CodeSameOrigin},
		{
			"browser of 2022", newRequest("DELETE", "Origin", "https://api.example.com"),
			cors.CodeSameOrigin,
		},
		{"WebSocket of a page", newRequest("GET", "Origin", "https://api.example.com",
			"Upgrade", "websocket"), cors.CodeSameOrigin},
		{
			"Starscream", newRequest("GET", "Origin", "wss://api.example.com", "Upgrade", "websocket"),
			cors.CodeSameOrigin,
		},
		{"Starscream on a developer's machine", newRequest("GET", "Origin", "ws://localhost:8080",
			"Upgrade", "websocket"), cors.CodeSameOrigin},
		{"Starscream of somebody else", newRequest("GET", "Origin", "wss://evil.test",
			"Upgrade", "websocket"), cors.CodeOriginNotListed},
		{
			"a preflight is never from an own page", newRequest("OPTIONS", "Origin",
				"https://api.example.com", "Access-Control-Request-Method", "PUT"),
			cors.CodeOriginNotListed,
		},
	}
	for _, row := range rows {
		require.Equal(t, row.code, check(gate, row.request).Code, row.name)
	}
}

// TestEntryForms: what a list may have and what it may not, as the table in the
// documentation of Config says.
func TestEntryForms(t *testing.T) {
	t.Parallel()
	rows := []struct {
		entry    string
		admits   []string
		refuses  []string
		ownOnly  bool
		problem  string // New refuses it
		wantCode string // with this code
	}{
		{entry: "http://localhost:*", admits: []string{
			"http://localhost", "http://localhost:3000", "http://localhost:65535",
		}, refuses: []string{
			"https://localhost:3000", "http://localhost.:3000", "http://a.localhost:3000",
			"http://localhost.evil.test:3000", "http://127.0.0.1:3000", "http://localhost:99999",
			"http://localhost:*", "http://localhost:", "ws://localhost:3000",
		}},
		{entry: "http://*.localhost:*", admits: []string{
			"http://a.localhost", "http://a.localhost:3000", "http://b.a.localhost:1",
		}, refuses: []string{"http://localhost:3000", "http://a.localhost.evil.test:3000"}},
		{entry: "http://*.localhost:3000", admits: []string{
			"http://a.localhost:3000",
		}, refuses: []string{"http://a.localhost", "http://a.localhost:3001"}},
		{entry: "https://127.0.0.1:*", admits: []string{
			"https://127.0.0.1", "https://127.0.0.1:8443",
		}, refuses: []string{"https://127.0.0.2", "https://a.127.0.0.1"}},
		{
			entry: "http://[::1]:*", admits: []string{"http://[::1]", "http://[::1]:8080"},
			refuses: []string{"http://[::2]:8080", "http://[::1]:"},
		},
		{entry: "http://localhost.", admits: []string{"http://localhost."}},
		{entry: "http://a.localhost.:8080", admits: []string{"http://a.localhost.:8080"}},
		{entry: "http://*.localhost.:*", admits: []string{"http://a.localhost.:8080"}},
		{
			entry: "capacitor://localhost", admits: []string{"capacitor://localhost"},
			refuses: []string{"https://localhost", "capacitor://localhost:1"},
		},
		{entry: "ionic://localhost", admits: []string{"ionic://localhost"}},
		{entry: "tauri://localhost", admits: []string{"tauri://localhost"}},
		{entry: "app://.", admits: []string{"app://."}, refuses: []string{"app://..", "https://."}},
		{entry: "app://obsidian.md", admits: []string{"app://obsidian.md"}},
		{
			entry: "chrome-extension://abcdefgh", admits: []string{"chrome-extension://abcdefgh"},
			refuses: []string{"chrome-extension://abcdefgi"},
		},
		{entry: "wss://api.example.com", admits: []string{"wss://api.example.com"}, ownOnly: true},
		{entry: "ws://localhost:8080", admits: []string{"ws://localhost:8080"}, ownOnly: true},
		{entry: "ws://api.example.com", ownOnly: true, problem: "use wss", wantCode: "insecure"},
		{entry: "https://.", problem: "not an origin", wantCode: "malformed"},
		{entry: "wss://.", ownOnly: true, problem: "not an origin", wantCode: "malformed"},
		{entry: "file://", problem: "every file on a disk", wantCode: "insecure"},
		{entry: "file://server", problem: "every file on a disk", wantCode: "insecure"},
		{entry: "file:///index.html", problem: "every file on a disk", wantCode: "insecure"},
		{entry: "http://localhost:80:*", problem: "any port", wantCode: "malformed"},
		{entry: "http://localhost:8080:*", problem: "any port", wantCode: "malformed"},
		{entry: "https://app.example.com:*", problem: "loopback only", wantCode: "malformed"},
		{entry: "https://*.example.com:*", problem: "loopback only", wantCode: "malformed"},
		{entry: "capacitor://localhost:*", problem: "any port", wantCode: "malformed"},
		{entry: "http://128.0.0.1:*", problem: "loopback only", wantCode: "malformed"},
		{entry: "http://128.0.0.1", problem: "use https", wantCode: "insecure"},
		{entry: "http://127.0.0.1.evil", problem: "use https", wantCode: "insecure"},
		{entry: "http://127.evil", problem: "use https", wantCode: "insecure"},
		{entry: "http://localhost.evil", problem: "use https", wantCode: "insecure"},
	}
	for _, row := range rows {
		t.Run(row.entry, func(t *testing.T) {
			t.Parallel()
			cfg := cors.Config{Origins: []string{row.entry}, OwnOrigins: none}
			if row.ownOnly {
				_, err := cors.New(cfg)
				require.NotContains(t, problemsOf(t, err)[0].Fix, "DangerouslyAllow")
				cfg = cors.Config{OwnOrigins: []string{row.entry}}
			}
			gate, err := cors.New(cfg)
			if row.problem != "" {
				problems := problemsOf(t, err)
				require.Len(t, problems, 1)
				require.Contains(t, problems[0].Fix, row.problem)
				require.Equal(t, row.wantCode, problems[0].Code)
				return
			}
			require.NoError(t, err)
			for _, origin := range row.admits {
				require.True(t, check(gate, newRequest("POST", "Origin", origin)).Allowed, origin)
			}
			for _, origin := range row.refuses {
				require.False(t, check(gate, newRequest("POST", "Origin", origin)).Allowed, origin)
			}
		})
	}
}

// TestFromEnvTakesPagesOnly: the list is for Config.Origins.
func TestFromEnvTakesPagesOnly(t *testing.T) {
	t.Setenv("ALLOWED_ORIGINS", "wss://api.example.com,http://localhost:*")
	_, err := cors.FromEnv("ALLOWED_ORIGINS")
	problems := problemsOf(t, err)
	require.Len(t, problems, 1)
	require.Contains(t, problems[0].Fix, "use OwnOrigins")
}

// TestPublicDataIsOneAnswer: a shared cache keeps one answer for everybody, so
// none may depend on who asked, and each says "*".
func TestPublicDataIsOneAnswer(t *testing.T) {
	t.Parallel()
	gate := newGate(t, cors.Config{Origins: []string{"*"}, ExposedHeaders: []string{"Etag"}})
	h := gate.Wrap(teapot)
	var first http.Header
	for _, r := range []*http.Request{
		newRequest("GET"), newRequest("GET", "Origin", evil), newRequest("GET", "Origin", "null"),
		newRequest("GET", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"),
		newRequest("GET", "Origin", app, "Sec-Fetch-Site", "same-origin"),
		newRequest("HEAD", "Origin", "http://localhost:3000"),
	} {
		w := serve(h, r)
		require.Equal(t, http.StatusTeapot, w.Code)
		if first == nil {
			first = w.Header()
		}
		require.Equal(t, first, w.Header(), "%v", r.Header)
	}
	require.Equal(t, http.Header{
		"Access-Control-Allow-Origin": {"*"}, "Access-Control-Expose-Headers": {"Etag"},
	}, first)
	refused := serve(h, newRequest("POST"))
	require.Equal(t, http.StatusForbidden, refused.Code)
	require.Equal(t, "no-store", refused.Header().Get("Cache-Control"))
}

// TestPatternWalkIsBounded: a host of 120 labels is looked up as often as the
// longest pattern has dots, not once for every label.
func TestPatternWalkIsBounded(t *testing.T) {
	gate := newGate(t, cors.Config{
		Origins: []string{"https://*.example.com", "https://*.a.b.example.com"}, PublicSuffix: lastLabel,
	})
	deep := strings.Repeat("a.", 118)
	for origin, want := range map[string]bool{
		"https://" + deep + "example.com":     true,
		"https://" + deep + "a.b.example.com": true,
		"https://" + deep + "example.org":     false,
		"https://a.b.example.com":             true,
		"https://example.com":                 false,
	} {
		require.Equal(t, want, check(gate, newRequest("POST", "Origin", origin)).Allowed, origin)
	}
}

// TestNewcomersTraps: what goes wrong on the first day, and what the answer says.
func TestNewcomersTraps(t *testing.T) {
	t.Parallel()
	gate := newGate(t, cors.Config{Origins: []string{app}, Methods: []string{"PUT"}})
	for name, row := range map[string]struct {
		request *http.Request
		code    string
		advice  string
	}{
		"a JSON body": {
			newPreflight(app, "content-type"), cors.CodeHeaderNotListed,
			"a page cannot send JSON without it",
		},
		"a webhook": {
			newRequest("POST", "User-Agent", "Stripe/1.0"), cors.CodeOriginMissing, "NoOriginPass",
		},
		"an embedded image": {
			newRequest("GET", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"),
			cors.CodeCrossSite, "Config.Embeddable",
		},
		"a method in lower case": {
			newRequest("OPTIONS", "Origin", app, "Access-Control-Request-Method", "patch"),
			cors.CodeMethodNotListed, `the page has to ask for "PATCH"`,
		},
	} {
		d := check(gate, row.request)
		require.Equal(t, row.code, d.Code, name)
		require.Contains(t, d.Explain(), row.advice, name)
	}
}
