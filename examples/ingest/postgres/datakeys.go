package postgres

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/opsmantik/sallyport/tenancy/envelope"
)

// DataKeys keeps the wrapped keys of persons. It implements [envelope.Store].
type DataKeys struct{ db *DB }

// DataKeys returns the keys, which are in a table of their own.
func (db *DB) DataKeys() *DataKeys { return &DataKeys{db} }

var _ envelope.Store = (*DataKeys)(nil)

// Load returns an owner's keys, oldest first.
func (k *DataKeys) Load(
	ctx context.Context, owner envelope.Owner, reserve uint64,
) (keys []envelope.Key, err error) {
	if reserve > math.MaxInt64 {
		return nil, errors.New("postgres: so many seals cannot be counted")
	}
	err = k.db.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		const count = `UPDATE ingest.data_keys SET seals = seals + $3 WHERE site_id = $1 AND subject = $2
			AND version = (SELECT max(version) FROM ingest.data_keys WHERE site_id = $1 AND subject = $2)`
		if reserve > 0 {
			// #nosec G115 -- as much as that was refused above
			if _, err := tx.Exec(ctx, count, owner.Site, owner.Subject, int64(reserve)); err != nil {
				return err
			}
		}
		const query = `SELECT version, handle, commitment, kek, wrapped, created_at, seals
			FROM ingest.data_keys WHERE site_id = $1 AND subject = $2 ORDER BY version`
		rows, err := tx.Query(ctx, query, owner.Site, owner.Subject)
		if err != nil {
			return err
		}
		keys, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (envelope.Key, error) {
			return dataKey(row, owner)
		})
		return err
	})
	return keys, err
}

func dataKey(row pgx.CollectableRow, owner envelope.Owner) (envelope.Key, error) {
	key := envelope.Key{Owner: owner}
	var commit []byte
	var created time.Time
	var seals int64
	err := row.Scan(&key.Version, &key.Handle, &commit, &key.KEK, &key.Wrapped, &created, &seals)
	if err == nil && (len(commit) != envelope.CommitSize || seals < 0) {
		err = errors.New("postgres: a key is damaged")
	}
	if err != nil {
		return key, err
	}
	key.Commit = [envelope.CommitSize]byte(commit)
	key.Created, key.Seals = created.UTC(), uint64(seals)
	return key, nil
}

// Add adds a key, which must be the owner's next one.
func (k *DataKeys) Add(ctx context.Context, key envelope.Key) error {
	if key.Seals > math.MaxInt64 {
		return errors.New("postgres: so many seals cannot be counted")
	}
	const insert = `INSERT INTO ingest.data_keys
		(site_id, subject, version, handle, commitment, kek, wrapped, created_at, seals)
		SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
		WHERE (SELECT coalesce(max(version), 0) FROM ingest.data_keys
			WHERE site_id = $1 AND subject = $2) = $3 - 1
		ON CONFLICT DO NOTHING`
	n, err := k.db.exec(ctx, insert, key.Owner.Site, key.Owner.Subject, key.Version, key.Handle,
		key.Commit[:], key.KEK, key.Wrapped, key.Created, int64(key.Seals))
	if err == nil && n == 0 {
		return envelope.ErrExists
	}
	return err
}

// Rewrap replaces what wraps a key, if it is still what the caller has seen.
func (k *DataKeys) Rewrap(ctx context.Context, key envelope.Key, old []byte) error {
	const update = `UPDATE ingest.data_keys SET kek = $4, wrapped = $5
		WHERE site_id = $1 AND subject = $2 AND version = $3 AND wrapped = $6`
	n, err := k.db.exec(ctx, update, key.Owner.Site, key.Owner.Subject, key.Version, key.KEK,
		key.Wrapped, old)
	if err == nil && n == 0 {
		return envelope.ErrExists
	}
	return err
}

// shredLimit is how long it may take to write the table anew.
const shredLimit = time.Minute

// Shred deletes all keys of an owner, and with them the file that held them. What of it
// is in the write-ahead log goes as the log is recycled.
func (k *DataKeys) Shred(ctx context.Context, owner envelope.Owner) error {
	if err := k.db.closed(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, shredLimit)
	defer cancel()
	_, err := k.db.service.Exec(ctx, `SELECT ingest.shred_keys($1, $2)`, owner.Site, owner.Subject)
	return err
}
