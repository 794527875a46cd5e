package sqlite

import (
	"context"
	"database/sql"
)

// SpendTOTP records that a user has used a time step. It reports false if that
// step, or a later one, was used before: of two requests with one code, one
// gets in.
func (db *DB) SpendTOTP(ctx context.Context, user string, step int64) (spent bool, err error) {
	err = db.Write(ctx, func(tx *sql.Tx) error {
		const upsert = `INSERT INTO totp_spent (user_id, step) VALUES (?1, ?2)
			ON CONFLICT (user_id) DO UPDATE SET step = ?2 WHERE step < ?2`
		var err error
		spent, err = inserted(tx.Exec(upsert, user, step))
		return err
	})
	return spent, err
}
