package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/ingest/store"
)

// record appends to the audit log inside the transaction of the action. One
// writer at a time is SQLite's rule anyway, so reading the head costs no
// concurrency here.
func record(tx *sql.Tx, act store.Act, previous, status string) error {
	head, err := readHead(tx.QueryRow(selectHead))
	if err != nil {
		return err
	}
	now := time.Now()
	entry, err := act.Record(now, previous, status).Encode()
	if err != nil {
		return err
	}
	text, err := head.Next(entry).MarshalText()
	if err != nil {
		return err
	}
	for _, statement := range []struct {
		sql  string
		args []any
	}{
		{`INSERT INTO audit_log (seq, entry) VALUES (?, ?)`, []any{head.Size(), entry}},
		{`INSERT INTO audit_head (only, head) VALUES (1, ?1)
			ON CONFLICT (only) DO UPDATE SET head = ?1`, []any{string(text)}},
		{
			`INSERT INTO call_actions (audit_seq, call_id, site_id, action, actor, previous, at)
			VALUES (?, ?, ?, ?, ?, ?, ?)`,
			[]any{head.Size(), act.Call, act.Site, act.Name, act.Actor, previous, now.UnixMilli()},
		},
	} {
		if _, err := tx.Exec(statement.sql, statement.args...); err != nil {
			return fmt.Errorf("sqlite: record action: %w", err)
		}
	}
	return nil
}

// AuditOf lists a site's newest entries.
func (db *DB) AuditOf(ctx context.Context, site string, limit int) ([]store.AuditRow, error) {
	const query = `SELECT seq, entry FROM audit_log JOIN call_actions ON seq = audit_seq
		WHERE site_id = ? ORDER BY seq DESC LIMIT ?`
	rows, err := db.read.QueryContext(ctx, query, site, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	list := []store.AuditRow{}
	for rows.Next() {
		var row store.AuditRow
		if err := rows.Scan(&row.Index, (*[]byte)(&row.Entry)); err != nil {
			return nil, err
		}
		list = append(list, row)
	}
	return list, rows.Err()
}

const selectHead = `SELECT head FROM audit_head WHERE only = 1`

// readHead returns the end of the log; no row is the empty log.
func readHead(row *sql.Row) (head audit.Head, err error) {
	var text string
	if err := row.Scan(&text); errors.Is(err, sql.ErrNoRows) {
		return head, nil
	} else if err != nil {
		return head, err
	}
	return head, head.UnmarshalText([]byte(text))
}

// VerifyAudit checks the log against the head beside it and returns that head.
// It finds damage and clumsy edits; whoever can rewrite both is found only by
// comparing with a head that was sent elsewhere, as the server's log lines are.
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
	return head, audit.Verify(auditEntries(ctx, tx), head.Tree())
}

func auditEntries(ctx context.Context, tx *sql.Tx) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		rows, err := tx.QueryContext(ctx, `SELECT entry FROM audit_log ORDER BY seq`)
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var entry []byte
			if err := rows.Scan(&entry); err != nil {
				yield(nil, err)
				return
			}
			if !yield(entry, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, err)
		}
	}
}
