package sqlite_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/storetest"
	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
)

// The log in SQLite keeps the contract that files and Postgres keep.
func TestAuditLog(t *testing.T) {
	t.Parallel()
	type opened struct {
		db  *sqlite.DB
		dir string
	}
	stores := map[audit.Store]opened{}
	start := func(t *testing.T, dir string) audit.Store {
		db, err := sqlite.Open(t.Context(), dir, sqlite.DangerouslyOff)
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		log := db.AuditLog()
		stores[log] = opened{db, dir}
		return log
	}
	storetest.Run(t, storetest.Harness{
		New: func(t *testing.T) audit.Store { return start(t, t.TempDir()) },
		Reopen: func(t *testing.T, s audit.Store) audit.Store {
			require.NoError(t, stores[s].db.Close())
			return start(t, stores[s].dir)
		},
	})
}
