//go:build unix

package pgaudit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/pgaudit"
)

func orphans(t *testing.T, r *rig) {
	db := r.database(t)
	log := db.log(t)
	for _, step := range []struct {
		id      string
		outcome audit.Outcome
	}{
		{"1", audit.OutcomeIntent},
		{"2", audit.OutcomeIntent},
		{"1", audit.OutcomeSuccess},
		{"3", audit.OutcomeIntent},
		{"3", audit.OutcomeFailure},
	} {
		intent := record(step.id)
		intent.Outcome = step.outcome
		require.NoError(t, pgaudit.Do(t.Context(), db.app, func(pgx.Tx) (audit.Record, error) {
			return intent, nil
		}))
	}
	drain(t, log)
	found, err := log.Orphans(t.Context(), -time.Hour*24*365)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "2", found[0].Target.ID)
	found, err = log.Orphans(t.Context(), 200*365*24*time.Hour)
	require.NoError(t, err)
	require.Empty(t, found, "not that old")
}

func view(t *testing.T, r *rig) {
	db := r.database(t)
	require.NoError(t, db.act(t.Context(), "7"))
	drain(t, db.log(t))
	var seq, at int64
	var call, site, action, actor, previous string
	require.NoError(t, db.aud.QueryRow(t.Context(), `SELECT audit_seq, call_id, site_id, action,
		actor, previous, at FROM audit.call_actions`).Scan(&seq, &call, &site, &action, &actor,
		&previous, &at))
	require.Equal(t, "0 7 s1 seal u_81 open", fmt.Sprint(seq, " ", call, " ", site, " ", action,
		" ", actor, " ", previous))
	require.Equal(t, record("7").Time.UnixMilli(), at)
}

func refusals(t *testing.T, _ *rig) {
	for _, log := range []*pgaudit.Log{nil, {}} {
		_, err := log.Append(t.Context(), record("1"))
		requireCode(t, audit.CodeNotConfigured, err)
		_, err = log.Head(t.Context())
		requireCode(t, audit.CodeNotConfigured, err)
		_, err = log.Sequence(t.Context())
		requireCode(t, audit.CodeNotConfigured, err)
		_, _, err = log.Lag(t.Context())
		requireCode(t, audit.CodeNotConfigured, err)
		_, err = log.Orphans(t.Context(), 0)
		requireCode(t, audit.CodeNotConfigured, err)
	}
	_, err := pgaudit.New(t.Context(), pgaudit.Config{Batch: -1})
	require.ErrorContains(t, err, "audit: Pool:")
	require.ErrorContains(t, err, "audit: Batch:")
	_, err = pgaudit.Schema(pgaudit.Roles{App: "app"})
	require.ErrorContains(t, err, "Roles.sequencer")
	sql, err := pgaudit.Schema(pgaudit.Roles{App: `a"; DROP`, Sequencer: "s", Auditor: "x"})
	require.NoError(t, err)
	require.Contains(t, sql, `TO "a""; DROP"`)
}

// dying cuts its connection right before COMMIT is answered.
type dying struct{ *pgxpool.Pool }

func (d dying) Begin(ctx context.Context) (pgx.Tx, error) {
	tx, err := d.Pool.Begin(ctx)
	return dyingTx{tx}, err
}

type dyingTx struct{ pgx.Tx }

func (d dyingTx) Commit(ctx context.Context) error {
	if err := d.Tx.Commit(ctx); err != nil {
		return err
	}
	return errors.New("connection reset by peer")
}

func lostCommit(t *testing.T, r *rig) {
	db := r.database(t)
	err := pgaudit.Do(t.Context(), dying{db.app}, func(pgx.Tx) (audit.Record, error) {
		return record("1"), nil
	})
	requireCode(t, audit.CodeOutcomeUnknown, err)
	run(t, db.owner, `CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN RAISE EXCEPTION ''no''; END';
		CREATE CONSTRAINT TRIGGER never AFTER INSERT ON calls DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION never()`)
	requireCode(t, audit.CodeNotQueued, db.act(t.Context(), "2"))
}

func published(t *testing.T, r *rig) {
	db := r.database(t)
	log := db.log(t)
	var trees []tlog.Tree
	for i := range 4 {
		require.NoError(t, db.act(t.Context(), fmt.Sprint(i)))
		drain(t, log)
		head, err := log.Head(t.Context())
		require.NoError(t, err)
		trees = append(trees, head.Tree())
	}
	for _, tree := range trees {
		_, err := pgaudit.New(t.Context(), pgaudit.Config{Pool: db.seq, Published: tree})
		require.NoError(t, err)
	}
	fork := trees[2]
	fork.Hash[0] ^= 1
	longer := trees[3]
	longer.N++
	for _, tree := range []tlog.Tree{fork, longer} {
		_, err := pgaudit.New(t.Context(), pgaudit.Config{Pool: db.seq, Published: tree})
		require.ErrorIs(t, err, audit.ErrTampered)
	}
}

func events(t *testing.T, r *rig) {
	db := r.database(t)
	var got []sallyport.Event
	log, err := pgaudit.New(t.Context(), pgaudit.Config{
		Pool:    db.seq,
		OnEvent: func(_ context.Context, e sallyport.Event) { got = append(got, e) },
	})
	require.NoError(t, err)
	_, err = log.Append(t.Context(), record("1"))
	requireCode(t, audit.CodeNotQueued, err)
	run(t, db.owner, `GRANT INSERT (entry) ON audit.pending TO seq`)
	_, err = log.Append(t.Context(), record("1"))
	require.NoError(t, err)
	require.Equal(t, audit.CodeNotQueued, got[0].Code)
	require.Equal(t, sallyport.Event{
		Gate: "audit", Code: audit.CodeRecorded, Allowed: true, Tenant: "s1", Actor: "u_81",
		Detail: audit.Receipt{Index: -1},
	}, got[1])

	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { log.Run(ctx, time.Millisecond); close(done) }()
	require.Eventually(t, func() bool {
		head, err := log.Head(t.Context())
		return err == nil && head.Size() == 1
	}, 10*time.Second, 5*time.Millisecond)
	stop()
	<-done
}

// The server dies in the middle of commits, of the sequencer's too. What was
// acknowledged is in the log once; what was not, at most once.
func TestServerCrashes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	db := r.database(t)
	log := db.log(t)
	want := map[string]bool{}
	for life := range 5 {
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		var mu sync.Mutex
		all.Go(func() { log.Run(ctx, time.Millisecond) })
		acked := make(chan struct{}, 1<<16)
		for w := range 4 {
			all.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					id := fmt.Sprintf("%d-%d-%d", life, w, i)
					if db.act(ctx, id) == nil {
						mu.Lock()
						want[id] = true
						mu.Unlock()
						acked <- struct{}{}
					}
				}
			})
		}
		for range 100 {
			<-acked
		}
		r.server.Kill()
		stop()
		all.Wait()
		r.server.Restart()
	}
	require.Eventually(t, func() bool { return db.owner.Ping(t.Context()) == nil },
		20*time.Second, 10*time.Millisecond)
	drain(t, log)
	got := map[string]bool{}
	for _, id := range targets(t, log) {
		require.False(t, got[id], "%s is there twice", id)
		got[id] = true
	}
	for id := range want {
		require.True(t, got[id], "%s was acknowledged and is lost", id)
	}
	require.Equal(t, len(got), count(t, db.owner, "calls"), "an action without its record")
	t.Logf("%d acknowledged, %d in the log", len(want), len(got))
}
