//go:build unix

package postgres_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/postgres/postgrestest"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/examples/ingest/store/storetest"
)

// A dump that psql reads into an empty database of another cluster serves on: the logins
// and their policies hold there, repeats are known again, and the audit log verifies.
func TestDumpServesOn(t *testing.T) {
	t.Parallel()
	if !soak(false, true) {
		t.Skip("two clusters")
	}
	from, to := postgrestest.Start(t), postgrestest.Start(t)
	database := from.Copied(t)
	db := open(t, from.Config(database))
	events := fresh(50)
	_, err := db.Store(t.Context(), events)
	require.NoError(t, err)
	withCall(t, db, site, "c1")
	scope := storetest.Scope(t, "admin", site)
	_, err = db.Act(t.Context(), scope, store.Act{Name: "seal", Call: "c1"})
	require.NoError(t, err)
	head, err := db.VerifyAudit(t.Context())
	require.NoError(t, err)

	restored := to.Empty(t)
	program := func(name string) string {
		found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
		require.NoError(t, err)
		require.NotEmpty(t, found)
		return found[len(found)-1]
	}
	file := filepath.Join(t.TempDir(), "dump")
	for _, args := range [][]string{
		{program("pg_dump"), "-f", file, from.Server.URL("postgres", database)},
		{program("psql"), "-q", "-v", "ON_ERROR_STOP=1", "-f", file, to.Server.URL("postgres", restored)},
	} {
		out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput() // #nosec G204
		require.NoError(t, err, "%s", out)
	}
	again := open(t, to.Config(restored))
	after, err := again.VerifyAudit(t.Context())
	require.NoError(t, err)
	require.Equal(t, head.Tree(), after.Tree())
	for i := range events {
		events[i].ID = "again-" + events[i].ID
	}
	stored, err := again.Store(t.Context(), events)
	require.NoError(t, err)
	require.Equal(t, store.Stored{Duplicates: 50}, stored)
	rows, err := again.Calls(t.Context(), scope, 10)
	require.NoError(t, err)
	require.Equal(t, store.Sealed, rows[0].Status)
	// Whoever has the application's login and no scope sees nothing there either.
	pool, err := pgxpool.New(context.Background(), to.Config(restored).URL)
	require.NoError(t, err)
	defer pool.Close()
	var n int
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(*) FROM ingest.events`).Scan(&n))
	require.Zero(t, n)
}
