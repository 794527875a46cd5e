package rls_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
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
			crossTenants(t, db, 300)
		})
	}
	t.Run("direct and bound", func(t *testing.T) {
		db, err := rls.Open(t.Context(), rls.Config{
			Pool: g.pool(t, ""), Key: sealKey, SearchPath: []string{"app"}, BindPID: true,
		})
		require.NoError(t, err)
		crossTenants(t, db, 300)
	})
}

// crossTenants runs n batches of random kinds on few connections from many goroutines,
// with errors, cancellations, session settings left behind and scopes forgotten, and
// demands that nobody sees a row of somebody else.
func crossTenants(t *testing.T, db *rls.DB, n int) {
	t.Helper()
	scopes := map[string]tenancy.Scope{
		"a": scope(t, "ua", "a"), "b": scope(t, "ub", "b"),
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 1))
			for range n / 8 {
				site := []string{"a", "b"}[random.IntN(2)]
				oneBatch(t, db, random, site, scopes[site])
			}
		})
	}
	wg.Wait()
}

func oneBatch(t *testing.T, db *rls.DB, random *rand.Rand, site string, s tenancy.Scope) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var rows []string
	b := &rls.Batch{}
	kind := random.IntN(8)
	switch kind {
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
		return
	}
	b.Query(queryRows(&rows), "select site_id from app.calls order by id")
	if kind == 7 {
		err := db.Tx(ctx, s, func(tx rls.Tx) error {
			result, err := tx.Query(ctx, "select site_id from calls")
			if err != nil {
				return err
			}
			return queryRows(&rows)(result)
		})
		require.NoError(t, err)
	} else if err := db.Read(ctx, s, b); err != nil && kind == 0 {
		t.Error(err)
	}
	for _, row := range rows {
		if !strings.Contains(row, site) {
			t.Errorf("%s sees %q (kind %d)", site, row, kind)
		}
	}
	if kind == 0 && len(rows) != 2 {
		t.Errorf("%s sees %d of its own rows", site, len(rows))
	}
}
