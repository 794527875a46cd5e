package rlstest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/tenancy/rls"
	"github.com/opsmantik/sallyport/tenancy/rls/rlstest"
	"github.com/stretchr/testify/require"
)

var key = []byte("0123456789abcdef0123456789abcdef")

// recorder is a T that notes.
type recorder struct {
	testing.TB
	lines []string
}

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}
func (r *recorder) Fatalf(format string, args ...any) { r.Errorf(format, args...) }

func TestRequireIsolated(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), loopback.Postgres(t))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	text, err := rls.Policies(rls.Table{Schema: "public", Name: "calls", Site: "site_id"}, "app")
	require.NoError(t, err)
	exec := func(sql string) {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	check := func(plan rls.Plan) []string {
		plan.Key = key
		r := &recorder{TB: t}
		rlstest.RequireIsolated(r, conn, plan)
		return r.lines
	}
	require.Len(t, check(rls.Plan{}), 1, "no role")
	exec("create role app login;" + rls.Install() + rls.InstallKey("one", key))
	require.Contains(t, check(rls.Plan{Role: "app"})[0], "nothing to attack")
	exec("create table calls (site_id text, note text);" + text)
	require.Empty(t, check(rls.Plan{Role: "app"}))
	exec("create table countries (name text); grant select on countries to app")
	require.Contains(t, check(rls.Plan{Role: "app"})[0], "LEAK public.countries")
	public := map[string]string{"public.countries": "the same for everybody"}
	require.Empty(t, check(rls.Plan{Role: "app", Public: public}))
	exec("drop table countries")
	require.Contains(t, check(rls.Plan{Role: "app", Public: public})[0], "does not reach")
	exec("create policy no on calls as restrictive to app using (false)")
	require.Contains(t, check(rls.Plan{Role: "app"})[0], "UNVERIFIED")
}
