package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/examples/ingest/store/storetest"
)

const site = "0123456789abcdef0123456789abcdef"

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func open(t testing.TB, dir string, durability sqlite.Durability) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), dir, durability)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func received(id string) event.Received {
	return event.Received{ID: id, Site: site, At: noon, Event: &event.Event{
		Site: site, URL: "https://shop.example/", Category: "system", Action: "heartbeat",
	}}
}

func openFull(t testing.TB, dir string) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), dir, sqlite.Full)
	require.NoError(t, err)
	return db
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t testing.TB, dir string) store.Store {
		return openFull(t, dir)
	})
	storetest.RunQueue(t, func(t testing.TB, dir string) store.Queue {
		return openFull(t, dir)
	})
}

func TestOpenRefusesAnUnknownDurability(t *testing.T) {
	t.Parallel()
	_, err := sqlite.Open(t.Context(), t.TempDir(), "")
	require.ErrorContains(t, err, "durability")
}

func TestWriteUndoesOnlyTheWorkThatFailed(t *testing.T) {
	t.Parallel()
	db := open(t, t.TempDir(), sqlite.Full)
	const workers = 200
	var wg sync.WaitGroup
	results := make([]error, workers)
	for i := range workers {
		wg.Go(func() {
			results[i] = db.Write(t.Context(), func(tx *sql.Tx) error {
				_, err := tx.Exec(`INSERT INTO totp_spent VALUES (?, ?)`, fmt.Sprint(i), i)
				if err == nil && i%2 == 1 {
					return errors.New("changed my mind")
				}
				return err
			})
		})
	}
	wg.Wait()
	for i, err := range results {
		require.Equal(t, i%2 == 1, err != nil, "worker %d: %v", i, err)
	}
	var kept, odd int
	err := db.Write(t.Context(), func(tx *sql.Tx) error {
		return tx.QueryRow(`SELECT count(*), total(step % 2) FROM totp_spent`).Scan(&kept, &odd)
	})
	require.NoError(t, err)
	require.Equal(t, workers/2, kept)
	require.Zero(t, odd)
}

func TestWriteNeverLeavesTheOutcomeUnknown(t *testing.T) {
	t.Parallel()
	db := open(t, t.TempDir(), sqlite.Full)
	ctx, cancel := context.WithCancel(t.Context())
	err := db.Write(ctx, func(tx *sql.Tx) error {
		cancel() // the client leaves while its work is under way
		_, err := tx.Exec(`INSERT INTO totp_spent VALUES ('u', 1)`)
		return err
	})
	require.NoError(t, err, "the work was stored, and says so")
	require.ErrorIs(t, db.Write(ctx, func(*sql.Tx) error { return nil }), context.Canceled)
}

// A caller that has left is not told that its work was stored, on the second
// try after somebody else's failure either.
func TestWriteSkipsCallersThatHaveLeft(t *testing.T) {
	t.Parallel()
	db := open(t, t.TempDir(), sqlite.Full)
	left, cancel := context.WithCancel(t.Context())
	busy, entered := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = db.Write(t.Context(), func(*sql.Tx) error { close(entered); <-busy; return nil })
	})
	<-entered
	results := make(chan error, 2)
	ran := false
	wg.Go(func() {
		results <- db.Write(t.Context(), func(*sql.Tx) error { return errors.New("fails") })
	})
	wg.Go(func() {
		results <- db.Write(left, func(*sql.Tx) error { ran = true; return nil })
	})
	cancel()
	close(busy)
	wg.Wait()
	require.Error(t, <-results)
	require.Error(t, <-results)
	require.False(t, ran)
}

func TestFullDurabilityReachesTheConnection(t *testing.T) {
	t.Parallel()
	db := open(t, t.TempDir(), sqlite.Full)
	var synchronous int
	var journal string
	err := db.Write(t.Context(), func(tx *sql.Tx) error {
		return errors.Join(tx.QueryRow(`PRAGMA synchronous`).Scan(&synchronous),
			tx.QueryRow(`PRAGMA journal_mode`).Scan(&journal))
	})
	require.NoError(t, err)
	require.Equal(t, 2, synchronous, "FULL: fsync of the log at every commit")
	require.Equal(t, "wal", journal)
}

func TestCloseFinishesWhatWasAccepted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := sqlite.Open(t.Context(), dir, sqlite.Full)
	require.NoError(t, err)
	const writers = 64
	var wg sync.WaitGroup
	acknowledged := make([]bool, writers)
	for i := range writers {
		wg.Go(func() {
			err := db.Enqueue(t.Context(), []event.Received{received(fmt.Sprint(i))})
			acknowledged[i] = err == nil
			if err != nil {
				require.ErrorIs(t, err, store.ErrClosed)
			}
		})
	}
	require.NoError(t, db.Close())
	wg.Wait()
	require.NoError(t, db.Close(), "closing twice is harmless")

	want := int64(0)
	for _, yes := range acknowledged {
		if yes {
			want++
		}
	}
	require.Equal(t, want, open(t, dir, sqlite.Full).Waiting())
}

func TestOneProcessPerFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := sqlite.Open(t.Context(), dir, sqlite.Full)
	require.NoError(t, err)
	_, err = sqlite.Open(t.Context(), dir, sqlite.Full)
	require.ErrorContains(t, err, "another process")
	require.NoError(t, db.Enqueue(t.Context(), []event.Received{received("a")}))
	require.NoError(t, db.Close())
	open(t, dir, sqlite.Full)
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755)) // #nosec G302 -- as an operator would make it
	db := open(t, dir, sqlite.Full)
	require.NoError(t, db.Enqueue(t.Context(), []event.Received{received("a")}))
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 3)
	for _, file := range files {
		info, err := file.Info()
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, file.Name())
	}
}

// BenchmarkEnqueue64 compares what 64 callers get with and without fsync.
func BenchmarkEnqueue64(b *testing.B) {
	for _, durability := range []sqlite.Durability{sqlite.Full, sqlite.DangerouslyOff} {
		b.Run(string(durability), func(b *testing.B) {
			db := open(b, b.TempDir(), durability)
			b.SetParallelism(32)
			var next sync.Mutex
			n := 0
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					next.Lock()
					n++
					id := fmt.Sprint(n)
					next.Unlock()
					if err := db.Enqueue(b.Context(), []event.Received{received(id)}); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
