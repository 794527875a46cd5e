package sqlite

import (
	"context"
	"database/sql"
	"math"
	"time"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
)

// countVisit adds an event that has just been stored to its visit. Deliveries may
// overtake each other.
func countVisit(tx *sql.Tx, r *event.Received) error {
	if r.Visit == "" {
		return nil
	}
	const upsert = `INSERT INTO visits (site_id, id, session_id, first_at, last_at, events)
		VALUES (?1, ?2, ?3, ?4, ?4, 1)
		ON CONFLICT (site_id, id) DO UPDATE SET events = events + 1,
			first_at = min(first_at, ?4), last_at = max(last_at, ?4)`
	_, err := tx.Exec(upsert, r.Site, r.Visit, r.Event.Session, r.At.UnixMilli())
	return err
}

// Visits lists a site's visits, the one that began last first.
func (db *DB) Visits(
	ctx context.Context, scope tenancy.Scope, after store.VisitPlace, limit int,
) ([]store.VisitRow, error) {
	if err := scope.Check(); err != nil {
		return nil, err
	}
	before := int64(math.MaxInt64)
	if after != (store.VisitPlace{}) {
		before = after.FirstAt.UnixMilli()
	}
	const query = `SELECT id, session_id, first_at, last_at, events FROM visits
		WHERE site_id = ?1 AND (first_at, id) < (?2, ?3)
		ORDER BY first_at DESC, id DESC LIMIT ?4`
	rows, err := db.read.QueryContext(ctx, query, scope.Site(), before, after.ID, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	list := []store.VisitRow{}
	for rows.Next() {
		var row store.VisitRow
		var first, last int64
		if err := rows.Scan(&row.ID, &row.Session, &first, &last, &row.Events); err != nil {
			return nil, err
		}
		row.FirstAt, row.LastAt = time.UnixMilli(first).UTC(), time.UnixMilli(last).UTC()
		list = append(list, row)
	}
	return list, rows.Err()
}

// VisitEvents lists the first events of a visit.
func (db *DB) VisitEvents(
	ctx context.Context, scope tenancy.Scope, visit string, limit int,
) ([]store.EventRow, error) {
	if err := scope.Check(); err != nil {
		return nil, err
	}
	const query = `SELECT id, session_id, visit, category, action, label, url, received_at
		FROM events WHERE site_id = ? AND visit = ? AND visit <> ''
		ORDER BY received_at, id LIMIT ?`
	return db.events(ctx, query, scope.Site(), visit, limit)
}
