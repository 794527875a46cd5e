package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"

	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/ingest/store"
)

// VerifyAudit checks the log against the head beside it, and the tables against
// the log, and returns that head. It finds damage and clumsy edits; whoever can
// rewrite all of it is found only by comparing with a head that was sent
// elsewhere, as the server's log lines are.
func (db *DB) VerifyAudit(ctx context.Context) (head audit.Head, err error) {
	// One snapshot: an action between two reads would look like tampering.
	tx, err := db.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return head, err
	}
	defer func() { _ = tx.Rollback() }()
	head, err = readHead(tx.QueryRowContext(ctx, selectHead))
	if err != nil {
		return head, err
	}
	var said store.Ledger
	if err := audit.Verify(entries(ctx, tx, &said), head.Tree()); err != nil {
		return head, err
	}
	return head, errors.Join(checkCalls(ctx, tx, &said), checkActions(ctx, tx, &said))
}

func tampered(format string, args ...any) error {
	return fmt.Errorf("sqlite: %w: "+format, append([]any{audit.ErrTampered}, args...)...)
}

// entries reads the log, and notes what it says of the tables on the way.
func entries(ctx context.Context, tx *sql.Tx, said *store.Ledger) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		rows, err := tx.QueryContext(ctx, `SELECT seq, entry, site_id FROM audit_log ORDER BY seq`)
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var seq int64
			var entry []byte
			var site string
			err := rows.Scan(&seq, &entry, &site)
			if err == nil {
				err = said.Note(seq, entry, site)
			}
			if !yield(entry, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, err)
		}
	}
}

func checkCalls(ctx context.Context, tx *sql.Tx, said *store.Ledger) error {
	rows, err := tx.QueryContext(ctx, `SELECT id, status FROM calls`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, status string
		if err := rows.Scan(&id, &status); err != nil {
			return err
		}
		if err := said.CheckCall(id, status); err != nil {
			return err
		}
	}
	return errors.Join(rows.Err(), said.NoCallLeft())
}

func checkActions(ctx context.Context, tx *sql.Tx, said *store.Ledger) error {
	const query = `SELECT audit_seq, call_id, site_id, action, actor, previous FROM call_actions`
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var seq int64
		var row store.Action
		err := rows.Scan(&seq, &row.Call, &row.Site, &row.Name, &row.Actor, &row.Previous)
		if err != nil {
			return err
		}
		if err := said.CheckAction(seq, row); err != nil {
			return err
		}
	}
	return errors.Join(rows.Err(), said.NoActionLeft())
}
