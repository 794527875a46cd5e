//go:build unix

package pgaudit_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/pgaudit"
	"github.com/opsmantik/sallyport/audit/storetest"
)

func TestPostgres(t *testing.T) {
	t.Parallel()
	r := newRig(t, "max_connections=300")
	for name, test := range map[string]func(*testing.T, *rig){
		"store":                 store,
		"both or neither":       bothOrNeither,
		"roles":                 roles,
		"exactly once":          exactlyOnce,
		"commit order":          commitOrder,
		"long transaction":      longTransaction,
		"poison":                poison,
		"tampering":             tampering,
		"restored dump":         restored,
		"intents and orphans":   orphans,
		"view":                  view,
		"refusals":              refusals,
		"lost commit":           lostCommit,
		"published":             published,
		"append with the owner": events,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, r) })
	}
}

func store(t *testing.T, r *rig) {
	dbs := map[audit.Store]database{}
	storetest.Run(t, storetest.Harness{
		New: func(t *testing.T) audit.Store {
			db := r.database(t)
			run(t, db.owner, `GRANT INSERT (entry) ON audit.pending TO seq`)
			log := db.log(t)
			dbs[log] = db
			return log
		},
		Reopen: func(t *testing.T, s audit.Store) audit.Store {
			log := dbs[s].log(t)
			dbs[log] = dbs[s]
			return log
		},
		Settle: func(t *testing.T, s audit.Store) { drain(t, s.(*pgaudit.Log)) },
	})
}

func bothOrNeither(t *testing.T, r *rig) {
	db := r.database(t)
	log := db.log(t)
	require.NoError(t, db.act(t.Context(), "1"))
	require.Error(t, db.act(t.Context(), "1"), "the action fails")
	boom := errors.New("boom")
	for name, fn := range map[string]func(pgx.Tx) (audit.Record, error){
		"fails":   func(pgx.Tx) (audit.Record, error) { return record("x"), boom },
		"invalid": func(pgx.Tx) (audit.Record, error) { return audit.Record{}, nil },
	} {
		err := pgaudit.Do(t.Context(), db.app, func(tx pgx.Tx) (audit.Record, error) {
			_, err := tx.Exec(t.Context(), `INSERT INTO calls VALUES ($1, 'x')`, name)
			require.NoError(t, err)
			return fn(tx)
		})
		require.Error(t, err, name)
	}
	run(t, db.owner, `REVOKE INSERT (entry) ON audit.pending FROM app`)
	requireCode(t, audit.CodeNotQueued, db.act(t.Context(), "2"))
	drain(t, log)
	require.Equal(t, []string{"1"}, targets(t, log))
	require.Equal(t, 1, count(t, db.owner, "calls"))
}

func requireCode(t *testing.T, code string, err error) {
	t.Helper()
	refused, ok := errors.AsType[*sallyport.Refusal](err)
	require.True(t, ok, "got %v", err)
	require.Equal(t, code, refused.Code)
}

// The application can add records and do nothing else; nobody changes the log.
func roles(t *testing.T, r *rig) {
	db := r.database(t)
	log := db.log(t)
	require.NoError(t, db.act(t.Context(), "1"))
	drain(t, log)
	require.NoError(t, db.act(t.Context(), "2"))
	for _, refused := range []struct {
		as  *pgxpool.Pool
		sql string
	}{
		{db.app, `SELECT * FROM audit.pending`},
		{db.app, `DELETE FROM audit.pending`},
		{db.app, `UPDATE audit.pending SET entry = 'x'`},
		{db.app, `INSERT INTO audit.pending (at, entry) VALUES (now(), '{}')`},
		{db.app, `SELECT * FROM audit.log`},
		{db.app, `INSERT INTO audit.log SELECT * FROM audit.log`},
		{db.app, `SELECT * FROM audit.head`},
		{db.seq, `UPDATE audit.log SET entry = 'x'`},
		{db.seq, `DELETE FROM audit.log`},
		{db.seq, `DELETE FROM audit.head`},
		{db.aud, `INSERT INTO audit.pending (entry) VALUES ('{}')`},
		{db.aud, `SELECT * FROM audit.pending`},
		{db.aud, `DELETE FROM audit.log`},
		{db.owner, `UPDATE audit.log SET entry = 'x'`},
		{db.owner, `DELETE FROM audit.log`},
		{db.owner, `TRUNCATE audit.log`},
	} {
		_, err := refused.as.Exec(t.Context(), refused.sql)
		require.Error(t, err, refused.sql)
	}
	require.Equal(t, 1, count(t, db.aud, "audit.log"))
	require.Equal(t, 1, count(t, db.seq, "audit.pending"))
}

// Two sequencers, whose rounds are cut off at random, and writers of which some roll
// back and some take long.
func exactlyOnce(t *testing.T, r *rig) {
	const writers, each = 8, 60
	db := r.database(t)
	ctx, stop := context.WithCancel(t.Context())
	var sequencers, all sync.WaitGroup
	for range 2 {
		log, err := pgaudit.New(t.Context(), pgaudit.Config{Pool: db.seq, Batch: 7})
		require.NoError(t, err)
		sequencers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				cut, cancel := context.WithTimeout(ctx, time.Duration(i%6)*time.Millisecond)
				_, _ = log.Sequence(cut)
				cancel()
			}
		})
	}
	want := map[string]bool{}
	var mu sync.Mutex
	for w := range writers {
		all.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%d-%d", w, i)
				err := pgaudit.Do(t.Context(), db.app, func(tx pgx.Tx) (audit.Record, error) {
					if i%9 == 0 {
						if err := pgaudit.Insert(t.Context(), tx, record(id+"-early")); err != nil {
							return audit.Record{}, err
						}
						_, _ = tx.Exec(t.Context(), `SELECT pg_sleep(0.02)`)
					}
					if i%5 == 4 {
						return record(id), errors.New("roll back")
					}
					return record(id), nil
				})
				if err == nil {
					mu.Lock()
					want[id] = true
					if i%9 == 0 {
						want[id+"-early"] = true
					}
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	stop()
	sequencers.Wait()
	log := db.log(t)
	drain(t, log)
	got := map[string]bool{}
	for _, id := range targets(t, log) {
		require.False(t, got[id], "%s is there twice", id)
		got[id] = true
	}
	require.Equal(t, want, got)
	rows, _, err := log.Lag(t.Context())
	require.NoError(t, err)
	require.Zero(t, rows)
}

// What was committed before another action began comes first, whoever got which id.
func commitOrder(t *testing.T, r *rig) {
	db := r.database(t)
	log := db.log(t)
	late, err := db.app.Begin(t.Context())
	require.NoError(t, err)
	require.NoError(t, pgaudit.Insert(t.Context(), late, record("late")))
	require.NoError(t, db.act(t.Context(), "1"))
	require.Equal(t, 1, drain(t, log))
	require.NoError(t, late.Commit(t.Context()))
	require.NoError(t, db.act(t.Context(), "2"))
	require.Equal(t, 2, drain(t, log))
	require.Equal(t, []string{"1", "late", "2"}, targets(t, log))
}

// A transaction that stays open, anywhere, holds nothing up.
func longTransaction(t *testing.T, r *rig) {
	db := r.database(t)
	log := db.log(t)
	for _, p := range []*pgxpool.Pool{db.app, r.owner} {
		open, err := p.Begin(t.Context())
		require.NoError(t, err)
		defer func() { _ = open.Rollback(context.Background()) }()
		_, err = open.Exec(t.Context(), `SELECT pg_current_xact_id()`)
		require.NoError(t, err)
	}
	require.NoError(t, db.act(t.Context(), "1"))
	rows, oldest, err := log.Lag(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, rows)
	require.Positive(t, oldest)
	require.Equal(t, 1, drain(t, log))
}

// Rows that are no records, or have a NUL in a value, do not stop the sequencer.
func poison(t *testing.T, r *rig) {
	db := r.database(t)
	log := db.log(t)
	for _, entry := range []string{"{}", "\x00\xff", `{"v":1}`} {
		run(t, db.app, `INSERT INTO audit.pending (entry) VALUES ($1)`, []byte(entry))
	}
	nul := record("a\x00b")
	nul.Tenant = "\x00"
	require.NoError(t, pgaudit.Do(t.Context(), db.app, func(pgx.Tx) (audit.Record, error) {
		return nul, nil
	}))
	require.Equal(t, 4, drain(t, log))
	head, err := log.Head(t.Context())
	require.NoError(t, err)
	require.NoError(t, audit.Verify(log.Entries(t.Context(), 0), head.Tree()))
	_, err = log.Orphans(t.Context(), 0)
	require.NoError(t, err)
	require.Zero(t, count(t, db.aud, "(SELECT previous FROM audit.call_actions WHERE call_id = '') v"))
}

// A superuser who takes the trigger off changes a row: the tree does not fit any more.
func tampering(t *testing.T, r *rig) {
	for name, sql := range map[string]string{
		"edited":   `UPDATE audit.log SET entry = replace(convert_from(entry, 'UTF8'), 'u_81', 'u_82')::bytea WHERE index = 1`,
		"deleted":  `DELETE FROM audit.log WHERE index = 1`,
		"cut":      `DELETE FROM audit.log WHERE index = 2`,
		"swapped":  `UPDATE audit.log SET index = 9 - index; UPDATE audit.log SET index = index - 7`,
		"inserted": `UPDATE audit.log SET index = 3 WHERE index = 2; INSERT INTO audit.log SELECT 2, at, tenant, actor_kind, actor_id, action, target_kind, target_id, outcome, entry FROM audit.log WHERE index = 0`,
	} {
		db := r.database(t)
		log := db.log(t)
		for i := range 3 {
			require.NoError(t, db.act(t.Context(), fmt.Sprint(i)))
		}
		drain(t, log)
		head, err := log.Head(t.Context())
		require.NoError(t, err)
		run(t, db.owner, `ALTER TABLE audit.log DISABLE TRIGGER append_only; `+sql)
		err = audit.Verify(log.Entries(t.Context(), 0), head.Tree())
		require.ErrorIs(t, err, audit.ErrTampered, name)
		_, err = pgaudit.New(t.Context(), pgaudit.Config{Pool: db.seq, Published: head.Tree()})
		require.ErrorIs(t, err, audit.ErrTampered, name)
	}
}

// A dump, restored in another cluster, where no transaction id is what it was.
func restored(t *testing.T, r *rig) {
	dump, err := exec.LookPath("pg_dump")
	if err != nil {
		t.Skip("pg_dump is not installed")
	}
	old := r.database(t)
	require.NoError(t, old.act(t.Context(), "1"))
	drain(t, old.log(t))
	require.NoError(t, old.act(t.Context(), "2"))
	other := newRig(t)
	run(t, other.owner, "CREATE DATABASE restored")
	dsn := "postgres://%s@" + other.server.Addr + "/restored?sslmode=disable"
	// #nosec G204 -- the test's own servers
	out, err := exec.CommandContext(t.Context(), "sh", "-c", `"$0" -d "$1" | psql -q -v ON_ERROR_STOP=1 -d "$2"`,
		dump, strings.TrimSuffix(old.owner.Config().ConnString(), poolSize), fmt.Sprintf(dsn, "postgres")).CombinedOutput()
	require.NoError(t, err, string(out))
	db := database{
		owner: pool(t, fmt.Sprintf(dsn, "postgres")), app: pool(t, fmt.Sprintf(dsn, "app")),
		seq: pool(t, fmt.Sprintf(dsn, "seq")),
	}
	log := db.log(t)
	require.NoError(t, db.act(t.Context(), "3"))
	require.Equal(t, 2, drain(t, log))
	require.Equal(t, []string{"1", "2", "3"}, targets(t, log))
}
