package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadsAreOnRecord: whoever is shown confidential data is on record, API keys by
// their id; whoever is refused is not.
func TestReadsAreOnRecord(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	admin, rep := r.login("admin", true), r.login("rep", false)
	key := r.makeKey(admin, "calls:view")
	for _, what := range []string{"calls", "events", "visits"} {
		require.Equal(t, 200, r.do(http.MethodGet, "/api/sites/"+siteA+"/"+what, "", "Cookie", admin).Status)
		require.Equal(t, 404, r.do(http.MethodGet, "/api/sites/"+siteB+"/"+what, "", "Cookie", admin).Status)
	}
	const calls = "/api/sites/" + siteA + "/calls"
	require.Equal(t, 200, r.do(http.MethodGet, calls, "", "Authorization", "Bearer "+key.Key).Status)
	require.Equal(t, 200, r.do(http.MethodGet, calls, "", "Cookie", rep).Status)

	records := func(query string) (n int, body string) {
		got := r.do(http.MethodGet, "/api/audit?site_id="+siteA+"&"+query, "", "Cookie", admin)
		require.Equal(t, 200, got.Status, got.Body)
		return strings.Count(got.Body, ".read"), got.Body
	}
	for query, want := range map[string]int{
		"action=events.read": 1, "action=visits.read&actor=admin": 1, "action=calls.read": 3,
		"action=calls.read&actor=rep": 1, "action=calls.read&actor=other": 0,
	} {
		n, body := records(query)
		require.Equal(t, want, n, "%s: %s", query, body)
	}
	_, body := records("action=calls.read")
	require.Contains(t, body, key.ID)
}

// TestEndsOfSessionsAreOnRecord: who signed out, and who ended which other sessions. A
// sign-out without a session, which anybody can send, writes nothing.
func TestEndsOfSessionsAreOnRecord(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	admin := r.login("admin", true)
	require.Equal(t, 200, r.do(http.MethodDelete, "/auth/sessions", "", "Cookie", admin).Status)
	require.Equal(t, 200, r.do(http.MethodPost, "/auth/logout", "", "Cookie", admin).Status)
	require.Equal(t, 200, r.do(http.MethodPost, "/auth/logout", "").Status)
	actions := r.list(t.Context(), `SELECT json_extract(CAST(entry AS TEXT), '$.action') FROM audit_log ORDER BY seq`)
	require.Equal(t, []string{
		"account.sign_in", "account.second_factor", "account.other_sessions_end", "account.sign_out",
	}, actions)
}
