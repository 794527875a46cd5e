package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/opsmantik/sallyport/examples/ingest/store"
)

// Dead is the number of dead letters of all sites.
func (db *DB) Dead(ctx context.Context) (n int64, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT count(*) FROM queue WHERE dead = 1`).Scan(&n)
	return n, err
}

// DeadOf lists a site's dead letters, oldest first.
func (db *DB) DeadOf(ctx context.Context, site string, limit int) ([]store.DeadRow, error) {
	const query = `SELECT seq, dead_at, payload FROM queue
		WHERE dead = 1 AND site_id = ? ORDER BY seq LIMIT ?`
	rows, err := db.read.QueryContext(ctx, query, site, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	list := []store.DeadRow{}
	for rows.Next() {
		var row store.DeadRow
		var at int64
		if err := rows.Scan(&row.Seq, &at, (*[]byte)(&row.Event)); err != nil {
			return nil, err
		}
		row.DeadAt = time.UnixMilli(at).UTC()
		list = append(list, row)
	}
	return list, rows.Err()
}

// Replay puts a site's dead letters back among the batches.
func (db *DB) Replay(ctx context.Context, site string) (n int64, err error) {
	err = db.Write(ctx, func(tx *sql.Tx) error {
		const update = `UPDATE queue SET dead = 0, dead_at = 0, lone = 0 WHERE dead = 1 AND site_id = ?`
		result, err := tx.Exec(update, site)
		if err != nil {
			return err
		}
		n, err = result.RowsAffected()
		return err
	})
	return n, err
}
