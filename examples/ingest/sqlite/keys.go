package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/opsmantik/sallyport/examples/ingest/store"
)

// AddKey keeps a key of a user who has exactly have others.
func (db *DB) AddKey(ctx context.Context, key store.SecurityKey, have int) error {
	return db.Write(ctx, func(tx *sql.Tx) error {
		var mine, known int
		const count = `SELECT coalesce(sum(user_id = ?1), 0), coalesce(sum(id = ?2 OR credential = ?3), 0)
			FROM security_keys WHERE user_id = ?1 OR id = ?2 OR credential = ?3`
		err := tx.QueryRow(count, key.User, key.ID, key.Credential).Scan(&mine, &known)
		switch {
		case err != nil:
			return err
		case known > 0:
			return store.ErrKeyExists
		case mine != have:
			return store.ErrKeysChanged
		}
		const insert = `INSERT INTO security_keys
			(id, user_id, name, credential, public_key, counter, created_at, used_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
		_, err = tx.Exec(insert, key.ID, key.User, key.Name, key.Credential, key.PublicKey,
			key.Counter, key.Created.UnixMicro(), micros(key.Used))
		return err
	})
}

// Keys lists a user's keys, oldest first.
func (db *DB) Keys(ctx context.Context, user string) ([]store.SecurityKey, error) {
	const query = `SELECT id, name, credential, public_key, counter, created_at, used_at
		FROM security_keys WHERE user_id = ? ORDER BY created_at, id`
	rows, err := db.read.QueryContext(ctx, query, user)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []store.SecurityKey
	for rows.Next() {
		key := store.SecurityKey{User: user}
		var created, used sql.NullInt64
		err := rows.Scan(&key.ID, &key.Name, &key.Credential, &key.PublicKey, &key.Counter, &created, &used)
		if err != nil {
			return nil, err
		}
		key.Created, key.Used = instant(created), instant(used)
		list = append(list, key)
	}
	return list, rows.Err()
}

// UseKey records that a user's key has signed.
func (db *DB) UseKey(
	ctx context.Context, user, id string, counter uint32, now time.Time,
) (used bool, err error) {
	err = db.Write(ctx, func(tx *sql.Tx) error {
		const use = `UPDATE security_keys SET counter = ?3, used_at = ?4
			WHERE id = ?1 AND user_id = ?2 AND (counter < ?3 OR counter = 0 AND ?3 = 0)`
		var err error
		used, err = inserted(tx.Exec(use, id, user, counter, now.UnixMicro()))
		return err
	})
	return used, err
}

// RemoveKey forgets a user's key.
func (db *DB) RemoveKey(ctx context.Context, user, id string) (removed bool, err error) {
	err = db.Write(ctx, func(tx *sql.Tx) error {
		const remove = `DELETE FROM security_keys WHERE id = ? AND user_id = ?`
		var err error
		removed, err = inserted(tx.Exec(remove, id, user))
		return err
	})
	return removed, err
}
