package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/opsmantik/sallyport/examples/ingest/store"
)

// SpendTOTP records that a user has used a time step.
func (db *DB) SpendTOTP(
	ctx context.Context, user string, step, latest int64,
) (spent bool, err error) {
	const upsert = `INSERT INTO ingest.totp_spent AS t (user_id, step) VALUES ($1, $2)
		ON CONFLICT (user_id) DO UPDATE SET step = $2 WHERE t.step < $2 OR t.step > $3`
	n, err := db.exec(ctx, upsert, user, step, latest)
	return n > 0, err
}

// SpendRecovery uses up a recovery code.
func (db *DB) SpendRecovery(
	ctx context.Context, user string, digest []byte,
) (spent bool, err error) {
	const spend = `DELETE FROM ingest.recovery_codes WHERE user_id = $1 AND digest = $2`
	n, err := db.exec(ctx, spend, user, digest)
	return n > 0, err
}

// ReplaceRecovery forgets a user's recovery codes, and keeps these.
func (db *DB) ReplaceRecovery(ctx context.Context, user string, digests [][]byte) error {
	return db.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		const forget = `DELETE FROM ingest.recovery_codes WHERE user_id = $1`
		if _, err := tx.Exec(ctx, forget, user); err != nil {
			return err
		}
		const keep = `INSERT INTO ingest.recovery_codes (user_id, digest) SELECT $1, unnest($2::bytea[])`
		_, err := tx.Exec(ctx, keep, user, digests)
		return err
	})
}

// FactorFailed counts a wrong second factor.
func (db *DB) FactorFailed(ctx context.Context, user string, now time.Time) error {
	const count = `INSERT INTO ingest.factor_failures AS f (user_id, n, last_at) VALUES ($1, 1, $2)
		ON CONFLICT (user_id) DO UPDATE SET n = f.n + 1, last_at = $2`
	_, err := db.exec(ctx, count, user, now)
	return err
}

// FactorFailures returns how many were wrong since it was last asked.
func (db *DB) FactorFailures(
	ctx context.Context, user string,
) (n int, last time.Time, err error) {
	ctx, cancel, err := db.call(ctx)
	if err != nil {
		return 0, last, err
	}
	defer cancel()
	const take = `DELETE FROM ingest.factor_failures WHERE user_id = $1 RETURNING n, last_at`
	err = db.service.QueryRow(ctx, take, user).Scan(&n, &last)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, time.Time{}, nil
	}
	return n, last.UTC(), err
}

// AddKey keeps a key of a user who has exactly have others.
func (db *DB) AddKey(ctx context.Context, key store.SecurityKey, have int) error {
	err := db.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		// One at a time for each user: the count still holds when the key is kept.
		const lock = `SELECT pg_advisory_xact_lock(hashtextextended('ingest.security_keys ' || $1, 0))`
		if _, err := tx.Exec(ctx, lock, key.User); err != nil {
			return err
		}
		var mine, known int
		const count = `SELECT count(*) FILTER (WHERE user_id = $1),
			count(*) FILTER (WHERE id = $2 OR credential = $3)
			FROM ingest.security_keys WHERE user_id = $1 OR id = $2 OR credential = $3`
		err := tx.QueryRow(ctx, count, key.User, key.ID, key.Credential).Scan(&mine, &known)
		switch {
		case err != nil:
			return err
		case known > 0:
			return store.ErrKeyExists
		case mine != have:
			return store.ErrKeysChanged
		}
		const insert = `INSERT INTO ingest.security_keys
			(id, user_id, name, credential, public_key, counter, created_at, used_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
		_, err = tx.Exec(ctx, insert, key.ID, key.User, key.Name, key.Credential, key.PublicKey,
			int64(key.Counter), key.Created, moment(key.Used))
		return err
	})
	if failure, ok := errors.AsType[*pgconn.PgError](err); ok && failure.Code == "23505" {
		return store.ErrKeyExists // another user was faster
	}
	return err
}

// Keys lists a user's keys, oldest first.
func (db *DB) Keys(ctx context.Context, user string) ([]store.SecurityKey, error) {
	ctx, cancel, err := db.call(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	const query = `SELECT id, name, credential, public_key, counter, created_at, used_at
		FROM ingest.security_keys WHERE user_id = $1 ORDER BY created_at, id`
	rows, err := db.service.Query(ctx, query, user)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (store.SecurityKey, error) {
		k := store.SecurityKey{User: user}
		var used *time.Time
		err := row.Scan(&k.ID, &k.Name, &k.Credential, &k.PublicKey, &k.Counter, &k.Created, &used)
		k.Created, k.Used = k.Created.UTC(), instant(used)
		return k, err
	})
}

// UseKey records that a user's key has signed.
func (db *DB) UseKey(
	ctx context.Context, user, id string, counter uint32, now time.Time,
) (used bool, err error) {
	const use = `UPDATE ingest.security_keys SET counter = $3, used_at = $4
		WHERE id = $1 AND user_id = $2 AND (counter < $3 OR counter = 0 AND $3 = 0)`
	n, err := db.exec(ctx, use, id, user, int64(counter), now)
	return n > 0, err
}

// RemoveKey forgets a user's key.
func (db *DB) RemoveKey(ctx context.Context, user, id string) (removed bool, err error) {
	const remove = `DELETE FROM ingest.security_keys WHERE id = $1 AND user_id = $2`
	n, err := db.exec(ctx, remove, id, user)
	return n > 0, err
}

// moment is NULL for never.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func instant(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
