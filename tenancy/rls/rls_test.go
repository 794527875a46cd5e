package rls_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/rls"
	"github.com/stretchr/testify/require"
)

// ask runs one query in a Read and returns its rows.
func ask(t testing.TB, db *rls.DB, s tenancy.Scope, sql string, args ...any) ([]string, error) {
	t.Helper()
	var rows []string
	b := &rls.Batch{}
	b.Query(queryRows(&rows), sql, args...)
	err := db.Read(context.Background(), s, b)
	return rows, err
}

func TestReadSeesItsSiteOnly(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	db := g.open(t)
	for _, row := range []struct {
		name, user, site, sql string
		want                  []string
	}{
		{"a", "ua", "a", "select note from calls order by 1", []string{"a1", "a2"}},
		{"b", "ub", "b", "select note from calls order by 1", []string{"b1", "b2"}},
		{"mixed in a", "mixed", "a", "select note from calls order by 1", []string{"a1", "a2"}},
		{"asked for the other", "ua", "a", "select note from calls where site_id = 'b'", nil},
		{"own rows", "ua", "a", "select owner_id from drafts", []string{"ua"}},
		{"by membership", "mixed", "a", "select site_id from group_calls order by 1", []string{"a", "b"}},
		{"by membership, one", "ua", "a", "select site_id from group_calls", []string{"a"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := ask(t, db, scope(t, row.user, row.site), row.sql)
			require.NoError(t, err)
			require.Equal(t, row.want, got)
		})
	}
}

func TestWritesStayInTheSite(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	db := g.open(t)
	s := scope(t, "ua", "a")
	exec := func(sql string) (int64, error) {
		var n int64
		err := db.Tx(t.Context(), s, func(tx rls.Tx) error {
			tag, err := tx.Exec(t.Context(), sql)
			n = tag.RowsAffected()
			return err
		})
		return n, err
	}
	n, err := exec("update calls set note = 'mine'")
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	n, err = exec("delete from calls where site_id = 'b'")
	require.NoError(t, err)
	require.EqualValues(t, 0, n)
	_, err = exec("insert into calls values ('b', 9, 'forged')")
	require.ErrorContains(t, err, "row-level security")
	_, err = exec("update calls set site_id = 'b' where id = 1")
	require.ErrorContains(t, err, "row-level security")
	_, err = exec("truncate calls")
	require.ErrorContains(t, err, "permission denied")
	var notes []string
	rows, err := g.admin.Query(t.Context(), "select note from app.calls order by site_id, id")
	require.NoError(t, err)
	notes, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{"mine", "mine", "b1", "b2"}, notes)
}

// TestNoScopeNoRows: the zero scope, an expired one and a zero DB reach nothing.
func TestNoScopeNoRows(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	db := g.open(t)
	for name, try := range map[string]func() error{
		"zero scope": func() error { return db.Read(t.Context(), tenancy.Scope{}, &rls.Batch{}) },
		"zero scope in a transaction": func() error {
			return db.Tx(t.Context(), tenancy.Scope{}, func(rls.Tx) error { panic("runs") })
		},
		"zero DB": func() error { return new(rls.DB).Read(t.Context(), scope(t, "ua", "a"), &rls.Batch{}) },
		"nil DB": func() error {
			var none *rls.DB
			return none.Tx(t.Context(), scope(t, "ua", "a"), func(rls.Tx) error { panic("runs") })
		},
	} {
		var refusal *sallyport.Refusal
		require.ErrorAs(t, try(), &refusal, name)
		require.Equal(t, rls.CodeScopeRefused, refusal.Code, name)
		require.Equal(t, 503, refusal.Status, name)
	}
	_, err := rls.Tx{}.Exec(t.Context(), "select 1")
	require.Error(t, err)
	require.Error(t, rls.Tx{}.QueryRow(t.Context(), "select 1").Scan())

	bare, err := pgx.Connect(t.Context(), g.login(""))
	require.NoError(t, err)
	defer bare.Close(t.Context()) //nolint:errcheck // a test's connection
	for range 2 {                 // fresh, and after a transaction has left '' behind
		rows, err := bare.Query(t.Context(), "select note from app.calls")
		require.NoError(t, err)
		notes, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.Empty(t, notes)
		_, err = bare.Exec(t.Context(), "begin; set local sallyport.scope = ''; commit")
		require.NoError(t, err)
	}
}

// TestInjectionStaysInTheSite: whoever gets SQL into a query can set what they like,
// and can seal nothing.
func TestInjectionStaysInTheSite(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	db := g.open(t)
	forged := fmt.Sprintf("v1.%s.%s.9999999999.0.%s", hex.EncodeToString([]byte("b")),
		hex.EncodeToString([]byte("ub")), hex.EncodeToString(bytes.Repeat([]byte{1}, 32)))
	set := "set_config('sallyport.scope', '" + forged + "', true)"
	for name, sql := range map[string]string{
		"union":   "select note from calls where note = 'x' union select " + set + " union all select note from calls",
		"cte":     "with s as materialized (select " + set + " as x) select note from s, calls where s.x <> ''",
		"lateral": "select c.note from (select " + set + ") s(x), lateral (select note from calls where s.x is not null) c",
		"xml":     "select query_to_xml('select ''" + forged + "'' from (select " + "set_config(''sallyport.scope'', ''" + forged + "'', true)) z', true, true, '')::text union all select query_to_xml('select note from calls', true, true, '')::text",
		"null":    "select note from calls, (select set_config('sallyport.scope', null, true)) x(y)",
	} {
		t.Run(name, func(t *testing.T) {
			rows, err := ask(t, db, scope(t, "ua", "a"), sql)
			if err != nil {
				require.True(t, rls.IsScopeRefused(err), "%v", err)
			}
			for _, row := range rows {
				require.NotContains(t, row, "b1")
				require.NotContains(t, row, "b2")
			}
		})
	}
}

// TestSealIsJudgedWhole: each part altered, and the right one as a control.
func TestSealIsJudgedWhole(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	good := rls.Seal(sealKey, "a", "ua", time.Now().Add(time.Minute), 0)
	conn, err := pgx.Connect(t.Context(), g.login(""))
	require.NoError(t, err)
	defer conn.Close(t.Context()) //nolint:errcheck // a test's connection
	try := func(sealed string) (string, error) {
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		defer tx.Rollback(t.Context()) //nolint:errcheck // a test's transaction
		_, err = tx.Exec(t.Context(), "select set_config('sallyport.scope', $1, true)", sealed)
		require.NoError(t, err)
		var site *string
		err = tx.QueryRow(t.Context(), "select sallyport.site()").Scan(&site)
		if err != nil || site == nil {
			return "", err
		}
		return *site, nil
	}
	site, err := try(good)
	require.NoError(t, err)
	require.Equal(t, "a", site)
	for i := range len(good) {
		altered := []byte(good)
		altered[i] ^= 1
		_, err := try(string(altered))
		require.True(t, rls.IsScopeRefused(err), "byte %d: %v", i, err)
		_, err = try(good[:i])
		require.True(t, i == 0 || rls.IsScopeRefused(err), "cut at %d: %v", i, err)
	}
	for name, sealed := range map[string]string{
		"expired":         rls.Seal(sealKey, "a", "ua", time.Now().Add(-2*time.Second), 0),
		"another process": rls.Seal(sealKey, "a", "ua", time.Now().Add(time.Minute), 1),
		"another key":     rls.Seal(bytes.Repeat([]byte{8}, 32), "a", "ua", time.Now().Add(time.Minute), 0),
		"twice":           good + "." + good,
		"upper case":      "V1" + good[2:],
	} {
		_, err := try(sealed)
		require.True(t, rls.IsScopeRefused(err), "%s: %v", name, err)
	}
}

// TestKeysRotate: the database accepts both keys while it has both.
func TestKeysRotate(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	next := bytes.Repeat([]byte{9}, 40)
	_, err := rls.Open(t.Context(), rls.Config{
		Pool: g.pool(t, ""), Key: next, SearchPath: []string{"app"},
	})
	require.ErrorContains(t, err, "does not accept")
	g.exec(t, rls.InstallKey("two", next))
	for _, key := range [][]byte{next, sealKey} {
		_, err := rls.Open(t.Context(), rls.Config{
			Pool: g.pool(t, ""), Key: key, SearchPath: []string{"app"},
		})
		require.NoError(t, err)
	}
	g.exec(t, "delete from sallyport.seal_key where name = 'one'")
	_, err = rls.Open(t.Context(), rls.Config{
		Pool: g.pool(t, ""), Key: sealKey, SearchPath: []string{"app"},
	})
	require.ErrorContains(t, err, "does not accept")
}

// TestTheKeyIsOutOfReach: the application's role cannot read what seals.
func TestTheKeyIsOutOfReach(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	db := g.open(t)
	for _, sql := range []string{
		"select * from sallyport.seal_key", "update sallyport.seal_key set name = 'x'",
		"copy sallyport.seal_key to stdout", "create table sallyport.x ()",
		"create or replace function sallyport.scope() returns text[] language sql as $$ select '{b,ub}' $$",
		"create temporary table calls (note text)", "set role owner_role",
	} {
		_, err := ask(t, db, scope(t, "ua", "a"), sql)
		require.Error(t, err, sql)
	}
}

func soon() time.Time { return time.Now().Add(time.Minute) }
