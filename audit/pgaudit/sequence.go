package pgaudit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/opsmantik/sallyport/audit"
)

// lockKey names the advisory lock of the one sequencer ("sallyaud" in ASCII).
const lockKey = 0x73616c6c79617564

// Run sequences until ctx ends: round after round while there is something to do, and
// then every pause. A round that fails is reported to OnError and tried again.
// Processes may all run one: the others wait for the one that holds the lock.
func (l *Log) Run(ctx context.Context, pause time.Duration) {
	timer := time.NewTicker(pause)
	defer timer.Stop()
	for ctx.Err() == nil {
		n, err := l.Sequence(ctx)
		if err != nil && ctx.Err() == nil && l != nil && l.cfg.OnError != nil {
			l.cfg.OnError(ctx, err)
		}
		if n > 0 && err == nil {
			continue
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// Sequence gives the oldest committed records their indexes, at most a batch of them,
// and returns how many. Zero means that there are none, or that another process is at
// it.
//
// Records are moved from one table to the other. What the sequencer sees is committed;
// what it does not see yet, it finds in a later round. So it needs neither a position
// in the order of ids, which commit in another order (a reader of "id > last" misses
// one of four), nor a horizon of transaction ids, which a long writer anywhere in the
// cluster holds back and which a restored dump has in its future.
func (l *Log) Sequence(ctx context.Context) (int, error) {
	if l == nil || l.cfg.Pool == nil {
		return 0, refusal(audit.CodeNotConfigured, nil)
	}
	n := 0
	err := pgx.BeginFunc(ctx, l.cfg.Pool, func(tx pgx.Tx) (err error) {
		n, err = l.round(ctx, tx)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("pgaudit: sequence: %w", err)
	}
	return n, nil
}

func (l *Log) round(ctx context.Context, tx pgx.Tx) (int, error) {
	var leader bool
	const lock = `SELECT pg_try_advisory_xact_lock($1)`
	if err := tx.QueryRow(ctx, lock, int64(lockKey)).Scan(&leader); err != nil || !leader {
		return 0, err
	}
	// This statement has a snapshot of its own, from after the lock was taken: it sees
	// what the leader before committed.
	head, err := readHead(ctx, tx)
	if err != nil {
		return 0, err
	}
	taken, err := l.take(ctx, tx)
	if err != nil || len(taken) == 0 {
		return 0, err
	}
	text, err := l.store(ctx, tx, head, taken)
	if err != nil {
		return 0, err
	}
	tag, err := tx.Exec(ctx, `UPDATE audit.head SET head = $1`, text)
	if err == nil && tag.RowsAffected() != 1 {
		err = errors.New("there is no head")
	}
	return len(taken), err
}

type pending struct {
	id    int64
	entry []byte
}

// take removes the oldest records from the queue.
func (l *Log) take(ctx context.Context, tx pgx.Tx) ([]pending, error) {
	const query = `WITH next AS (SELECT id FROM audit.pending ORDER BY id LIMIT $1)
		DELETE FROM audit.pending p USING next WHERE p.id = next.id RETURNING p.id, p.entry`
	rows, err := tx.Query(ctx, query, l.cfg.Batch)
	if err != nil {
		return nil, err
	}
	taken, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p pending, err error) {
		err = row.Scan(&p.id, &p.entry)
		return p, err
	})
	slices.SortFunc(taken, func(a, b pending) int { return cmp.Compare(a.id, b.id) })
	return taken, err
}

// store appends records to the log, and returns the text of the head after them.
func (l *Log) store(
	ctx context.Context, tx pgx.Tx, head audit.Head, taken []pending,
) (string, error) {
	c := columns{first: head.Size()}
	for _, p := range taken {
		head = head.Next(p.entry)
		c.add(p.entry)
	}
	// Not COPY, which row level security excludes.
	const statement = `INSERT INTO audit.log
		(at, tenant, actor_kind, actor_id, action, target_kind, target_id, outcome, entry, index)
		SELECT at, t, ak, ai, action, tk, ti, outcome, entry, $1 + n - 1
		FROM unnest($2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[],
			$7::text[], $8::text[], $9::text[], $10::bytea[]) WITH ORDINALITY
			AS rows (at, t, ak, ai, action, tk, ti, outcome, entry, n)`
	_, err := tx.Exec(ctx, statement, c.first, c.at, c.text[0], c.text[1], c.text[2], c.text[3],
		c.text[4], c.text[5], c.text[6], c.entry)
	if err != nil {
		return "", err
	}
	text, err := head.MarshalText()
	return string(text), err
}

// columns are what the log is searched by. An entry that is no record, which only
// somebody with the application's login can have added, is ordered all the same, with
// empty columns: it must not stop the log.
type columns struct {
	first int64
	at    []*time.Time
	text  [7][]string
	entry [][]byte
}

func (c *columns) add(entry []byte) {
	r, err := audit.Parse(entry)
	var at *time.Time
	if err == nil {
		at = &r.Time
	}
	c.at = append(c.at, at)
	for i, text := range []string{
		r.Tenant, r.Actor.Kind, r.Actor.ID, r.Action, r.Target.Kind, r.Target.ID, string(r.Outcome),
	} {
		// Postgres has no NUL in text. The entry itself says what it was.
		c.text[i] = append(c.text[i], strings.ReplaceAll(text, "\x00", "\ufffd"))
	}
	c.entry = append(c.entry, entry)
}

// Orphans returns the records of intents that are older than age and have no outcome:
// no later record of the same tenant, action and target. Each is an effect in another
// system of which nobody knows whether it happened.
func (l *Log) Orphans(ctx context.Context, age time.Duration) ([]audit.Record, error) {
	if l == nil || l.cfg.Pool == nil {
		return nil, refusal(audit.CodeNotConfigured, nil)
	}
	const query = `SELECT entry FROM audit.log i
		WHERE at < now() - make_interval(secs => $1)
		AND outcome = 'intent'
		AND NOT EXISTS (SELECT FROM audit.log o WHERE o.index > i.index
			AND o.tenant = i.tenant AND o.action = i.action
			AND o.target_kind = i.target_kind AND o.target_id = i.target_id)
		ORDER BY index`
	rows, err := l.cfg.Pool.Query(ctx, query, age.Seconds())
	if err != nil {
		return nil, fmt.Errorf("pgaudit: orphans: %w", err)
	}
	entries, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		return nil, fmt.Errorf("pgaudit: orphans: %w", err)
	}
	orphans := make([]audit.Record, len(entries))
	for i, entry := range entries {
		if orphans[i], err = audit.Parse(entry); err != nil {
			return nil, fmt.Errorf("pgaudit: orphans: %w", err)
		}
	}
	return orphans, nil
}
