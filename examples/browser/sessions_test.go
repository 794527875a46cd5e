package browser

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/sessions"
)

// newSessionSite serves a site with sessions over plain HTTP on loopback, which
// browsers treat as secure. GET /me answers 200 to whoever is signed in.
func newSessionSite(t *testing.T) *httptest.Server {
	t.Helper()
	store, err := sessions.NewMemory(sessions.MemoryConfig{MaxSessions: 10})
	require.NoError(t, err)
	manager, err := sessions.New[struct{}](sessions.Config{Store: store})
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", page)
	mux.HandleFunc("POST /login", func(_ http.ResponseWriter, r *http.Request) {
		login := sessions.Login{User: "ada", Level: sallyport.AAL1}
		if err := manager.Start(r.Context(), login, struct{}{}); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("POST /logout", func(_ http.ResponseWriter, r *http.Request) {
		if err := manager.Logout(r.Context()); err != nil {
			t.Error(err)
		}
	})
	mux.Handle("GET /me", manager.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	server := httptest.NewServer(manager.Load(mux))
	t.Cleanup(server.Close)
	return server
}

// status fetches with credentials from the page that is open.
func status(method, url string) string {
	return `fetch("` + url + `", {method: "` + method + `", credentials: "include", mode: "no-cors"})
		.then(r => r.type === "opaque" ? "opaque" : String(r.status))`
}

func TestSessionCookieInChromium(t *testing.T) {
	tab := corsTab(t)
	site := newSessionSite(t)
	// To a browser, localhost and 127.0.0.1 are two sites.
	seen := make(chan string, 10)
	stranger := httptest.NewServer(http.HandlerFunc(page))
	t.Cleanup(stranger.Close)
	elsewhere := strings.Replace(stranger.URL, "127.0.0.1", "localhost", 1)
	watched := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case seen <- sessionCookie(r):
		default:
		}
		site.Config.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(watched.Close)

	eval := func(script string) string {
		t.Helper()
		got, err := chromedp.Run(tab, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
		require.NoError(t, err)
		return got
	}
	require.NoError(t, chromedp.Do(tab, chromedp.Navigate(watched.URL+"/")))
	require.Equal(t, "401", eval(status("GET", "/me")))
	require.Equal(t, "200", eval(status("POST", "/login")))
	require.Equal(t, "200", eval(status("GET", "/me")), "the browser keeps and sends it")
	require.NotContains(t, eval("document.cookie"), "__Host", "script cannot read it")
	eval(`document.cookie = "__Host-Http-session=planted; Secure; Path=/"; ""`)
	require.Equal(t, "200", eval(status("GET", "/me")), "nor replace it")

	for len(seen) > 0 {
		<-seen
	}
	require.NoError(t, chromedp.Do(tab, chromedp.Navigate(elsewhere+"/")))
	eval(status("GET", watched.URL+"/me"))
	require.Empty(t, <-seen, "another site's request goes without it: SameSite=Strict")

	require.NoError(t, chromedp.Do(tab, chromedp.Navigate(watched.URL+"/")))
	require.Equal(t, "200", eval(status("POST", "/logout")))
	require.Equal(t, "401", eval(status("GET", "/me")))
}

// sessionCookie is the session's part of a request's cookies.
func sessionCookie(r *http.Request) string {
	cookie, err := r.Cookie(sessions.DefaultCookie)
	if err != nil {
		return ""
	}
	return cookie.Value
}
