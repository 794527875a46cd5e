//go:build unix

// Package postgrestest starts Postgres for tests, and makes databases in it that are
// ready for the server.
package postgrestest

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/postgres"
	"github.com/opsmantik/sallyport/examples/ingest/servicetest"
)

// Cluster is a Postgres with the server's three logins, and any number of databases.
type Cluster struct {
	Server *servicetest.Postgres
	Via    *servicetest.Postgres // where the server connects: a pooler, or the server

	next     atomic.Int64
	logins   atomic.Bool // there are
	migrated sync.Once
	template string
	free     chan string // databases that nobody uses
}

// Start starts one that ends with the test.
func Start(t testing.TB, settings ...string) *Cluster {
	t.Helper()
	server := servicetest.StartPostgres(t, append(settings, "max_connections=400")...)
	return &Cluster{Server: server, Via: server, free: make(chan string, 100)}
}

// StartPooled starts one that the server reaches through pgbouncer, in transaction mode.
func StartPooled(t testing.TB) *Cluster {
	t.Helper()
	g := Start(t)
	g.Via = servicetest.StartPgBouncer(t, g.Server, "ingest_app", "ingest_service")
	return g
}

// Exec runs statements as a superuser.
func (g *Cluster) Exec(t testing.TB, database, statements string) {
	t.Helper()
	conn := g.Super(t, database)
	require.NoError(t, conn.PgConn().Exec(t.Context(), statements).Close())
	require.NoError(t, conn.Close(t.Context()))
}

// Super connects as a superuser.
func (g *Cluster) Super(t testing.TB, database string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), g.Server.URL("postgres", database))
	require.NoError(t, err)
	return conn
}

// Empty makes a database in which roles.sql was run.
func (g *Cluster) Empty(t testing.TB) string {
	t.Helper()
	name := fmt.Sprint("ingest_", g.next.Add(1))
	g.Exec(t, "postgres", "CREATE DATABASE "+name)
	g.admit(t, name)
	return name
}

// admit runs roles.sql; the logins are the cluster's, so their part runs once.
func (g *Cluster) admit(t testing.TB, database string) {
	t.Helper()
	setup := postgres.Roles
	if !g.logins.CompareAndSwap(false, true) {
		setup = setup[strings.Index(setup, "REVOKE CREATE ON SCHEMA public"):]
	}
	g.Exec(t, database, setup)
}

// clear is what empties a database for the next test.
const clear = `SET session_replication_role = replica; -- the audit log refuses it else
	DO $$ DECLARE all_tables text; BEGIN
		SELECT string_agg(format('%I.%I', schemaname, tablename), ',') INTO all_tables FROM pg_tables
		WHERE schemaname IN ('ingest', 'audit') AND tablename NOT IN ('schema_version', 'seal_secret', 'head');
		EXECUTE 'TRUNCATE ' || all_tables;
	END $$;
	UPDATE audit.head SET head = '0'`

// Copied makes a database with the schema.
func (g *Cluster) Copied(t testing.TB) string {
	t.Helper()
	g.migrated.Do(func() {
		g.template = g.Empty(t)
		require.NoError(t, postgres.Migrate(t.Context(), g.Config(g.template)))
	})
	name := fmt.Sprint("ingest_", g.next.Add(1))
	g.Exec(t, "postgres", "CREATE DATABASE "+name+" TEMPLATE "+g.template)
	g.admit(t, name)
	return name
}

// Database returns one with the schema, and takes it back when the test ends.
func (g *Cluster) Database(t testing.TB) string {
	t.Helper()
	var name string
	select {
	case name = <-g.free:
	default:
		name = g.Copied(t)
	}
	t.Cleanup(func() {
		g.Clear(t, name)
		g.free <- name
	})
	return name
}

// Clear empties a database. It also works while a test ends.
func (g *Cluster) Clear(t testing.TB, database string) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), g.Server.URL("postgres", database))
	require.NoError(t, err)
	require.NoError(t, conn.PgConn().Exec(context.Background(), clear).Close())
	require.NoError(t, conn.Close(context.Background()))
}

// SealKey is the key that a database knows scopes by.
func (g *Cluster) SealKey(t testing.TB, conn *pgx.Conn) (key []byte) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT key FROM ingest.seal_secret`).Scan(&key))
	return key
}

// Config says how a server reaches a database.
func (g *Cluster) Config(database string) postgres.Config {
	return postgres.Config{
		URL: g.Via.URL("ingest_app", database), ServiceURL: g.Via.URL("ingest_service", database),
		MigrateURL: g.Server.URL("ingest_owner", database), Log: slog.New(slog.DiscardHandler),
	}
}
