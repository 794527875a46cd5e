package rls_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/tenancy/rls"
	"github.com/stretchr/testify/require"
)

// TestLintPassesWhatItGenerates: the rig is made by the generators.
func TestLintPassesWhatItGenerates(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	findings, err := rls.Lint(t.Context(), g.admin, "app")
	require.NoError(t, err)
	require.Empty(t, findings)
}

// base is a schema to be broken: correct before the mistake of a row.
const base = `
create schema s;
grant usage on schema s to app;
create table s.t (site_id text not null, id int not null, owner text, public bool not null default false,
	body text, primary key (site_id, id));
create table s.m (site_id text not null, user_id text not null, role text not null default 'rep',
	primary key (site_id, user_id));
alter table s.t enable row level security;
alter table s.m enable row level security;
create policy own on s.t to app using (site_id = (select sallyport.site()));
create policy own on s.m for select to app using (site_id = (select sallyport.site()) and user_id = (select sallyport.member()));
grant select, insert, update, delete on s.t to app;
grant select on s.m to app;
insert into s.t values ('site-a', 1, 'user-a', false, 'a1'), ('site-b', 1, 'user-b', false, 'b1');
insert into s.m values ('site-a', 'user-a'), ('site-b', 'user-b');
create function s.role_of() returns text language sql stable security definer
	set search_path = pg_catalog, pg_temp as $$ select role from s.m where user_id = sallyport.member() $$;
revoke all on function s.role_of() from public;
grant execute on function s.role_of() to app;
`

// mistakes are the ways in which row level security was seen to fail. Leak is a query
// by which ua of site a reaches what is b's; it returns at least one row, or changes one.
var mistakes = []struct {
	name, sql, want, leak string
}{
	{
		"off", `alter table s.t disable row level security; drop policy own on s.t`,
		"rls_disabled s.t", "select from s.t where site_id = 'site-b'",
	},
	{
		"policy without", `alter table s.t disable row level security`,
		"policy_without_rls s.t", "select from s.t where site_id = 'site-b'",
	},
	{
		"true", `create policy p on s.t for select to app using (true)`,
		"open_select s.t policy p", "select from s.t where site_id = 'site-b'",
	},
	{
		"1=1", `create policy p on s.t for select to app using (1 = 1)`,
		"open_select s.t policy p", "select from s.t where site_id = 'site-b'",
	},
	{
		"2>1", `create policy p on s.t for select to public using (2 > 1)`,
		"open_select s.t policy p", "select from s.t where site_id = 'site-b'",
	},
	{
		"id=id", `create policy p on s.t for select to app using (id = id)`,
		"open_select s.t policy p", "select from s.t where site_id = 'site-b'",
	},
	{
		"own or true", `create policy p on s.t for select to app using (site_id = (select sallyport.site()) or true)`,
		"open_select s.t policy p", "select from s.t where site_id = 'site-b'",
	},
	{
		"own or public", `create policy p on s.t for select to app using (site_id = (select sallyport.site()) or not public)`,
		"open_select s.t policy p", "select from s.t where site_id = 'site-b'",
	},
	{
		"default", `create policy p on s.t for select to app using (site_id = coalesce(nullif((select sallyport.site()), 'site-a'), 'site-b'))`,
		"identity_default s.t policy p", "select from s.t where site_id = 'site-b'",
	},
	{
		"opposite", `create policy p on s.t for select to app using (site_id <> (select sallyport.site()))`,
		"opposite_select s.t policy p", "select from s.t where site_id = 'site-b'",
	},
	{
		"shadowed", `create policy p on s.t for select to app using (exists (select from s.m where site_id = m.site_id and user_id = (select sallyport.member())))`,
		"rowless_select s.t policy p", "select from s.t where site_id = 'site-b'",
	},
	{
		"shadowed by alias", `create policy p on s.t for select to app using (exists (select from s.m x where x.site_id = x.site_id and x.user_id = (select sallyport.member())))`,
		"self_comparison s.t policy p", "select from s.t where site_id = 'site-b'",
	},
	{
		"role without tenant", `update s.m set role = 'admin'; create policy p on s.t for select to app using (s.role_of() = 'admin')`,
		"rowless_select s.t policy p", "select from s.t where site_id = 'site-b'",
	},
	{
		"open insert", `create policy p on s.t for insert to app with check (true)`,
		"open_insert s.t policy p", "insert into s.t values ('site-b', 9)",
	},
	{
		"open update", `create policy p on s.t for update to app using (site_id = (select sallyport.site())) with check (true)`,
		"open_update s.t policy p", "update s.t set site_id = 'site-b', id = 7",
	},
	{
		"open delete", `create policy p on s.t for delete to app using (public is not null)`,
		"open_delete s.t policy p", "delete from s.t",
	},
	{
		"another role's policy", `create role wide; grant wide to app; create policy p on s.t for select to wide using (true)`,
		"open_select s.t policy p", "select from s.t where site_id = 'site-b'",
	},
	{
		"view", `create view s.v as select * from s.t; grant select on s.v to app`,
		"definer_view s.v", "select from s.v where site_id = 'site-b'",
	},
	{
		"view of a view", `create view s.v as select * from s.t; create view s.x as select * from s.v; grant select on s.x to app`,
		"definer_view s.x", "select from s.x where site_id = 'site-b'",
	},
	{
		"materialised", `create materialized view s.v as select * from s.t; grant select on s.v to app`,
		"materialized_view s.v", "select from s.v where site_id = 'site-b'",
	},
	{
		"definer function", `create function s.all() returns setof s.t language sql security definer set search_path = pg_catalog, pg_temp as 'select * from s.t'`,
		"definer_function s.\"all\"()", "select from s.all() where site_id = 'site-b'",
	},
	{
		"definer search path", `create function s.mine() returns setof s.t language sql security definer as 'select * from s.t where site_id = sallyport.site()'`,
		"definer_search_path s.mine()", "",
	},
	{"truncate", `grant truncate on s.t to app`, "truncate_granted s.t", "truncate s.t"},
	{"references", `grant references on s.t to app`, "references_granted s.t", ""},
	{
		"partition", `create table s.p (site_id text, d int) partition by range (d); create table s.p1 partition of s.p for values from (0) to (9);
		alter table s.p enable row level security; create policy own on s.p to app using (site_id = (select sallyport.site()));
		insert into s.p values ('site-b', 1); grant select on s.p, s.p1 to app`,
		"rls_disabled s.p1", "select from s.p1 where site_id = 'site-b'",
	},
	{
		"another schema", `create schema z; grant usage on schema z to app; create table z.t as select * from s.t; grant select on z.t to public`,
		"rls_disabled z.t", "select from z.t where site_id = 'site-b'",
	},
	{
		"column grant", `create table s.c as select * from s.t; grant select (body) on s.c to app`,
		"rls_disabled s.c", "select body from s.c where body = 'b1'",
	},
	{"owner", `alter table s.t owner to app`, "owner s.t", ""},
	{"member of the owner", `create role boss; grant create on schema s to boss; alter table s.t owner to boss; grant boss to app`, "owner s.t", ""},
	{"member of a bypass role", `create role wild bypassrls; grant wild to app`, "role_bypasses app in wild", ""},
	{
		"immutable helper", `create function s.me() returns text language sql immutable as 'select sallyport.site()'; create policy p on s.t for select to app using (site_id = s.me())`,
		"immutable_helper s.me()", "",
	},
	{
		"plain setting", `create policy p on s.t for select to app using (site_id = current_setting('app.site', true))`,
		"unsealed_setting app.site", "select from s.t where site_id = 'site-b' and set_config('app.site', 'site-b', true) = 'site-b'",
	},
	{
		"plain setting in a helper", `create function s.me() returns text language sql stable as $$ select current_setting('app.site', true) $$; create policy p on s.t for select to app using (site_id = s.me())`,
		"unsealed_setting app.site", "",
	},
	{
		"editable role", `grant update on s.m to app; create policy mine on s.m for update to app using (user_id = (select sallyport.member()));
		create policy p on s.t for delete to app using (site_id = (select sallyport.site()) and s.role_of() = 'admin')`,
		"editable_authority s.m.role", "update s.m set role = 'admin' where user_id = 'user-a'",
	},
	{
		"self membership", `grant insert on s.m to app; create policy join_any on s.m for insert to app with check (user_id = (select sallyport.member()));
		create policy p on s.t for select to app using (site_id in (select m.site_id from s.m where m.user_id = (select sallyport.member())))`,
		"self_membership s.m policy join_any", "insert into s.m values ('site-b', 'user-a')",
	},
	{
		"recursion", `create policy p on s.m for select to app using (exists (select from s.m x where x.user_id = (select sallyport.member()) and x.site_id = m.site_id))`,
		"policy_recursion s.m", "",
	},
	{
		"recursion over two", `create policy p on s.m for select to app using (exists (select from s.t where t.site_id = m.site_id and t.owner = (select sallyport.member())));
		create policy q on s.t for select to app using (exists (select from s.m where m.site_id = t.site_id and m.user_id = (select sallyport.member())))`,
		"policy_recursion s.t", "",
	},
	{"unique over tenants", `create unique index u on s.t (owner)`, "unique_oracle s.u", "insert into s.t values ('site-a', 8, 'user-b')"},
	{
		"foreign key over tenants", `create table s.k (site_id text not null, id int primary key); alter table s.k enable row level security;
		create policy own on s.k to app using (site_id = (select sallyport.site())); insert into s.k values ('site-b', 5);
		alter table s.t add column k int references s.k (id); grant select on s.k to app`,
		"foreign_key_oracle s.t constraint t_k_fkey", "insert into s.t values ('site-a', 8, null, false, '', 5)",
	},
	{
		"user metadata", `create function s.jwt() returns jsonb language sql stable as $$ select current_setting('request.jwt.claims', true)::jsonb $$;
		create policy p on s.t for select to app using (site_id = (s.jwt() -> 'user_metadata' ->> 'site'))`,
		"user_editable_claim s.t policy p", "",
	},
	{
		"foreign table", `create foreign data wrapper w; create server r foreign data wrapper w; create foreign table s.f (x int) server r; grant select on s.f to app`,
		"foreign_table s.f", "",
	},
}

// TestLintFindsEveryMistake proves each finding twice: the linter names it, and where
// rows are to be had, the leak is real.
func TestLintFindsEveryMistake(t *testing.T) {
	t.Parallel()
	dsn := loopback.Postgres(t)
	for _, row := range mistakes {
		t.Run(row.name, func(t *testing.T) {
			admin := fixture(t, dsn, base)
			findings, err := rls.Lint(t.Context(), admin, "app")
			require.NoError(t, err)
			require.Empty(t, findings, "before the mistake")
			_, err = admin.Exec(t.Context(), row.sql)
			require.NoError(t, err)
			findings, err = rls.Lint(t.Context(), admin, "app")
			require.NoError(t, err)
			var names []string
			for _, f := range findings {
				names = append(names, f.Code+" "+f.Object)
				require.NotEmpty(t, f.Reason)
				require.NotEmpty(t, f.Attack)
				require.NotEmpty(t, f.Fix)
			}
			require.Contains(t, names, row.want)
			if row.leak != "" {
				requireLeak(t, admin, row.leak)
			}
		})
	}
}

// fixture makes a fresh database with the sealed functions, a role app and sql.
func fixture(t *testing.T, dsn, sql string) *pgx.Conn {
	t.Helper()
	root, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	name := "db_" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, strings.ToLower(t.Name()))
	_, err = root.Exec(t.Context(), `drop database if exists "`+name+`"`)
	require.NoError(t, err)
	_, err = root.Exec(t.Context(), `create database "`+name+`"`)
	require.NoError(t, err)
	_, err = root.Exec(t.Context(), `do $$ declare r text; begin
		for r in select rolname from pg_roles where rolname in ('app', 'wide', 'boss', 'wild') loop
			execute 'reassign owned by ' || r || ' to postgres; drop owned by ' || r;
		end loop; end $$`)
	require.NoError(t, err)
	admin, err := pgx.Connect(t.Context(), strings.Replace(dsn, "/postgres?", "/"+name+"?", 1))
	require.NoError(t, err)
	t.Cleanup(func() {
		// Roles belong to the cluster: what this database gave them goes with it.
		_ = admin.Close(context.Background())
		_, err := root.Exec(context.Background(), `drop database "`+name+`"`)
		require.NoError(t, err)
		_, err = root.Exec(context.Background(), `drop role if exists app, wide, boss, wild`)
		require.NoError(t, err)
		_ = root.Close(context.Background())
	})
	_, err = admin.Exec(t.Context(), `create role app login; revoke temporary on database "`+name+
		`" from public; revoke create on schema public from public;`+
		rls.Install()+rls.InstallKey("one", sealKey)+sql)
	require.NoError(t, err)
	return admin
}

// requireLeak runs a query as ua of site a and demands that it reaches a row.
func requireLeak(t *testing.T, admin *pgx.Conn, sql string) {
	t.Helper()
	config := admin.Config().Copy()
	config.User = "app"
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	defer conn.Close(t.Context()) //nolint:errcheck // a test's connection
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(t.Context()) //nolint:errcheck // a test's transaction
	_, err = tx.Exec(t.Context(), "select set_config('sallyport.scope', $1, true)",
		rls.Seal(sealKey, "site-a", "user-a", soon(), 0))
	require.NoError(t, err)
	if strings.HasPrefix(sql, "insert into s.t values ('site-a', 8, 'user-b')") {
		_, err = tx.Exec(t.Context(), sql)
		require.ErrorContains(t, err, "duplicate key", "the oracle answers")
		return
	}
	tag, err := tx.Exec(t.Context(), sql)
	require.NoError(t, err)
	if sql != "truncate s.t" {
		require.Positive(t, tag.RowsAffected(), "nothing leaked")
	}
}
