package rls

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/tenancy"
)

// CodeScopeRefused (503): a statement came without a proof of access that still
// holds. It is a fault of the program, not of the client.
const CodeScopeRefused = "rls_scope_refused"

// DB reads and writes within the scope of a grant. There is no way to run a
// statement without one. It is safe for concurrent use; the zero DB and nil refuse
// everything.
type DB struct {
	pool    *pgxpool.Pool
	sealer  *sealer
	ttl     time.Duration
	bindPID bool
	path    string
	onEvent func(context.Context, sallyport.Event)
}

// proof is what of a scope ends up in the database.
type proof struct {
	site, user string
	expires    time.Time
}

// prove checks a scope at the moment of use.
func (db *DB) prove(ctx context.Context, s tenancy.Scope) (proof, error) {
	if db == nil || db.pool == nil {
		return proof{}, refused(errNotOpened)
	}
	if err := s.Check(); err != nil {
		if db.onEvent != nil {
			db.onEvent(ctx, sallyport.Event{Gate: gate, Code: CodeScopeRefused, Err: err})
		}
		return proof{}, refused(err)
	}
	p := proof{site: s.Site(), user: s.User(), expires: s.Expires()}
	if p.site == "" || p.user == "" { // it expired between the two lines
		return proof{}, refused(tenancy.ErrExpired)
	}
	return p, nil
}

func refused(cause error) error {
	return &sallyport.Refusal{
		Gate: gate, Code: CodeScopeRefused, Status: http.StatusServiceUnavailable,
		Title: "The data cannot be reached right now", Err: cause,
	}
}

// scopeStatement opens every transaction: the sealed scope and the search path, both
// until its end.
const scopeStatement = `select set_config('sallyport.scope', $1, true), ` +
	`set_config('search_path', $2, true)`

// seal makes the setting of one transaction. It never outlives the grant.
func (db *DB) seal(p proof, conn *pgx.Conn) string {
	expires := time.Now().Add(db.ttl)
	if p.expires.Before(expires) {
		// Whole seconds, rounded up: the grant itself was checked just now.
		expires = p.expires.Add(time.Second)
	}
	var pid uint32
	if db.bindPID {
		pid = conn.PgConn().PID()
	}
	return db.sealer.seal(p.site, p.user, expires, pid)
}

// Batch collects the queries of one Read.
type Batch struct{ inner pgx.Batch }

// Query adds a query. Rows, which may be nil, is called with its result when Read
// runs; it must not keep it. Arguments are as in pgx.
func (b *Batch) Query(rows func(pgx.Rows) error, sql string, args ...any) {
	q := b.inner.Queue(sql, args...)
	if rows != nil {
		q.Query(rows)
	}
}

// QueryRow adds a query for at most one row. Row may return what Scan returned;
// pgx.ErrNoRows then ends the Read.
func (b *Batch) QueryRow(row func(pgx.Row) error, sql string, args ...any) {
	b.inner.Queue(sql, args...).QueryRow(row)
}

// Read runs the queries of b for the holder of s in one round trip: the statement
// that sets the scope and all queries form one implicit transaction, in which the
// first error ends the rest. The rest of this package's promises are in the package
// documentation. A Batch may be used once.
//
// Read is for statements that may be lost or repeated together. It can also write;
// an error then says whether the server reported it, as pgx does.
func (db *DB) Read(ctx context.Context, s tenancy.Scope, b *Batch) error {
	p, err := db.prove(ctx, s)
	if err != nil {
		return err
	}
	return db.batch(ctx, p, b)
}

func (db *DB) batch(ctx context.Context, p proof, b *Batch) error {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("rls: %w", err)
	}
	defer conn.Release()
	all := pgx.Batch{QueuedQueries: make([]*pgx.QueuedQuery, 1, len(b.inner.QueuedQueries)+1)}
	first := pgx.Batch{}
	all.QueuedQueries[0] = first.Queue(scopeStatement, db.seal(p, conn.Conn()), db.path)
	all.QueuedQueries = append(all.QueuedQueries, b.inner.QueuedQueries...)
	if err := conn.SendBatch(ctx, &all).Close(); err != nil {
		return fmt.Errorf("rls: %w", err)
	}
	return nil
}

// Tx is a transaction within a scope. It has no Begin, no Conn and no LISTEN: what
// it starts ends with it.
type Tx struct{ tx pgx.Tx }

// Exec runs a statement.
func (t Tx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if t.tx == nil {
		return pgconn.CommandTag{}, refused(errNotOpened)
	}
	return t.tx.Exec(ctx, sql, args...)
}

// Query runs a query. The caller closes the rows.
func (t Tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if t.tx == nil {
		return nil, refused(errNotOpened)
	}
	return t.tx.Query(ctx, sql, args...)
}

// QueryRow runs a query for at most one row.
func (t Tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if t.tx == nil {
		return refusedRow{}
	}
	return t.tx.QueryRow(ctx, sql, args...)
}

type refusedRow struct{}

func (refusedRow) Scan(...any) error { return refused(errNotOpened) }

// Tx runs fn in a transaction for the holder of s, and commits if fn returns nil. The
// scope is checked when it begins; fn must not outlive it. An error of the commit may
// mean that it took effect: do not repeat it blindly.
func (db *DB) Tx(ctx context.Context, s tenancy.Scope, fn func(Tx) error) error {
	p, err := db.prove(ctx, s)
	if err != nil {
		return err
	}
	return db.transaction(ctx, p, fn)
}

func (db *DB) transaction(ctx context.Context, p proof, fn func(Tx) error) error {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("rls: %w", err)
	}
	defer conn.Release()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("rls: %w", err)
	}
	// After a commit this does nothing. A context that is over must not leave the
	// transaction open: pgx closes the connection then.
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is left to do
	if _, err := tx.Exec(ctx, scopeStatement, db.seal(p, conn.Conn()), db.path); err != nil {
		return fmt.Errorf("rls: %w", err)
	}
	if err := fn(Tx{tx}); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("rls: %w", err)
	}
	return nil
}

// IsScopeRefused reports whether the database refused the sealed scope: forged,
// expired, or of another process.
func IsScopeRefused(err error) bool {
	failure, ok := errors.AsType[*pgconn.PgError](err)
	return ok && failure.Code == "28000" && failure.SchemaName == "sallyport"
}
