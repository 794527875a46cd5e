package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/store"
)

const (
	// writers is how many transactions of events run at once, in one instance. More
	// requests than that wait, and share the next ones.
	writers = 4
	// groupLimit bounds a transaction, in events.
	groupLimit = 500
	// waitLimit is how many events may wait. Past it requests are refused at once: they
	// would not be answered in time.
	waitLimit = 20_000
	// writeLimit is how long a transaction may take. It is shorter than a client waits.
	writeLimit = 8 * time.Second
)

// job is one caller's batch.
type job struct {
	ctx    context.Context
	batch  []event.Received
	stored store.Stored
	done   chan error
}

// Store keeps a batch: all of it or, on an error, nothing. Batches that wait at the same
// time share a transaction.
func (db *DB) Store(ctx context.Context, batch []event.Received) (store.Stored, error) {
	for i := range batch {
		if err := storable(&batch[i]); err != nil {
			return store.Stored{}, err
		}
	}
	if len(batch) == 0 {
		return store.Stored{}, nil
	}
	n := int64(len(batch))
	if db.waiting.Add(n) > waitLimit {
		db.waiting.Add(-n)
		return store.Stored{}, store.ErrQueueFull
	}
	j := &job{ctx: ctx, batch: batch, done: make(chan error, 1)}
	select {
	case db.jobs <- j: // unbuffered: a writer has it, or it stays with us
		return j.result(<-j.done)
	case <-ctx.Done():
		db.waiting.Add(-n)
		return store.Stored{}, ctx.Err()
	case <-db.quit:
		db.waiting.Add(-n)
		return store.Stored{}, store.ErrClosed
	}
}

func (j *job) result(err error) (store.Stored, error) {
	if err != nil {
		return store.Stored{}, err
	}
	return j.stored, nil
}

func storable(r *event.Received) error {
	if (r.Event == nil) == (r.Call == nil) {
		return store.ErrUnstorable
	}
	r.Complete()
	return nil
}

func (db *DB) write() {
	for {
		select {
		case first := <-db.jobs:
			db.commit(db.group(first))
		case <-db.quit:
			return
		}
	}
}

// group takes what is waiting, and waits for nothing: while this one commits, the next
// group gathers by itself.
func (db *DB) group(first *job) []*job {
	jobs, n := []*job{first}, len(first.batch)
	defer func() { db.waiting.Add(-int64(n)) }()
	for n < groupLimit {
		select {
		case next := <-db.jobs:
			jobs, n = append(jobs, next), n+len(next.batch)
		default:
			return jobs
		}
	}
	return jobs
}

// commit stores the jobs in one transaction. If what one of them holds cannot be stored,
// or two transactions wait for each other, each is tried by itself.
func (db *DB) commit(jobs []*job) {
	live := jobs[:0]
	for _, j := range jobs {
		if err := j.ctx.Err(); err != nil { // its caller has left
			j.done <- err
			continue
		}
		live = append(live, j)
	}
	err := db.transact(live)
	if len(live) > 1 && (errors.Is(err, store.ErrUnstorable) || again(err)) {
		for _, j := range live {
			j.done <- db.transact([]*job{j})
		}
		return
	}
	for _, j := range live {
		j.done <- err
	}
}

// transact commits all jobs, or none and returns why.
func (db *DB) transact(jobs []*job) error {
	if len(jobs) == 0 {
		return nil
	}
	// The transaction belongs to all callers, so to none of their contexts.
	ctx, cancel := context.WithTimeout(context.Background(), writeLimit)
	defer cancel()
	p := newPlan(jobs)
	if err := db.ensure(ctx, p); err != nil {
		return unstorable(err)
	}
	tx, err := db.service.Begin(ctx)
	if err != nil {
		return fmt.Errorf("postgres: begin: %w", err)
	}
	// After a commit this does nothing. If the time is up, pgx closes the connection,
	// and the server ends the transaction.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if err := p.run(ctx, tx); err != nil {
		return unstorable(err)
	}
	if err := tx.Commit(ctx); err != nil {
		// It may have taken effect. Who sends the events again is recognised.
		return fmt.Errorf("postgres: commit: %w", err)
	}
	p.report()
	return nil
}

// again reports errors after which the same work may succeed: nothing of it was done.
func again(err error) bool {
	failure, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (failure.Code == "40P01" || failure.Code == "40001")
}

// unstorable marks an error that the data causes: of class 22, data exception, or 23,
// integrity constraint violation.
func unstorable(err error) error {
	failure, ok := errors.AsType[*pgconn.PgError](err)
	if ok && (strings.HasPrefix(failure.Code, "22") || strings.HasPrefix(failure.Code, "23")) {
		return errors.Join(store.ErrUnstorable, err)
	}
	return err
}

// ensure makes the tables of months that nobody has stored in yet.
func (db *DB) ensure(ctx context.Context, p *plan) error {
	for _, r := range p.events {
		month := r.received.At.UTC().Format("2006-01")
		if _, known := db.months.Load(month); known {
			continue
		}
		if db.cfg.KeepMonths > 0 && r.received.At.Before(db.keptFrom(time.Now())) {
			return fmt.Errorf("%w: its month is kept no longer", store.ErrUnstorable)
		}
		if err := db.ensureMonth(ctx, r.received.At); err != nil {
			return err
		}
	}
	return nil
}
