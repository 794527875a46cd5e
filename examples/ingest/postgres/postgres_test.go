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

func TestPostgres(t *testing.T) {
	t.Parallel()
	g := postgrestest.Start(t)
	for name, test := range map[string]func(*testing.T, *postgrestest.Cluster){
		"many starts migrate once":       manyStarts,
		"what is refused at start":       openRefuses,
		"schema is isolated":             isolated,
		"every table has row security":   rowSecurity,
		"lost connections":               lostConnections,
		"out of connections":             outOfConnections,
		"a long lock":                    longLock,
		"connections are bounded":        boundedConnections,
		"rivals store an event once":     rivals,
		"open transactions are noticed":  openTransactions,
		"months come and go":             months,
		"tampering is found":             tampering,
		"an action needs its record":     actionNeedsRecord,
		"one of many rivals seals":       oneRivalSeals,
		"a person reaches no other site": crossTenant,
		"the store's suite":              func(t *testing.T, g *postgrestest.Cluster) { storetest.Run(t, kept(g)) },
		"data keys":                      dataKeys,
		"API keys": func(t *testing.T, g *postgrestest.Cluster) {
			keytest.Run(t, func(t *testing.T) apikey.Store { return open(t, g.Config(g.Database(t))).APIKeys() })
		},
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, g) })
	}
}

// The set-up behind Debian's pgbouncer, in transaction mode.
func TestStoreBehindPgBouncer(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the suite runs without a pooler")
	}
	storetest.Run(t, kept(postgrestest.StartPooled(t)))
}
