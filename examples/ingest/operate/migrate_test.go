//go:build unix

package operate_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/operate"
	"github.com/opsmantik/sallyport/examples/ingest/postgres"
	"github.com/opsmantik/sallyport/examples/ingest/postgres/postgrestest"
)

func TestMigrate(t *testing.T) {
	t.Parallel()
	g := postgrestest.Start(t)
	cfg := g.Config(g.Empty(t))
	m := newMachine(t)
	run := func(environ ...string) (int, string) {
		var out bytes.Buffer
		c := &operate.Console{Out: &out, Err: &out, Environ: append(m.environ, environ...)}
		code, known := operate.Run(t.Context(), c, []string{"migrate"})
		require.True(t, known)
		return code, out.String()
	}
	logins := []string{"DATABASE_URL=" + cfg.URL, "SERVICE_DATABASE_URL=" + cfg.ServiceURL}
	code, said := run(logins...)
	require.Equal(t, 1, code)
	require.Contains(t, said, "MIGRATE_DATABASE_URL")
	for range 2 { // again does no harm
		code, said = run(append(logins, "MIGRATE_DATABASE_URL="+cfg.MigrateURL)...)
		require.Equal(t, 0, code, said)
	}
	cfg.MigrateURL = ""
	db, err := postgres.Open(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, db.Close())
}
