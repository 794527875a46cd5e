// Package sqlite keeps everything the embedded server knows in one SQLite
// file: the durable queue, events, calls, their actions and the audit log.
//
// One goroutine writes, and commits many callers' work in one transaction
// (group commit); reads go through their own read-only connections. Suited to
// one machine.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	_ "modernc.org/sqlite" // the driver, pure Go
)

// Durability says when a commit counts as done.
type Durability string

const (
	// Full waits for fsync of the write-ahead log before a commit returns.
	Full Durability = "FULL"
	// DangerouslyOff leaves writing to the operating system. A power cut loses
	// acknowledged events; it exists to measure what Full costs.
	DangerouslyOff Durability = "OFF"
)

const (
	readers = 4
	busy    = "_pragma=busy_timeout(5000)"
	// cacheKiB holds the index of identities of some hundred thousand events, which
	// are looked up in no order.
	cacheKiB = "49152"
	// walPages is how many pages of 4 KiB the log has before it is written back:
	// a page that changes often is written back once.
	walPages = "8000"
)

// DB is an open database file. It is safe for concurrent use.
type DB struct {
	write, read *sql.DB
	jobs        chan job
	quit        chan struct{}
	done        chan struct{}
	closing     sync.Once
	lock        *sql.DB      // holds the folder for this process
	rows, bytes atomic.Int64 // events of the queue, dead letters included
	held        held
	sql         statements
	damaged     atomic.Pointer[error]
}

// Open opens sallyport.db in dir, creating both where needed, and starts the
// writer. One process at a time can have a folder open.
func Open(ctx context.Context, dir string, durability Durability) (*DB, error) {
	if durability != Full && durability != DangerouslyOff {
		return nil, fmt.Errorf("sqlite: durability %q: want Full or DangerouslyOff", durability)
	}
	db := &DB{
		jobs: make(chan job), quit: make(chan struct{}), done: make(chan struct{}),
		held: held{seqs: map[int64]bool{}}, sql: newStatements(),
	}
	if err := db.open(ctx, dir, durability); err != nil {
		return nil, errors.Join(err, db.closeFiles())
	}
	go db.run()
	return db, nil
}

func (db *DB) open(ctx context.Context, dir string, durability Durability) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	if db.lock, err = lockFolder(ctx, dir); err != nil {
		return err
	}
	path := filepath.Join(dir, File)
	if err := createPrivate(path); err != nil {
		return err
	}
	db.write, err = sql.Open("sqlite", dsn(path, "_txlock=immediate", busy, "_pragma=journal_mode(WAL)",
		"_pragma=synchronous("+string(durability)+")", "_pragma=foreign_keys(ON)",
		"_pragma=cache_size(-"+cacheKiB+")", "_pragma=wal_autocheckpoint("+walPages+")"))
	if err != nil {
		return fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	db.write.SetMaxOpenConns(1)
	if err := checkFile(ctx, db.write); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := migrate(ctx, db.write); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := db.sql.prepare(ctx, db.write); err != nil {
		return fmt.Errorf("sqlite: prepare: %w", err)
	}
	db.read, err = sql.Open("sqlite", dsn(path, "mode=ro", busy, "_pragma=query_only(ON)"))
	if err != nil {
		return fmt.Errorf("sqlite: open %s for reading: %w", path, err)
	}
	db.read.SetMaxOpenConns(readers)
	return db.reopenQueue(ctx)
}

// lockFolder keeps a second server off the folder: both would deliver the same
// rows, and each would count half of the requests. The lock is SQLite's own, so
// it goes with the process, however that ends.
func lockFolder(ctx context.Context, dir string) (*sql.DB, error) {
	path := filepath.Join(dir, "lock.db")
	if err := createPrivate(path); err != nil {
		return nil, err
	}
	lock, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	lock.SetMaxOpenConns(1)
	for _, statement := range []string{`PRAGMA locking_mode = EXCLUSIVE`, `BEGIN EXCLUSIVE`} {
		if _, err := lock.ExecContext(ctx, statement); err != nil {
			return nil, errors.Join(fmt.Errorf("sqlite: another process has %s open", dir), lock.Close())
		}
	}
	return lock, nil
}

// createPrivate makes the file readable by its owner alone before SQLite opens
// it; the log files that SQLite puts beside it take over its mode.
func createPrivate(path string) error {
	// #nosec G304 -- in the operator's DATA_DIR
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	return file.Close()
}

func dsn(path string, options ...string) string {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}
	u.RawQuery = strings.Join(options, "&")
	return u.String()
}

// Close finishes the work already accepted, then closes the files.
func (db *DB) Close() error {
	db.closing.Do(func() { close(db.quit) })
	<-db.done
	return db.closeFiles()
}

func (db *DB) closeFiles() error {
	errs := []error{db.sql.close()}
	for _, file := range []*sql.DB{db.read, db.write, db.lock} {
		if file != nil {
			errs = append(errs, file.Close())
		}
	}
	return errors.Join(errs...)
}
