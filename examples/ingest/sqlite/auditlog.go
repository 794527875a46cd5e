package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"net/http"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
)

// AuditLog is the audit log as the packages below audit take it: to publish, search,
// export and erase.
type AuditLog struct{ db *DB }

var _ audit.Store = AuditLog{}

// AuditLog returns the log in this file.
func (db *DB) AuditLog() audit.Store { return AuditLog{db} }

// Append records what happened outside the other tables.
func (l AuditLog) Append(ctx context.Context, r audit.Record) (audit.Receipt, error) {
	var receipt audit.Receipt
	err := l.db.Write(ctx, func(tx *sql.Tx) error {
		seq, err := record(tx, r)
		if err != nil {
			return err
		}
		head, err := readHead(tx.QueryRow(selectHead))
		receipt = audit.Receipt{Index: seq, Tree: head.Tree()}
		return err
	})
	if err == nil {
		return receipt, nil
	}
	refused := &sallyport.Refusal{
		Gate: "audit", Code: audit.CodeOutcomeUnknown, Status: http.StatusServiceUnavailable,
		Title: "Audit outcome unknown", Err: err,
	}
	if errors.Is(err, audit.ErrInvalid) {
		refused.Code, refused.Status = audit.CodeRecordInvalid, http.StatusInternalServerError
		refused.Title = "Audit record invalid"
	}
	return audit.Receipt{}, refused
}

// Head returns the end of the log.
func (l AuditLog) Head(ctx context.Context) (audit.Head, error) {
	return readHead(l.db.read.QueryRowContext(ctx, selectHead))
}

// entryPage is how many entries one query reads: a reader that stops to think, as one
// that publishes does, must not hold a snapshot open.
const entryPage = 500

// Entries yields the entries from the index from on.
func (l AuditLog) Entries(ctx context.Context, from int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for {
			entries, err := l.page(ctx, from)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, entry := range entries {
				if !yield(entry, nil) {
					return
				}
			}
			if from += int64(len(entries)); len(entries) < entryPage {
				return
			}
		}
	}
}

func (l AuditLog) page(ctx context.Context, from int64) ([][]byte, error) {
	const query = `SELECT seq, entry FROM audit_log WHERE seq >= ? ORDER BY seq LIMIT ?`
	rows, err := l.db.read.QueryContext(ctx, query, from, entryPage)
	if err != nil {
		return nil, fmt.Errorf("sqlite: audit log: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var entries [][]byte
	for rows.Next() {
		var seq int64
		var entry []byte
		if err := rows.Scan(&seq, &entry); err != nil {
			return nil, fmt.Errorf("sqlite: audit log: %w", err)
		}
		if want := from + int64(len(entries)); seq != want {
			return nil, tampered("audit entry %d is missing", want)
		}
		entries = append(entries, entry)
	}
	return entries, rows.Err()
}
