package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
)

// Store keeps a delivered batch: all of it or, on an error, nothing. Events
// already kept are counted as duplicates, so that delivering twice is
// harmless.
func (db *DB) Store(ctx context.Context, batch []event.Received) (stored store.Stored, err error) {
	err = db.Write(ctx, func(tx *sql.Tx) error {
		stored = store.Stored{}
		counts := visits{}
		for i := range batch {
			inserted, err := db.storeOne(tx, &batch[i])
			switch {
			case errors.Is(err, store.ErrEventID):
				stored.Conflicts++
			case err != nil:
				return err
			case inserted:
				stored.New++
				counts.add(&batch[i])
			default:
				stored.Duplicates++
			}
		}
		return counts.write(db.sql.visit.In(tx))
	})
	return stored, err
}

func (db *DB) storeOne(tx *sql.Tx, r *event.Received) (bool, error) {
	switch {
	case r.Event != nil:
		return db.storeEvent(tx, r)
	case r.Call != nil:
		return storeCall(tx, r)
	default:
		return false, store.ErrUnstorable
	}
}

// A new event is one that was not received within Fold, in either direction:
// deliveries may overtake each other. The single writer makes look-then-insert
// atomic. FAIL spares a copy of every page that the statement changes: when it fails,
// the whole batch is undone.
const storeText = `INSERT OR FAIL INTO events (id, site_id, session_id, month, category, action, label,
		value, url, referrer, meta, stamp, identity, received_at, seen_from, seen_to, visit)
	SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?14, ?14, ?16
	WHERE NOT EXISTS (SELECT 1 FROM events
		WHERE identity = ?13 AND seen_to >= ?14 - ?15 AND seen_from <= ?14 + ?15)`

// The window slides: the next repeat is compared with this one.
const slideText = `UPDATE events SET seen_from = min(seen_from, ?2), seen_to = max(seen_to, ?2)
	WHERE identity = ?1 AND seen_to >= ?2 - ?3 AND seen_from <= ?2 + ?3`

// identitySize is how much of an identity is kept: 128 bits tell 2^40 events apart
// but for one chance in 2^48.
const identitySize = 16

func (db *DB) storeEvent(tx *sql.Tx, r *event.Received) (bool, error) {
	r.Complete()
	e, at := r.Event, r.At.UnixMilli()
	// Without an identity, an event is only ever the same as its own delivery.
	identity := []byte(r.ID)
	if len(r.Identity) >= identitySize {
		identity = r.Identity[:identitySize]
	}
	isNew, err := inserted(db.sql.store.In(tx).Exec(r.ID, r.Site, e.Session, e.Month, e.Category,
		e.Action, e.Label, nullable(e.Value), e.URL, e.Referrer, object(e.Meta), r.Stamp, identity, at,
		r.Fold, r.Visit))
	if err != nil || isNew {
		return isNew, err
	}
	_, err = db.sql.slide.In(tx).Exec(identity, at, r.Fold)
	return false, err
}

func storeCall(tx *sql.Tx, r *event.Received) (bool, error) {
	if _, err := acceptCall(tx, r); err != nil { // a call that came another way than the queue
		return false, err
	}
	detail, err := json.Marshal(r.Call)
	if err != nil {
		return false, fmt.Errorf("sqlite: encode call: %w", err)
	}
	const insert = `INSERT INTO calls (id, site_id, event_id, phone, fingerprint, action, url,
			stamp, detail, received_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`
	c := r.Call
	result, err := tx.Exec(insert, r.ID, r.Site, c.EventID, c.Phone, c.Fingerprint, c.Action, c.URL,
		c.Stamp, string(detail), r.At.UnixMilli())
	return inserted(result, err)
}

func inserted(result sql.Result, err error) (bool, error) {
	broken, ok := errors.AsType[*sqlite.Error](err)
	if ok && broken.Code()&0xff == sqlite3.SQLITE_CONSTRAINT { // the primary code
		return false, errors.Join(store.ErrUnstorable, err)
	}
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// object is meta as it is stored: always an object.
func object(value []byte) string {
	if len(value) == 0 || string(value) == "null" {
		return "{}"
	}
	return string(value)
}

func nullable(value []byte) any {
	if len(value) == 0 || string(value) == "null" {
		return nil
	}
	return string(value)
}

// Events lists a site's newest events.
func (db *DB) Events(
	ctx context.Context, scope tenancy.Scope, limit int,
) ([]store.EventRow, error) {
	if err := scope.Check(); err != nil {
		return nil, err
	}
	const query = `SELECT id, session_id, visit, category, action, label, url, received_at
		FROM events WHERE site_id = ? ORDER BY received_at DESC, id LIMIT ?`
	return db.events(ctx, query, scope.Site(), limit)
}

func (db *DB) events(ctx context.Context, query string, args ...any) ([]store.EventRow, error) {
	rows, err := db.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	list := []store.EventRow{}
	for rows.Next() {
		var row store.EventRow
		var at int64
		err := rows.Scan(&row.ID, &row.Session, &row.Visit, &row.Category, &row.Action, &row.Label,
			&row.URL, &at)
		if err != nil {
			return nil, err
		}
		row.ReceivedAt = time.UnixMilli(at).UTC()
		list = append(list, row)
	}
	return list, rows.Err()
}
