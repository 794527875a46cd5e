package server_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
	"github.com/opsmantik/sallyport/examples/ingest/telemetry"
)

// changed is a copy of s with a change.
func changed(s *settings.Settings, change func(*settings.Settings)) *settings.Settings {
	next := *s
	next.Sites, next.Users = slices.Clone(s.Sites), slices.Clone(s.Users)
	next.AllowedOrigins = slices.Clone(s.AllowedOrigins)
	change(&next)
	return &next
}

func (r *rig) actions() []string {
	return r.list(r.t.Context(), `SELECT json_extract(CAST(entry AS TEXT), '$.action') FROM audit_log
		WHERE json_extract(CAST(entry AS TEXT), '$.action') LIKE 'settings.%' ORDER BY seq`)
}

// Sites, users and keys change while the server runs; what changed is on record,
// and sessions that it concerns end.
func TestReloadChangesSitesUsersAndKeys(t *testing.T) {
	t.Parallel()
	s := configured(t)
	r := run(t, s)
	const siteC = "11111111111111111111111111111111"
	admin, rep := r.login("admin", true), r.login("rep", false)
	require.NoError(t, r.srv.Reload(t.Context(), changed(s, func(s *settings.Settings) {
		s.AllowedOrigins = append(s.AllowedOrigins, "https://c.example")
		s.Sites = append(s.Sites, settings.Site{
			ID: siteC, Origins: []string{"https://c.example"}, Secret: "a-th1rd-s1te-s3cret!", RatePerMinute: 100, Owner: "admin",
		})
		s.Sites[0].Secret, s.Sites[0].NextSecret = s.Sites[0].NextSecret, ""
		s.Users[1].Role = "manager" // rep
		s.CurrentKey, s.NextKey = "sig_the_key_of_tomorrow_42", s.CurrentKey
	})))
	require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", view(siteA, siteC), "Origin", "https://c.example").Status)
	require.Equal(t, 1, r.stored("events"), "deliveries are signed with the new key")
	body := call("33a11c86-2371-4af7-8580-e3f78f56d6a2")
	require.Equal(t, 401, r.do(http.MethodPost, "/api/call-event/v2", body, sign(siteA, secretA, body, time.Now())...).Status)
	require.Equal(t, 202, r.do(http.MethodPost, "/api/call-event/v2", body, sign(siteA, "n3xt-s3cr3t-n3xt-s3cr3t", body, time.Now())...).Status)
	require.Equal(t, 401, r.do(http.MethodGet, "/auth/sessions", "", "Cookie", rep).Status, "another role signs in again")
	require.Equal(t, 200, r.do(http.MethodGet, "/api/sites/"+siteC+"/events", "", "Cookie", admin).Status, "the others stay")
	require.Equal(t, []string{
		"settings.role_changed", "settings.site_secrets_changed", "settings.site_added", "settings.keys_changed",
	}, r.actions())
	require.NotContains(t, strings.Join(r.list(t.Context(), `SELECT CAST(entry AS TEXT) FROM audit_log`), ""), "n3xt-s3cr3t")
}

// All or nothing: settings that cannot be served change nothing.
func TestReloadThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	s := configured(t)
	r := run(t, s)
	for name, change := range map[string]func(*settings.Settings){
		"DATA_DIR": func(s *settings.Settings) { s.DataDir = "/elsewhere" },
		"origins":  func(s *settings.Settings) { s.AllowedOrigins = []string{"nonsense"} },
		"secret":   func(s *settings.Settings) { s.Sites[0].Secret = "short" },
	} {
		err := r.srv.Reload(t.Context(), changed(s, func(s *settings.Settings) { change(s); s.Users[0].Role = "rep" }))
		require.Error(t, err, name)
	}
	require.Empty(t, r.actions())
	require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", view(), "Origin", originA).Status)
}

// A rolling restart refuses nothing: the instance says that it will stop, and
// serves on until nobody asks it any more.
func TestDraining(t *testing.T) {
	t.Parallel()
	s := configured(t)
	s.Drain = 2 * time.Second
	logs := &lockedBuffer{}
	log, _, err := telemetry.NewLogger(logs, "")
	require.NoError(t, err)
	db, srv := newServer(t, s, log, sqlite.Full)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	r := &rig{t: t, URL: srv.Addresses().API, DB: s.DataDir, Logs: logs, srv: srv}
	require.Equal(t, 200, r.do(http.MethodGet, "/readyz", "").Status)
	stop()
	require.Eventually(t, func() bool { return r.do(http.MethodGet, "/readyz", "").Code() == "instance_draining" },
		time.Second, 5*time.Millisecond)
	require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", view(), "Origin", originA).Status)
	require.NoError(t, <-done)
	require.NoError(t, db.Close())
}
