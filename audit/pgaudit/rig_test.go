//go:build unix

package pgaudit_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/pgaudit"
	"github.com/opsmantik/sallyport/internal/loopback"
)

func record(id string) audit.Record {
	return audit.Record{
		Time:    time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC),
		Actor:   audit.Ref{Kind: "user", ID: "u_81"},
		Tenant:  "s1",
		Action:  "calls.seal",
		Target:  audit.Ref{Kind: "call", ID: id},
		Outcome: audit.OutcomeSuccess,
		Fields:  []audit.Field{{Name: "from", Value: "open", Class: sallyport.Internal}},
	}
}

// rig is a cluster with the three roles.
type rig struct {
	server *loopback.Server
	owner  *pgxpool.Pool
	n      int
	mu     sync.Mutex
}

func newRig(t testing.TB, settings ...string) *rig {
	t.Helper()
	r := &rig{server: loopback.StartPostgres(t, settings...)}
	r.owner = pool(t, r.server.DSN)
	run(t, r.owner, `CREATE ROLE app LOGIN; CREATE ROLE seq LOGIN; CREATE ROLE aud LOGIN`)
	return r
}

func pool(t testing.TB, dsn string) *pgxpool.Pool {
	t.Helper()
	p, err := pgxpool.New(context.Background(), dsn)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

func run(t testing.TB, db *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	_, err := db.Exec(context.Background(), sql, args...)
	require.NoError(t, err)
}

// poolSize is what pgxpool understands and libpq does not.
const poolSize = "&pool_max_conns=8"

// database is a fresh one with the tables, seen by each role.
type database struct{ owner, app, seq, aud *pgxpool.Pool }

func (r *rig) database(t testing.TB) database {
	t.Helper()
	r.mu.Lock()
	r.n++
	name := fmt.Sprintf("db%d", r.n)
	r.mu.Unlock()
	run(t, r.owner, "CREATE DATABASE "+name)
	as := func(user string) *pgxpool.Pool {
		return pool(t, fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable",
			user, r.server.Addr, name)+poolSize)
	}
	db := database{as("postgres"), as("app"), as("seq"), as("aud")}
	sql, err := pgaudit.Schema(pgaudit.Roles{App: "app", Sequencer: "seq", Auditor: "aud"})
	require.NoError(t, err)
	run(t, db.owner, sql)
	run(t, db.owner, `CREATE TABLE calls (id text PRIMARY KEY, status text NOT NULL);
		GRANT ALL ON calls TO app`)
	return db
}

func (d database) log(t testing.TB) *pgaudit.Log {
	t.Helper()
	log, err := pgaudit.New(context.Background(), pgaudit.Config{Pool: d.seq})
	require.NoError(t, err)
	return log
}

// act inserts a call and its record, both or neither.
func (d database) act(ctx context.Context, id string) error {
	return pgaudit.Do(ctx, d.app, func(tx pgx.Tx) (audit.Record, error) {
		_, err := tx.Exec(ctx, `INSERT INTO calls VALUES ($1, 'sealed')`, id)
		return record(id), err
	})
}

// drain sequences all there is.
func drain(t testing.TB, log *pgaudit.Log) (n int) {
	t.Helper()
	for {
		done, err := log.Sequence(context.Background())
		require.NoError(t, err)
		if n += done; done == 0 {
			return n
		}
	}
}

// targets returns the target of each entry, in order, after verifying the log.
func targets(t testing.TB, log *pgaudit.Log) []string {
	t.Helper()
	head, err := log.Head(context.Background())
	require.NoError(t, err)
	require.NoError(t, audit.Verify(log.Entries(context.Background(), 0), head.Tree()))
	var all []string
	for entry, err := range log.Entries(context.Background(), 0) {
		require.NoError(t, err)
		r, err := audit.Parse(entry)
		require.NoError(t, err)
		all = append(all, r.Target.ID)
	}
	return all
}

func count(t testing.TB, db *pgxpool.Pool, table string) (n int) {
	t.Helper()
	require.NoError(t, db.QueryRow(context.Background(), "SELECT count(*) FROM "+table).Scan(&n))
	return n
}
