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

// visits are what the events of one batch add to their visits.
type visits map[visitKey]*visit

type visitKey struct{ site, id string }

type visit struct {
	session     string
	first, last int64
	events      int
}

// add counts an event that has just been stored. Deliveries may overtake each other.
func (v visits) add(r *event.Received) {
	if r.Visit == "" || r.Event == nil {
		return
	}
	key, at := visitKey{r.Site, r.Visit}, r.At.UnixMilli()
	if v[key] == nil {
		v[key] = &visit{session: r.Event.Session, first: at, last: at}
	}
	counted := v[key]
	counted.first, counted.last = min(counted.first, at), max(counted.last, at)
	counted.events++
}

const visitText = `INSERT INTO visits (site_id, id, session_id, first_at, last_at, events)
	VALUES (?1, ?2, ?3, ?4, ?5, ?6)
	ON CONFLICT (site_id, id) DO UPDATE SET events = events + ?6,
		first_at = min(first_at, ?4), last_at = max(last_at, ?5)`

func (v visits) write(upsert *sql.Stmt) error {
	for key, counted := range v {
		err := exec(upsert, key.site, key.id, counted.session, counted.first, counted.last, counted.events)
		if err != nil {
			return err
		}
	}
	return nil
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
