// Package rls_test measures what a scope costs: a statement of package rls beside the
// same statement without row level security, on one server in one run.
//
//	go test ./internal/bench/rls -measure -v
package rls_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/rls"
	"github.com/stretchr/testify/require"
)

var measure = flag.Bool("measure", false, "measure and print the ratios")

var key = bytes.Repeat([]byte{7}, 32)

const rows = 100_000

// setup has one table twice: with policies, and without for comparison. The third has a
// policy on a plain setting, which is what the seal is compared with.
const setup = `
create role app login;
create schema app;
grant usage on schema app to app;
revoke temporary on database postgres from public;
create table app.calls (site_id text not null, id int not null, note text not null, primary key (site_id, id));
insert into app.calls select 'a', i, 'note ' || i from generate_series(1, %[1]d) i;
insert into app.calls select 'b', i, 'note ' || i from generate_series(1, 1000) i;
create table app.plain as select * from app.calls;
alter table app.plain add primary key (site_id, id);
create table app.loose as select * from app.calls;
alter table app.loose add primary key (site_id, id);
alter table app.loose enable row level security;
create policy own on app.loose to app using (site_id = (select nullif(current_setting('app.site', true), '')));
grant select on app.plain, app.loose to app;
`

type read struct{}

func (read) Permission() string { return "read" }

func scope(t *testing.T) tenancy.Scope {
	t.Helper()
	gate, err := tenancy.New(tenancy.Config{
		Identify: func(*http.Request) (sallyport.Principal, error) {
			return sallyport.Principal{}, tenancy.ErrUnauthenticated
		},
		Sources: []tenancy.Source{tenancy.FromPath("site")},
		Member: func(context.Context, string, string) (tenancy.Role, error) {
			return "rep", nil
		},
		Roles: map[tenancy.Role]tenancy.Rights{
			"rep": {Permissions: []string{"read"}, Level: sallyport.AAL1},
		},
		GrantTTL: time.Hour,
	})
	require.NoError(t, err)
	grant, err := tenancy.Authorize[read](t.Context(), gate, sallyport.Principal{
		Kind: sallyport.KindUser, ID: "u", Level: sallyport.AAL1,
	}, "a")
	require.NoError(t, err)
	return grant.Scope()
}

// rig is a database and a pool of one connection to it, perhaps through a slow line.
type rig struct {
	pool *pgxpool.Pool
	db   *rls.DB
	line *line
}

func newRig(t *testing.T, mode string, delay time.Duration) *rig {
	t.Helper()
	dsn := loopback.Postgres(t)
	admin, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer admin.Close(t.Context()) //nolint:errcheck // a test's connection
	text, err := rls.Policies(rls.Table{Schema: "app", Name: "calls", Site: "site_id"}, "app")
	require.NoError(t, err)
	_, err = admin.Exec(t.Context(), fmt.Sprintf(setup, rows)+rls.Install()+rls.InstallKey("k", key)+
		text+"analyze")
	require.NoError(t, err)
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	u.User = url.User("app")
	g := &rig{line: newLine(t, u.Host, delay)}
	u.Host = g.line.addr
	u.RawQuery += "&pool_max_conns=1&default_query_exec_mode=" + mode
	g.pool, err = pgxpool.New(t.Context(), u.String())
	require.NoError(t, err)
	t.Cleanup(g.pool.Close)
	g.db, err = rls.Open(t.Context(), rls.Config{
		Pool: g.pool, Key: key, SearchPath: []string{"app"},
		DangerouslyAccept: map[string]string{
			"rls_disabled app.plain":    "the comparison",
			"unsealed_setting app.site": "the comparison",
		},
	})
	require.NoError(t, err)
	return g
}

// line is a TCP connection that takes its time, and counts how often the client sends
// after the server has answered.
type line struct {
	addr   string
	trips  atomic.Int64
	talked atomic.Bool
}

func newLine(t *testing.T, target string, delay time.Duration) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	l := &line{addr: listener.Addr().String()}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				return
			}
			go l.carry(server, client, delay/2, true)
			go l.carry(client, server, delay/2, false)
		}
	}()
	return l
}

func (l *line) carry(to, from net.Conn, delay time.Duration, up bool) {
	defer to.Close()
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if up && !l.talked.Swap(true) {
				l.trips.Add(1)
			} else if !up {
				l.talked.Store(false)
			}
			if delay > 0 {
				<-time.After(delay) // the line takes its time, as a network does
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

const one = "select note from app.%s where site_id = $1 and id = $2"

// plain is the comparison: one statement, no policy, no transaction.
func (g *rig) plain(ctx context.Context, sql string, args ...any) error {
	rows, err := g.pool.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	for rows.Next() {
	}
	return rows.Err()
}

func (g *rig) scoped(ctx context.Context, s tenancy.Scope, sql string, args ...any) error {
	b := &rls.Batch{}
	b.Query(func(rows pgx.Rows) error {
		for rows.Next() {
		}
		return rows.Err()
	}, sql, args...)
	return g.db.Read(ctx, s, b)
}

// compare runs jobs in turn and returns each one's median and the ratios to the first,
// pair by pair.
func compare(t *testing.T, n int, jobs ...func() error) (medians []time.Duration, ratios []float64) {
	t.Helper()
	times := make([][]time.Duration, len(jobs))
	for range n {
		for i, job := range jobs {
			start := time.Now()
			require.NoError(t, job())
			times[i] = append(times[i], time.Since(start))
		}
	}
	for i := range jobs {
		var pairs []float64
		for k := range times[i] {
			pairs = append(pairs, float64(times[i][k])/float64(times[0][k]))
		}
		slices.Sort(times[i])
		slices.Sort(pairs)
		medians, ratios = append(medians, times[i][n/2]), append(ratios, pairs[n/2])
	}
	return medians, ratios
}

// TestOneRoundTrip counts, whatever the machine's speed.
func TestOneRoundTrip(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"exec", "cache_statement", "cache_describe"} {
		g := newRig(t, mode, 0)
		s := scope(t)
		sql := fmt.Sprintf(one, "calls")
		require.NoError(t, g.scoped(t.Context(), s, sql, "a", 7)) // describes once
		before := g.line.trips.Load()
		for range 20 {
			require.NoError(t, g.scoped(t.Context(), s, sql, "a", 7))
		}
		require.EqualValues(t, 20, g.line.trips.Load()-before, mode)
	}
}

func TestRatios(t *testing.T) {
	if !*measure {
		t.Skip("measures only when asked: -measure")
	}
	ctx, s := t.Context(), scope(t)
	for _, mode := range []string{"exec", "cache_statement", "cache_describe"} {
		g := newRig(t, mode, 0)
		medians, ratios := compare(t, 3000,
			func() error { return g.plain(ctx, fmt.Sprintf(one, "plain"), "a", 7) },
			func() error { return g.loose(ctx, fmt.Sprintf(one, "loose"), "a", 7) },
			func() error { return g.scoped(ctx, s, fmt.Sprintf(one, "calls"), "a", 7) })
		t.Logf("%-16s loopback: plain %v; policy on a plain setting %.2fx; sealed %.2fx",
			mode, medians[0], ratios[1], ratios[2])
		scan := "select count(*), max(note) from app.%s where site_id = 'a' and note like '%%9'"
		_, ratios = compare(t, 60,
			func() error { return g.plain(ctx, fmt.Sprintf(scan, "plain")) },
			func() error { return g.scoped(ctx, s, fmt.Sprintf(scan, "calls")) })
		t.Logf("%-16s scan of %d rows: sealed %.2fx", mode, rows, ratios[1])
		slow := newRig(t, mode, 2*time.Millisecond)
		_, ratios = compare(t, 300,
			func() error { return slow.plain(ctx, fmt.Sprintf(one, "plain"), "a", 7) },
			func() error { return slow.loose(ctx, fmt.Sprintf(one, "loose"), "a", 7) },
			func() error { return slow.scoped(ctx, s, fmt.Sprintf(one, "calls"), "a", 7) })
		t.Logf("%-16s at 2 ms: plain setting %.2fx; sealed %.2fx", mode, ratios[1], ratios[2])
	}
}

// loose is the same batch with a plain setting.
func (g *rig) loose(ctx context.Context, sql string, args ...any) error {
	conn, err := g.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	b := &pgx.Batch{}
	b.Queue("select set_config('app.site', $1, true), set_config('search_path', $2, true)", "a", "app")
	b.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
		}
		return rows.Err()
	})
	return conn.SendBatch(ctx, b).Close()
}
