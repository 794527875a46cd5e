package pgaudit

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
)

// Beginner is a *pgxpool.Pool, a *pgx.Conn, or a pgx.Tx.
type Beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// Do runs fn in a transaction and commits it with the record that fn returns. If
// anything fails, neither happens; errors of fn come back as they are, those of the
// log as [*sallyport.Refusal].
//
// Fn must do nothing outside the transaction that cannot be undone. For an effect in
// another system, commit a record with audit.OutcomeIntent first, act, and commit the
// outcome; [Log.Orphans] finds the intents that have none.
func Do(ctx context.Context, db Beginner, fn func(tx pgx.Tx) (audit.Record, error)) error {
	tx, err := db.Begin(ctx)
	if err != nil {
		return refusal(audit.CodeNotQueued, err)
	}
	// After a commit this does nothing. It must not depend on a context that ended.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	r, err := fn(tx)
	if err != nil {
		return err
	}
	if err := Insert(ctx, tx, r); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return refusal(commitCode(err), err)
	}
	return nil
}

// commitCode tells a commit that the server refused from one whose answer never came.
func commitCode(err error) string {
	refused, answered := errors.AsType[*pgconn.PgError](err)
	if errors.Is(err, pgx.ErrTxCommitRollback) || answered && !shutdown(refused.Code) {
		return audit.CodeNotQueued
	}
	return audit.CodeOutcomeUnknown
}

// shutdown reports the SQLSTATE classes of a server that goes away, perhaps after it
// committed: connection exceptions and operator intervention.
func shutdown(state string) bool {
	return strings.HasPrefix(state, "08") || strings.HasPrefix(state, "57")
}

// Execer is a pgx.Tx, or a transaction of another package that wraps one.
type Execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// Insert adds a record to the caller's own transaction. An rls.Tx will do: the action
// and its record are then within the scope of a grant.
func Insert(ctx context.Context, tx Execer, r audit.Record) error {
	entry, err := r.Encode()
	if err != nil {
		return refusal(audit.CodeRecordInvalid, err)
	}
	const statement = `INSERT INTO audit.pending (entry) VALUES ($1)`
	if _, err := tx.Exec(ctx, statement, entry); err != nil {
		return refusal(audit.CodeNotQueued, err)
	}
	return nil
}

func refusal(code string, cause error) error {
	r := &sallyport.Refusal{
		Gate: "audit", Code: code, Status: http.StatusServiceUnavailable,
		Title: "Audit log unavailable", Err: cause,
	}
	switch code {
	case audit.CodeRecordInvalid:
		r.Status, r.Title = http.StatusInternalServerError, "Audit record invalid"
	case audit.CodeOutcomeUnknown:
		r.Title = "Audit outcome unknown"
	case audit.CodeNotConfigured:
		r.Title = "Audit log not configured"
	}
	return r
}
