package rls_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/rls"
	"github.com/stretchr/testify/require"
)

var sealKey = bytes.Repeat([]byte{7}, 32)

// rig is a Postgres with two sites of two rows each, as a migration would leave it.
type rig struct {
	dsn   string // of the superuser
	admin *pgx.Conn
}

const schema = `
create role owner_role nologin;
create role app login;
create schema app authorization owner_role;
grant usage on schema app to app;
revoke temporary on database postgres from public;
revoke create on schema public from public;
create table app.calls (
	site_id text not null, id int not null, note text not null default '',
	primary key (site_id, id)
);
alter table app.calls owner to owner_role;
insert into app.calls values ('a', 1, 'a1'), ('a', 2, 'a2'), ('b', 1, 'b1'), ('b', 2, 'b2');
create table app.drafts (owner_id text not null, id int not null, primary key (owner_id, id));
alter table app.drafts owner to owner_role;
insert into app.drafts values ('ua', 1), ('ub', 1);
create table app.members (site_id text not null, user_id text not null, primary key (site_id, user_id));
alter table app.members owner to owner_role;
insert into app.members values ('a', 'ua'), ('b', 'ub'), ('a', 'mixed'), ('b', 'mixed');
create table app.group_calls (site_id text not null, id int not null, primary key (site_id, id));
alter table app.group_calls owner to owner_role;
insert into app.group_calls values ('a', 1), ('b', 1), ('c', 1);
`

func newRig(t *testing.T) *rig {
	t.Helper()
	dsn := loopback.Postgres(t)
	admin, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = admin.Close(context.Background()) })
	g := &rig{dsn: dsn, admin: admin}
	g.exec(t, schema+rls.Install()+rls.InstallKey("one", sealKey))
	for _, table := range []rls.Table{
		{Schema: "app", Name: "calls", Site: "site_id"},
		{Schema: "app", Name: "drafts", Owner: "owner_id"},
		{Schema: "app", Name: "members", Site: "site_id", Owner: "user_id", ReadOnly: true},
	} {
		text, err := rls.Policies(table, "app")
		require.NoError(t, err)
		g.exec(t, text)
	}
	text, err := rls.MemberPolicies(rls.Table{Schema: "app", Name: "group_calls", Site: "site_id"},
		rls.Membership{Schema: "app", Table: "members", Site: "site_id", User: "user_id"}, "app")
	require.NoError(t, err)
	g.exec(t, text)
	return g
}

// exec runs statements as the superuser, in one simple query.
func (g *rig) exec(t *testing.T, sql string) {
	t.Helper()
	_, err := g.admin.Exec(t.Context(), sql)
	require.NoError(t, err, sql)
}

// login returns the DSN of the application's role.
func (g *rig) login(params string) string {
	return strings.Replace(g.dsn, "postgres@", "app@", 1) + params
}

func (g *rig) pool(t *testing.T, params string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), g.login(params))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func (g *rig) open(t *testing.T) *rls.DB {
	t.Helper()
	db, err := rls.Open(t.Context(), rls.Config{
		Pool: g.pool(t, ""), Key: sealKey, SearchPath: []string{"app"},
	})
	require.NoError(t, err)
	return db
}

type read struct{}

func (read) Permission() string { return "read" }

// members is who belongs where.
var members = map[string][]string{"a": {"ua", "mixed"}, "b": {"ub", "mixed"}}

// scope returns what a gate gives a user on a site.
func scope(t testing.TB, user, site string) tenancy.Scope {
	t.Helper()
	gate, err := tenancy.New(tenancy.Config{
		Identify: func(*http.Request) (sallyport.Principal, error) {
			return sallyport.Principal{}, tenancy.ErrUnauthenticated
		},
		Sources: []tenancy.Source{tenancy.FromPath("site")},
		Member: func(_ context.Context, user, site string) (tenancy.Role, error) {
			if slices.Contains(members[site], user) {
				return "rep", nil
			}
			return "", tenancy.ErrNotMember
		},
		Roles: map[tenancy.Role]tenancy.Rights{
			"rep": {Permissions: []string{"read"}, Level: sallyport.AAL1},
		},
	})
	require.NoError(t, err)
	grant, err := tenancy.Authorize[read](context.Background(), gate, sallyport.Principal{
		Kind: sallyport.KindUser, ID: user, Level: sallyport.AAL1,
	}, site)
	require.NoError(t, err)
	return grant.Scope()
}

// queryRows returns the rows of a query as text.
func queryRows(rows *[]string) func(pgx.Rows) error {
	return func(r pgx.Rows) error {
		*rows = nil
		for r.Next() {
			values, err := r.Values()
			if err != nil {
				return err
			}
			*rows = append(*rows, strings.Trim(fmt.Sprint(values), "[]"))
		}
		return r.Err()
	}
}
