package postgres_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/handbook/postgres"
	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/rls"
	"github.com/opsmantik/sallyport/tenancy/rls/rlstest"
)

const (
	shop  = "0b0c1d2e-0000-4000-8000-000000000001"
	other = "0b0c1d2e-0000-4000-8000-000000000002"
	ada   = "0b0c1d2e-0000-4000-8000-00000000000a"
)

type orders struct{}

func (orders) Permission() string { return "orders" }

// scope is what a handler gets from tenancy's gate.
func scope(t *testing.T, site string) tenancy.Scope {
	t.Helper()
	gate, err := tenancy.New(tenancy.Config{
		Identify: func(*http.Request) (sallyport.Principal, error) {
			return sallyport.Principal{}, tenancy.ErrUnauthenticated
		},
		Sources: []tenancy.Source{tenancy.FromPath("org")},
		Member:  func(context.Context, string, string) (tenancy.Role, error) { return "member", nil },
		Roles: map[tenancy.Role]tenancy.Rights{
			"member": {Permissions: []string{"orders"}, Level: sallyport.AAL1},
		},
	})
	require.NoError(t, err)
	grant, err := tenancy.Authorize[orders](t.Context(), gate,
		sallyport.Principal{Kind: sallyport.KindUser, ID: ada, Level: sallyport.AAL1}, site)
	require.NoError(t, err)
	return grant.Scope()
}

func TestOrdersStayInTheirOrganisation(t *testing.T) {
	t.Parallel()
	ctx, key := t.Context(), bytes.Repeat([]byte{7}, 32)
	dsn := loopback.Postgres(t)
	owner, err := pgx.Connect(ctx, dsn)
	require.NoError(t, err)
	defer owner.Close(context.WithoutCancel(ctx))
	migration, err := postgres.Migration(key)
	require.NoError(t, err)
	_, err = owner.Exec(ctx, migration)
	require.NoError(t, err)

	pool, err := pgxpool.New(ctx, strings.Replace(dsn, "postgres@", "server@", 1))
	require.NoError(t, err)
	defer pool.Close()
	store, err := postgres.Open(ctx, pool, key)
	require.NoError(t, err)

	require.NoError(t, store.Add(ctx, scope(t, shop), "ours"))
	require.NoError(t, store.Add(ctx, scope(t, other), "theirs"))
	list, err := store.Orders(ctx, scope(t, shop))
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "ours", list[0].Note)

	_, err = postgres.Open(ctx, func() *pgxpool.Pool {
		superuser, err := pgxpool.New(ctx, dsn)
		require.NoError(t, err)
		t.Cleanup(superuser.Close)
		return superuser
	}(), key)
	require.Error(t, err, "a login that policies do not bind")

	rlstest.RequireIsolated(t, owner, rls.Plan{Role: "server", Key: key})
}
