package pages_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/pages"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
)

// api is a server of which the pages ask. It notes what it is asked.
type api struct {
	t     *testing.T
	asked []string // "METHOD path body"
	say   map[string]func(http.ResponseWriter)
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	require.NoError(a.t, err)
	require.Equal(a.t, r.RequestURI, r.URL.RequestURI())
	require.EqualValues(a.t, len(body), r.ContentLength)
	asked := r.Method + " " + r.URL.Path
	a.asked = append(a.asked, strings.TrimSpace(asked+" "+string(body)))
	say, ok := a.say[asked]
	if !ok {
		reply.Problem(w, http.StatusUnauthorized, "session_required", "Sign in first")
		return
	}
	say(w)
}

// says is an answer of 200.
func says(text string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { _, _ = io.WriteString(w, text) }
}

// refuses is a refusal.
func refuses(status int, code, title string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { reply.Problem(w, status, code, title) }
}

const (
	full    = `{"id":"u","email":"u@example.test","role":"admin","level":"AAL2","factors":["totp"],"sites":[]}`
	pending = `{"email":"u@example.test","level":"AAL1","due":"second_factor","factors":["totp","security_key"]}`
)

// browse asks for a page, or posts a form to it.
func browse(t *testing.T, a *api, demo *pages.Demo, method, path string, form url.Values) *http.Response {
	t.Helper()
	a.t = t
	p, err := pages.New(pages.Config{API: a, Demo: demo})
	require.NoError(t, err)
	mux := http.NewServeMux()
	for pattern, h := range p.Routes() {
		mux.Handle(pattern, h)
	}
	r := httptest.NewRequest(method, "http://localhost:8080"+path, strings.NewReader(form.Encode()))
	r.RequestURI = path
	r.Header.Set("Cookie", "session=s")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, res *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(body)
}

func TestSigningInLeadsWhereItBegan(t *testing.T) {
	t.Parallel()
	a := &api{say: map[string]func(http.ResponseWriter){"POST /auth/login": func(w http.ResponseWriter) {
		w.Header().Add("Set-Cookie", "session=new")
		w.Header().Add("Set-Cookie", "device=d")
		w.Header().Set("Server", "inner")
		says(`{"ok":true}`)(w)
	}}}
	res := browse(t, a, nil, http.MethodGet, "/account?x=1", nil)
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
	require.Contains(t, text(t, res), `name="next" value="/account?x=1"`)

	a.asked = nil
	res = browse(t, a, nil, http.MethodPost, "/sign-in", url.Values{
		"email": {`u@example.test`}, "password": {`quo"te`}, "next": {"/account?x=1"},
	})
	require.Equal(t, http.StatusSeeOther, res.StatusCode)
	require.Equal(t, "/account?x=1", res.Header.Get("Location"))
	require.Equal(t, []string{"session=new", "device=d"}, res.Header.Values("Set-Cookie"))
	require.Empty(t, res.Header.Get("Server"))
	require.Equal(t, []string{`POST /auth/login {"email":"u@example.test","password":"quo\"te"}`}, a.asked)
}

// Nobody is led to another server by a link to this one.
func TestNobodyIsLedAway(t *testing.T) {
	t.Parallel()
	for next, want := range map[string]string{
		"/account": "/account", "/a?b=c": "/a?b=c", "": "/", "account": "/", "https://evil.example/": "/",
		"//evil.example/": "/", `/\evil.example/`: "/", `\\evil.example`: "/", "javascript:alert(1)": "/",
		"/%2f/evil.example": "/%2f/evil.example", "/\tevil": "/", "/a#b": "/a", "/" + strings.Repeat("a", 3000): "/",
		"/.//evil.example": "/evil.example", "///evil.example": "/", "http:/evil.example": "/",
	} {
		a := &api{say: map[string]func(http.ResponseWriter){"POST /auth/login": says(`{"ok":true}`)}}
		res := browse(t, a, nil, http.MethodPost, "/sign-in", url.Values{"next": {next}})
		require.Equal(t, http.StatusSeeOther, res.StatusCode)
		require.Equal(t, want, res.Header.Get("Location"), next)
	}
}

// What is typed, and what is stored, is text on every page.
func TestNothingThatIsTypedBecomesMarkup(t *testing.T) {
	t.Parallel()
	const evil = `"><script>alert(1)</script>`
	a := &api{say: map[string]func(http.ResponseWriter){
		"POST /auth/login":   refuses(http.StatusUnauthorized, "credentials_invalid", "Wrong"),
		"GET /auth/me":       says(full),
		"GET /auth/sessions": says(`{"sessions":[]}`),
		"GET /auth/keys":     says(`{"keys":[{"id":"k","name":"\"><script>alert(1)</script>"}]}`),
	}}
	pages := []string{
		text(t, browse(t, a, nil, http.MethodPost, "/sign-in", url.Values{"email": {evil}, "next": {"/" + evil}})),
		text(t, browse(t, a, nil, http.MethodGet, "/account", nil)),
		text(t, browse(t, a, nil, http.MethodGet, "/factor?next=/"+url.QueryEscape(evil)+"&why="+url.QueryEscape(evil), nil)),
	}
	for _, page := range pages {
		require.Contains(t, page, "<h1>")
		require.NotContains(t, page, "<script>")
	}
}

func TestRefusalsLeadToWhatIsMissing(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		say    map[string]func(http.ResponseWriter)
		status int
		want   []string
	}{
		"nobody": {nil, 401, []string{"<h1>Sign in</h1>", `data-code="session_required"`}},
		"the second factor is due": {map[string]func(http.ResponseWriter){"GET /auth/me": says(pending)}, 401, []string{
			"<h1>Second factor</h1>", `name="code"`, `id="use-key"`, `name="next" value="/account"`,
		}},
		"the store is out": {map[string]func(http.ResponseWriter){
			"GET /auth/me": refuses(503, "session_unavailable", "Sessions are unavailable"),
		}, 503, []string{"Sessions are unavailable", "session_unavailable"}},
		"not JSON": {map[string]func(http.ResponseWriter){"GET /auth/me": says("<html>")}, 500, []string{"internal_error"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := browse(t, &api{say: row.say}, nil, http.MethodGet, "/account", nil)
			require.Equal(t, row.status, res.StatusCode)
			require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
			require.NotContains(t, res.Header.Get("Content-Security-Policy"), "unsafe")
			page := text(t, res)
			for _, part := range row.want {
				require.Contains(t, page, part)
			}
		})
	}
}

// Whoever comes by a link on another site comes without the cookie, and once more with
// it. It happens once: the second time the request is ours.
func TestALinkFromElsewhereGoesOn(t *testing.T) {
	t.Parallel()
	for site, title := range map[string]string{
		"cross-site": "<h1>One moment</h1>", "same-origin": "<h1>Sign in</h1>", "none": "<h1>Sign in</h1>", "": "<h1>Sign in</h1>",
	} {
		p, err := pages.New(pages.Config{API: &api{t: t}})
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodGet, "/account?x=1", nil)
		r.Header.Set("Sec-Fetch-Site", site)
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		w := httptest.NewRecorder()
		p.Routes()["GET /account"].ServeHTTP(w, r)
		require.Equal(t, http.StatusUnauthorized, w.Code)
		require.Contains(t, w.Body.String(), title, site)
	}
}

// A form that takes a key leads to the page for it, and from there back.
func TestAFormMayTakeAKeyFirst(t *testing.T) {
	t.Parallel()
	a := &api{say: map[string]func(http.ResponseWriter){
		"GET /auth/me":         says(strings.Replace(full, `"totp"`, `"totp","security_key"`, 1)),
		"DELETE /auth/keys/k ": nil,
		"DELETE /auth/keys/k":  refuses(401, "security_key_required", "Use your security key first, or again"),
	}}
	res := browse(t, a, nil, http.MethodPost, "/account/remove-key", url.Values{"id": {"k"}})
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
	page := text(t, res)
	require.Contains(t, page, `id="use-key" class="primary" data-next="/account"`)
	require.NotContains(t, page, `name="code"`, "a code is not enough")
	require.Equal(t, "DELETE /auth/keys/k", a.asked[0])
}

// The demo's secrets are for who opens it by its own name. A page elsewhere may have
// its name lead here.
func TestTheDemoTellsNoOtherName(t *testing.T) {
	t.Parallel()
	demo := &pages.Demo{Email: "a@demo.test", Password: "p4ssw0rd", Secret: "JBSWY3DPEHPK3PXP"}
	for origin, want := range map[string]bool{"http://localhost:8080": true, "http://rebound.example:8080": false} {
		demo.Origins = []string{origin}
		page := text(t, browse(t, &api{}, demo, http.MethodGet, "/sign-in", nil))
		require.Equal(t, want, strings.Contains(page, "p4ssw0rd"))
		require.Equal(t, want, strings.Contains(page, "JBSWY3DPEHPK3PXP"))
	}
}

// The QR code has the three squares by which scanners find it, and free space around.
func TestTheQRCodeIsOne(t *testing.T) {
	t.Parallel()
	demo := &pages.Demo{Email: "a@demo.test", Secret: "JBSWY3DPEHPK3PXP", Origins: []string{"http://localhost:8080"}}
	page := text(t, browse(t, &api{}, demo, http.MethodGet, "/sign-in", nil))
	path := regexp.MustCompile(`fill="#000" d="([^"]+)"`).FindStringSubmatch(page)
	require.Len(t, path, 2)
	size := regexp.MustCompile(`viewBox="0 0 (\d+) `).FindStringSubmatch(page)
	require.Equal(t, "45", size[1], "version 5: 37 modules, and 4 on each side")
	for _, edge := range []string{"M4 4h7", "M34 4h7", "M4 10h7", "M34 10h7", "M4 34h7", "M4 40h7"} {
		require.Contains(t, path[1], edge+"v1h-7z")
	}
	require.NotRegexp(t, `M[0-3] `, path[1])
}

// A new authenticator is tried before its secret goes to the operator.
func TestANewAuthenticatorIsTried(t *testing.T) {
	t.Parallel()
	a := &api{say: map[string]func(http.ResponseWriter){"GET /auth/me": says(full)}}
	hidden := regexp.MustCompile(`name="secret" value="([A-Z2-7]{32})"`)
	secrets := map[string]bool{}
	for range 2 {
		found := hidden.FindStringSubmatch(text(t, browse(t, a, nil, http.MethodGet, "/account/authenticator", nil)))
		require.Len(t, found, 2)
		secrets[found[1]] = true
	}
	require.Len(t, secrets, 2, "a secret for each")
	for secret := range secrets {
		code, err := totp.GenerateCode(secret, time.Now())
		require.NoError(t, err)
		give := func(secret, code string) *http.Response {
			return browse(t, a, nil, http.MethodPost, "/account/authenticator", url.Values{"secret": {secret}, "code": {code}})
		}
		res := give(secret, code)
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Contains(t, text(t, res), secret)
		res = give(secret, "12345")
		require.Equal(t, http.StatusUnprocessableEntity, res.StatusCode)
		require.Regexp(t, hidden, text(t, res), "the same secret, once more")
		require.Equal(t, http.StatusSeeOther, give("short", code).StatusCode)
	}
	for _, asked := range a.asked {
		require.Equal(t, "GET /auth/me", asked, "nothing of it is kept")
	}
}

func TestAssetsAreKeptByTheirVersion(t *testing.T) {
	t.Parallel()
	page := text(t, browse(t, &api{}, nil, http.MethodGet, "/sign-in", nil))
	at := regexp.MustCompile(`/assets/page\.css\?v=[\w-]+`).FindString(page)
	res := browse(t, &api{}, nil, http.MethodGet, at, nil)
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "text/css; charset=utf-8", res.Header.Get("Content-Type"))
	require.Contains(t, res.Header.Get("Cache-Control"), "immutable")
	for file, media := range map[string]string{"key.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"} {
		res := browse(t, &api{}, nil, http.MethodGet, "/assets/"+file, nil)
		require.Equal(t, media, res.Header.Get("Content-Type"))
	}
	res = browse(t, &api{}, nil, http.MethodGet, "/assets/page.css?v=old", nil)
	require.Equal(t, "no-cache", res.Header.Get("Cache-Control"))
	require.Equal(t, http.StatusNotFound, browse(t, &api{}, nil, http.MethodGet, "/assets/none.css", nil).StatusCode)
}
