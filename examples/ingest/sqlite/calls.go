package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/opsmantik/sallyport/examples/ingest/store"
)

// Calls lists a site's newest calls.
func (db *DB) Calls(ctx context.Context, site string, limit int) ([]store.CallRow, error) {
	const query = `SELECT id, event_id, phone, action, url, status, received_at
		FROM calls WHERE site_id = ? ORDER BY received_at DESC, id LIMIT ?`
	rows, err := db.read.QueryContext(ctx, query, site, limit)
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
func (db *DB) Act(ctx context.Context, act store.Act) (status string, err error) {
	err = db.Write(ctx, func(tx *sql.Tx) error {
		var previous string
		row := tx.QueryRow(`SELECT status FROM calls WHERE id = ? AND site_id = ?`, act.Call, act.Site)
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
		return record(tx, act, previous, status)
	})
	return status, err
}
