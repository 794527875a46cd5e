package rls_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/rls"
)

type purge struct{}

func (purge) Permission() string { return "purge" }

// serviceScope is what a queue's worker gets from its signature, with a reason.
func serviceScope(t *testing.T) tenancy.ServiceScope {
	t.Helper()
	gate, err := tenancy.New(tenancy.Config{
		Identify: func(*http.Request) (sallyport.Principal, error) {
			return sallyport.Principal{}, tenancy.ErrUnauthenticated
		},
		Sources: []tenancy.Source{tenancy.FromPath("site")},
		Member:  func(context.Context, string, string) (tenancy.Role, error) { return "", tenancy.ErrNotMember },
		Roles: map[tenancy.Role]tenancy.Rights{
			"rep": {Permissions: []string{"read"}, Level: sallyport.AAL1},
		},
		Services: map[string][]string{"nightly": {"purge"}},
	})
	require.NoError(t, err)
	grant, err := tenancy.AuthorizeService[purge](t.Context(), gate,
		sallyport.Principal{Kind: sallyport.KindService, ID: "nightly", Level: sallyport.AAL1}, "retention")
	require.NoError(t, err)
	return grant.Scope()
}

// service is a login that bypasses policies, and what it told.
func (g *rig) service(t *testing.T, db *rls.DB) (*rls.ServiceDB, *[]sallyport.Event) {
	t.Helper()
	g.exec(t, `create role service login bypassrls; grant usage on schema app to service;
		grant select, delete on app.calls to service`)
	cfg, err := pgxpool.ParseConfig(g.dsn)
	require.NoError(t, err)
	cfg.ConnConfig.User = "service"
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	var events []sallyport.Event
	services, err := rls.OpenService(pool, db, func(_ context.Context, e sallyport.Event) {
		events = append(events, e)
	})
	require.NoError(t, err)
	return services, &events
}

func TestServicesWorkAcrossSitesAndAreSeen(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	services, events := g.service(t, g.open(t))
	count := func(tx rls.Tx) (n int, err error) {
		err = tx.QueryRow(t.Context(), "select count(*) from app.calls").Scan(&n)
		return n, err
	}

	var n int
	require.NoError(t, services.Tx(t.Context(), serviceScope(t), func(tx rls.Tx) (err error) {
		require.Len(t, *events, 1, "told before anything is done")
		n, err = count(tx)
		return err
	}))
	require.Equal(t, 4, n)
	e := (*events)[0]
	require.Equal(t, rls.CodeServiceUsed, e.Code)
	require.Equal(t, "nightly", e.Actor)
	require.Equal(t, rls.ServiceUse{Service: "nightly", Reason: "retention"}, e.Detail)

	failed := errors.New("half way")
	require.ErrorIs(t, services.Tx(t.Context(), serviceScope(t), func(tx rls.Tx) error {
		_, err := tx.Exec(t.Context(), "delete from app.calls")
		require.NoError(t, err)
		return failed
	}), failed)
	require.NoError(t, g.admin.QueryRow(t.Context(), "select count(*) from app.calls").Scan(&n))
	require.Equal(t, 4, n, "rolled back")
}

func TestServicesNeedTheirScope(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	services, events := g.service(t, g.open(t))
	ran := func(rls.Tx) error { t.Error("it ran"); return nil }
	for _, db := range []*rls.ServiceDB{nil, {}, services} {
		err := db.Tx(t.Context(), tenancy.ServiceScope{}, ran)
		refusal, ok := errors.AsType[*sallyport.Refusal](err)
		require.True(t, ok)
		require.Equal(t, rls.CodeScopeRefused, refusal.Code)
	}
	require.Len(t, *events, 1)
	require.False(t, (*events)[0].Allowed)
}

func TestOpenServiceProblems(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	db, shared := g.open(t), g.pool(t, "")
	tell := func(context.Context, sallyport.Event) {}
	rows := []struct {
		name string
		pool *pgxpool.Pool
		tell func(context.Context, sallyport.Event)
		want string
	}{
		{"nothing", nil, nil, "pool"},
		{"nobody sees it", shared, nil, "onEvent"},
		{"the application's own login", shared, tell, "pool"},
	}
	for _, row := range rows {
		_, err := rls.OpenService(row.pool, db, row.tell)
		problem, ok := errors.AsType[*sallyport.ConfigError](err)
		require.True(t, ok, row.name)
		if row.want == "onEvent" {
			require.ErrorContains(t, err, row.want)
			continue
		}
		require.Equal(t, row.want, problem.Field, row.name)
	}
}

func TestQueryRow(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	db := g.open(t)
	one := func(id int) (note string, err error) {
		batch := &rls.Batch{}
		batch.QueryRow(func(row pgx.Row) error { return row.Scan(&note) },
			"select note from app.calls where id = $1", id)
		return note, db.Read(t.Context(), scope(t, "ua", "a"), batch)
	}
	note, err := one(1)
	require.NoError(t, err)
	require.Equal(t, "a1", note)
	_, err = one(9)
	require.ErrorIs(t, err, pgx.ErrNoRows)
}
