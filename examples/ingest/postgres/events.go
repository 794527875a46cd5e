package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/rls"
)

// list reads rows within a scope, in one round trip. Every statement names the site as
// well: it finds the index by it, and the policy finds nothing else.
func list[T any](
	ctx context.Context, db *DB, scope tenancy.Scope, row func(pgx.CollectableRow) (T, error),
	query string, args ...any,
) ([]T, error) {
	if err := scope.Check(); err != nil {
		return nil, err
	}
	ctx, cancel, err := db.call(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	all := []T{}
	var batch rls.Batch
	batch.Query(func(rows pgx.Rows) error {
		all, err = pgx.AppendRows(all, rows, row)
		return err
	}, query, args...)
	return all, db.app.Read(ctx, scope, &batch)
}

const eventColumns = `id, session_id, visit, category, action, label, url, received_at`

func eventRow(row pgx.CollectableRow) (e store.EventRow, err error) {
	err = row.Scan(&e.ID, &e.Session, &e.Visit, &e.Category, &e.Action, &e.Label, &e.URL, &e.ReceivedAt)
	e.ReceivedAt = e.ReceivedAt.UTC()
	return e, err
}

// Events lists a site's newest events.
func (db *DB) Events(
	ctx context.Context, scope tenancy.Scope, limit int,
) ([]store.EventRow, error) {
	const query = `SELECT ` + eventColumns + ` FROM ingest.events
		WHERE site_id = $1 ORDER BY received_at DESC, id LIMIT $2`
	return list(ctx, db, scope, eventRow, query, scope.Site(), limit)
}

// Visits lists a site's visits, the one that began last first.
func (db *DB) Visits(
	ctx context.Context, scope tenancy.Scope, after store.VisitPlace, limit int,
) ([]store.VisitRow, error) {
	before := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	if after != (store.VisitPlace{}) {
		before = after.FirstAt
	}
	const query = `SELECT id, session_id, first_at, last_at, events FROM ingest.visits
		WHERE site_id = $1 AND (first_at, id) < ($2, $3)
		ORDER BY first_at DESC, id DESC LIMIT $4`
	return list(ctx, db, scope, func(row pgx.CollectableRow) (v store.VisitRow, err error) {
		err = row.Scan(&v.ID, &v.Session, &v.FirstAt, &v.LastAt, &v.Events)
		v.FirstAt, v.LastAt = v.FirstAt.UTC(), v.LastAt.UTC()
		return v, err
	}, query, scope.Site(), before, after.ID, limit)
}

// VisitEvents lists the first events of a visit. They lie between its first and its last
// receipt, so no index by visit is needed.
func (db *DB) VisitEvents(
	ctx context.Context, scope tenancy.Scope, visit string, limit int,
) ([]store.EventRow, error) {
	const query = `SELECT e.id, e.session_id, e.visit, e.category, e.action, e.label, e.url, e.received_at
		FROM ingest.events e, ingest.visits v
		WHERE v.site_id = $1 AND v.id = $2 AND e.site_id = $1 AND e.visit = $2
		AND e.received_at BETWEEN v.first_at AND v.last_at
		ORDER BY e.received_at, e.id LIMIT $3`
	return list(ctx, db, scope, eventRow, query, scope.Site(), visit, limit)
}

// Calls lists a site's newest calls.
func (db *DB) Calls(
	ctx context.Context, scope tenancy.Scope, limit int,
) ([]store.CallRow, error) {
	const query = `SELECT id, event_id, phone, action, url, status, received_at FROM ingest.calls
		WHERE site_id = $1 ORDER BY received_at DESC, id LIMIT $2`
	return list(ctx, db, scope, func(row pgx.CollectableRow) (c store.CallRow, err error) {
		err = row.Scan(&c.ID, &c.EventID, &c.Phone, &c.Action, &c.URL, &c.Status, &c.ReceivedAt)
		c.ReceivedAt = c.ReceivedAt.UTC()
		return c, err
	}, query, scope.Site(), limit)
}

// CallSite returns the site of a call, or store.ErrNoCall. It is the service's question:
// the answer says for which site a grant is needed.
func (db *DB) CallSite(ctx context.Context, id string) (site string, err error) {
	ctx, cancel, err := db.call(ctx)
	if err != nil {
		return "", err
	}
	defer cancel()
	const query = `SELECT site_id FROM ingest.calls WHERE id = $1`
	err = db.service.QueryRow(ctx, query, id).Scan(&site)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", store.ErrNoCall
	}
	return site, err
}
