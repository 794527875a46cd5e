package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/require"
)

// cookie returns the session cookie that an answer sets, as a Cookie header.
func (a answer) cookie(t testing.TB) string {
	t.Helper()
	for _, c := range (&http.Response{Header: a.Header}).Cookies() {
		if strings.HasPrefix(c.Name, "__Host-") {
			require.True(t, c.Secure && c.HttpOnly && c.SameSite == http.SameSiteStrictMode)
			return c.Name + "=" + c.Value
		}
	}
	require.FailNow(t, "no session cookie", "%v", a.Header)
	return ""
}

// login gives the password, and the second factor where there is one.
func (r *rig) login(user string, withTOTP bool) (cookie string) {
	r.t.Helper()
	got := r.do(http.MethodPost, "/auth/login", `{"email":"`+user+`@example.test","password":"`+adminPassword+`"}`)
	require.Equal(r.t, 200, got.Status, got.Body)
	cookie = got.cookie(r.t)
	if !withTOTP {
		return cookie
	}
	code, err := totp.GenerateCode(totpSecret, time.Now())
	require.NoError(r.t, err)
	got = r.do(http.MethodPost, "/auth/totp", `{"code":"`+code+`"}`, "Cookie", cookie)
	require.Equal(r.t, 200, got.Status, got.Body)
	next := got.cookie(r.t)
	require.NotEqual(r.t, cookie, next, "a step up has a new token")
	return next
}

// oneCall stores a call of site A and returns its id.
func (r *rig) oneCall() string {
	r.t.Helper()
	body := call("33a11c86-2371-4af7-8580-e3f78f56d6a2")
	require.Equal(r.t, 202, r.do(http.MethodPost, "/api/call-event/v2", body, sign(siteA, secretA, body, time.Now())...).Status)
	require.Equal(r.t, 1, r.stored("calls"))
	return r.list(r.t.Context(), `SELECT id FROM calls`)[0]
}

func TestPermissionMatrix(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	id := r.oneCall()
	who := map[string]string{
		"nobody":             "",
		"a made-up session":  "__Host-Http-session=" + strings.Repeat("A", 44),
		"admin, one factor":  r.login("admin", false),
		"admin, two factors": r.login("admin", true),
		"manager":            r.login("manager", false),
		"rep":                r.login("rep", false),
		"enrolled, password": r.login("enrolled", false),
		"enrolled, both":     r.login("enrolled", true),
		"another site's":     r.login("other", true),
	}
	paths := []string{
		"GET /api/sites/" + siteA + "/calls", "GET /api/sites/" + siteA + "/events",
		"GET /api/sites/" + siteB + "/calls", "GET /api/sites/" + strings.Repeat("9", 32) + "/calls",
		"POST /api/calls/" + id + "/seal", "POST /api/calls/" + id + "/undo", "POST /api/calls/UNKNOWN/junk",
		"GET /api/audit?site_id=" + siteA, "GET /api/audit", "GET /api/sites/" + siteA + "/calls?site_id=" + siteB,
	}
	for name, want := range map[string][]int{
		"nobody":             {401, 401, 401, 401, 401, 401, 401, 401, 401, 401},
		"a made-up session":  {401, 401, 401, 401, 401, 401, 401, 401, 401, 401},
		"admin, one factor":  {401, 401, 401, 401, 401, 401, 401, 401, 401, 401}, // own or not
		"rep":                {200, 200, 404, 404, 404, 404, 404, 404, 400, 400},
		"enrolled, password": {401, 401, 401, 401, 401, 401, 401, 401, 401, 401},
		"enrolled, both":     {200, 200, 404, 404, 200, 200, 404, 404, 400, 400},
		"another site's":     {404, 404, 200, 404, 404, 404, 404, 404, 400, 400},
		"manager":            {200, 200, 404, 404, 200, 200, 404, 404, 400, 400},
		"admin, two factors": {200, 200, 404, 404, 200, 200, 404, 200, 400, 400},
	} {
		t.Run(name, func(t *testing.T) {
			for i, path := range paths {
				method, path, _ := strings.Cut(path, " ")
				got := r.do(method, path, "", "Cookie", who[name])
				require.Equal(t, want[i], got.Status, "%s %s: %s", method, path, got.Body)
			}
		})
	}
}

func TestRefusalsDoNotTellWhatExists(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	id := r.oneCall()
	cookie := r.login("other", true)
	for _, pair := range [][2]string{
		{"GET /api/sites/" + siteA + "/calls", "GET /api/sites/" + strings.Repeat("9", 32) + "/calls"},
		{"POST /api/calls/" + id + "/seal", "POST /api/calls/UNKNOWN/seal"},
	} {
		var bodies [2]string
		for i, each := range pair {
			method, path, _ := strings.Cut(each, " ")
			got := r.do(method, path, "", "Cookie", cookie)
			require.Equal(t, 404, got.Status)
			bodies[i] = got.Body
		}
		require.Equal(t, bodies[0], bodies[1])
	}
}

func TestAdminNeedsTheSecondFactor(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	got := r.do(http.MethodGet, "/api/sites/"+siteA+"/calls", "", "Cookie", r.login("admin", false))
	require.Equal(t, 401, got.Status)
	require.Contains(t, got.Header.Get("WWW-Authenticate"), "insufficient_user_authentication")
	foreign := r.do(http.MethodGet, "/api/sites/"+siteB+"/calls", "", "Cookie", r.login("admin", false))
	require.Equal(t, got.Body, foreign.Body, "a password alone does not tell whose sites are whose")
}

func TestSealJunkUndo(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	id := r.oneCall()
	cookie := r.login("admin", true)
	act := func(name string) answer {
		return r.do(http.MethodPost, "/api/calls/"+id+"/"+name, "", "Cookie", cookie)
	}
	for _, step := range []struct {
		action string
		status int
		state  string
	}{
		{"undo", 409, "intent"},
		{"seal", 200, "sealed"},
		{"seal", 409, "sealed"},
		{"junk", 409, "sealed"},
		{"undo", 200, "intent"},
		{"junk", 200, "junk"},
		{"undo", 200, "intent"},
	} {
		got := act(step.action)
		require.Equal(t, step.status, got.Status, "%s: %s", step.action, got.Body)
		require.Equal(t, []string{step.state}, r.list(t.Context(), `SELECT status FROM calls`), step.action)
	}
	require.Equal(t, []string{"seal", "undo", "junk", "undo"},
		r.list(t.Context(), `SELECT action FROM call_actions ORDER BY audit_seq`),
		"what was refused is not in the record, what was done is")

	log := r.do(http.MethodGet, "/api/audit?site_id="+siteA, "", "Cookie", cookie)
	require.Equal(t, 200, log.Status)
	require.Equal(t, 4, strings.Count(log.Body, `"actor":{"kind":"user","id":"admin"}`), log.Body)
	require.Contains(t, log.Body, `"action":"calls.seal","target":{"kind":"call","id":"`+id+`"}`)
}

func TestLoginTellsNothingAndSlowsGuessing(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	try := func(email, pass string) answer {
		return r.do(http.MethodPost, "/auth/login", `{"email":"`+email+`","password":"`+pass+`"}`)
	}
	wrong, unknown := try("admin@example.test", "guess"), try("nobody@example.test", "guess")
	require.Equal(t, 401, wrong.Status)
	require.Equal(t, wrong.Body, unknown.Body)
	blocked := false
	for range 6 {
		got := try("admin@example.test", "guess")
		blocked = blocked || got.Status == 429 && got.Header.Get("Retry-After") != ""
	}
	require.True(t, blocked, "guessing goes on for ever")
	require.Equal(t, 429, try("admin@example.test", adminPassword).Status, "the right password does not end the ban")
	require.Equal(t, 422, r.do(http.MethodPost, "/auth/login", `{"email":1}`).Status)
	require.Equal(t, 422, r.do(http.MethodPost, "/auth/login", `{"email":"x","remember":true}`).Status)
	require.Equal(t, 413, r.do(http.MethodPost, "/auth/login", strings.Repeat(" ", 5<<10)).Status)
	require.NotContains(t, r.Logs.String(), adminPassword)
}

func TestOneTimePasswordWorksOnce(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	first, second := r.login("admin", false), r.login("admin", false)
	code, err := totp.GenerateCode(totpSecret, time.Now())
	require.NoError(t, err)
	body := `{"code":"` + code + `"}`
	require.Equal(t, 401, r.do(http.MethodPost, "/auth/totp", body).Status, "not without the first factor")
	require.Equal(t, 200, r.do(http.MethodPost, "/auth/totp", body, "Cookie", first).Status)
	got := r.do(http.MethodPost, "/auth/totp", body, "Cookie", second)
	require.Equal(t, 401, got.Status, "an overheard code is worth nothing")
	require.Equal(t, "code_invalid", got.Code())
	require.Equal(t, 401, r.do(http.MethodPost, "/auth/totp", `{"code":""}`, "Cookie", second).Status)
	require.Equal(t, 401, r.do(http.MethodPost, "/auth/totp", `{"code":"000000"}`, "Cookie", r.login("rep", false)).Status,
		"a user without a second factor cannot pass one")
}

func TestSessionWithoutItsSecondFactorIsGoodForNothingElse(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	pending := r.login("enrolled", false)
	for _, path := range []string{"GET /auth/sessions", "DELETE /auth/sessions/x"} {
		method, path, _ := strings.Cut(path, " ")
		got := r.do(method, path, "", "Cookie", pending)
		require.Equal(t, 401, got.Status)
		require.Equal(t, "second_factor_required", got.Code())
	}
	require.Equal(t, 200, r.do(http.MethodPost, "/auth/logout", "", "Cookie", pending).Status)
}

func TestSessionsCanBeListedAndEnded(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	here, there := r.login("rep", false), r.login("rep", false)
	got := r.do(http.MethodGet, "/auth/sessions", "", "Cookie", here)
	require.Equal(t, 200, got.Status)
	require.Equal(t, 2, strings.Count(got.Body, `"id"`))
	require.NotContains(t, got.Body, strings.SplitN(here, "=", 2)[1], "the token is not in the list")

	require.Equal(t, 200, r.do(http.MethodPost, "/auth/logout", "", "Cookie", there).Status)
	require.Equal(t, 401, r.do(http.MethodGet, "/auth/sessions", "", "Cookie", there).Status)
	require.Equal(t, 404, r.do(http.MethodDelete, "/auth/sessions/UNKNOWN", "", "Cookie", here).Status)
	id := between(got.Body, `"current":true`, `"id":"`, `"`)
	other := r.login("manager", false)
	require.Equal(t, 404, r.do(http.MethodDelete, "/auth/sessions/"+id, "", "Cookie", other).Status, "not another user's")
	require.Equal(t, 200, r.do(http.MethodDelete, "/auth/sessions/"+id, "", "Cookie", here).Status)
	require.Equal(t, 401, r.do(http.MethodGet, "/auth/sessions", "", "Cookie", here).Status)
}

// between returns what stands between begin and end, somewhere after mark.
func between(text, mark, begin, end string) string {
	_, text, _ = strings.Cut(text, mark)
	_, text, _ = strings.Cut(text, begin)
	found, _, _ := strings.Cut(text, end)
	return found
}

func TestOtherSitesCannotActForASignedInUser(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	id := r.oneCall()
	cookie := r.login("manager", false)
	for name, headers := range map[string][]string{
		"a form on another site": {"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"},
		"without Origin":         {"Sec-Fetch-Site", "cross-site"},
		"a sandboxed frame":      {"Origin", "null", "Sec-Fetch-Site", "cross-site"},
	} {
		got := r.do(http.MethodPost, "/api/calls/"+id+"/seal", "", append(headers, "Cookie", cookie)...)
		require.Equal(t, 403, got.Status, name)
	}
	require.Equal(t, []string{"intent"}, r.list(t.Context(), `SELECT status FROM calls`))
}

func TestOperatorEndpoints(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	require.Equal(t, 200, r.do(http.MethodGet, "/healthz", "").Status)
	require.Equal(t, 200, r.do(http.MethodGet, "/readyz", "").Status)
	require.Contains(t, r.do(http.MethodGet, "/metrics", "").Body, "sallyport_decisions_total")
	require.Contains(t, r.do(http.MethodGet, "/metrics", "").Body, "sallyport_queue_rows 0")
	for _, header := range []string{"X-Forwarded-For", "X-Real-IP", "Forwarded", "Via"} {
		require.Equal(t, 404, r.do(http.MethodGet, "/metrics", "", header, "127.0.0.1").Status, header)
	}
	require.Equal(t, 404, r.doHost("rebound.example", "/metrics").Status)
	require.Equal(t, 404, r.do(http.MethodGet, "/nothing", "").Status)
	got := r.do(http.MethodOptions, "/api/sync", "")
	require.Equal(t, 204, got.Status)
	require.Equal(t, "OPTIONS, POST", got.Header.Get("Allow"))
	for _, header := range []string{"X-Content-Type-Options", "Content-Security-Policy", "Referrer-Policy"} {
		require.NotEmpty(t, got.Header.Get(header))
	}
}

// Whoever knows a password alone cannot end the sessions of its owner by signing
// in again and again.
func TestPasswordOnlySignInsEndNoFullSession(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	full := r.login("admin", true)
	for range 66 {
		r.login("admin", false)
	}
	require.Equal(t, 200, r.do(http.MethodGet, "/auth/sessions", "", "Cookie", full).Status)
}

// One site, whatever the spelling of its id.
func TestASiteHasOneSpelling(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	cookie := r.login("admin", true)
	require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", view(siteA, "01234567-89AB-CDEF-0123-456789abcdef"), "Origin", originA).Status)
	require.Equal(t, 1, r.stored("events"))
	for _, spelling := range []string{siteA, strings.ToUpper(siteA), "01234567-89ab-cdef-0123-456789abcdef"} {
		got := r.do(http.MethodGet, "/api/sites/"+spelling+"/events", "", "Cookie", cookie)
		require.Equal(t, 200, got.Status, "%s: %s", spelling, got.Body)
		require.Contains(t, got.Body, `"action":"view"`)
		require.Equal(t, 200, r.do(http.MethodGet, "/api/audit?site_id="+spelling, "", "Cookie", cookie).Status)
	}
}
