package pgaudit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
)

// Log is the ordered log in the database. It is an audit.Store. It is safe for
// concurrent use, and several processes may have one; the zero value and nil fail.
type Log struct{ cfg Config }

var _ audit.Store = (*Log)(nil)

// New checks the configuration and the log: its head, and what Published says.
// Problems of the Config are [*sallyport.ConfigError]; a log that contradicts
// Published matches audit.ErrTampered.
func New(ctx context.Context, cfg Config) (*Log, error) {
	if cfg.Batch == 0 {
		cfg.Batch = 4096
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	l := &Log{cfg: cfg}
	head, err := l.Head(ctx)
	if err != nil {
		return nil, err
	}
	var last int64
	const count = `SELECT coalesce(max(index) + 1, 0) FROM audit.log`
	if err := cfg.Pool.QueryRow(ctx, count).Scan(&last); err != nil {
		return nil, fmt.Errorf("pgaudit: %w", err)
	}
	// Another process may sequence between the two reads.
	if last < head.Size() || head.Size() < cfg.Published.N {
		return nil, fmt.Errorf("%w: %d entries, head at %d, published at %d",
			audit.ErrTampered, last, head.Size(), cfg.Published.N)
	}
	if cfg.Published.N == 0 {
		return l, nil
	}
	return l, audit.Verify(l.first(ctx, cfg.Published.N), cfg.Published)
}

// first yields the first n entries.
func (l *Log) first(ctx context.Context, n int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for entry, err := range l.Entries(ctx, 0) {
			if n--; n < 0 || !yield(entry, err) {
				return
			}
		}
	}
}

// Append records r in a transaction of its own. The index of the receipt is -1: the
// sequencer gives one later.
func (l *Log) Append(ctx context.Context, r audit.Record) (audit.Receipt, error) {
	if l == nil || l.cfg.Pool == nil {
		return audit.Receipt{}, refusal(audit.CodeNotConfigured, nil)
	}
	receipt := audit.Receipt{Index: -1}
	err := Do(ctx, l.cfg.Pool, func(pgx.Tx) (audit.Record, error) { return r, nil })
	if l.cfg.OnEvent != nil {
		e := sallyport.Event{
			Gate: "audit", Code: audit.CodeRecorded, Allowed: err == nil,
			Tenant: r.Tenant, Actor: r.Actor.ID, Detail: receipt,
		}
		if refused, ok := errors.AsType[*sallyport.Refusal](err); ok {
			e.Code, e.Err, e.Detail = refused.Code, refused.Err, nil
		}
		l.cfg.OnEvent(ctx, e)
	}
	return receipt, err
}

// Head returns the end of the ordered log.
func (l *Log) Head(ctx context.Context) (audit.Head, error) {
	if l == nil || l.cfg.Pool == nil {
		return audit.Head{}, refusal(audit.CodeNotConfigured, nil)
	}
	return readHead(ctx, l.cfg.Pool)
}

type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func readHead(ctx context.Context, db querier) (head audit.Head, err error) {
	var text string
	err = db.QueryRow(ctx, `SELECT head FROM audit.head`).Scan(&text)
	if err == nil {
		err = head.UnmarshalText([]byte(text))
	}
	if err != nil {
		return head, fmt.Errorf("pgaudit: head: %w", err)
	}
	return head, nil
}

// page is how many entries one query reads.
const page = 2000

// Entries yields the ordered entries from the index from on. A missing one is an
// error that matches audit.ErrTampered.
func (l *Log) Entries(ctx context.Context, from int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		head, err := l.Head(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		for from < head.Size() {
			entries, err := l.page(ctx, from, min(page, head.Size()-from))
			if err != nil {
				yield(nil, err)
				return
			}
			for _, entry := range entries {
				if !yield(entry, nil) {
					return
				}
			}
			from += int64(len(entries))
		}
	}
}

func (l *Log) page(ctx context.Context, from, n int64) ([][]byte, error) {
	const query = `SELECT index, entry FROM audit.log
		WHERE index >= $1 AND index < $2 ORDER BY index`
	rows, err := l.cfg.Pool.Query(ctx, query, from, from+n)
	if err != nil {
		return nil, fmt.Errorf("pgaudit: %w", err)
	}
	defer rows.Close()
	entries := make([][]byte, 0, n)
	for rows.Next() {
		var index int64
		var entry []byte
		if err := rows.Scan(&index, &entry); err != nil {
			return nil, fmt.Errorf("pgaudit: %w", err)
		}
		if want := from + int64(len(entries)); index != want {
			return nil, fmt.Errorf("%w: entry %d is missing", audit.ErrTampered, want)
		}
		entries = append(entries, entry)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("pgaudit: %w", err)
	}
	if int64(len(entries)) < n {
		return nil, fmt.Errorf("%w: entry %d is missing", audit.ErrTampered, from+int64(len(entries)))
	}
	return entries, nil
}

// Lag returns how many committed records have no index yet, and how old the oldest is.
func (l *Log) Lag(ctx context.Context) (records int64, oldest time.Duration, err error) {
	if l == nil || l.cfg.Pool == nil {
		return 0, 0, refusal(audit.CodeNotConfigured, nil)
	}
	const query = `SELECT count(*),
		coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0)::float8 FROM audit.pending`
	var seconds float64
	if err := l.cfg.Pool.QueryRow(ctx, query).Scan(&records, &seconds); err != nil {
		return 0, 0, fmt.Errorf("pgaudit: lag: %w", err)
	}
	return records, time.Duration(seconds * float64(time.Second)), nil
}
