package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the file to the newest schema, one numbered step after the
// other, each in a transaction of its own. PRAGMA user_version is the number of
// the last step. A file of a newer program is refused: what it means is not
// known here.
func migrate(ctx context.Context, db *sql.DB) error {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	var version int
	if err := db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return fmt.Errorf("sqlite: read schema version: %w", err)
	}
	if version > len(names) {
		return fmt.Errorf("sqlite: the file has schema %d, this program knows %d; start the newer one",
			version, len(names))
	}
	for step := version; step < len(names); step++ {
		text, err := migrations.ReadFile(names[step])
		if err != nil {
			return err
		}
		if err := apply(ctx, db, step+1, string(text)); err != nil {
			return fmt.Errorf("sqlite: migration %d: %w", step+1, err)
		}
	}
	return nil
}

func apply(ctx context.Context, db *sql.DB, version int, statements string) (err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	if version == 1 {
		if err := fromUnnumbered(ctx, tx); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, statements); err != nil {
		return err
	}
	// A pragma takes no parameters.
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA user_version = %d`, version)); err != nil {
		return err
	}
	return tx.Commit()
}

// fromUnnumbered carries over the queue of a file from before steps had numbers.
// Its columns changed twice in that time; seq and payload were always there.
func fromUnnumbered(ctx context.Context, tx *sql.Tx) error {
	var tables int
	const exists = `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'queue'`
	if err := tx.QueryRowContext(ctx, exists).Scan(&tables); err != nil || tables == 0 {
		return err
	}
	_, err := tx.ExecContext(ctx, `
		DROP INDEX IF EXISTS queue_due;
		DROP INDEX IF EXISTS queue_live;
		ALTER TABLE queue RENAME TO queue_0;
		CREATE TABLE queue (
			seq     INTEGER PRIMARY KEY AUTOINCREMENT,
			payload BLOB    NOT NULL,
			lone    INTEGER NOT NULL DEFAULT 0,
			dead    INTEGER NOT NULL DEFAULT 0
		) STRICT;
		INSERT INTO queue (seq, payload) SELECT seq, payload FROM queue_0 ORDER BY seq;
		DROP TABLE queue_0`)
	return err
}
