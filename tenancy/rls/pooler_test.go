package rls_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/rls"
	"github.com/stretchr/testify/require"
)

// TestPoolerModes is the table of exec modes in the package documentation, against
// Debian's pgbouncer in transaction mode.
func TestPoolerModes(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	bouncer := loopback.PgBouncer(t, g.login(""), []string{"app"})
	for _, row := range []struct {
		mode string
		bind bool
		want string // in the error of Open
	}{
		{"cache_describe", false, ""},
		{"exec", false, ""},
		{"describe_exec", false, ""},
		{"cache_statement", false, "cache statement"},
		{"simple_protocol", false, "simple protocol"},
		{"exec", true, "BindPID"},
	} {
		t.Run(fmt.Sprint(row.mode, row.bind), func(t *testing.T) {
			pool, err := pgxpool.New(t.Context(), bouncer.DSN+"&default_query_exec_mode="+row.mode)
			require.NoError(t, err)
			defer pool.Close()
			db, err := rls.Open(t.Context(), rls.Config{
				Pool: pool, Key: sealKey, SearchPath: []string{"app"}, BindPID: row.bind,
			})
			if row.want != "" {
				require.ErrorContains(t, err, row.want)
				return
			}
			require.NoError(t, err)
			g.crossTenants(t, db, pool.Reset)
		})
	}
	// Backends are ended on a direct connection only: Debian's pgbouncer dies of it when
	// clients cancel at the same time.
	t.Run("direct and bound", func(t *testing.T) {
		db, err := rls.Open(t.Context(), rls.Config{
			Pool: g.pool(t, ""), Key: sealKey, SearchPath: []string{"app"}, BindPID: true,
		})
		require.NoError(t, err)
		g.crossTenants(t, db, func() {
			g.exec(t, `select pg_terminate_backend(pid) from pg_stat_activity
				where usename = 'app' order by random() limit 1`)
		})
	})
}

// batches is how many random batches each way of connecting gets: 100,000 over all of
// them with SALLYPORT_SOAK=1.
func batches() int {
	if os.Getenv("SALLYPORT_SOAK") == "1" {
		return 25_000
	}
	return 400
}

// crossTenants runs batches of random kinds on few connections from many goroutines,
// with errors, cancellations, session settings left behind, writes to the other's rows
// and scopes forgotten, while churn ends connections, and demands that nobody sees or
// changes a row of somebody else.
func (g *rig) crossTenants(t *testing.T, db *rls.DB, churn func()) {
	t.Helper()
	scopes := map[string]tenancy.Scope{
		"a": scope(t, "ua", "a"), "b": scope(t, "ub", "b"),
	}
	var wg sync.WaitGroup
	var answered atomic.Int64
	for worker := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 1))
			for range batches() / 8 {
				site := []string{"a", "b"}[random.IntN(2)]
				if oneBatch(t, db, random, site, scopes[site]) {
					answered.Add(1)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for ended := false; !ended; {
		select {
		case <-done:
			ended = true
		case <-time.After(20 * time.Millisecond):
			churn()
		}
	}
	require.Greater(t, answered.Load(), int64(batches()/4), "the sites saw their own rows")

	var rows []string
	all, err := g.admin.Query(t.Context(), "select site_id || note from app.calls order by 1")
	require.NoError(t, err)
	require.NoError(t, queryRows(&rows)(all))
	require.Equal(t, []string{"aa1", "aa2", "bb1", "bb2"}, rows)
}

// foreign are the rows that a site must not see. A position is nobody's.
func foreign(site string, rows []string) (seen []string) {
	for _, row := range rows {
		if row != site {
			seen = append(seen, row)
		}
	}
	return seen
}

// oneBatch reports whether the site saw its rows.
func oneBatch(t *testing.T, db *rls.DB, random *rand.Rand, site string, s tenancy.Scope) bool {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	other := map[string]string{"a": "b", "b": "a"}[site]
	var rows []string
	b := &rls.Batch{}
	switch kind := random.IntN(10); kind {
	case 1:
		b.Query(nil, "select 1/0")
	case 2:
		time.AfterFunc(time.Duration(random.IntN(300))*time.Microsecond, cancel)
		b.Query(nil, "select pg_sleep(0.0002)")
	case 3:
		b.Query(nil, "select set_config('sallyport.scope', $1, false)", "v1.nonsense")
	case 4:
		b.Query(nil, "select set_config('search_path', 'pg_temp', false)")
	case 5:
		b.Query(nil, "select set_config('sallyport.scope', '', false)")
	case 6:
		require.Error(t, db.Read(ctx, tenancy.Scope{}, b), "a forgotten scope")
		return false
	case 7:
		b.Query(nil, "update app.calls set note = 'mine' where site_id = $1", other)
	case 8:
		b.Query(nil, "delete from app.calls where site_id = $1", other)
	case 9:
		b.Query(nil, "insert into app.calls values ($1, 9, 'planted')", other)
	}
	const mine = "select site_id from app.calls order by id"
	b.Query(queryRows(&rows), mine)
	// Whether it succeeds is the connection's luck; what is seen is not.
	if random.IntN(8) == 0 {
		_ = db.Tx(ctx, s, func(tx rls.Tx) error {
			result, err := tx.Query(ctx, mine)
			if err != nil {
				return err
			}
			return queryRows(&rows)(result)
		})
	} else {
		_ = db.Read(ctx, s, b)
	}
	if seen := foreign(site, rows); len(seen) > 0 {
		t.Errorf("%s sees %q", site, seen)
	}
	return len(rows) == 2
}

// TestABypassIsSeen is the control of the random batches: a login that policies do not
// bind sees what they look for.
func TestABypassIsSeen(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	var rows []string
	all, err := g.admin.Query(t.Context(), "select site_id from app.calls order by id")
	require.NoError(t, err)
	require.NoError(t, queryRows(&rows)(all))
	require.NotEmpty(t, foreign("a", rows))
}
