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
		cfg := g.Config(name.(string))
		cfg.MigrateURL = "" // it is migrated
		return open(t, cfg)
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
		"the store's suite":              suite,
		"data keys":                      dataKeys,
		"API keys": func(t *testing.T, g *postgrestest.Cluster) {
			empty := emptied(t, g)
			keytest.Run(t, func(t *testing.T) apikey.Store { return empty(t).APIKeys() })
		},
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, g) })
	}
}

// emptied opens databases that go from one test to the next: to open one costs more than
// what most tests do with it.
func emptied(t *testing.T, g *postgrestest.Cluster) func(*testing.T) *postgres.DB {
	t.Helper()
	type opened struct {
		db   *postgres.DB
		name string
	}
	free := make(chan opened, 100)
	return func(sub *testing.T) *postgres.DB {
		var o opened
		select {
		case o = <-free:
		default:
			o.name = g.Database(t)
			o.db = open(t, g.Config(o.name))
		}
		sub.Cleanup(func() {
			g.Clear(sub, o.name)
			free <- o
		})
		return o.db
	}
}

// suite runs directly where the test below does not, and in the soak.
func suite(t *testing.T, g *postgrestest.Cluster) {
	if !testing.Short() && !soak(false, true) {
		t.Skip("it runs behind a pooler")
	}
	storetest.Run(t, kept(g))
}

// The set-up behind Debian's pgbouncer, in transaction mode.
func TestStoreBehindPgBouncer(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it runs without a pooler")
	}
	storetest.Run(t, kept(postgrestest.StartPooled(t)))
}
