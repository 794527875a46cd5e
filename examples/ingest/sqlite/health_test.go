package sqlite_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
)

// A disk that is full is found by writing: a file that may not grow is one.
func TestReadyFindsAFullDisk(t *testing.T) {
	t.Parallel()
	db := open(t, t.TempDir(), sqlite.Full)
	require.NoError(t, db.Ready(t.Context()))
	require.NoError(t, db.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec(`CREATE TRIGGER full BEFORE UPDATE ON probe
			BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END`)
		return err
	}))
	require.Error(t, db.Ready(t.Context()))
}

// A damaged file is not served from, whether it is found at the start or later.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := sqlite.Open(t.Context(), dir, sqlite.Full)
	require.NoError(t, err)
	for range 50 {
		require.NoError(t, db.Enqueue(t.Context(), []event.Received{received("a"), received("b")}))
	}
	require.NoError(t, db.Close())
	path := filepath.Join(dir, "sallyport.db")
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	info, err := file.Stat()
	require.NoError(t, err)
	garbage := make([]byte, info.Size()/2)
	for i := range garbage {
		garbage[i] = 0xa5
	}
	_, err = file.WriteAt(garbage, info.Size()/2)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	_, err = sqlite.Open(t.Context(), dir, sqlite.Full)
	require.Error(t, err)
}
