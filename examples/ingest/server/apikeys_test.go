package server_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/settings"
)

const (
	keysA  = "/api/sites/" + siteA + "/keys"
	callsA = "/api/sites/" + siteA + "/calls"
)

// keyAnswer is a key as the routes answer with it.
type keyAnswer struct {
	ID     string   `json:"id"`
	Key    string   `json:"key"`
	Name   string   `json:"name"`
	Scopes []string `json:"scopes"`
	Ends   string   `json:"ends_at"`
}

func (a answer) key(t testing.TB) (key keyAnswer) {
	t.Helper()
	require.Equal(t, http.StatusCreated, a.Status, a.Body)
	require.NoError(t, json.Unmarshal([]byte(a.Body), &key))
	return key
}

// people send JSON from the server's own pages.
func (r *rig) people(method, path, body, cookie string) answer {
	return r.do(method, path, body, "Cookie", cookie, "Content-Type", "application/json")
}

// makeKey makes a key for site A with these scopes.
func (r *rig) makeKey(cookie string, scopes ...string) keyAnswer {
	r.t.Helper()
	body := fmt.Sprintf(`{"name":"nightly export","scopes":["%s"],"days":7}`, strings.Join(scopes, `","`))
	return r.people(http.MethodPost, keysA, body, cookie).key(r.t)
}

// with asks with a key and nothing else.
func (r *rig) with(key, method, path string, more ...string) answer {
	return r.do(method, path, "", append([]string{"Authorization", "Bearer " + key}, more...)...)
}

func TestAPIKeyFromCreationToRevocation(t *testing.T) {
	t.Parallel()
	s := configured(t)
	r := run(t, s)
	id := r.oneCall()
	admin := r.login("admin", true)
	key := r.makeKey(admin, "calls:view", "events:view")
	require.Equal(t, []string{"calls:view", "events:view"}, key.Scopes)

	require.Contains(t, r.with(key.Key, http.MethodGet, callsA).Body, id)
	require.Equal(t, 200, r.with(key.Key, http.MethodGet, "/api/sites/"+siteA+"/events").Status)
	require.Equal(t, 200, r.with(key.Key, http.MethodGet, "/api/sites/"+siteA+"/visits").Status)

	list := r.people(http.MethodGet, keysA, "", admin)
	require.Contains(t, list.Body, key.ID)
	require.Contains(t, list.Body, "last_used_at")
	require.Contains(t, list.Body, `"what":"GET /api/sites/{site_id}/calls"`)
	require.NotContains(t, list.Body, key.Key)

	next := r.people(http.MethodPost, keysA+"/"+key.ID+"/rotate", `{"overlap_hours":24}`, admin).key(t)
	require.Equal(t, key.Scopes, next.Scopes)
	require.NotEqual(t, key.Key, next.Key)
	for _, each := range []string{key.Key, next.Key} { // the overlap
		require.Equal(t, 200, r.with(each, http.MethodGet, callsA).Status)
	}
	last := r.people(http.MethodPost, keysA+"/"+next.ID+"/rotate", `{"overlap_hours":0}`, admin).key(t)
	require.Equal(t, "api_key_unknown", r.with(next.Key, http.MethodGet, callsA).Code())
	require.Equal(t, 200, r.people(http.MethodDelete, keysA+"/"+last.ID, "", admin).Status)
	got := r.with(last.Key, http.MethodGet, callsA)
	require.Equal(t, 401, got.Status)
	require.Contains(t, got.Header.Get("WWW-Authenticate"), "invalid_token")
	require.Equal(t, 404, r.people(http.MethodDelete, keysA+"/"+last.ID, "", admin).Status)

	log := r.people(http.MethodGet, "/api/audit?site_id="+siteA, "", admin).Body
	require.Equal(t, 3, strings.Count(log, `api_key.create`), log)
	require.Equal(t, 3, strings.Count(log, `api_key.end`), "two rotations and a revocation")
	require.Contains(t, log, "calls:view events:view")
	for _, replaced := range []keyAnswer{key, next} {
		require.Equal(t, 1, strings.Count(log, `"replaces":"`+replaced.ID+`"`))
	}
	for _, secret := range []string{key.Key, next.Key, last.Key} {
		require.NotContains(t, log, secret)
		require.NotContains(t, r.Logs.String(), secret)
		require.Empty(t, filesWith(t, s.DataDir, secret[len("ingest_"):]))
	}
}

// filesWith lists the files that hold a text.
func filesWith(t testing.TB, dir, text string) (found []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), text) {
			found = append(found, path)
		}
		return err
	}))
	return found
}

// A key reads what its scopes say of its one site, and does nothing for a person.
func TestAPIKeyNeverGoesBeyondItsScopes(t *testing.T) {
	t.Parallel()
	s := configured(t)
	s.Users[0].Sites = []string{siteA, siteB} // its user may see both
	r := run(t, s)
	id := r.oneCall()
	admin := r.login("admin", true)
	require.Equal(t, 200, r.people(http.MethodGet, "/api/sites/"+siteB+"/calls", "", admin).Status)
	all := r.makeKey(admin, "calls:view", "events:view", "queue:view")
	one := r.makeKey(admin, "calls:view")
	key := all.Key
	cut, other := key[:len(key)-1], strings.Replace(key, key[10:11], string(key[10]^1), 1)
	for name, row := range map[string]struct {
		request, key string
		status       int
		more         []string
	}{
		"its scope":                      {"GET " + callsA, key, 200, nil},
		"its scope on the queue":         {"GET /api/queue/dead?site_id=" + siteA, key, 200, nil},
		"another scope":                  {"GET /api/sites/" + siteA + "/events", one.Key, 404, nil},
		"another scope, queue":           {"GET /api/queue/dead?site_id=" + siteA, one.Key, 404, nil},
		"another site of its user":       {"GET /api/sites/" + siteB + "/calls", key, 404, nil},
		"another site, queue":            {"GET /api/queue/dead?site_id=" + siteB, key, 404, nil},
		"two sites":                      {"GET " + callsA + "?site_id=" + siteB, key, 400, nil},
		"no site":                        {"GET /api/queue/dead", key, 400, nil},
		"to act on a call":               {"POST /api/calls/" + id + "/seal", key, 401, nil},
		"to replay":                      {"POST /api/queue/dead/replay?site_id=" + siteA, key, 401, nil},
		"to read the audit log":          {"GET /api/audit?site_id=" + siteA, key, 401, nil},
		"to list keys":                   {"GET " + keysA, key, 401, nil},
		"to make keys":                   {"POST " + keysA, key, 401, nil},
		"to rotate itself":               {"POST " + keysA + "/" + all.ID + "/rotate", key, 401, nil},
		"to revoke":                      {"DELETE " + keysA + "/" + one.ID, key, 401, nil},
		"to list sessions":               {"GET /auth/sessions", key, 401, nil},
		"from a customer's page":         {"GET " + callsA, key, 403, []string{"Origin", originA, "Sec-Fetch-Site", "cross-site"}},
		"cut":                            {"GET " + callsA, cut, 401, nil},
		"with another letter":            {"GET " + callsA, other, 401, nil},
		"as its id":                      {"GET " + callsA, all.ID, 401, nil},
		"empty":                          {"GET " + callsA, "", 401, nil},
		"twice":                          {"GET " + callsA, key, 401, []string{"Authorization", "Bearer " + key}},
		"bad, beside a good session":     {"GET " + callsA, cut, 401, []string{"Cookie", admin}},
		"another site, beside a session": {"GET /api/sites/" + siteB + "/calls", key, 404, []string{"Cookie", admin}},
	} {
		method, path, _ := strings.Cut(row.request, " ")
		got := r.with(row.key, method, path, row.more...)
		require.Equal(t, row.status, got.Status, "%s: %s", name, got.Body)
	}
	for name, headers := range map[string][]string{
		"in the URL":   nil,
		"as Basic":     {"Authorization", "Basic " + key},
		"bare":         {"Authorization", key},
		"in X-API-Key": {"X-Api-Key", key},
		"in a cookie":  {"Cookie", "__Host-Http-session=" + key},
	} {
		got := r.do(http.MethodGet, callsA+"?key="+key, "", headers...)
		require.Equal(t, 401, got.Status, name)
	}
	require.Equal(t, []string{"intent"}, r.list(t.Context(), `SELECT status FROM calls`))
}

func TestWhoMayMakeAPIKeys(t *testing.T) {
	t.Parallel()
	s := configured(t)
	s.Users[0].Sites = []string{siteA, siteB}
	r := run(t, s)
	admin := r.login("admin", true)
	good := `{"name":"x","scopes":["calls:view"]}`
	for name, row := range map[string]struct {
		cookie, path, body string
		status             int
		code               string
	}{
		"nobody":            {"", keysA, good, 401, "identity_required"},
		"admin, one factor": {r.login("admin", false), keysA, good, 401, "insufficient_user_authentication"},
		"manager":           {r.login("manager", false), keysA, good, 404, "resource_not_found"},
		"rep":               {r.login("rep", false), keysA, good, 404, "resource_not_found"},
		"another site's":    {r.login("other", true), keysA, good, 404, "resource_not_found"},
		"an act as scope":   {admin, keysA, `{"name":"x","scopes":["calls:seal"]}`, 403, "api_key_not_issued"},
		"keys as scope":     {admin, keysA, `{"name":"x","scopes":["calls:view","keys:manage"]}`, 403, "api_key_not_issued"},
		"no scope":          {admin, keysA, `{"name":"x","scopes":[]}`, 403, "api_key_not_issued"},
		"a site as scope":   {admin, keysA, `{"name":"x","scopes":["site:` + siteA + `"]}`, 403, "api_key_not_issued"},
		"another site too":  {admin, keysA, `{"name":"x","scopes":["calls:view","site:` + siteB + `"]}`, 403, "api_key_not_issued"},
		"a scope twice":     {admin, keysA, `{"name":"x","scopes":["calls:view","calls:view"]}`, 403, "api_key_not_issued"},
		"no name":           {admin, keysA, `{"name":"","scopes":["calls:view"]}`, 403, "api_key_not_issued"},
		"a name with lines": {admin, keysA, `{"name":"x\ny","scopes":["calls:view"]}`, 403, "api_key_not_issued"},
		"91 days":           {admin, keysA, `{"name":"x","scopes":["calls:view"],"days":91}`, 403, "api_key_not_issued"},
		"days before":       {admin, keysA, `{"name":"x","scopes":["calls:view"],"days":-1}`, 403, "api_key_not_issued"},
		"days without end":  {admin, keysA, `{"name":"x","scopes":["calls:view"],"days":9223372036854775807}`, 403, "api_key_not_issued"},
		"an unknown member": {admin, keysA, `{"name":"x","scopes":["calls:view"],"user":"other"}`, 422, "wrong_shape"},
		"no JSON":           {admin, keysA, `x`, 422, "wrong_shape"},
		"another's key":     {admin, keysA + "/x/rotate", `{"overlap_hours":1}`, 404, "resource_not_found"},
		"too long":          {admin, keysA + "/x/rotate", `{"overlap_hours":169}`, 403, "api_key_not_issued"},
	} {
		got := r.people(http.MethodPost, row.path, row.body, row.cookie)
		require.Equal(t, row.status, got.Status, "%s: %s", name, got.Body)
		require.Equal(t, row.code, got.Code(), name)
	}
	require.Empty(t, r.list(t.Context(), `SELECT id FROM api_keys`))
	require.NotContains(t, r.people(http.MethodGet, "/api/audit?site_id="+siteA, "", admin).Body, "api_key.")
}

// What one admin made, another admin of the site can end, and cannot take over; an admin
// of another site does not find it.
func TestAPIKeysOfOtherAdmins(t *testing.T) {
	t.Parallel()
	s := configured(t)
	s.Users[4].Sites = []string{siteA} // "other" owns site B as well
	r := run(t, s)
	admin, other := r.login("admin", true), r.login("other", true)
	key := r.makeKey(admin, "calls:view")
	require.Equal(t, 403, r.people(http.MethodPost, keysA+"/"+key.ID+"/rotate", `{"overlap_hours":0}`, other).Status)
	require.Equal(t, 200, r.with(key.Key, http.MethodGet, callsA).Status)
	atB := "/api/sites/" + siteB + "/keys"
	require.NotContains(t, r.people(http.MethodGet, atB, "", other).Body, key.ID)
	require.Equal(t, 404, r.people(http.MethodDelete, atB+"/"+key.ID, "", other).Status)
	require.Equal(t, 200, r.with(key.Key, http.MethodGet, callsA).Status)
	require.Equal(t, 200, r.people(http.MethodDelete, keysA+"/"+key.ID, "", other).Status)
	require.Equal(t, 401, r.with(key.Key, http.MethodGet, callsA).Status)
	log := r.people(http.MethodGet, "/api/audit?site_id="+siteA, "", admin).Body
	require.Regexp(t, `api_key\.end.*"id":"other"|"id":"other".*api_key\.end`, log)
}

// A user who is removed, or loses the site or the role, takes the keys along.
func TestAPIKeyEndsWithItsUsersRights(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]struct {
		change func(u *settings.User)
		status int
	}{
		"removed":      {func(u *settings.User) { u.ID, u.Email = "somebody", "somebody@example.test" }, 401},
		"off the site": {func(u *settings.User) { u.Sites = nil }, 404},
		"as before":    {func(*settings.User) {}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := configured(t)
			s.Users = append(s.Users, s.Users[0])
			made := &s.Users[len(s.Users)-1]
			made.ID, made.Email = "second", "second@example.test"
			r := run(t, s)
			key := r.makeKey(r.login("second", true), "calls:view")
			require.Equal(t, 200, r.with(key.Key, http.MethodGet, callsA).Status)
			next := *s
			next.Users = append(next.Users[:0:0], s.Users...)
			change.change(&next.Users[len(next.Users)-1])
			require.NoError(t, r.srv.Reload(t.Context(), &next))
			require.Equal(t, change.status, r.with(key.Key, http.MethodGet, callsA).Status)
		})
	}
}

func TestNetworksOfSitesAndUsers(t *testing.T) {
	t.Parallel()
	elsewhere := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	here := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24")}
	for name, row := range map[string]struct {
		site, user []netip.Prefix
		status     int
	}{
		"no lists":            {nil, nil, 200},
		"listed in both":      {here, here, 200},
		"not in the site's":   {elsewhere, nil, 403},
		"not in the user's":   {nil, elsewhere, 403},
		"in the user's alone": {elsewhere, here, 403},
		"in the site's alone": {here, elsewhere, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := configured(t)
			r := run(t, s)
			admin := r.login("admin", true)
			key := r.makeKey(admin, "calls:view")
			next := *s
			next.Sites, next.Users = append(next.Sites[:0:0], s.Sites...), append(next.Users[:0:0], s.Users...)
			next.Sites[0].Networks, next.Users[0].Networks = row.site, row.user
			require.NoError(t, r.srv.Reload(t.Context(), &next))
			forged := []string{"X-Forwarded-For", "192.0.2.7", "Forwarded", "for=192.0.2.7"}
			for who, got := range map[string]answer{
				"key": r.with(key.Key, http.MethodGet, callsA, forged...),
				"session": r.do(http.MethodGet, callsA, "",
					append([]string{"Cookie", admin}, forged...)...),
			} {
				require.Equal(t, row.status, got.Status, "%s: %s", who, got.Body)
				if row.status == 403 {
					require.Equal(t, "network_not_listed", got.Code())
				}
			}
			// Who sends events is not asked.
			require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", unique(), "Origin", originA).Status)
		})
	}
}

func TestAPIKeysOfASiteAreBounded(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	admin := r.login("admin", true)
	var key keyAnswer
	for range 100 {
		key = r.makeKey(admin, "calls:view")
	}
	got := r.people(http.MethodPost, keysA, `{"name":"x","scopes":["calls:view"]}`, admin)
	require.Equal(t, 409, got.Status)
	require.Equal(t, "api_keys_full", got.Code())
	require.Equal(t, 200, r.people(http.MethodDelete, keysA+"/"+key.ID, "", admin).Status)
	r.makeKey(admin, "calls:view")
}
