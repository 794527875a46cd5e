package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/password"
)

// A production server in a real browser, with an admin who is signed in.
type signedIn struct {
	t    *testing.T
	ctx  context.Context
	p    *process
	call string
}

const (
	shopSite     = "0123456789abcdef0123456789abcdef"
	shopSecret   = "s3cr3t-s3cr3t-s3cr3t"
	shopPassword = "correct horse"
	shopTOTP     = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
)

// blank serves an empty page, as a customer's origin or a stranger's.
func blank(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><title>page</title>"))
	}))
	t.Cleanup(server.Close)
	return server
}

// run evaluates a script in the page at location; the result is JSON.
func (s *signedIn) run(location, script string) string {
	s.t.Helper()
	require.NoError(s.t, chromedp.Do(s.ctx, chromedp.Navigate(location)))
	awaited := fmt.Sprintf("(async () => JSON.stringify(await (%s)()))()", script)
	result, err := chromedp.Run(s.ctx, chromedp.Evaluate[string](awaited, chromedp.EvalAwaitPromise))
	require.NoError(s.t, err)
	return result
}

// fetched is what a page gets for a request with the visitor's cookies.
func (s *signedIn) fetched(location, method, path, body, media string) string {
	s.t.Helper()
	return s.run(location, fmt.Sprintf(`async () => {
		const options = {method: %q, credentials: 'include', headers: %s};
		if (%q) options.body = %q;
		try { const r = await fetch(%q, options); return r.status } catch { return 'blocked' }
	}`, method, map[bool]string{true: "{}", false: `{'Content-Type': '` + media + `'}`}[media == ""], body, body, s.p.URL+path))
}

func (s *signedIn) status() string { return text(s.t, s.p.dir, `SELECT status FROM calls`) }

func signIn(t *testing.T, listed ...string) *signedIn {
	t.Helper()
	dir := t.TempDir()
	origins, err := json.Marshal(listed)
	require.NoError(t, err)
	listen := freeAddr(t)
	p := start(t, dir+"/data", "LISTEN_ADDR="+listen, "PUBLIC_ORIGIN=http://"+listen,
		"ALLOWED_ORIGINS="+strings.Join(listed, ","), "QSTASH_CURRENT_SIGNING_KEY=sig_7kQ2mVx9Lr4TzW8bN3cY",
		"SITES_FILE="+writeFile(t, dir, "sites.json", `[{"id":"`+shopSite+`","name":"Shop","origins":`+string(origins)+
			`,"secret":"`+shopSecret+`","rate_per_minute":600,"owner":"u1"}]`),
		"USERS_FILE="+writeFile(t, dir, "users.json", `[{"id":"u1","email":"a@b.test","password_hash":"`+
			password.New(shopPassword).PHC()+`","totp_secret":"`+shopTOTP+`","role":"admin","sites":["`+shopSite+`"]}]`))
	s := &signedIn{t: t, ctx: browser(t), p: p}
	// The server has no page yet, and what it answers may not run scripts.
	require.NoError(t, chromedp.Do(s.ctx, chromedp.Navigate("about:blank")))
	_, err = chromedp.Call(s.ctx, page.SetBypassCSP, page.SetBypassCSPParams{Enabled: true})
	require.NoError(t, err)
	s.call = s.oneCall()
	require.Equal(t, "200", s.fetched(p.URL+"/healthz", "POST", "/auth/login",
		`{"email":"a@b.test","password":"`+shopPassword+`"}`, "application/json"))
	code, err := totp.GenerateCode(shopTOTP, time.Now())
	require.NoError(t, err)
	require.Equal(t, "200", s.fetched(p.URL+"/healthz", "POST", "/auth/totp", `{"code":"`+code+`"}`, "application/json"))
	return s
}

func (s *signedIn) oneCall() string {
	s.t.Helper()
	body := `{"event_id":"33a11c86-2371-4af7-8580-e3f78f56d6a2","site_id":"` + shopSite + `","action":"phone"}`
	res, err := s.p.post(s.t.Context(), "/api/call-event/v2", "", body, signed(shopSite, shopSecret, body)...)
	require.NoError(s.t, err)
	require.NoError(s.t, res.Body.Close())
	require.Equal(s.t, 202, res.StatusCode)
	require.Eventually(s.t, func() bool {
		return count(s.t, s.p.dir, `SELECT count(*) FROM calls`) == 1
	}, 20*time.Second, 20*time.Millisecond)
	return text(s.t, s.p.dir, `SELECT id FROM calls`)
}

// A page on a listed origin that is of the same site is sent the admin's Strict
// cookie by the browser; one of another site is not. Neither may act with it.
func TestListedPagesCannotActForTheAdminInChromium(t *testing.T) {
	sameSite, crossSite := blank(t), blank(t)
	// Both are loopback; by another name it is another site.
	other := strings.Replace(crossSite.URL, "127.0.0.1", "localhost", 1)
	s := signIn(t, sameSite.URL, other)
	own := s.p.URL + "/healthz"
	for _, location := range []string{sameSite.URL, other} {
		for _, action := range []string{"seal", "junk", "undo"} {
			for _, media := range []string{"", "text/plain", "application/json"} {
				body := map[bool]string{true: "", false: "{}"}[media == ""]
				got := s.fetched(location, "POST", "/api/calls/"+s.call+"/"+action, body, media)
				require.Equal(t, `"blocked"`, got, "%s from %s", action, location)
			}
		}
		require.Equal(t, `"blocked"`, s.fetched(location, "POST", "/auth/logout", "", ""))
		require.Equal(t, `"blocked"`, s.fetched(location, "DELETE", "/auth/sessions/x", "", ""))
		for _, path := range []string{"/auth/sessions", "/api/sites/" + shopSite + "/calls", "/api/audit?site_id=" + shopSite} {
			require.Equal(t, `"blocked"`, s.fetched(location, "GET", path, "", ""), path)
		}
		// By a form as well, which the browser does not ask about first.
		for _, path := range []string{"/api/calls/" + s.call + "/junk", "/auth/logout"} {
			s.submit(location, path, "")
		}
		require.Equal(t, "intent", s.status())
		require.Equal(t, "200", s.fetched(own, "GET", "/auth/sessions", "", ""), "the admin is still signed in")
	}
	// The other direction: events from those pages, and actions from our own.
	view := `{"s":"` + shopSite + `","u":"https://shop.example/","ec":"interaction","ea":"view","consent_scopes":["analytics"]}`
	for _, location := range []string{sameSite.URL, other} {
		require.Equal(t, "202", s.run(location, fmt.Sprintf(`async () =>
			(await fetch(%q, {method: 'POST', credentials: 'omit', body: %q, headers: {'Content-Type': 'text/plain'}})).status`,
			s.p.URL+"/api/sync", view)))
	}
	require.Equal(t, "200", s.fetched(own, "POST", "/api/calls/"+s.call+"/seal", "", ""))
	require.Equal(t, "sealed", s.status())
	require.Equal(t, "200", s.fetched(own, "POST", "/auth/logout", "", ""))
	require.Equal(t, "401", s.fetched(own, "GET", "/auth/sessions", "", ""))
}

// submit sends a form with one field to path, as text/plain, and waits until the
// browser has left the page.
func (s *signedIn) submit(location, path, field string) {
	s.t.Helper()
	require.NoError(s.t, chromedp.Do(s.ctx, chromedp.Navigate(location)))
	script := fmt.Sprintf(`(() => {
		const f = document.createElement('form');
		f.method = 'POST'; f.enctype = 'text/plain'; f.action = %q;
		const i = document.createElement('input'); i.name = %q; i.value = '';
		f.append(i); document.body.append(f); f.submit();
	})()`, s.p.URL+path, field)
	_, err := chromedp.Run(s.ctx, chromedp.Evaluate[any](script))
	require.NoError(s.t, err)
	require.Eventually(s.t, func() bool {
		at, err := chromedp.Run(s.ctx, chromedp.Evaluate[string](`location.origin + ' ' + document.readyState`))
		return err == nil && at == s.p.URL+" complete"
	}, 20*time.Second, 20*time.Millisecond, "the form was not sent")
}

// A listed page cannot sign its visitor into an account of its own choice.
func TestAFormCannotSignAVisitorInInChromium(t *testing.T) {
	shop := blank(t)
	other := strings.Replace(shop.URL, "127.0.0.1", "localhost", 1)
	s := signIn(t, shop.URL, other)
	own := s.p.URL + "/healthz"
	require.Equal(t, "200", s.fetched(own, "POST", "/auth/logout", "", ""))
	// text/plain writes name=value: the JSON's end hides the equals sign.
	field := `{"email":"a@b.test","password":"` + shopPassword + `","x":"`
	for _, location := range []string{shop.URL, other} {
		s.submit(location, "/auth/login", field)
		require.Equal(t, "401", s.fetched(own, "GET", "/auth/sessions", "", ""))
	}
}
