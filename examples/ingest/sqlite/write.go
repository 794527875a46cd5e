package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/opsmantik/sallyport/examples/ingest/store"
)

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
// work alone. A nil result is the only one that means stored. Work may run
// twice, and must have no effect but on tx and on variables of its caller.
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
		return store.ErrClosed
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

// commit runs the jobs in one transaction. If one of them fails, each runs
// again in a transaction of its own: failing is rare, and a savepoint around
// every job would cost more than the job.
func (db *DB) commit(jobs []job) {
	results := make([]error, len(jobs))
	err := db.transact(jobs, results)
	if errors.Is(err, errWork) && len(jobs) > 1 {
		for i := range jobs {
			err := db.transact(jobs[i:i+1], results[i:i+1])
			results[i] = errors.Join(results[i], err)
		}
	} else if err != nil {
		// A failed commit is never tried again: after a failed fsync, one that
		// succeeds proves nothing about what was written before.
		for i := range results {
			results[i] = err
		}
	}
	for i, job := range jobs {
		if results[i] != nil {
			db.noteDamage(results[i])
		}
		job.done <- results[i]
	}
}

// errWork marks an error of a job, as opposed to one of the transaction.
var errWork = errors.New("sqlite: work failed")

// transact commits all jobs, or none and returns why. A job whose caller has
// left before it began is skipped, with the reason in results.
func (db *DB) transact(jobs []job, results []error) error {
	// The transaction belongs to all callers, so to none of their contexts.
	tx, err := db.write.BeginTx(context.Background(), nil)
	if err != nil {
		return fmt.Errorf("sqlite: begin: %w", err)
	}
	for i, job := range jobs {
		if results[i] = job.ctx.Err(); results[i] != nil {
			continue
		}
		if err := job.work(tx); err != nil {
			return errors.Join(errWork, err, tx.Rollback())
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("sqlite: commit: %w", err)
	}
	return nil
}
