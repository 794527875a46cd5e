package pgaudit_test

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/pgaudit"
)

func sealed(call string) audit.Record {
	return audit.Record{
		Time: time.Now(), Tenant: "shop", Action: "calls.seal", Outcome: audit.OutcomeSuccess,
		Actor: audit.Ref{Kind: "user", ID: "ada"}, Target: audit.Ref{Kind: "call", ID: call},
	}
}

// The call is sealed and the record is there, or neither.
func ExampleDo() {
	seal := func(ctx context.Context, pool *pgxpool.Pool, call string) error {
		return pgaudit.Do(ctx, pool, func(tx pgx.Tx) (audit.Record, error) {
			_, err := tx.Exec(ctx, "UPDATE calls SET status = 'sealed' WHERE id = $1", call)
			return sealed(call), err
		})
	}
	_ = seal
}

// An action that commits before its record is an action without one, whenever the
// server dies in between.
func ExampleDo_incorrect() {
	seal := func(ctx context.Context, pool *pgxpool.Pool, call string) error {
		if _, err := pool.Exec(ctx, "UPDATE calls SET status = 'sealed' WHERE id = $1", call); err != nil {
			return err
		}
		return pgaudit.Do(ctx, pool, func(pgx.Tx) (audit.Record, error) { // wrong: another transaction
			return sealed(call), nil
		})
	}
	_ = seal
}
