//go:build unix

package postgres_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/postgres"
	"github.com/opsmantik/sallyport/examples/ingest/postgres/postgrestest"
	"github.com/opsmantik/sallyport/tenancy/rls"
	"github.com/opsmantik/sallyport/tenancy/rls/rlstest"
)

func manyStarts(t *testing.T, g *postgrestest.Cluster) {
	database := g.Empty(t)
	cfg := g.Config(database)
	var all sync.WaitGroup
	results := make([]error, 6)
	for i := range results {
		all.Go(func() {
			db, err := postgres.Open(context.Background(), cfg)
			if err == nil {
				err = db.Close()
			}
			results[i] = err
		})
	}
	all.Wait()
	for _, err := range results {
		require.NoError(t, err)
	}
	conn := g.Super(t, database)
	defer conn.Close(t.Context())
	var keys, months int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM ingest.seal_secret),
		(SELECT count(*) FROM pg_inherits WHERE inhparent = 'ingest.events'::regclass)`).Scan(&keys, &months))
	require.Equal(t, 1, keys)
	require.Equal(t, 2, months, "this month and the next")

	cfg.MigrateURL = "" // from now on the owner's login is not needed
	open(t, cfg)
}

// What else rls.Open refuses is in its own tests.
func openRefuses(t *testing.T, g *postgrestest.Cluster) {
	for name, row := range map[string]struct {
		sql    string // as a superuser, beforehand
		change func(*postgres.Config)
		want   string

		connects bool
	}{
		"a schema that is behind": {
			`UPDATE ingest.schema_version SET version = 0`,
			func(c *postgres.Config) { c.MigrateURL = "" }, "set MIGRATE_DATABASE_URL", false,
		},
		"a schema that is ahead": {
			`UPDATE ingest.schema_version SET version = 999`,
			func(c *postgres.Config) { c.MigrateURL = "" }, "start the newer one", false,
		},
		"a service that no policy binds": {
			`CREATE ROLE above LOGIN BYPASSRLS; GRANT ingest_service TO above`,
			func(c *postgres.Config) {
				c.ServiceURL, c.MigrateURL = strings.Replace(c.ServiceURL, "ingest_service", "above", 1), ""
			}, "has BYPASSRLS", false,
		},
		"one login for both": {
			"", func(c *postgres.Config) { c.ServiceURL = c.URL }, "three roles", false,
		},
		"the owner as the application": {
			"", func(c *postgres.Config) { c.URL = c.MigrateURL }, "three roles", false,
		},
		"a policy that lets everything through": {
			`CREATE POLICY all_rows ON ingest.visits FOR SELECT TO ingest_app USING (true)`, nil, "ingest.visits", false,
		},
		"another seal key": {
			`UPDATE ingest.seal_secret SET key = sha256('x')`, nil, "does not accept it", false,
		},
		"a password beyond this machine in the clear": {
			"", func(c *postgres.Config) { c.URL = "postgres://a:secret@db.example/x" }, "sslmode", false,
		},
		"a mode that shows the seal": {
			"", func(c *postgres.Config) { c.URL += "&default_query_exec_mode=simple_protocol" }, "simple protocol", true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := "none" // what is wrong with the settings alone is told without one
			if row.sql != "" || row.connects {
				database = g.Copied(t)
			}
			cfg := g.Config(database)
			if row.change != nil {
				row.change(&cfg)
			}
			if row.sql != "" {
				g.Exec(t, database, row.sql)
			}
			db, err := postgres.Open(t.Context(), cfg)
			if err == nil {
				require.NoError(t, db.Close())
			}
			require.ErrorContains(t, err, row.want)
			require.NotContains(t, err.Error(), "secret@")
		})
	}
}

// Every relation and function that the application reaches is attacked by rls.Prove.
func isolated(t *testing.T, g *postgrestest.Cluster) {
	database := g.Database(t)
	db := open(t, g.Config(database))
	require.NoError(t, db.Ready(t.Context()))
	conn := g.Super(t, database)
	defer conn.Close(t.Context())
	rlstest.RequireIsolated(t, conn, rls.Plan{
		Role: "ingest_app", Key: g.SealKey(t, conn),
		Tenant: map[string]string{"audit.log": "tenant"},
	})
}

// No table is without row level security, whoever may reach it.
func rowSecurity(t *testing.T, g *postgrestest.Cluster) {
	database := g.Database(t)
	open(t, g.Config(database))
	conn := g.Super(t, database)
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), `SELECT c.oid::regclass::text FROM pg_class c
		WHERE c.relnamespace IN ('ingest'::regnamespace, 'audit'::regnamespace)
		AND c.relkind IN ('r', 'p') AND NOT (relrowsecurity AND relforcerowsecurity)`)
	require.NoError(t, err)
	open, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.ElementsMatch(t, []string{
		"ingest.schema_version", "ingest.data_keys", "ingest.data_keys_kept",
	}, open, "the owner changes the first, and rewrites the second by the third")
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT array_agg(oid::regclass::text) FROM pg_class
		WHERE relnamespace IN ('ingest'::regnamespace, 'audit'::regnamespace)
		AND relkind IN ('r', 'p') AND NOT relrowsecurity`).Scan(&open))
	require.Empty(t, open)
}
