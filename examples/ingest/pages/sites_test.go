package pages_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

const atSite = `{"email":"u@example.test","role":"admin","level":"AAL2","sites":[{"id":"s1","name":"One"},{"id":"s2","name":"Two"}]}`

func TestCallsOfASiteAreDecided(t *testing.T) {
	t.Parallel()
	a := &api{say: map[string]func(http.ResponseWriter){
		"GET /auth/me": says(atSite),
		"GET /api/sites/s2/calls": says(`{"calls":[
			{"id":"c1","phone":"<script>","status":"intent"},{"id":"c2","status":"sealed"}]}`),
		"POST /api/calls/c1/seal": says(`{"ok":true}`),
		"POST /api/calls/c2/undo": refuses(http.StatusUnauthorized, "insufficient_user_authentication", "Again"),
	}}
	page := text(t, browse(t, a, nil, http.MethodGet, "/calls?site_id=s2", nil))
	require.Contains(t, page, "<caption>The newest calls of Two</caption>")
	require.NotContains(t, page, "<script>")
	for _, act := range []string{"seal", "junk", "undo"} {
		require.Contains(t, page, `action="/calls/`+act+`"`)
	}
	post := func(path, id string) *http.Response {
		return browse(t, a, nil, http.MethodPost, path, url.Values{"site_id": {"s2"}, "id": {id}})
	}
	res := post("/calls/seal", "c1")
	require.Equal(t, http.StatusSeeOther, res.StatusCode)
	require.Equal(t, "/calls?site_id=s2", res.Header.Get("Location"))
	require.Contains(t, a.asked, "POST /api/calls/c1/seal")
	res = post("/calls/undo", "c2")
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
	require.Contains(t, text(t, res), `value="/calls?site_id=s2"`)
	asked := len(a.asked)
	require.Equal(t, http.StatusNotFound, post("/calls/delete", "c1").StatusCode)
	require.Len(t, a.asked, asked, "an act that there is not asks for nothing")
}

func TestListsOfASite(t *testing.T) {
	t.Parallel()
	a := &api{say: map[string]func(http.ResponseWriter){
		"GET /auth/me":             says(atSite),
		"GET /api/sites/s1/events": says(`{"events":[{"action":"view","url":"\"><script>"}]}`),
		"GET /api/sites/s1/visits": says(`{"visits":[{"session_id":"<script>","events":3}],"next":"5.a&b"}`),
		"GET /watchtower/alerts":   says(`{"alerts":[{"id":"a","rule":"r","key":"<script>","tier":"page","seen":4.5}]}`),
		"POST /watchtower/alerts":  says(`{"ok":true}`),
	}}
	for path, want := range map[string]string{
		"/events": "<td>view</td>", "/visits": `/visits?site_id=s1&amp;after=5.a%26b`, "/watchtower": "<td>4.5</td>",
	} {
		page := text(t, browse(t, a, nil, http.MethodGet, path, nil))
		require.Contains(t, page, want)
		require.NotContains(t, page, "<script>")
	}
	res := browse(t, a, nil, http.MethodPost, "/watchtower", url.Values{
		"site_id": {"s1"}, "alert": {"a"}, "action": {"silence"}, "reason": {"a sale"}, "hours": {"2"},
	})
	require.Equal(t, "/watchtower?site_id=s1", res.Header.Get("Location"))
	require.Contains(t, a.asked,
		`POST /watchtower/alerts {"action":"silence","alert":"a","hours":2,"reason":"a sale"}`)
}

// Whoever has no site is told so.
func TestNoSite(t *testing.T) {
	t.Parallel()
	a := &api{say: map[string]func(http.ResponseWriter){"GET /auth/me": says(full)}}
	require.Contains(t, text(t, browse(t, a, nil, http.MethodGet, "/calls", nil)), "You have no site")
	require.Equal(t, []string{"GET /auth/me"}, a.asked)
}

func TestTheTrailIsSearched(t *testing.T) {
	t.Parallel()
	a := &api{say: map[string]func(http.ResponseWriter){
		"GET /auth/me": says(atSite),
		"GET /api/audit": says(`{"entries":[{"index":7,
			"entry":{"v":1,"time":"2026-11-21T10:00:00Z","actor":{"kind":"user","id":"u_81"},"tenant":"s1",` +
			`"action":"calls.read","target":{"kind":"call","id":"<script>"},"outcome":"success"}}],"next":"7 a"}`),
		"GET /api/audit/checkpoint": says("the head"),
	}}
	page := text(t, browse(t, a, nil, http.MethodGet, "/audit?action=calls.read", nil))
	require.Contains(t, page, "<td>user u_81</td>")
	require.NotContains(t, page, "<script>")
	require.Contains(t, page, `/audit?action=calls.read&amp;after=7&#43;a&amp;site_id=s1`)
	res := browse(t, a, nil, http.MethodGet, "/audit/checkpoint", nil)
	require.Contains(t, res.Header.Get("Content-Disposition"), "attachment")
	require.Equal(t, "the head", text(t, res))
}

func TestDeadLettersAreReplayed(t *testing.T) {
	t.Parallel()
	a := &api{say: map[string]func(http.ResponseWriter){
		"GET /auth/me":                says(atSite),
		"GET /api/queue/dead":         says(`{"dead":[{"id":"d","event":{"u":"<script>"}}]}`),
		"POST /api/queue/dead/replay": says(`{"ok":true}`),
	}}
	page := text(t, browse(t, a, nil, http.MethodGet, "/dead", nil))
	require.Contains(t, page, "<code>d</code>")
	require.NotContains(t, page, "<script>")
	res := browse(t, a, nil, http.MethodPost, "/dead", url.Values{"site_id": {"s1"}})
	require.Equal(t, "/dead?site_id=s1", res.Header.Get("Location"))
}

// An API key is on the page that made it, and on no other.
func TestAnAPIKeyIsShownOnce(t *testing.T) {
	t.Parallel()
	made := says(`{"id":"k","name":"<script>","key":"the-key"}`)
	a := &api{say: map[string]func(http.ResponseWriter){
		"GET /auth/me": says(atSite),
		"GET /api/sites/s1/keys": says(`{"keys":[{"id":"k","name":"<script>"}],
			"scopes":[{"name":"calls:view"}]}`),
		"POST /api/sites/s1/keys": made, "POST /api/sites/s1/keys/k/rotate": made,
		"DELETE /api/sites/s1/keys/k": says(`{"ok":true}`),
	}}
	form := url.Values{
		"site_id": {"s1"}, "id": {"k"}, "name": {"n"}, "scope": {"calls:view"}, "hours": {"24"},
	}
	for _, path := range []string{"/keys", "/keys/rotate"} {
		page := text(t, browse(t, a, nil, http.MethodPost, path, form))
		require.Contains(t, page, "<code>the-key</code>")
		require.NotContains(t, page, "<script>")
	}
	require.Contains(t, a.asked, `POST /api/sites/s1/keys {"days":0,"name":"n","scopes":["calls:view"]}`)
	require.Contains(t, a.asked, `POST /api/sites/s1/keys/k/rotate {"overlap_hours":24}`)
	require.NotContains(t, text(t, browse(t, a, nil, http.MethodGet, "/keys", nil)), "the-key")
	res := browse(t, a, nil, http.MethodPost, "/keys/revoke", form)
	require.Equal(t, "/keys?site_id=s1", res.Header.Get("Location"))
}
