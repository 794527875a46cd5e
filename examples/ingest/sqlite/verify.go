package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/ingest/store"
)

// VerifyAudit checks the log against the head beside it, and the tables against
// the log, and returns that head. It finds damage and clumsy edits; whoever can
// rewrite all of it is found only by comparing with a head that was sent
// elsewhere, as the server's log lines are.
func (db *DB) VerifyAudit(ctx context.Context) (head audit.Head, err error) {
	// One snapshot: an action between two reads would look like tampering.
	tx, err := db.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return head, err
	}
	defer func() { _ = tx.Rollback() }()
	head, err = readHead(tx.QueryRowContext(ctx, selectHead))
	if err != nil {
		return head, err
	}
	recorded := tables{status: map[string]string{}, actions: map[int64]action{}}
	if err := audit.Verify(recorded.entries(ctx, tx), head.Tree()); err != nil {
		return head, err
	}
	return head, errors.Join(recorded.checkCalls(ctx, tx), recorded.checkActions(ctx, tx))
}

// tables is what the log says that two tables hold.
type tables struct {
	status  map[string]string // of every call that somebody acted on
	actions map[int64]action  // by their place in the log
}

type action struct{ call, site, name, actor, previous string }

func tampered(format string, args ...any) error {
	return fmt.Errorf("sqlite: %w: "+format, append([]any{audit.ErrTampered}, args...)...)
}

// entries reads the log, and notes what it says of the tables on the way.
func (t *tables) entries(ctx context.Context, tx *sql.Tx) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		rows, err := tx.QueryContext(ctx, `SELECT seq, entry, site_id FROM audit_log ORDER BY seq`)
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var seq int64
			var entry []byte
			var site string
			err := rows.Scan(&seq, &entry, &site)
			if err == nil {
				err = t.note(seq, entry, site)
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

func (t *tables) note(seq int64, entry []byte, site string) error {
	said, err := audit.Parse(entry)
	if err != nil {
		return fmt.Errorf("sqlite: audit entry %d: %w", seq, err)
	}
	if said.Tenant != site {
		return tampered("audit entry %d is filed under another site", seq)
	}
	name, isCall := strings.CutPrefix(said.Action, "calls.")
	if !isCall {
		return nil
	}
	done := action{call: said.Target.ID, site: site, name: name, actor: said.Actor.ID}
	for _, field := range said.Fields {
		switch field.Name {
		case "from":
			done.previous = field.Value
		case "to":
			t.status[done.call] = field.Value
		}
	}
	t.actions[seq] = done
	return nil
}

// checkCalls: a call that nobody acted on is an intent, every other one is where
// the last action on record left it.
func (t *tables) checkCalls(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, `SELECT id, status FROM calls`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, status string
		if err := rows.Scan(&id, &status); err != nil {
			return err
		}
		want, acted := t.status[id]
		if !acted {
			want = store.Intent
		}
		if status != want {
			return tampered("call %s is %s and on record as %s", id, status, want)
		}
		delete(t.status, id)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for id := range t.status {
		return tampered("call %s is on record and gone", id)
	}
	return nil
}

func (t *tables) checkActions(ctx context.Context, tx *sql.Tx) error {
	const query = `SELECT audit_seq, call_id, site_id, action, actor, previous FROM call_actions`
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var seq int64
		var row action
		err := rows.Scan(&seq, &row.call, &row.site, &row.name, &row.actor, &row.previous)
		if err != nil {
			return err
		}
		if t.actions[seq] != row {
			return tampered("row %d of call_actions is not what was recorded", seq)
		}
		delete(t.actions, seq)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if len(t.actions) > 0 {
		return tampered("%d recorded actions are gone from call_actions", len(t.actions))
	}
	return nil
}
