package rls

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
	"github.com/opsmantik/sallyport/tenancy"
)

// CodeServiceUsed: a service scope reached the database. It is an event, for the audit
// log: never a refusal.
const CodeServiceUsed = "rls_service_used"

// ServiceDB is for the work that is nobody's: migrations of data, retention, deletion.
// It is another type on another pool, whose login may bypass row level security, and
// takes a service scope only. The zero ServiceDB and nil refuse everything.
type ServiceDB struct {
	pool    *pgxpool.Pool
	onEvent func(context.Context, sallyport.Event)
}

// OpenService returns a ServiceDB. OnEvent is required: what a service does past all
// policies has to be seen. The pool must not be the one of a DB, nor log in as its role.
func OpenService(
	pool *pgxpool.Pool, db *DB, onEvent func(context.Context, sallyport.Event),
) (*ServiceDB, error) {
	errs := configerr.For(gate)
	if pool == nil {
		errs.Add("pool", "", sallyport.ConfigRequired, "set the pool of the service's own login")
	} else if db != nil && db.pool != nil &&
		(pool == db.pool || pool.Config().ConnConfig.User == db.pool.Config().ConnConfig.User) {
		errs.Add("pool", pool.Config().ConnConfig.User, sallyport.ConfigConflict,
			"the service has a login of its own: whoever gets SQL into a request must not have it")
	}
	if onEvent == nil {
		errs.Add("onEvent", "", sallyport.ConfigRequired, "record every use in the audit log")
	}
	if err := errs.Err(); err != nil {
		return nil, err
	}
	return &ServiceDB{pool: pool, onEvent: onEvent}, nil
}

// Tx runs fn in a transaction, and commits if fn returns nil. The event, with the
// service's name and reason, goes out before anything else does.
func (db *ServiceDB) Tx(ctx context.Context, s tenancy.ServiceScope, fn func(Tx) error) error {
	if db == nil || db.pool == nil {
		return refused(errNotOpened)
	}
	if err := s.Check(); err != nil {
		db.onEvent(ctx, sallyport.Event{Gate: gate, Code: CodeScopeRefused, Err: err})
		return refused(err)
	}
	db.onEvent(ctx, sallyport.Event{
		Gate: gate, Code: CodeServiceUsed, Allowed: true, Actor: s.Service(),
		Detail: ServiceUse{Service: s.Service(), Reason: s.Reason()},
	})
	tx, err := db.pool.Begin(ctx)
	if err != nil {
		return fmt.Errorf("rls: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is left to do
	if err := fn(Tx{tx}); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// ServiceUse is the Detail of a CodeServiceUsed event.
type ServiceUse struct{ Service, Reason string }
