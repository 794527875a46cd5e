package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
)

// Calls lists a site's newest calls.
func (db *DB) Calls(
	ctx context.Context, scope tenancy.Scope, limit int,
) ([]store.CallRow, error) {
	if err := scope.Check(); err != nil {
		return nil, err
	}
	const query = `SELECT id, event_id, phone, action, url, status, received_at
		FROM calls WHERE site_id = ? ORDER BY received_at DESC, id LIMIT ?`
	rows, err := db.read.QueryContext(ctx, query, scope.Site(), limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	list := []store.CallRow{}
	for rows.Next() {
		var row store.CallRow
		var at int64
		err := rows.Scan(&row.ID, &row.EventID, &row.Phone, &row.Action, &row.URL, &row.Status, &at)
		if err != nil {
			return nil, err
		}
		row.ReceivedAt = time.UnixMilli(at).UTC()
		list = append(list, row)
	}
	return list, rows.Err()
}

// CallSite returns the site of a call, or store.ErrNoCall.
func (db *DB) CallSite(ctx context.Context, id string) (site string, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT site_id FROM calls WHERE id = ?`, id).Scan(&site)
	if errors.Is(err, sql.ErrNoRows) {
		return "", store.ErrNoCall
	}
	return site, err
}

// Act changes a call and records who did it, in one transaction: neither
// happens without the other. It returns the call's new status.
func (db *DB) Act(
	ctx context.Context, scope tenancy.Scope, act store.Act,
) (status string, err error) {
	err = db.Write(ctx, func(tx *sql.Tx) error {
		// Here, and not before the wait: a scope ends.
		if err := scope.Check(); err != nil {
			return err
		}
		var previous string
		row := tx.QueryRow(`SELECT status FROM calls WHERE id = ? AND site_id = ?`, act.Call, scope.Site())
		if err := row.Scan(&previous); errors.Is(err, sql.ErrNoRows) {
			return store.ErrNoCall
		} else if err != nil {
			return err
		}
		if status, err = act.Next(previous); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE calls SET status = ? WHERE id = ?`, status, act.Call)
		if err != nil {
			return fmt.Errorf("sqlite: update call: %w", err)
		}
		return recordAct(tx, scope, act, previous, status)
	})
	return status, err
}

func recordAct(tx *sql.Tx, scope tenancy.Scope, act store.Act, previous, status string) error {
	now := time.Now()
	seq, err := record(tx, act.Record(now, scope, previous, status))
	if err != nil {
		return err
	}
	const insert = `INSERT INTO call_actions (audit_seq, call_id, site_id, action, actor, previous, at)
		VALUES (?, ?, ?, ?, ?, ?, ?)`
	_, err = tx.Exec(insert, seq, act.Call, scope.Site(), act.Name, scope.User(), previous,
		now.UnixMilli())
	if err != nil {
		return fmt.Errorf("sqlite: record action: %w", err)
	}
	return nil
}
