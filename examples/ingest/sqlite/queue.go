package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/opsmantik/sallyport/examples/ingest/event"
)

// MaxQueue bounds the queue: past it, Enqueue refuses instead of filling the
// disk with what cannot be delivered.
const MaxQueue = 1_000_000

// ErrQueueFull is returned by Enqueue when MaxQueue rows wait.
var ErrQueueFull = errors.New("sqlite: queue full")

// Item is one queued event on its way to the worker.
type Item struct {
	Seq      int64
	Attempts int
	Payload  []byte // an event.Received as JSON
}

// Enqueue stores events for delivery and returns when they are durable.
func (db *DB) Enqueue(ctx context.Context, received []event.Received) error {
	if db.depth.Load()+int64(len(received)) > MaxQueue {
		return ErrQueueFull
	}
	payloads := make([][]byte, len(received))
	for i := range received {
		payload, err := json.Marshal(&received[i])
		if err != nil {
			return fmt.Errorf("sqlite: encode event: %w", err)
		}
		payloads[i] = payload
	}
	err := db.Write(ctx, func(tx *sql.Tx) error {
		const insert = `INSERT INTO queue (payload, due_at) VALUES (?, ?)`
		for i, payload := range payloads {
			if _, err := tx.Exec(insert, payload, received[i].At.UnixMilli()); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		db.depth.Add(int64(len(received)))
	}
	return err
}

// Due returns up to limit items whose time has come, oldest first.
func (db *DB) Due(ctx context.Context, now time.Time, limit int) ([]Item, error) {
	const query = `SELECT seq, attempts, payload FROM queue
		WHERE dead = 0 AND due_at <= ? ORDER BY due_at, seq LIMIT ?`
	rows, err := db.read.QueryContext(ctx, query, now.UnixMilli(), limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var items []Item
	for rows.Next() {
		var item Item
		if err := rows.Scan(&item.Seq, &item.Attempts, &item.Payload); err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, rows.Err()
}

// Delivered removes items that the worker has stored.
func (db *DB) Delivered(ctx context.Context, items []Item) error {
	err := db.Write(ctx, func(tx *sql.Tx) error {
		for _, item := range items {
			if _, err := tx.Exec(`DELETE FROM queue WHERE seq = ?`, item.Seq); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		db.depth.Add(-int64(len(items)))
	}
	return err
}

// Failed counts an attempt and sets when to try again.
func (db *DB) Failed(ctx context.Context, items []Item, due time.Time) error {
	return db.Write(ctx, func(tx *sql.Tx) error {
		const update = `UPDATE queue SET attempts = attempts + 1, due_at = ? WHERE seq = ?`
		for _, item := range items {
			if _, err := tx.Exec(update, due.UnixMilli(), item.Seq); err != nil {
				return err
			}
		}
		return nil
	})
}

// Bury moves items to the dead letters: kept, and tried no more.
func (db *DB) Bury(ctx context.Context, items []Item) error {
	return db.Write(ctx, func(tx *sql.Tx) error {
		for _, item := range items {
			if _, err := tx.Exec(`UPDATE queue SET dead = 1 WHERE seq = ?`, item.Seq); err != nil {
				return err
			}
		}
		return nil
	})
}

// Waiting is the number of queued rows, dead letters included.
func (db *DB) Waiting() int64 { return db.depth.Load() }

// Dead is the number of dead letters.
func (db *DB) Dead(ctx context.Context) (n int64, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT count(*) FROM queue WHERE dead = 1`).Scan(&n)
	return n, err
}

func (db *DB) count(ctx context.Context) (n int64, err error) {
	err = db.write.QueryRowContext(ctx, `SELECT count(*) FROM queue`).Scan(&n)
	return n, err
}
