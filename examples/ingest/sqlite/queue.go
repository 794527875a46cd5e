package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/store"
)

// Enqueue stores events for delivery, as one row, and returns when it is durable.
func (db *DB) Enqueue(ctx context.Context, received []event.Received) error {
	payload, err := store.Encode(received)
	if err != nil {
		return err
	}
	if db.rows.Load()+int64(len(received)) > store.MaxQueue ||
		db.bytes.Load()+int64(len(payload)) > store.MaxQueueBytes {
		return store.ErrQueueFull
	}
	var kept []event.Received
	err = db.Write(ctx, func(tx *sql.Tx) error {
		var err error
		if kept, err = acceptCalls(tx, received); err != nil || len(kept) == 0 {
			return err
		}
		if len(kept) < len(received) {
			if payload, err = store.Encode(kept); err != nil {
				return err
			}
		}
		return exec(db.sql.enqueue.In(tx), payload, kept[0].Site, len(kept))
	})
	if err == nil && len(kept) > 0 {
		db.rows.Add(int64(len(kept)))
		db.bytes.Add(int64(len(payload)))
	}
	return err
}

// acceptCalls notes the event ids of calls, and returns what is new.
func acceptCalls(tx *sql.Tx, received []event.Received) ([]event.Received, error) {
	var kept []event.Received
	for i := range received {
		isNew, err := acceptCall(tx, &received[i])
		if err != nil {
			return nil, err
		}
		if isNew {
			kept = append(kept, received[i])
		}
	}
	return kept, nil
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

// held is what was handed out and not settled yet. One process has the file, so its
// memory is enough.
type held struct {
	sync.Mutex
	seqs   map[int64]bool
	cursor int64 // batches up to here were handed out, but for what was given back
}

// Take hands out the oldest items that nobody holds.
func (db *DB) Take(ctx context.Context, limit, maxBytes int) ([]store.Item, error) {
	const query = `SELECT seq, payload, events, lone FROM queue WHERE seq > ? AND lone = 0 ORDER BY seq`
	db.held.Lock()
	defer db.held.Unlock()
	rows, err := db.read.QueryContext(ctx, query, db.held.cursor)
	if err != nil {
		return nil, err
	}
	items, err := db.take(rows, limit, maxBytes)
	if len(items) > 0 {
		db.held.cursor, err = seq(items[len(items)-1])
	}
	return items, err
}

// TakeLone hands out the oldest item that has to travel alone and is due.
func (db *DB) TakeLone(ctx context.Context) ([]store.Item, error) {
	const query = `SELECT seq, payload, events, lone FROM queue
		WHERE lone = 1 AND dead = 0 AND due_at <= ? ORDER BY seq`
	db.held.Lock()
	defer db.held.Unlock()
	rows, err := db.read.QueryContext(ctx, query, time.Now().UnixMilli())
	if err != nil {
		return nil, err
	}
	return db.take(rows, 1, 1)
}

// take reads items that nobody holds, until there are enough of them.
func (db *DB) take(rows *sql.Rows, limit, maxBytes int) (items []store.Item, err error) {
	defer func() { _ = rows.Close() }()
	size, events := 0, 0
	for size < maxBytes && events < limit && rows.Next() {
		var item store.Item
		var at int64
		if err := rows.Scan(&at, &item.Payload, &item.Events, &item.Lone); err != nil {
			return nil, err
		}
		if db.held.seqs[at] {
			continue
		}
		item.ID = strconv.FormatInt(at, 10)
		items = append(items, item)
		size, events = size+len(item.Payload), events+item.Events
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for _, item := range items {
		at, _ := seq(item)
		db.held.seqs[at] = true
	}
	return items, nil
}

// seq is the row of an item.
func seq(item store.Item) (int64, error) {
	at, err := strconv.ParseInt(item.ID, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("sqlite: no item of this queue: %w", err)
	}
	return at, nil
}

// Release gives items back.
func (db *DB) Release(_ context.Context, items []store.Item) error {
	db.settle(items, true)
	return nil
}

// settle ends the hold on items. What was given back is found again.
func (db *DB) settle(items []store.Item, back bool) {
	db.held.Lock()
	defer db.held.Unlock()
	for _, item := range items {
		at, _ := seq(item)
		delete(db.held.seqs, at)
		if back {
			db.held.cursor = min(db.held.cursor, at-1)
		}
	}
}

// Delivered removes items that the worker has stored.
func (db *DB) Delivered(ctx context.Context, items []store.Item) error {
	var gone []store.Item
	err := db.Write(ctx, func(tx *sql.Tx) error {
		gone = gone[:0]
		remove := db.sql.remove.In(tx)
		for _, item := range items {
			deleted, err := inserted(remove.Exec(item.ID))
			if err != nil {
				return err
			}
			if deleted {
				gone = append(gone, item)
			}
		}
		return nil
	})
	if err == nil {
		for _, item := range gone {
			db.rows.Add(-int64(item.Events))
			db.bytes.Add(-int64(len(item.Payload)))
		}
	}
	db.settle(items, err != nil)
	return err
}

// Refused notes that the worker will never take a batch: each of its events
// travels alone from now on. One that was alone already becomes a dead letter.
func (db *DB) Refused(ctx context.Context, items []store.Item) error {
	now := time.Now().UnixMilli()
	err := db.Write(ctx, func(tx *sql.Tx) error {
		for _, item := range items {
			if !item.Lone && apart(tx, item) == nil {
				continue
			}
			// What is assigned here is read from the row as it was.
			const update = `UPDATE queue SET dead = lone, dead_at = lone * ?2, lone = 1 WHERE seq = ?1`
			if _, err := tx.Exec(update, item.ID, now); err != nil {
				return err
			}
		}
		return nil
	})
	db.settle(items, err != nil)
	return err
}

// Postpone lets an event travel alone, and not before due. An item of several is
// taken apart.
func (db *DB) Postpone(ctx context.Context, item store.Item, due time.Time) error {
	err := db.Write(ctx, func(tx *sql.Tx) error {
		if item.Events > 1 {
			return apart(tx, item)
		}
		_, err := tx.Exec(`UPDATE queue SET lone = 1, due_at = ? WHERE seq = ?`, due.UnixMilli(), item.ID)
		return err
	})
	db.settle([]store.Item{item}, err != nil)
	return err
}

// errWhole means that an item is one event already, or cannot be read.
var errWhole = errors.New("sqlite: item cannot be taken apart")

// apart makes a row of each event of an item. They travel alone.
func apart(tx *sql.Tx, item store.Item) error {
	payloads, err := store.Split(item)
	if err != nil || len(payloads) < 2 {
		return errWhole
	}
	for _, payload := range payloads {
		const insert = `INSERT INTO queue (payload, site_id, events, lone)
			SELECT ?, site_id, 1, 1 FROM queue WHERE seq = ?`
		if _, err := tx.Exec(insert, payload, item.ID); err != nil {
			return err
		}
	}
	_, err = tx.Exec(`DELETE FROM queue WHERE seq = ?`, item.ID)
	return err
}

// Waiting is the number of queued events, dead letters included.
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
	const revive = `UPDATE queue SET dead = 0, dead_at = 0, due_at = 0 WHERE dead = 1 OR due_at > 0`
	if _, err := db.write.ExecContext(ctx, revive); err != nil {
		return fmt.Errorf("sqlite: revive dead letters: %w", err)
	}
	var events, size int64
	const count = `SELECT coalesce(sum(events), 0), coalesce(sum(length(payload)), 0) FROM queue`
	if err := db.write.QueryRowContext(ctx, count).Scan(&events, &size); err != nil {
		return fmt.Errorf("sqlite: count queue: %w", err)
	}
	db.rows.Store(events)
	db.bytes.Store(size)
	return nil
}
