package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/store"
)

// Enqueue stores events for delivery and returns when they are durable.
func (db *DB) Enqueue(ctx context.Context, received []event.Received) error {
	payloads, size, err := store.Encode(received)
	if err != nil {
		return err
	}
	if db.rows.Load()+int64(len(received)) > store.MaxQueue ||
		db.bytes.Load()+size > store.MaxQueueBytes {
		return store.ErrQueueFull
	}
	var rows, kept int64
	err = db.Write(ctx, func(tx *sql.Tx) error {
		rows, kept = 0, 0
		for i, payload := range payloads {
			isNew, err := acceptCall(tx, &received[i])
			if err != nil {
				return err
			}
			if !isNew {
				continue
			}
			const insert = `INSERT INTO queue (payload, site_id) VALUES (?, ?)`
			if _, err := tx.Exec(insert, payload, received[i].Site); err != nil {
				return err
			}
			rows, kept = rows+1, kept+int64(len(payload))
		}
		return nil
	})
	if err == nil {
		db.rows.Add(rows)
		db.bytes.Add(kept)
	}
	return err
}

// acceptCall notes the event id of a call, and reports whether it is new. Other
// events have none.
func acceptCall(tx *sql.Tx, r *event.Received) (isNew bool, err error) {
	if r.Call == nil {
		return true, nil
	}
	const insert = `INSERT INTO call_ids (site_id, event_id, digest) VALUES (?, ?, ?)
		ON CONFLICT DO NOTHING`
	isNew, err = inserted(tx.Exec(insert, r.Site, r.Call.EventID, r.Identity))
	if isNew || err != nil {
		return isNew, err
	}
	var same bool
	const compare = `SELECT digest IS NULL OR digest = ? FROM call_ids WHERE site_id = ? AND event_id = ?`
	if err := tx.QueryRow(compare, r.Identity, r.Site, r.Call.EventID).Scan(&same); err != nil {
		return false, err
	}
	if !same {
		return false, store.ErrEventID
	}
	return false, nil
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
	const query = `SELECT seq, payload, lone FROM queue
		WHERE dead = 0 AND lone = ? AND due_at <= ? ORDER BY seq LIMIT ?`
	rows, err := db.read.QueryContext(ctx, query, lone, time.Now().UnixMilli(), limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var items []store.Item
	for size := 0; size < maxBytes && rows.Next(); {
		var item store.Item
		if err := rows.Scan(&item.Seq, &item.Payload, &item.Lone); err != nil {
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

// Refused notes that the worker will never take a batch: its items travel alone
// from now on. One that was alone already becomes a dead letter.
func (db *DB) Refused(ctx context.Context, items []store.Item) error {
	now := time.Now().UnixMilli()
	return db.Write(ctx, func(tx *sql.Tx) error {
		for _, item := range items {
			// What is assigned here is read from the row as it was.
			const update = `UPDATE queue SET dead = lone, dead_at = lone * ?2, lone = 1 WHERE seq = ?1`
			if _, err := tx.Exec(update, item.Seq, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// Postpone lets an item travel alone, and not before due.
func (db *DB) Postpone(ctx context.Context, item store.Item, due time.Time) error {
	return db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`UPDATE queue SET lone = 1, due_at = ? WHERE seq = ?`, due.UnixMilli(), item.Seq)
		return err
	})
}

// Waiting is the number of queued rows, dead letters included.
func (db *DB) Waiting() int64 { return db.rows.Load() }

// Oldest is how long the oldest item that is due has waited, 0 without one.
func (db *DB) Oldest(ctx context.Context) (time.Duration, error) {
	var payload []byte
	now := time.Now()
	const query = `SELECT payload FROM queue WHERE dead = 0 AND due_at <= ? ORDER BY seq LIMIT 1`
	err := db.read.QueryRowContext(ctx, query, now.UnixMilli()).Scan(&payload)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	at, err := store.ReceivedAt(payload)
	return max(0, now.Sub(at)), err
}

// reopenQueue counts what an earlier process left behind, and gives its dead
// letters another chance: the new program may know what to do with them.
func (db *DB) reopenQueue(ctx context.Context) error {
	if _, err := db.write.ExecContext(ctx, `UPDATE queue SET dead = 0, dead_at = 0, due_at = 0 WHERE dead = 1 OR due_at > 0`); err != nil {
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
