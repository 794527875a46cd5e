package server_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/settings"
)

// What others reported of servers like this one, tried here.

// openmeterio/openmeter#5118: the id of an event was claimed before the write that
// earned it. When that failed, the retry was told that all is well, and nothing was
// ever stored.
func TestAFailedWriteClaimsNothing(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	db, err := sql.Open("sqlite", filepath.Join(r.DB, "sallyport.db")+"?_pragma=busy_timeout(5000)")
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.ExecContext(t.Context(), `CREATE TRIGGER out BEFORE INSERT ON queue BEGIN SELECT RAISE(ABORT, 'out'); END`)
	require.NoError(t, err)
	body := call("33a11c86-2371-4af7-8580-e3f78f56d6a2")
	headers := sign(siteA, secretA, body, time.Now())
	for range 2 {
		require.Equal(t, 503, r.do(http.MethodPost, "/api/call-event/v2", body, headers...).Status)
		require.Equal(t, 503, r.do(http.MethodPost, "/api/sync", view(), "Origin", originA).Status)
	}
	_, err = db.ExecContext(t.Context(), `DROP TRIGGER out`)
	require.NoError(t, err)
	require.Equal(t, 202, r.do(http.MethodPost, "/api/call-event/v2", body, headers...).Status, "not a noop")
	require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", view(), "Origin", originA).Status)
	require.Equal(t, 1, r.stored("calls"))
	require.Equal(t, 1, r.stored("events"))
}

// eugenioenko/autentico#360: each sign-in began a challenge of its own, so that
// parallel ones multiplied the guesses.
func TestParallelSignInsDoNotMultiplyGuesses(t *testing.T) {
	t.Parallel()
	r := behindProxy(t, nil)
	var mu sync.Mutex
	var wg sync.WaitGroup
	wrong := 0
	for i := range 6 {
		addr := fmt.Sprintf("198.51.100.%d", i+1)
		cookie := r.signInFrom(addr, "enrolled", adminPassword).cookie(t)
		for range 5 {
			wg.Go(func() {
				got := r.do(http.MethodPost, "/auth/totp", `{"code":"000000"}`, "Cookie", cookie, "X-Forwarded-For", addr)
				mu.Lock()
				defer mu.Unlock()
				if got.Code() == "code_invalid" {
					wrong++
				}
			})
		}
	}
	wg.Wait()
	require.LessOrEqual(t, wrong, 10)
}

// cifsd-team/ksmbd-tools#132: users and shares that the configuration did not have
// any more stayed after a reload.
func TestRemovedUsersAndSitesAreGoneAfterAReload(t *testing.T) {
	t.Parallel()
	s := configured(t)
	r := run(t, s)
	rep := r.login("rep", false)
	require.NoError(t, r.srv.Reload(t.Context(), changed(s, func(s *settings.Settings) {
		s.Users = append(s.Users[:1:1], s.Users[2:]...) // without rep
		s.Sites = s.Sites[:1]
	})))
	require.Equal(t, 401, r.do(http.MethodGet, "/auth/sessions", "", "Cookie", rep).Status)
	require.Equal(t, 401, r.do(http.MethodGet, "/api/sites/"+siteA+"/calls", "", "Cookie", rep).Status)
	require.Equal(t, 401, r.do(http.MethodPost, "/auth/login", `{"email":"rep@example.test","password":"`+adminPassword+`"}`).Status)
	require.Equal(t, 400, r.do(http.MethodPost, "/api/sync", view(siteA, siteB), "Origin", originB).Status)
	require.Contains(t, r.actions(), "settings.user_removed")
	require.Contains(t, r.actions(), "settings.site_removed")
}
