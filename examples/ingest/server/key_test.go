package server_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/account/keytest"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
)

// signKey steps the session of cookie up with a key.
func (r *rig) signKey(key *keytest.Key, cookie string) answer {
	r.t.Helper()
	options := r.do(http.MethodPost, "/auth/key/options", "", "Cookie", cookie)
	require.Equal(r.t, 200, options.Status, options.Body)
	return r.do(http.MethodPost, "/auth/key", `{"credential":`+key.Get(r.t, options.Body)+`}`, "Cookie", cookie)
}

// addKey registers a key in the session of cookie.
func (r *rig) addKey(key *keytest.Key, cookie string) answer {
	r.t.Helper()
	options := r.do(http.MethodPost, "/auth/key/new", "", "Cookie", cookie)
	require.Equal(r.t, 200, options.Status, options.Body)
	return r.do(http.MethodPost, "/auth/keys", `{"name":"blue","credential":`+key.Create(r.t, options.Body)+`}`,
		"Cookie", cookie)
}

// Who has the highest role acts with a security key alone. With less, sites that are
// theirs are answered as those that are not, and there is no way around it: recovery
// codes and one-time passwords stand in for each other, and not for a key.
func TestTheHighestRoleActsWithASecurityKey(t *testing.T) {
	t.Parallel()
	r := run(t, withRoot(t))
	const calls = "/api/sites/" + siteA + "/calls"
	read := func(path, cookie string) answer { return r.do(http.MethodGet, path, "", "Cookie", cookie) }

	cookie := r.login("root", true)
	got := read(calls, cookie)
	require.Equal(t, 401, got.Status)
	require.Contains(t, got.Header.Get("WWW-Authenticate"), `acr_values="aal3"`)
	require.Equal(t, got.Body, read("/api/sites/"+siteB+"/calls", cookie).Body)
	require.Equal(t, 401, read("/api/audit?site_id="+siteA, cookie).Status)
	require.Equal(t, 200, read("/api/audit?site_id="+siteA, r.login("admin", true)).Status, "others need none")

	key := keytest.New(t, "https://ingest.example.org")
	require.Equal(t, 201, r.addKey(key, cookie).Status)
	require.Equal(t, 401, read(calls, cookie).Status, "registered is not used")
	got = r.signKey(key, cookie)
	require.Equal(t, 200, got.Status, got.Body)
	require.Equal(t, 200, read(calls, got.cookie(t)).Status)
	require.Equal(t, 404, read("/api/sites/"+siteB+"/calls", got.cookie(t)).Status)

	// A password and a key are enough; the code of the phone is not needed.
	got = r.signKey(key, r.login("root", false))
	require.Equal(t, 200, got.Status, got.Body)
	require.Equal(t, 200, read(calls, got.cookie(t)).Status)
	require.Equal(t, []string{
		"account.sign_in", "account.second_factor", "account.sign_in", "account.second_factor",
		"account.security_key_added", "account.second_factor", "calls.read", "account.sign_in",
		"account.second_factor", "calls.read",
	}, r.list(t.Context(), `SELECT json_extract(CAST(entry AS TEXT), '$.action') FROM audit_log ORDER BY seq`))
}

// withRoot has a user of the highest role, the last one.
func withRoot(t *testing.T) *settings.Settings {
	t.Helper()
	s := configured(t)
	s.PublicOrigins, s.SecurityKeyRoles = []string{"https://ingest.example.org"}, []string{"superadmin"}
	s.Users = append(s.Users, settings.User{
		ID: "root", Email: "root@example.test", PasswordHash: adminHash, TOTPSecret: totpSecret,
		Role: "superadmin", Sites: []string{siteA},
	})
	return s
}

// The operator takes back the keys of somebody who has lost them, while the server
// runs: whoever has found them, and the session that they opened, are out.
func TestLostSecurityKeysAreTakenBack(t *testing.T) {
	t.Parallel()
	s := withRoot(t)
	r := run(t, s)
	key := keytest.New(t, "https://ingest.example.org")
	cookie := r.login("root", true)
	require.Equal(t, 201, r.addKey(key, cookie).Status)
	got := r.signKey(key, cookie)
	require.Equal(t, 200, got.Status, got.Body)
	require.NoError(t, r.srv.Reload(t.Context(), changed(s, func(s *settings.Settings) {
		s.Users[len(s.Users)-1].SecurityKeysAfter = time.Now()
	})))
	require.Equal(t, 401, r.do(http.MethodGet, "/auth/sessions", "", "Cookie", got.cookie(t)).Status)
	require.Equal(t, []string{"settings.user_keys_forgotten"}, r.actions())
	got = r.do(http.MethodPost, "/auth/key/options", "", "Cookie", r.login("root", false))
	require.Equal(t, 404, got.Status)
	require.Equal(t, "security_key_not_found", got.Code())
}
