package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
)

// record appends to the audit log inside the transaction of the action, and
// returns the entry's place. One writer at a time is SQLite's rule anyway, so
// reading the head costs no concurrency here.
func record(tx *sql.Tx, what audit.Record) (seq int64, err error) {
	head, err := readHead(tx.QueryRow(selectHead))
	if err != nil {
		return 0, err
	}
	entry, err := what.Encode()
	if err != nil {
		return 0, err
	}
	text, err := head.Next(entry).MarshalText()
	if err != nil {
		return 0, err
	}
	const insert = `INSERT INTO audit_log (seq, entry, site_id) VALUES (?, ?, ?)`
	if _, err := tx.Exec(insert, head.Size(), entry, what.Tenant); err != nil {
		return 0, fmt.Errorf("sqlite: record: %w", err)
	}
	const move = `INSERT INTO audit_head (only, head) VALUES (1, ?1)
		ON CONFLICT (only) DO UPDATE SET head = ?1`
	if _, err := tx.Exec(move, string(text)); err != nil {
		return 0, fmt.Errorf("sqlite: record: %w", err)
	}
	return head.Size(), nil
}

// Record appends to the audit log what happened outside this store.
func (db *DB) Record(ctx context.Context, what audit.Record) error {
	return db.Write(ctx, func(tx *sql.Tx) error {
		_, err := record(tx, what)
		return err
	})
}

// AuditOf lists a site's newest entries.
func (db *DB) AuditOf(
	ctx context.Context, scope tenancy.Scope, limit int,
) ([]store.AuditRow, error) {
	if err := scope.Check(); err != nil {
		return nil, err
	}
	const query = `SELECT seq, entry FROM audit_log WHERE site_id = ? ORDER BY seq DESC LIMIT ?`
	rows, err := db.read.QueryContext(ctx, query, scope.Site(), limit)
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

// AuditHead returns the end of the audit log.
func (db *DB) AuditHead(ctx context.Context) (audit.Head, error) {
	return readHead(db.read.QueryRowContext(ctx, selectHead))
}
