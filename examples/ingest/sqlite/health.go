package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Ready reports whether the store can keep something: it does, with fsync, on the
// way that everything takes. A file that was found damaged stays so until it is
// opened again, because other parts of it may still be written.
func (db *DB) Ready(ctx context.Context) error {
	if fault := db.damaged.Load(); fault != nil {
		return *fault
	}
	return db.Write(ctx, func(tx *sql.Tx) error {
		const write = `INSERT INTO probe (only, at) VALUES (1, ?1)
			ON CONFLICT (only) DO UPDATE SET at = ?1`
		_, err := tx.Exec(write, time.Now().UnixMilli())
		return err
	})
}

// noteDamage remembers what only damage explains.
func (db *DB) noteDamage(err error) {
	broken, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return
	}
	switch broken.Code() & 0xff { // the primary code
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		db.damaged.CompareAndSwap(nil, &err)
	}
}

// checkFile looks at every page once: a damaged file must not be served from.
func checkFile(ctx context.Context, db *sql.DB) error {
	var result string
	err := db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&result)
	if err != nil {
		return fmt.Errorf("sqlite: quick_check: %w", err)
	}
	if result != "ok" {
		return fmt.Errorf("sqlite: the file is damaged: %s", result)
	}
	return nil
}
