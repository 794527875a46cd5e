package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/apikey"
)

// APIKeys keeps the API keys of users. It implements [store.APIKeys].
type APIKeys struct{ db *DB }

// APIKeys returns the file's API keys.
func (db *DB) APIKeys() store.APIKeys { return &APIKeys{db} }

// Create adds a key.
func (k *APIKeys) Create(ctx context.Context, r apikey.Record) error {
	scopes, err := json.Marshal(r.Scopes)
	if err != nil {
		return err
	}
	added := false
	err = k.db.Write(ctx, func(tx *sql.Tx) error {
		const insert = `INSERT INTO api_keys
			(id, hash, user_id, name, scopes, created_at, expires_at, revoked_at, used_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
		var err error
		added, err = inserted(tx.Exec(insert, r.ID, r.Hash[:], r.User, r.Name, string(scopes),
			micros(r.Created), micros(r.Expires), micros(r.Revoked), micros(r.LastUsed)))
		return err
	})
	if err == nil && !added {
		return apikey.ErrExists
	}
	return err
}

// Find returns the key with this hash.
func (k *APIKeys) Find(ctx context.Context, hash [sha256.Size]byte) (apikey.Record, error) {
	const find = `SELECT ` + keyColumns + ` FROM api_keys WHERE hash = ?`
	r, err := scanKey(k.db.read.QueryRowContext(ctx, find, hash[:]))
	if errors.Is(err, sql.ErrNoRows) {
		return apikey.Record{}, apikey.ErrNotFound
	}
	r.Hash = hash
	return r, err
}

const keyColumns = `id, user_id, name, scopes, created_at, expires_at, revoked_at, used_at`

func scanKey(row interface{ Scan(...any) error }) (r apikey.Record, err error) {
	var scopes string
	var created, expires, revoked, used sql.NullInt64
	err = row.Scan(&r.ID, &r.User, &r.Name, &scopes, &created, &expires, &revoked, &used)
	if err != nil {
		return apikey.Record{}, err
	}
	if err := json.Unmarshal([]byte(scopes), &r.Scopes); err != nil {
		return apikey.Record{}, err
	}
	r.Created, r.Expires = instant(created), instant(expires)
	r.Revoked, r.LastUsed = instant(revoked), instant(used)
	return r, nil
}

// List lists the keys of a site.
func (k *APIKeys) List(
	ctx context.Context, scope tenancy.Scope, now time.Time, limit int,
) ([]apikey.Record, error) {
	if err := scope.Check(); err != nil {
		return nil, err
	}
	const list = `SELECT ` + keyColumns + ` FROM api_keys
		WHERE EXISTS (SELECT 1 FROM json_each(scopes) WHERE value = ?1)
		AND expires_at > ?2 AND (revoked_at IS NULL OR revoked_at > ?2)
		ORDER BY created_at DESC, id LIMIT ?3`
	rows, err := k.db.read.QueryContext(ctx, list,
		store.SiteScope(scope.Site()), now.UnixMicro(), limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	keys := []apikey.Record{}
	for rows.Next() {
		key, err := scanKey(rows)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, rows.Err()
}

// End ends a user's key, never later than it ends already.
func (k *APIKeys) End(ctx context.Context, user, id string, at time.Time) error {
	found := false
	err := k.db.Write(ctx, func(tx *sql.Tx) error {
		const end = `UPDATE api_keys SET revoked_at = min(coalesce(revoked_at, ?3), ?3)
			WHERE user_id = ?1 AND id = ?2`
		var err error
		found, err = inserted(tx.Exec(end, user, id, at.UnixMicro()))
		return err
	})
	if err == nil && !found {
		return apikey.ErrNotFound
	}
	return err
}

// Touch notes that a key was used, and changes nothing else.
func (k *APIKeys) Touch(ctx context.Context, id string, at time.Time) error {
	return k.db.Write(ctx, func(tx *sql.Tx) error {
		const touch = `UPDATE api_keys SET used_at = ?2 WHERE id = ?1
			AND (revoked_at IS NULL OR revoked_at > ?2) AND (used_at IS NULL OR used_at < ?2)`
		_, err := tx.Exec(touch, id, at.UnixMicro())
		return err
	})
}

// micros is NULL for never.
func micros(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMicro(), Valid: !t.IsZero()}
}

func instant(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMicro(n.Int64).UTC()
}
