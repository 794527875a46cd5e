package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// peopleRoutes act for who is signed in. "METHOD path body".
func peopleRoutes(call string) []string {
	return []string{
		`POST /auth/login {"email":"manager@example.test","password":"` + adminPassword + `"}`,
		`POST /auth/totp {"code":"000000"}`, "POST /auth/logout ", "GET /auth/sessions ", "DELETE /auth/sessions/x ",
		"GET /api/sites/" + siteA + "/calls ", "GET /api/sites/" + siteA + "/events ",
		"GET /api/audit?site_id=" + siteA + " ", "POST /api/audit/verify?site_id=" + siteA + " ",
		"POST /api/calls/" + call + "/seal ", "POST /api/calls/" + call + "/junk ", "POST /api/calls/" + call + "/undo ",
		"GET /api/queue/dead?site_id=" + siteA + " ", "POST /api/queue/dead/replay?site_id=" + siteA + " ",
		"GET " + keysA + " ", "POST " + keysA + ` {"name":"x","scopes":["calls:view"]}`,
		"POST " + keysA + `/x/rotate {"overlap_hours":1}`, "DELETE " + keysA + "/x ",
	}
}

// Two trust domains: the pages of customers may post events, and may not act for
// who is signed in, whatever cookies the browser sends along.
func TestCustomersPagesCannotActForASignedInUser(t *testing.T) {
	t.Parallel()
	s := configured(t)
	s.PublicOrigins = []string{"https://ingest.example"}
	r := run(t, s)
	id := r.oneCall()
	cookie := r.login("admin", true)
	pages := map[string][]string{
		"listed, of the same site": {"Origin", originA, "Sec-Fetch-Site", "same-site"},
		"listed, of another site":  {"Origin", originA, "Sec-Fetch-Site", "cross-site"},
		"listed, old browser":      {"Origin", originA},
		"another tenant's":         {"Origin", originB, "Sec-Fetch-Site", "same-site"},
		"without Origin":           {"Sec-Fetch-Site", "same-site"},
		"a sandboxed frame":        {"Origin", "null", "Sec-Fetch-Site", "cross-site"},
		"a subdomain of ours":      {"Origin", "https://shop.ingest.example", "Sec-Fetch-Site", "same-site"},
		"ours without TLS":         {"Origin", "http://ingest.example", "Sec-Fetch-Site", "cross-site"},
	}
	for name, headers := range pages {
		for _, route := range peopleRoutes(id) {
			method, rest, _ := strings.Cut(route, " ")
			path, body, _ := strings.Cut(rest, " ")
			got := r.do(method, path, body, append([]string{"Cookie", cookie}, headers...)...)
			require.Equal(t, 403, got.Status, "%s: %s %s: %s", name, method, path, got.Body)
			require.Empty(t, got.Header.Get("Set-Cookie"))
			require.Empty(t, got.Header.Get("Access-Control-Allow-Origin"))
			got = r.do(http.MethodOptions, path, "", append([]string{"Access-Control-Request-Method", method}, headers...)...)
			require.NotContains(t, []int{200, 204}, got.Status, "%s: preflight of %s %s", name, method, path)
		}
	}
	require.Equal(t, []string{"intent"}, r.list(t.Context(), `SELECT status FROM calls`))

	// The other direction: events from customers' pages, and not from ours.
	require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", view(), "Origin", originA, "Sec-Fetch-Site", "same-site").Status)
	for _, own := range [][]string{
		{"Origin", "https://ingest.example", "Sec-Fetch-Site", "same-origin"}, {"Origin", "https://ingest.example"},
	} {
		headers := append([]string{"Cookie", cookie}, own...)
		require.Equal(t, 200, r.do(http.MethodPost, "/api/calls/"+id+"/seal", "", headers...).Status)
		require.Equal(t, 200, r.do(http.MethodPost, "/api/calls/"+id+"/undo", "", headers...).Status)
	}
}

// A form can send text/plain and cannot send JSON: no page signs its visitor into
// an account of its own choice.
func TestOnlyJSONSignsIn(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	body := `{"email":"rep@example.test","password":"` + adminPassword + `"}`
	for _, media := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", ""} {
		req := []string{"Content-Type", media}
		got := r.doPlain(http.MethodPost, "/auth/login", body, req...)
		require.Equal(t, 415, got.Status, media)
		require.Empty(t, got.Header.Get("Set-Cookie"))
	}
	for _, media := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON"} {
		require.Equal(t, 200, r.doPlain(http.MethodPost, "/auth/login", body, "Content-Type", media).Status, media)
	}
}

func TestWrongMethodIsAnswered405(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	for path, allow := range map[string]string{
		"/api/sync": "OPTIONS, POST", "/api/call-event/v2": "OPTIONS, POST", "/api/sync/worker": "POST",
		"/auth/login": "POST", "/auth/sessions": "DELETE, GET, HEAD", "/healthz": "GET, HEAD",
		"/api/calls/x/seal": "POST", "/api/sites/" + siteA + "/calls": "GET, HEAD",
	} {
		got := r.do(http.MethodPut, path, "")
		require.Equal(t, 405, got.Status, path)
		require.Equal(t, allow, got.Header.Get("Allow"), path)
		require.Equal(t, "method_not_allowed", got.Code(), path)
	}
	require.Equal(t, 404, r.do(http.MethodPut, "/nothing", "").Status)
}

func TestOneBadEventOfABatchIsNamedAndTheOthersStored(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	events := make([]string, 6)
	for i := range events {
		events[i] = view(`"el":""`, `"el":"`+string(rune('a'+i))+`"`)
	}
	events[3] = view(`"ea":"view",`, "")
	got := r.do(http.MethodPost, "/api/sync", `{"events":[`+strings.Join(events, ",")+`]}`, "Origin", originA)
	require.Equal(t, 202, got.Status, got.Body)
	require.Contains(t, got.Body, `"count":5`)
	require.Contains(t, got.Body, `"rejected":[{"index":3,"code":"action_invalid"}]`)
	require.Equal(t, 5, r.stored("events"))

	got = r.do(http.MethodPost, "/api/sync", `{"events":[`+events[3]+`]}`, "Origin", originA)
	require.Equal(t, 400, got.Status, "it comes one by one then")
	require.Equal(t, 422, r.do(http.MethodPost, "/api/sync", events[3], "Origin", originA).Status, "and is dropped")
	long := view(`"u":"http://localhost:9102/p"`, `"u":"http://localhost:9102/`+strings.Repeat("x", 9000)+`"`)
	require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", long, "Origin", originA).Status)
	require.Equal(t, 6, r.stored("events"))
}

// The ordinary day of the tracker: distinct payloads, and
// each of them again as its outbox does.
func TestDistinctEventsAreKeptAndRepeatsAreFolded(t *testing.T) {
	t.Parallel()
	page := func(url, referrer, meta string) string {
		return view(`"u":"http://localhost:9102/p"`, `"u":"http://localhost:9102/`+url+`"`,
			`"r":""`, `"r":"`+referrer+`"`, `"meta":{}`, `"meta":{"fp":"p8x28p","sw":1280`+meta+`}`)
	}
	end := func(seconds string) string {
		return strings.Replace(page("a", "", `,"duration_sec":`+seconds), "view", "session_end", 1)
	}
	nobody := `{"s":"` + siteA + `","u":"http://localhost:9102/demo","ec":"interaction","ea":"view","el":"","consent_scopes":["analytics"]}`
	batch := func(events ...string) string { return `{"events":[` + strings.Join(events, ",") + `]}` }
	for name, row := range map[string]struct {
		bodies []string
		want   int
	}{
		"A to B to A to B to A": {[]string{
			page("a", "", ""), page("b", "a", ""), page("a", "b", ""), end("4"), page("b", "a2", ""), page("a", "b2", ""), end("44"),
		}, 7},
		"three reloads":         {[]string{page("a", "", ""), page("a", "a", `,"t":"1"`), page("a", "a", `,"t":"2"`), page("a", "a", `,"t":"3"`)}, 4},
		"visibility heartbeats": {[]string{end("4"), end("12"), end("20"), end("12"), end("4")}, 3},
		"leave and return":      {[]string{page("a", "", ""), end("70"), batch(end("70"), page("a", "a", ""))}, 3},
		"nobody's, twice":       {[]string{nobody, nobody}, 2},
		"the beacon double":     {[]string{page("a", "", ""), page("a", "", "")}, 1},
		"and within a batch":    {[]string{batch(page("a", "", ""), page("a", "", ""))}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, configured(t))
			for _, body := range row.bodies {
				require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", body, "Origin", originA).Status)
			}
			require.Equal(t, row.want, r.stored("events"))
		})
	}
}

// Older trackers and the plugin send no event id: the signed message is the
// identity, for longer than the replay gate remembers it.
func TestCallsWithoutAnEventIDAreKeptOnce(t *testing.T) {
	t.Parallel()
	s := configured(t)
	r := run(t, s)
	body := `{"site_id":"` + siteA + `","phone_number":"+905551112233","action":"phone","ads_context":[]}`
	now := time.Now()
	for _, at := range []time.Time{now, now, now.Add(-2 * time.Second)} {
		headers := append(sign(siteA, secretA, body, at), "X-Ops-Proxy", "1", "X-Ops-Proxy-Host", "localhost:9102", "Content-Type", "application/json")
		got := r.do(http.MethodPost, "/api/call-event/v2", body, headers...)
		require.Contains(t, []int{200, 202}, got.Status, got.Body)
	}
	require.Equal(t, 2, r.stored("calls"))
}
