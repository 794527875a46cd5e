//go:build unix

package postgres_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/postgres/postgrestest"
	"github.com/opsmantik/sallyport/tenancy/envelope"
	"github.com/opsmantik/sallyport/tenancy/envelope/storetest"
)

func dataKeys(t *testing.T, g *postgrestest.Cluster) {
	empty := emptied(t, g)
	storetest.Run(t, func(t *testing.T) envelope.Store { return empty(t).DataKeys() })
	t.Run("shredded keys are in no file", func(t *testing.T) { shredded(t, g) })
}

// What is shredded is in none of the database's own files. The write-ahead log of the
// cluster has it until it is recycled.
func shredded(t *testing.T, g *postgrestest.Cluster) {
	database := g.Copied(t)
	keys := open(t, g.Config(database)).DataKeys()
	for _, subject := range []string{"ann", "bob"} {
		require.NoError(t, keys.Add(t.Context(), envelope.Key{
			Owner: envelope.Owner{Site: site, Subject: subject}, Version: 1, Handle: "h-" + subject, KEK: "k",
			Wrapped: []byte(strings.Repeat("wrapped of "+subject+" ", 4)), Created: time.Now(),
		}))
	}
	conn := g.Super(t, database)
	defer func() { _ = conn.Close(context.Background()) }()
	var dir string
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT current_setting('data_directory') || '/base/' ||
		(SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&dir))
	holds := func(text string) (files int) {
		// A checkpoint writes what is in memory, and removes files that were replaced.
		g.Exec(t, database, `ANALYZE; CHECKPOINT`)
		list, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		for _, file := range list {
			data, err := os.ReadFile(file) // #nosec G304 -- the cluster's own
			if err == nil && bytes.Contains(data, []byte(text)) {
				files++
			}
		}
		return files
	}
	require.Equal(t, 1, holds("wrapped of ann"))
	old := g.Super(t, database) // somebody's open snapshot, which still sees everything
	defer func() { _ = old.Close(context.Background()) }()
	_, err := old.Exec(t.Context(), `BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM ingest.calls`)
	require.NoError(t, err)
	require.NoError(t, keys.Shred(t.Context(), envelope.Owner{Site: site, Subject: "ann"}))
	require.Zero(t, holds("wrapped of ann"))
	require.Zero(t, holds("h-ann"))
	require.Equal(t, 1, holds("wrapped of bob"), "the others are still there")
	left, err := keys.Load(t.Context(), envelope.Owner{Site: site, Subject: "bob"}, 0)
	require.NoError(t, err)
	require.Len(t, left, 1)
	// Should a policy hide rows from the owner, nothing may be written anew.
	g.Exec(t, database, `ALTER TABLE ingest.data_keys FORCE ROW LEVEL SECURITY`)
	require.Error(t, keys.Shred(t.Context(), envelope.Owner{Site: site, Subject: "bob"}))
	require.Equal(t, 1, holds("wrapped of bob"))
}
