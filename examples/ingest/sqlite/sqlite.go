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
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	_ "modernc.org/sqlite" // the driver, pure Go
)

//go:embed schema.sql
var schema string

// Durability says when a commit counts as done.
type Durability string

const (
	// Full waits for fsync of the write-ahead log before a commit returns.
	Full Durability = "FULL"
	// DangerouslyOff leaves writing to the operating system. A power cut loses
	// acknowledged events; it exists to measure what Full costs.
	DangerouslyOff Durability = "OFF"
)

const readers = 4

// DB is an open database file. It is safe for concurrent use.
type DB struct {
	write, read *sql.DB
	jobs        chan job
	quit        chan struct{}
	done        chan struct{}
	closing     sync.Once
	depth       atomic.Int64 // queue rows, dead ones included
}

// Open opens sallyport.db in dir, creating both where needed, and starts the
// writer.
func Open(ctx context.Context, dir string, durability Durability) (*DB, error) {
	if durability != Full && durability != DangerouslyOff {
		return nil, fmt.Errorf("sqlite: durability %q: want Full or DangerouslyOff", durability)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	path := filepath.Join(dir, "sallyport.db")
	write, err := sql.Open("sqlite", dsn(path, "_txlock=immediate", "_pragma=journal_mode(WAL)",
		"_pragma=synchronous("+string(durability)+")", "_pragma=foreign_keys(ON)"))
	if err != nil {
		return nil, fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	write.SetMaxOpenConns(1)
	if _, err := write.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: prepare %s: %w", path, err), write.Close())
	}
	read, err := sql.Open("sqlite", dsn(path, "mode=ro", "_pragma=query_only(ON)"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: open %s for reading: %w", path, err), write.Close())
	}
	read.SetMaxOpenConns(readers)
	db := &DB{
		write: write, read: read,
		jobs: make(chan job), quit: make(chan struct{}), done: make(chan struct{}),
	}
	depth, err := db.count(ctx)
	if err != nil {
		return nil, errors.Join(err, write.Close(), read.Close())
	}
	db.depth.Store(depth)
	go db.run()
	return db, nil
}

func dsn(path string, options ...string) string {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}
	u.RawQuery = "_pragma=busy_timeout(5000)"
	for _, option := range options {
		u.RawQuery += "&" + option
	}
	return u.String()
}

// Ping reports whether the database answers reads.
func (db *DB) Ping(ctx context.Context) error { return db.read.PingContext(ctx) }

// Close finishes the work already accepted, then closes the file.
func (db *DB) Close() error {
	db.closing.Do(func() { close(db.quit) })
	<-db.done
	return errors.Join(db.read.Close(), db.write.Close())
}
