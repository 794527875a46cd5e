package server_test

import (
	"database/sql"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// outage makes the store fail with every event, and the returned function mends
// it again. The worker then answers as it does when its database is out.
func (r *rig) outage() (mend func()) {
	r.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(r.DB, "sallyport.db")+"?_pragma=busy_timeout(5000)")
	require.NoError(r.t, err)
	r.t.Cleanup(func() { require.NoError(r.t, db.Close()) })
	_, err = db.ExecContext(r.t.Context(), `ALTER TABLE events RENAME TO events_away`)
	require.NoError(r.t, err)
	return func() {
		_, err := db.ExecContext(r.t.Context(), `ALTER TABLE events_away RENAME TO events`)
		require.NoError(r.t, err)
	}
}

// A passing outage of the worker's database makes no dead letter, however small
// the batches are that meet it.
func TestAPassingOutageMakesNoDeadLetters(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	mend := r.outage()
	const sent = 40
	for range sent {
		require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", unique(), "Origin", originA).Status)
	}
	require.Eventually(t, func() bool {
		return len(r.list(t.Context(), `SELECT seq FROM queue`)) == sent && contains(r.Logs.String(), `"failures":4`)
	}, 30*time.Second, 20*time.Millisecond, "the worker was not tried again and again")
	mend()
	require.Equal(t, sent, r.stored("events"))
	require.NotContains(t, r.Logs.String(), "dead letter")
}

// What the worker refuses as wrong is dead, alone, listed, counted and
// replayable while the server runs.
func TestDeadLettersAreListedCountedAndReplayed(t *testing.T) {
	t.Parallel()
	s := configured(t)
	r := run(t, s)
	db, err := sql.Open("sqlite", filepath.Join(r.DB, "sallyport.db")+"?_pragma=busy_timeout(5000)")
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	exec := func(statement string) {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	exec(`CREATE TRIGGER wrong BEFORE INSERT ON events WHEN NEW.label = 'wrong'
		BEGIN SELECT RAISE(ABORT, 'constraint'); END`)
	wrong := view(`"el":""`, `"el":"wrong"`)
	require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", `{"events":[`+unique()+","+wrong+","+unique()+`]}`, "Origin", originA).Status)

	cookie := r.login("admin", true)
	list := func() answer { return r.do(http.MethodGet, "/api/queue/dead?site_id="+siteA, "", "Cookie", cookie) }
	require.Eventually(t, func() bool { return contains(list().Body, `"el":"wrong"`) }, 30*time.Second, 20*time.Millisecond)
	require.Eventually(t, func() bool { return len(r.list(t.Context(), `SELECT id FROM events`)) == 2 },
		30*time.Second, 20*time.Millisecond, "the others are stored")
	require.Contains(t, r.do(http.MethodGet, "/metrics", "").Body, "sallyport_queue_dead 1")

	replay := func(site, cookie string) answer {
		return r.do(http.MethodPost, "/api/queue/dead/replay?site_id="+site, "", "Cookie", cookie)
	}
	require.Equal(t, 404, replay(siteA, r.login("manager", false)).Status, "a permission of its own")
	require.Equal(t, 404, replay(siteB, cookie).Status, "not another site's")
	exec(`DROP TRIGGER wrong`)
	got := replay(siteA, cookie)
	require.Equal(t, 200, got.Status, got.Body)
	require.Contains(t, got.Body, `"replayed":1`)
	require.Equal(t, 3, r.stored("events"))
	log := r.do(http.MethodGet, "/api/audit?site_id="+siteA, "", "Cookie", cookie)
	require.Contains(t, log.Body, `"action":"queue.replay"`)
	require.Contains(t, r.do(http.MethodPost, "/api/audit/verify?site_id="+siteA, "", "Cookie", cookie).Body, `"ok":true`)
}
