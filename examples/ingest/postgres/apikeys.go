package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/apikey"
)

// APIKeys keeps the API keys of users. It implements [store.APIKeys].
type APIKeys struct{ db *DB }

// APIKeys returns the database's API keys.
func (db *DB) APIKeys() store.APIKeys { return &APIKeys{db} }

// Create adds a key.
func (k *APIKeys) Create(ctx context.Context, r apikey.Record) error {
	const insert = `INSERT INTO ingest.api_keys
		(id, hash, user_id, name, scopes, created_at, expires_at, revoked_at, used_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`
	scopes := append([]string{}, r.Scopes...) // never NULL
	n, err := k.db.exec(ctx, insert, r.ID, r.Hash[:], r.User, r.Name, scopes, r.Created, r.Expires,
		moment(r.Revoked), moment(r.LastUsed))
	if err == nil && n == 0 {
		return apikey.ErrExists
	}
	return err
}

// Find returns the key with this hash.
func (k *APIKeys) Find(ctx context.Context, hash [sha256.Size]byte) (apikey.Record, error) {
	ctx, cancel, err := k.db.call(ctx)
	if err != nil {
		return apikey.Record{}, err
	}
	defer cancel()
	const find = `SELECT ` + keyColumns + ` FROM ingest.api_keys WHERE hash = $1`
	r, err := keyRow(k.db.service.QueryRow(ctx, find, hash[:]))
	if errors.Is(err, pgx.ErrNoRows) {
		return apikey.Record{}, apikey.ErrNotFound
	}
	r.Hash = hash
	return r, err
}

const keyColumns = `id, user_id, name, scopes, created_at, expires_at, revoked_at, used_at`

func keyRow(row pgx.Row) (r apikey.Record, err error) {
	var revoked, used *time.Time
	err = row.Scan(&r.ID, &r.User, &r.Name, &r.Scopes, &r.Created, &r.Expires, &revoked, &used)
	if err != nil {
		return apikey.Record{}, err
	}
	r.Created, r.Expires = r.Created.UTC(), r.Expires.UTC()
	r.Revoked, r.LastUsed = instant(revoked), instant(used)
	return r, nil
}

// List lists the keys of a site. The table is the service's alone, so the statement is
// all that keeps sites apart here.
func (k *APIKeys) List(
	ctx context.Context, scope tenancy.Scope, now time.Time, limit int,
) ([]apikey.Record, error) {
	if err := scope.Check(); err != nil {
		return nil, err
	}
	ctx, cancel, err := k.db.call(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	const list = `SELECT ` + keyColumns + ` FROM ingest.api_keys
		WHERE $1 = ANY (scopes) AND expires_at > $2 AND (revoked_at IS NULL OR revoked_at > $2)
		ORDER BY created_at DESC, id LIMIT $3`
	rows, err := k.db.service.Query(ctx, list, store.SiteScope(scope.Site()), now, limit)
	if err != nil {
		return nil, err
	}
	return pgx.AppendRows([]apikey.Record{}, rows,
		func(row pgx.CollectableRow) (apikey.Record, error) { return keyRow(row) })
}

// End ends a user's key, never later than it ends already.
func (k *APIKeys) End(ctx context.Context, user, id string, at time.Time) error {
	const end = `UPDATE ingest.api_keys SET revoked_at = least(revoked_at, $3)
		WHERE user_id = $1 AND id = $2`
	n, err := k.db.exec(ctx, end, user, id, at)
	if err == nil && n == 0 {
		return apikey.ErrNotFound
	}
	return err
}

// Touch notes that a key was used, and changes nothing else.
func (k *APIKeys) Touch(ctx context.Context, id string, at time.Time) error {
	const touch = `UPDATE ingest.api_keys SET used_at = $2 WHERE id = $1
		AND (revoked_at IS NULL OR revoked_at > $2) AND (used_at IS NULL OR used_at < $2)`
	_, err := k.db.exec(ctx, touch, id, at)
	return err
}
