package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/pgaudit"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/rls"
)

// Act changes a call and records who did it, in one transaction of the person's scope:
// neither happens without the other. It returns the call's new status.
func (db *DB) Act(
	ctx context.Context, scope tenancy.Scope, act store.Act,
) (status string, err error) {
	if err := scope.Check(); err != nil {
		return "", err
	}
	ctx, cancel, err := db.call(ctx)
	if err != nil {
		return "", err
	}
	defer cancel()
	err = db.app.Tx(ctx, scope, func(tx rls.Tx) error {
		var previous string
		const find = `SELECT status FROM ingest.calls WHERE site_id = $1 AND id = $2 FOR UPDATE`
		err := tx.QueryRow(ctx, find, scope.Site(), act.Call).Scan(&previous)
		if errors.Is(err, pgx.ErrNoRows) {
			return store.ErrNoCall
		}
		if err != nil {
			return fmt.Errorf("postgres: find call: %w", err)
		}
		if status, err = act.Next(previous); err != nil {
			return err
		}
		const update = `UPDATE ingest.calls SET status = $3 WHERE site_id = $1 AND id = $2`
		if _, err := tx.Exec(ctx, update, scope.Site(), act.Call, status); err != nil {
			return fmt.Errorf("postgres: update call: %w", err)
		}
		return pgaudit.Insert(ctx, tx, act.Record(time.Now(), scope, previous, status))
	})
	if err != nil {
		return "", err
	}
	db.wake()
	return status, nil
}

// Record appends to the audit log what happened outside the store.
func (db *DB) Record(ctx context.Context, what audit.Record) error {
	ctx, cancel, err := db.call(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	if _, err := db.log.Append(ctx, what); err != nil {
		return err
	}
	db.wake()
	return nil
}

// AuditLog is the log as the packages below audit take it: to publish, search, export
// and erase.
func (db *DB) AuditLog() audit.Store { return db.log }

// AuditHead returns the end of the audit log.
func (db *DB) AuditHead(ctx context.Context) (audit.Head, error) {
	ctx, cancel, err := db.call(ctx)
	if err != nil {
		return audit.Head{}, err
	}
	defer cancel()
	return db.log.Head(ctx)
}

// AuditOf lists a site's newest records, as far as they are in the log: a record that
// was committed just now is ordered first.
func (db *DB) AuditOf(
	ctx context.Context, scope tenancy.Scope, limit int,
) ([]store.AuditRow, error) {
	if err := scope.Check(); err != nil {
		return nil, err
	}
	if err := db.drain(ctx); err != nil {
		return nil, err
	}
	const query = `SELECT index, entry FROM audit.log WHERE tenant = $1 ORDER BY index DESC LIMIT $2`
	return list(ctx, db, scope, func(row pgx.CollectableRow) (r store.AuditRow, err error) {
		err = row.Scan(&r.Index, (*[]byte)(&r.Entry))
		return r, err
	}, query, scope.Site(), limit)
}

// drain orders what is committed. Another instance may be at it: then it is done soon.
func (db *DB) drain(ctx context.Context) error {
	ctx, cancel, err := db.call(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	db.ordering.Lock()
	defer db.ordering.Unlock()
	for {
		n, err := db.log.Sequence(ctx)
		if err != nil || n == 0 {
			return err
		}
	}
}

// wake tells the sequencer that there is something to order.
func (db *DB) wake() {
	select {
	case db.sequence <- struct{}{}:
	default:
	}
}

// order is the sequencer: of all instances one orders at a time.
func (db *DB) order() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-db.quit:
			return
		case <-db.sequence:
		case <-ticker.C:
		}
		if err := db.drain(context.Background()); err != nil && !errors.Is(err, store.ErrClosed) {
			db.cfg.Log.Error("audit records are not ordered", "error", err)
		}
	}
}

// verifyLimit is how long a check of the whole log may take.
const verifyLimit = 5 * time.Minute

// VerifyAudit checks the log against the head beside it, and the calls against the log,
// and returns that head. It finds damage and clumsy edits; whoever can rewrite all of it
// is found only by comparing with a head that was sent elsewhere, as the server's log
// lines are.
func (db *DB) VerifyAudit(ctx context.Context) (head audit.Head, err error) {
	if err := db.drain(ctx); err != nil {
		return head, err
	}
	ctx, cancel := context.WithTimeout(ctx, verifyLimit)
	defer cancel()
	// One snapshot: an action between two reads would look like tampering.
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, db.service, snapshot, func(tx pgx.Tx) error {
		var text string
		if err := tx.QueryRow(ctx, `SELECT head FROM audit.head`).Scan(&text); err != nil {
			return fmt.Errorf("postgres: audit head: %w", err)
		}
		if err := head.UnmarshalText([]byte(text)); err != nil {
			return err
		}
		var said store.Ledger
		if err := audit.Verify(entries(ctx, tx, &said), head.Tree()); err != nil {
			return err
		}
		if err := notePending(ctx, tx, &said, head.Size()); err != nil {
			return err
		}
		return checkCalls(ctx, tx, &said)
	})
	return head, err
}

// entries reads the log, and notes what it says of the calls on the way.
func entries(ctx context.Context, tx pgx.Tx, said *store.Ledger) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		rows, err := tx.Query(ctx, `SELECT index, tenant, entry FROM audit.log ORDER BY index`)
		if err != nil {
			yield(nil, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var index int64
			var site string
			var entry []byte
			err := rows.Scan(&index, &site, &entry)
			if err == nil {
				err = said.Note(index, entry, site)
			}
			if !yield(entry, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, err)
		}
	}
}

// notePending notes what is committed and has no place in the log yet. Records of one
// call are in the order of its actions: each waited for the one before.
func notePending(ctx context.Context, tx pgx.Tx, said *store.Ledger, next int64) error {
	rows, err := tx.Query(ctx, `SELECT entry FROM audit.pending ORDER BY id`)
	if err != nil {
		return fmt.Errorf("postgres: pending records: %w", err)
	}
	var entry []byte
	_, err = pgx.ForEachRow(rows, []any{&entry}, func() error {
		record, err := audit.Parse(entry)
		if err != nil {
			return nil //nolint:nilerr // no record of ours: it is ordered as it is
		}
		next++
		return said.Note(next, entry, record.Tenant)
	})
	return err
}

func checkCalls(ctx context.Context, tx pgx.Tx, said *store.Ledger) error {
	rows, err := tx.Query(ctx, `SELECT id, status FROM ingest.calls`)
	if err != nil {
		return fmt.Errorf("postgres: calls: %w", err)
	}
	var id, status string
	_, err = pgx.ForEachRow(rows, []any{&id, &status}, func() error {
		return said.CheckCall(id, status)
	})
	if err != nil {
		return err
	}
	return said.NoCallLeft()
}
