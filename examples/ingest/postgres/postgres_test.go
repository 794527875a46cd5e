//go:build unix

package postgres_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/postgres"
	"github.com/opsmantik/sallyport/examples/ingest/postgres/postgrestest"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/examples/ingest/store/storetest"
	"github.com/opsmantik/sallyport/tenancy/apikey"
	keytest "github.com/opsmantik/sallyport/tenancy/apikey/storetest"
)

func open(t testing.TB, cfg postgres.Config) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// kept opens the database that belongs to a folder.
func kept(g *postgrestest.Cluster) storetest.Open[store.Store] {
	var names sync.Map
	return func(t testing.TB, dir string) store.Store {
		t.Helper()
		name, known := names.Load(dir)
		if !known {
			name = g.Database(t)
			names.Store(dir, name)
		}
		return open(t, g.Config(name.(string)))
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	g := postgrestest.Start(t)
	storetest.Run(t, kept(g))
	t.Run("APIKeys", func(t *testing.T) {
		t.Parallel()
		keytest.Run(t, func(t *testing.T) apikey.Store { return open(t, g.Config(g.Database(t))).APIKeys() })
	})
}

// The set-up behind Debian's pgbouncer, in transaction mode.
func TestStoreBehindPgBouncer(t *testing.T) {
	t.Parallel()
	storetest.Run(t, kept(postgrestest.StartPooled(t)))
}
