package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/store"
)

// Enqueue stores events for delivery and returns when they are durable.
func (db *DB) Enqueue(ctx context.Context, received []event.Received) error {
	payloads, size, err := store.Encode(received)
	if err != nil {
		return err
	}
	rows := int64(len(received))
	if db.rows.Load()+rows > store.MaxQueue || db.bytes.Load()+size > store.MaxQueueBytes {
		return store.ErrQueueFull
	}
	err = db.Write(ctx, func(tx *sql.Tx) error {
		for _, payload := range payloads {
			if _, err := tx.Exec(`INSERT INTO queue (payload) VALUES (?)`, payload); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		db.rows.Add(rows)
		db.bytes.Add(size)
	}
	return err
}

// Next returns the oldest items to deliver as one batch, at most limit of them
// and about maxBytes.
func (db *DB) Next(ctx context.Context, limit, maxBytes int) ([]store.Item, error) {
	return db.next(ctx, false, limit, maxBytes)
}

// NextLone returns the oldest item that has to travel alone, if there is one.
func (db *DB) NextLone(ctx context.Context) ([]store.Item, error) {
	return db.next(ctx, true, 1, 1)
}

func (db *DB) next(ctx context.Context, lone bool, limit, maxBytes int) ([]store.Item, error) {
	const query = `SELECT seq, payload FROM queue WHERE dead = 0 AND lone = ? ORDER BY seq LIMIT ?`
	rows, err := db.read.QueryContext(ctx, query, lone, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var items []store.Item
	for size := 0; size < maxBytes && rows.Next(); {
		var item store.Item
		if err := rows.Scan(&item.Seq, &item.Payload); err != nil {
			return nil, err
		}
		items = append(items, item)
		size += len(item.Payload)
	}
	return items, rows.Err()
}

// Delivered removes items that the worker has stored.
func (db *DB) Delivered(ctx context.Context, items []store.Item) error {
	var rows, size int64
	err := db.Write(ctx, func(tx *sql.Tx) error {
		rows, size = 0, 0
		for _, item := range items {
			deleted, err := inserted(tx.Exec(`DELETE FROM queue WHERE seq = ?`, item.Seq))
			if err != nil {
				return err
			}
			if deleted {
				rows++
				size += int64(len(item.Payload))
			}
		}
		return nil
	})
	if err == nil {
		db.rows.Add(-rows)
		db.bytes.Add(-size)
	}
	return err
}

// Refused notes that the worker will not take a batch: its items travel alone
// from now on. An item that was alone already becomes a dead letter, kept and
// tried no more until the next start.
func (db *DB) Refused(ctx context.Context, items []store.Item) error {
	return db.Write(ctx, func(tx *sql.Tx) error {
		for _, item := range items {
			const update = `UPDATE queue SET lone = 1, dead = ? WHERE seq = ?`
			if _, err := tx.Exec(update, len(items) == 1, item.Seq); err != nil {
				return err
			}
		}
		return nil
	})
}

// Waiting is the number of queued rows, dead letters included.
func (db *DB) Waiting() int64 { return db.rows.Load() }

// Dead is the number of dead letters.
func (db *DB) Dead(ctx context.Context) (n int64, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT count(*) FROM queue WHERE dead = 1`).Scan(&n)
	return n, err
}

// reopenQueue counts what an earlier process left behind, and gives its dead
// letters another chance: the new program may know what to do with them.
func (db *DB) reopenQueue(ctx context.Context) error {
	if _, err := db.write.ExecContext(ctx, `UPDATE queue SET dead = 0 WHERE dead = 1`); err != nil {
		return fmt.Errorf("sqlite: revive dead letters: %w", err)
	}
	var rows, size int64
	const count = `SELECT count(*), coalesce(sum(length(payload)), 0) FROM queue`
	if err := db.write.QueryRowContext(ctx, count).Scan(&rows, &size); err != nil {
		return fmt.Errorf("sqlite: count queue: %w", err)
	}
	db.rows.Store(rows)
	db.bytes.Store(size)
	return nil
}
