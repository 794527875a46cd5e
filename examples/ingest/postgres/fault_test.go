//go:build unix

package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/postgres"
	"github.com/opsmantik/sallyport/examples/ingest/postgres/postgrestest"
)

// soak returns full with SALLYPORT_SOAK=1, and short without.
func soak[T any](short, full T) T {
	if os.Getenv("SALLYPORT_SOAK") == "1" {
		return full
	}
	return short
}

// load sends events from some clients until it is stopped. A client whose batch failed
// sends it again, as it was or as a new request, which gives it another id.
type load struct {
	db     *postgres.DB
	stop   context.CancelFunc
	all    sync.WaitGroup
	acked  atomic.Int64
	failed atomic.Int64
	mu     sync.Mutex
	ids    map[string]bool // what was acknowledged, by what the event says
}

func startLoad(t testing.TB, db *postgres.DB, clients int) *load {
	ctx, stop := context.WithCancel(t.Context())
	l := &load{db: db, stop: stop, ids: map[string]bool{}}
	for range clients {
		l.all.Go(func() {
			for ctx.Err() == nil {
				l.send(ctx, fresh(20))
			}
		})
	}
	return l
}

func (l *load) send(ctx context.Context, batch []event.Received) {
	for ctx.Err() == nil {
		limit, cancel := context.WithTimeout(ctx, 3*time.Second)
		_, err := l.db.Store(limit, batch)
		cancel()
		if err == nil {
			break
		}
		l.failed.Add(1)
		for i := range batch { // the sender tries again: the same events, received anew
			batch[i].ID = fmt.Sprintf("again-%d-%s", rand.Int64(), batch[i].ID[:26])[:40]
			batch[i].At = time.Now().UTC().Truncate(time.Millisecond)
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	if ctx.Err() != nil {
		return // of this one nobody knows
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range batch {
		l.ids[string(batch[i].Event.Meta)] = true
	}
	l.acked.Add(int64(len(batch)))
}

// more waits until n more events are acknowledged, and says how long that took.
func (l *load) more(t testing.TB, n int64) time.Duration {
	t.Helper()
	began, target := time.Now(), l.acked.Load()+n
	require.Eventually(t, func() bool { return l.acked.Load() >= target },
		time.Minute, 5*time.Millisecond, "it does not go on")
	return time.Since(began)
}

// settle stops the load and compares what was acknowledged with what is stored.
func (l *load) settle(t testing.TB, g *postgrestest.Cluster, database string) {
	t.Helper()
	l.stop()
	l.all.Wait()
	conn := g.Super(t, database)
	defer func() { _ = conn.Close(context.Background()) }()
	rows, err := conn.Query(t.Context(), `SELECT meta, count(*) FROM ingest.events GROUP BY meta`)
	require.NoError(t, err)
	stored := map[string]int{}
	var meta string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&meta, &n}, func() error { stored[meta] = n; return nil })
	require.NoError(t, err)
	lost, twice := 0, 0
	for meta := range l.ids {
		if stored[meta] == 0 {
			lost++
		}
	}
	for _, n := range stored {
		if n > 1 {
			twice++
		}
	}
	require.Zero(t, lost, "acknowledged and lost")
	require.Zero(t, twice, "stored twice")
	t.Logf("%d events acknowledged, %d batches refused and sent again, 0 lost, 0 twice",
		l.acked.Load(), l.failed.Load())
}

func TestCrashesLoseNothingAcknowledged(t *testing.T) {
	t.Parallel()
	g := postgrestest.Start(t)
	database := g.Copied(t)
	db := open(t, g.Config(database))
	l := startLoad(t, db, 16)
	for range soak(2, 30) {
		l.more(t, 2000)
		g.Server.Restart()
		t.Logf("2,000 more %v after a crash and recovery", l.more(t, 2000).Round(time.Millisecond))
	}
	l.settle(t, g, database)
}

func lostConnections(t *testing.T, g *postgrestest.Cluster) {
	database := g.Copied(t)
	db := open(t, g.Config(database))
	l := startLoad(t, db, 16)
	conn := g.Super(t, database)
	defer func() { _ = conn.Close(context.Background()) }()
	for range soak(8, 300) {
		l.more(t, 100)
		_, err := conn.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE usename = 'ingest_service' AND datname = current_database()`)
		require.NoError(t, err)
	}
	l.more(t, 1000)
	l.settle(t, g, database)
}

// Others take every connection that there is, and ours are cut: nothing is accepted
// until they give one back.
func outOfConnections(t *testing.T, g *postgrestest.Cluster) {
	database := g.Copied(t)
	db := open(t, g.Config(database))
	l := startLoad(t, db, 8)
	l.more(t, 1000)
	super := g.Super(t, database)
	defer func() { _ = super.Close(context.Background()) }()
	_, err := super.Exec(t.Context(), "ALTER DATABASE "+database+" CONNECTION LIMIT 0")
	require.NoError(t, err)
	_, err = super.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE usename IN ('ingest_service', 'ingest_app') AND datname = current_database()`)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return l.failed.Load() > 20 }, time.Minute, time.Millisecond)
	require.Error(t, db.Ready(t.Context()))
	_, err = super.Exec(t.Context(), "ALTER DATABASE "+database+" CONNECTION LIMIT -1")
	require.NoError(t, err)
	t.Logf("1,000 more after %v", l.more(t, 1000).Round(time.Millisecond))
	l.settle(t, g, database)
}

// Somebody locks the table. Who waits is refused in time, and the rest goes on after it.
func longLock(t *testing.T, g *postgrestest.Cluster) {
	database := g.Copied(t)
	db := open(t, g.Config(database))
	l := startLoad(t, db, 8)
	l.more(t, 1000)
	conn := g.Super(t, database)
	defer func() { _ = conn.Close(context.Background()) }()
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `LOCK TABLE ingest.events IN ACCESS EXCLUSIVE MODE`)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return l.failed.Load() > 8 }, time.Minute, time.Millisecond)
	require.NoError(t, db.FactorFailed(t.Context(), "u", time.Now()), "what needs no events goes on")
	require.NoError(t, tx.Rollback(t.Context()))
	t.Logf("1,000 more after %v", l.more(t, 1000).Round(time.Millisecond))
	l.settle(t, g, database)
}

func boundedConnections(t *testing.T, g *postgrestest.Cluster) {
	database := g.Copied(t)
	db := open(t, g.Config(database))
	conn := g.Super(t, database)
	defer func() { _ = conn.Close(context.Background()) }()
	l := startLoad(t, db, 500)
	most := 0
	for l.acked.Load() < 5_000 {
		var n int
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE usename IN ('ingest_service', 'ingest_app') AND datname = current_database()`).Scan(&n))
		most = max(most, n)
	}
	require.LessOrEqual(t, most, 16)
	l.settle(t, g, database)
}

// The same events come in at once, in any order, from clients that were not answered.
func rivals(t *testing.T, g *postgrestest.Cluster) {
	database := g.Copied(t)
	dbs := []*postgres.DB{open(t, g.Config(database)), open(t, g.Config(database))}
	events := fresh(soak(100, 5000))
	var all sync.WaitGroup
	var added atomic.Int64
	for client := range 16 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(client), 7))
			order := random.Perm(len(events))
			for len(order) > 0 {
				n := min(len(order), 1+random.IntN(40))
				batch := make([]event.Received, n)
				for i, at := range order[:n] {
					batch[i] = events[at]
					batch[i].ID = fmt.Sprintf("%d-%d", client, at)
				}
				order = order[n:]
				stored, err := dbs[client%2].Store(t.Context(), batch)
				if err != nil || stored.New+stored.Duplicates != n {
					t.Errorf("%+v, %v", stored, err)
				}
				added.Add(int64(stored.New))
			}
		})
	}
	all.Wait()
	require.EqualValues(t, len(events), added.Load())
	conn := g.Super(t, database)
	defer func() { _ = conn.Close(context.Background()) }()
	var kept, visits, deadlocks int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM ingest.events),
		(SELECT sum(events) FROM ingest.visits), (SELECT deadlocks FROM pg_stat_database
		WHERE datname = current_database())`).Scan(&kept, &visits, &deadlocks))
	require.Equal(t, len(events), kept)
	require.Equal(t, len(events), visits)
	require.Zero(t, deadlocks)
}

func openTransactions(t *testing.T, g *postgrestest.Cluster) {
	database := g.Copied(t)
	cfg := g.Config(database)
	var lines bytes.Buffer
	cfg.Log = slog.New(slog.NewTextHandler(&lines, nil))
	db := open(t, cfg)
	require.Empty(t, lines.String(), "the logins lack nothing")
	conn := g.Super(t, database)
	defer func() { _ = conn.Close(context.Background()) }()
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	require.Eventually(t, func() bool {
		db.LookFor(t.Context(), 100*time.Millisecond)
		oldest, tooLong := db.OpenTransaction()
		return tooLong && oldest > 100*time.Millisecond
	}, 10*time.Second, 20*time.Millisecond)
	require.Contains(t, lines.String(), "a transaction stays open")
	require.NoError(t, tx.Rollback(t.Context()))
	db.LookFor(t.Context(), 100*time.Millisecond)
	_, tooLong := db.OpenTransaction()
	require.False(t, tooLong)
}

// Months come and go by themselves, and identities that nobody can repeat go too.
func months(t *testing.T, g *postgrestest.Cluster) {
	database := g.Copied(t)
	cfg := g.Config(database)
	cfg.KeepMonths = 2
	db := open(t, cfg)
	now := time.Now().UTC().Truncate(time.Millisecond)
	at := func(when time.Time) []event.Received {
		batch := fresh(1)
		batch[0].At = when
		return batch
	}
	month := func(n int) time.Time {
		return time.Date(now.Year(), now.Month()+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
	}
	for name, row := range map[string]struct {
		at   time.Time
		kept bool
	}{
		"now": {now, true}, "the first moment that is kept": {month(-2), true},
		"the last moment that is not": {month(-2).Add(-time.Millisecond), false},
		"years ago":                   {now.AddDate(-5, 0, 0), false},
		"another century":             {now.AddDate(100, 0, 0), false},
	} {
		_, err := db.Store(t.Context(), at(row.at))
		if row.kept {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, "cannot be stored", name)
		}
	}
	conn := g.Super(t, database)
	defer func() { _ = conn.Close(context.Background()) }()
	count := func(query string) (n int) {
		require.NoError(t, conn.QueryRow(t.Context(), query).Scan(&n))
		return n
	}
	months := `SELECT count(*) FROM pg_inherits WHERE inhparent = 'ingest.events'::regclass`
	require.Equal(t, 3, count(months), "two months ago, now and the next")
	require.NoError(t, db.Tidy(t.Context(), now))
	require.Equal(t, 2, count(`SELECT count(*) FROM ingest.events`))
	require.Equal(t, 1, count(`SELECT count(*) FROM ingest.event_identity`), "none repeats the old one")
	require.NoError(t, db.Tidy(t.Context(), month(1).AddDate(0, 0, 1)))
	require.Equal(t, 1, count(`SELECT count(*) FROM ingest.events`), "the oldest month is gone")
	require.Equal(t, 1, count(`SELECT count(*) FROM ingest.visits`))
	_, err := db.Store(t.Context(), at(now))
	require.NoError(t, err)
}
