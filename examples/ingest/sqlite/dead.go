package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
)

// Dead is the number of dead letters of all sites.
func (db *DB) Dead(ctx context.Context) (n int64, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT count(*) FROM queue WHERE dead = 1`).Scan(&n)
	return n, err
}

// DeadOf lists a site's dead letters, oldest first.
func (db *DB) DeadOf(
	ctx context.Context, scope tenancy.Scope, limit int,
) ([]store.DeadRow, error) {
	if err := scope.Check(); err != nil {
		return nil, err
	}
	const query = `SELECT seq, dead_at, payload FROM queue
		WHERE dead = 1 AND site_id = ? ORDER BY seq LIMIT ?`
	rows, err := db.read.QueryContext(ctx, query, scope.Site(), limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	list := []store.DeadRow{}
	for rows.Next() {
		var row store.DeadRow
		var at int64
		if err := rows.Scan(&row.ID, &at, (*[]byte)(&row.Event)); err != nil {
			return nil, err
		}
		if !row.Event.IsValid() {
			row.Event = nil // nothing that this program wrote
		}
		row.DeadAt = time.UnixMilli(at).UTC()
		list = append(list, row)
	}
	return list, rows.Err()
}

// Replay puts a site's dead letters back among the batches, and records who did.
func (db *DB) Replay(ctx context.Context, scope tenancy.Scope) (n int64, err error) {
	err = db.Write(ctx, func(tx *sql.Tx) error {
		if err := scope.Check(); err != nil {
			return err
		}
		const update = `UPDATE queue SET dead = 0, dead_at = 0, lone = 0 WHERE dead = 1 AND site_id = ?`
		result, err := tx.Exec(update, scope.Site())
		if err != nil {
			return err
		}
		if n, err = result.RowsAffected(); err != nil || n == 0 {
			return err
		}
		_, err = record(tx, store.ReplayRecord(time.Now(), scope, n))
		return err
	})
	if n > 0 {
		db.rewind()
	}
	return n, err
}

// rewind lets Take look at every row again: old ones have come back to the batches.
func (db *DB) rewind() {
	db.held.Lock()
	defer db.held.Unlock()
	db.held.cursor = 0
}
