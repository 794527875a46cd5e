package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// SpendTOTP records that a user has used a time step.
func (db *DB) SpendTOTP(
	ctx context.Context, user string, step, latest int64,
) (spent bool, err error) {
	err = db.Write(ctx, func(tx *sql.Tx) error {
		const upsert = `INSERT INTO totp_spent (user_id, step) VALUES (?1, ?2)
			ON CONFLICT (user_id) DO UPDATE SET step = ?2 WHERE step < ?2 OR step > ?3`
		var err error
		spent, err = inserted(tx.Exec(upsert, user, step, latest))
		return err
	})
	return spent, err
}

// SpendRecovery uses up a recovery code.
func (db *DB) SpendRecovery(
	ctx context.Context, user string, digest []byte,
) (spent bool, err error) {
	err = db.Write(ctx, func(tx *sql.Tx) error {
		const spend = `DELETE FROM recovery_codes WHERE user_id = ? AND digest = ?`
		var err error
		spent, err = inserted(tx.Exec(spend, user, digest))
		return err
	})
	return spent, err
}

// ReplaceRecovery forgets a user's recovery codes, and keeps these.
func (db *DB) ReplaceRecovery(ctx context.Context, user string, digests [][]byte) error {
	return db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.Exec(`DELETE FROM recovery_codes WHERE user_id = ?`, user); err != nil {
			return err
		}
		for _, digest := range digests {
			const insert = `INSERT INTO recovery_codes (user_id, digest) VALUES (?, ?)`
			if _, err := tx.Exec(insert, user, digest); err != nil {
				return err
			}
		}
		return nil
	})
}

// FactorFailed counts a wrong second factor.
func (db *DB) FactorFailed(ctx context.Context, user string, now time.Time) error {
	return db.Write(ctx, func(tx *sql.Tx) error {
		const count = `INSERT INTO factor_failures (user_id, n, last_at) VALUES (?1, 1, ?2)
			ON CONFLICT (user_id) DO UPDATE SET n = n + 1, last_at = ?2`
		_, err := tx.Exec(count, user, now.UnixMilli())
		return err
	})
}

// FactorFailures returns how many were wrong since it was last asked.
func (db *DB) FactorFailures(
	ctx context.Context, user string,
) (n int, last time.Time, err error) {
	err = db.Write(ctx, func(tx *sql.Tx) error {
		var at int64
		const take = `DELETE FROM factor_failures WHERE user_id = ? RETURNING n, last_at`
		err := tx.QueryRow(take, user).Scan(&n, &at)
		if errors.Is(err, sql.ErrNoRows) {
			n = 0
			return nil
		}
		last = time.UnixMilli(at).UTC()
		return err
	})
	return n, last, err
}
