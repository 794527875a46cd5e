package fields_test

import (
	"database/sql"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/fields"
	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
)

// stored is every column of the database, and every member of what senders report.
func stored(t *testing.T) map[[2]string]bool {
	t.Helper()
	dir := t.TempDir()
	db, err := sqlite.Open(t.Context(), dir, sqlite.DangerouslyOff)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	raw, err := sql.Open("sqlite", filepath.Join(dir, "sallyport.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, raw.Close()) }()
	rows, err := raw.QueryContext(t.Context(), `SELECT m.name, p.name
		FROM sqlite_schema AS m, pragma_table_info(m.name) AS p
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	all := map[[2]string]bool{}
	for rows.Next() {
		var table, column string
		require.NoError(t, rows.Scan(&table, &column))
		all[[2]string{table, column}] = true
	}
	require.NoError(t, rows.Err())
	for name, of := range map[string]reflect.Type{
		"event": reflect.TypeFor[event.Event](), "call": reflect.TypeFor[event.Call](),
	} {
		for field := range of.Fields() {
			member, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if member != "" {
				all[[2]string{name, member}] = true
			}
		}
	}
	return all
}

// A column that is added without saying what it is, or what is said of one that is
// gone, fails here.
func TestEveryStoredFieldHasARow(t *testing.T) {
	t.Parallel()
	all := stored(t)
	require.Greater(t, len(all), 100)
	for each := range all {
		_, found := fields.Of(each[0], each[1])
		require.True(t, found, "say in package fields what %s.%s is", each[0], each[1])
	}
	seen := map[[2]string]bool{}
	for _, f := range fields.All {
		require.NotEqual(t, sallyport.Class(0), f.Class, f.Table)
		for _, said := range []string{f.Whose, f.Purpose, f.Retention} {
			require.NotEmpty(t, said, f.Table)
		}
		for column := range strings.FieldsSeq(f.Columns) {
			each := [2]string{f.Table, column}
			require.True(t, all[each], "there is no %s.%s", f.Table, column)
			require.False(t, seen[each], "%s.%s twice", f.Table, column)
			seen[each] = true
		}
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	require.NoError(t, fields.Write(&b, "s1"))
	require.Contains(t, b.String(), "of site s1")
	require.Contains(t, b.String(), "phone, fingerprint")
	require.Equal(t, len(fields.All), strings.Count(b.String(), "\n| ")-1)
}
