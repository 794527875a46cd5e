package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
)

// File is the name of the database in its folder.
const File = "sallyport.db"

// Owns reports whether a file of the folder is the database's own, or its lock.
func Owns(name string) bool {
	return strings.HasPrefix(name, File) || strings.HasPrefix(name, "lock.db")
}

// Copy writes the database of one folder into another one, as of one moment and
// compacted. It works beside a server that has the folder open: it reads one snapshot,
// and the server goes on writing.
func Copy(ctx context.Context, from, to string) error {
	target := filepath.Join(to, File)
	if err := createPrivate(target); err != nil { // VACUUM INTO takes an empty file, and its mode
		return err
	}
	db, err := sql.Open("sqlite", dsn(filepath.Join(from, File), "mode=ro", busy))
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	_, err = db.ExecContext(ctx, `VACUUM INTO ?`, target)
	if err != nil {
		err = fmt.Errorf("sqlite: copy %s: %w", from, err)
	}
	return errors.Join(err, db.Close())
}

// DeadLetters lists a site's dead letters beside a server that has the folder open. To
// open the folder is to start anew: what was dead is then tried again.
func DeadLetters(
	ctx context.Context, dir string, scope tenancy.Scope, limit int,
) (list []store.DeadRow, err error) {
	db := &DB{}
	db.read, err = sql.Open("sqlite", dsn(filepath.Join(dir, File), "mode=ro", busy))
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	list, err = db.DeadOf(ctx, scope, limit)
	return list, errors.Join(err, db.read.Close())
}
