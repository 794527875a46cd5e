package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// ErrClosed is returned for work that arrives after Close.
var ErrClosed = errors.New("sqlite: closed")

// groupLimit bounds a transaction, so that the first caller in it does not
// wait for an endless stream of later ones.
const groupLimit = 512

type job struct {
	ctx  context.Context
	work func(*sql.Tx) error
	done chan<- error
}

// Write runs work in a transaction that may hold other callers' work too, and
// returns once that transaction is durable. An error from work undoes that
// work alone. A nil result is the only one that means stored.
//
// Once work has begun the outcome is awaited even if ctx ends, so that it is
// never unknown.
func (db *DB) Write(ctx context.Context, work func(*sql.Tx) error) error {
	done := make(chan error, 1)
	// Unbuffered: a job is either taken by the writer or stays with us.
	select {
	case db.jobs <- job{ctx, work, done}:
		return <-done
	case <-ctx.Done():
		return ctx.Err()
	case <-db.quit:
		return ErrClosed
	}
}

func (db *DB) run() {
	defer close(db.done)
	for {
		select {
		case first := <-db.jobs:
			db.commit(db.group(first))
		case <-db.quit:
			return
		}
	}
}

// group takes what is waiting, and waits for nothing: while a commit syncs,
// the next group gathers by itself.
func (db *DB) group(first job) []job {
	jobs := []job{first}
	for len(jobs) < groupLimit {
		select {
		case next := <-db.jobs:
			jobs = append(jobs, next)
		default:
			return jobs
		}
	}
	return jobs
}

func (db *DB) commit(jobs []job) {
	results := make([]error, len(jobs))
	if err := db.transact(jobs, results); err != nil {
		for i := range results {
			results[i] = fmt.Errorf("sqlite: commit: %w", err)
		}
	}
	for i, job := range jobs {
		job.done <- results[i]
	}
}

func (db *DB) transact(jobs []job, results []error) error {
	// The transaction belongs to all callers, so to none of their contexts.
	tx, err := db.write.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	for i, job := range jobs {
		if results[i] = job.ctx.Err(); results[i] != nil {
			continue
		}
		if results[i], err = savepoint(tx, job.work); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

// savepoint runs work so that its failure leaves the transaction as it was.
// Fatal means that the transaction itself can no longer be trusted.
func savepoint(tx *sql.Tx, work func(*sql.Tx) error) (result, fatal error) {
	if _, err := tx.Exec("SAVEPOINT job"); err != nil {
		return nil, err
	}
	if result = work(tx); result != nil {
		if _, err := tx.Exec("ROLLBACK TO job"); err != nil {
			return nil, err
		}
	}
	_, fatal = tx.Exec("RELEASE job")
	return result, fatal
}
