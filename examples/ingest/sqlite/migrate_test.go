package sqlite_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/examples/ingest/store/storetest"
)

// A database of any earlier version opens, keeps what it holds, and delivers what
// it had queued. The files are the schemas as they were, with rows of that time.
func TestDatabasesOfEarlierVersionsAreUpgraded(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"first", "unique-gone", "unnumbered"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			old, err := os.ReadFile("testdata/" + version + ".sql")
			require.NoError(t, err)
			exec(t, dir, string(old))

			db := open(t, dir, sqlite.Full)
			require.EqualValues(t, 2, db.Waiting())
			items, err := db.Take(t.Context(), 10, 1<<20)
			require.NoError(t, err)
			require.Len(t, items, 2, "dead letters get another chance")
			rows, err := db.Events(t.Context(), storetest.Scope(t, "admin", site), 10)
			require.NoError(t, err)
			require.Len(t, rows, 1)
			calls, err := db.Calls(t.Context(), storetest.Scope(t, "admin", site), 10)
			require.NoError(t, err)
			require.Len(t, calls, 1)
			_, err = db.Act(t.Context(), storetest.Scope(t, "admin", site), act("seal"))
			require.NoError(t, err)
			_, err = db.VerifyAudit(t.Context())
			require.NoError(t, err)
		})
	}
}

func TestAFileOfANewerProgramIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := sqlite.Open(t.Context(), dir, sqlite.Full)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	raw, err := sql.Open("sqlite", filepath.Join(dir, "sallyport.db"))
	require.NoError(t, err)
	_, err = raw.ExecContext(t.Context(), `PRAGMA user_version = 999`)
	require.NoError(t, err)
	require.NoError(t, raw.Close())
	_, err = sqlite.Open(t.Context(), dir, sqlite.Full)
	require.ErrorContains(t, err, "newer")
}

// Visits from before they had a table are counted when they get one.
func TestVisitsOfEarlierVersionsAreCounted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := sqlite.Open(t.Context(), dir, sqlite.Full)
	require.NoError(t, err)
	for i, visit := range []string{"v1", "v1", "v2", ""} {
		r := received(string(rune('a' + i)))
		r.Visit = visit
		_, err = db.Store(t.Context(), []event.Received{r})
		require.NoError(t, err)
	}
	before, err := db.Visits(t.Context(), storetest.Scope(t, "admin", site), store.VisitPlace{}, 10)
	require.NoError(t, err)
	require.Len(t, before, 2)
	require.NoError(t, db.Close())
	exec(t, dir, `DROP TABLE visits; DROP TABLE security_keys; DROP INDEX events_visit;
		DROP INDEX queue_lone; ALTER TABLE queue DROP COLUMN events;
		CREATE INDEX queue_live ON queue (lone, seq) WHERE dead = 0;
		PRAGMA user_version = 8`)
	after, err := open(t, dir, sqlite.Full).Visits(t.Context(),
		storetest.Scope(t, "admin", site), store.VisitPlace{}, 10)
	require.NoError(t, err)
	require.Equal(t, before, after)
}
