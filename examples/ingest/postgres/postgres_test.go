//go:build unix

package postgres_test

import (
	"context"
	_ "embed"
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
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/examples/ingest/store/storetest"
	"github.com/opsmantik/sallyport/tenancy/apikey"
	keytest "github.com/opsmantik/sallyport/tenancy/apikey/storetest"
)

//go:embed roles.sql
var roles string

// rig is a cluster with the three logins, and any number of databases.
type rig struct {
	server *servicetest.Postgres
	via    *servicetest.Postgres // where the server's logins connect: a pooler, or the server
	names  sync.Map              // of databases, by folder
	next   atomic.Int64
	logins atomic.Bool // there are

	migrated sync.Once
	template string
	free     chan string // databases that nobody uses
}

func newRig(t testing.TB, settings ...string) *rig {
	t.Helper()
	server := servicetest.StartPostgres(t, append(settings, "max_connections=400")...)
	return &rig{server: server, via: server, free: make(chan string, 100)}
}

// pooled is a rig whose logins reach the server through pgbouncer.
func pooled(t testing.TB) *rig {
	t.Helper()
	g := newRig(t)
	g.via = servicetest.StartPgBouncer(t, g.server, "ingest_app", "ingest_service")
	return g
}

// exec runs statements as a superuser.
func (g *rig) exec(t testing.TB, database, statements string) {
	t.Helper()
	conn := g.super(t, database)
	require.NoError(t, conn.PgConn().Exec(t.Context(), statements).Close())
	require.NoError(t, conn.Close(t.Context()))
}

func (g *rig) super(t testing.TB, database string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), g.server.URL("postgres", database))
	require.NoError(t, err)
	return conn
}

// empty makes a database in which roles.sql was run.
func (g *rig) empty(t testing.TB) string {
	t.Helper()
	name := fmt.Sprint("ingest_", g.next.Add(1))
	g.exec(t, "postgres", "CREATE DATABASE "+name)
	g.admit(t, name)
	return name
}

// admit runs roles.sql; the logins are the cluster's, so their part runs once.
func (g *rig) admit(t testing.TB, database string) {
	t.Helper()
	setup := roles
	if !g.logins.CompareAndSwap(false, true) {
		setup = setup[strings.Index(setup, "REVOKE CREATE ON SCHEMA public"):]
	}
	g.exec(t, database, setup)
}

// clear empties a database for the next test.
const clear = `SET session_replication_role = replica; -- the audit log refuses it else
	DO $$ DECLARE all_tables text; BEGIN
		SELECT string_agg(format('%I.%I', schemaname, tablename), ',') INTO all_tables FROM pg_tables
		WHERE schemaname IN ('ingest', 'audit') AND tablename NOT IN ('schema_version', 'seal_secret', 'head');
		EXECUTE 'TRUNCATE ' || all_tables;
	END $$;
	UPDATE audit.head SET head = '0'`

// copied makes a database with the schema.
func (g *rig) copied(t testing.TB) string {
	t.Helper()
	g.migrated.Do(func() {
		g.template = g.empty(t)
		require.NoError(t, postgres.Migrate(t.Context(), g.config(g.template)))
	})
	name := fmt.Sprint("ingest_", g.next.Add(1))
	g.exec(t, "postgres", "CREATE DATABASE "+name+" TEMPLATE "+g.template)
	g.admit(t, name)
	return name
}

// database returns one with the schema, and takes it back when the test ends.
func (g *rig) database(t testing.TB) string {
	t.Helper()
	var name string
	select {
	case name = <-g.free:
	default:
		name = g.copied(t)
	}
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), g.server.URL("postgres", name))
		require.NoError(t, err)
		require.NoError(t, conn.PgConn().Exec(context.Background(), clear).Close())
		require.NoError(t, conn.Close(context.Background()))
		g.free <- name
	})
	return name
}

func (g *rig) sealKey(t testing.TB, conn *pgx.Conn) (key []byte) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT key FROM ingest.seal_secret`).Scan(&key))
	return key
}

func replace(text, old, with string) string { return strings.ReplaceAll(text, old, with) }

func (g *rig) config(database string) postgres.Config {
	return postgres.Config{
		URL: g.via.URL("ingest_app", database), ServiceURL: g.via.URL("ingest_service", database),
		MigrateURL: g.server.URL("ingest_owner", database), Log: slog.New(slog.DiscardHandler),
	}
}

func open(t testing.TB, cfg postgres.Config) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// open opens the database that belongs to a folder.
func (g *rig) open(t testing.TB, dir string) store.Store {
	t.Helper()
	name, known := g.names.Load(dir)
	if !known {
		name = g.database(t)
		g.names.Store(dir, name)
	}
	return open(t, g.config(name.(string)))
}

func TestStore(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	storetest.Run(t, g.open)
}

// The set-up behind Debian's pgbouncer, in transaction mode.
func TestStoreBehindPgBouncer(t *testing.T) {
	t.Parallel()
	g := pooled(t)
	storetest.Run(t, g.open)
}

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	keytest.Run(t, func(t *testing.T) apikey.Store { return open(t, g.config(g.database(t))).APIKeys() })
}
