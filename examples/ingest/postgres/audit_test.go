//go:build unix

package postgres_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/postgres"
	"github.com/opsmantik/sallyport/examples/ingest/postgres/postgrestest"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/examples/ingest/store/storetest"
)

const site, rivalSite = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"

func withCall(t *testing.T, db *postgres.DB, of, id string) {
	t.Helper()
	r := event.Received{ID: id, Site: of, At: fresh(1)[0].At, Call: &event.Call{EventID: "e" + id, Site: of}}
	r.Seal()
	stored, err := db.Store(t.Context(), []event.Received{r})
	require.NoError(t, err)
	require.Equal(t, 1, stored.New)
}

func tampering(t *testing.T, g *postgrestest.Cluster) {
	for name, change := range map[string]string{
		"edited": `UPDATE audit.log SET entry = convert_to(replace(convert_from(entry, 'UTF8'), 'admin', 'rival'),
			'UTF8') WHERE index = 1`,
		"deleted":           `DELETE FROM audit.log WHERE index = 1`,
		"truncated":         `DELETE FROM audit.log WHERE index = 2`,
		"filed elsewhere":   `UPDATE audit.log SET tenant = 'another' WHERE index = 1`,
		"status edited":     `UPDATE ingest.calls SET status = 'sealed'`,
		"status taken back": `UPDATE ingest.calls SET status = 'intent'`,
		"call deleted":      `DELETE FROM ingest.calls`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := g.Database(t)
			db := open(t, g.Config(database))
			withCall(t, db, site, "c1")
			for _, name := range []string{"seal", "undo", "junk"} {
				_, err := db.Act(t.Context(), storetest.Scope(t, "admin", site), store.Act{Name: name, Call: "c1"})
				require.NoError(t, err)
			}
			_, err := db.VerifyAudit(t.Context())
			require.NoError(t, err)
			g.Exec(t, database, `SET session_replication_role = replica; `+change)
			_, err = db.VerifyAudit(t.Context())
			require.ErrorIs(t, err, audit.ErrTampered)
		})
	}
}

func actionNeedsRecord(t *testing.T, g *postgrestest.Cluster) {
	database := g.Copied(t)
	db := open(t, g.Config(database))
	withCall(t, db, site, "c1")
	g.Exec(t, database, `REVOKE INSERT (entry) ON audit.pending FROM ingest_app`)
	scope := storetest.Scope(t, "admin", site)
	_, err := db.Act(t.Context(), scope, store.Act{Name: "seal", Call: "c1"})
	require.Error(t, err)
	rows, err := db.Calls(t.Context(), scope, 10)
	require.NoError(t, err)
	require.Equal(t, store.Intent, rows[0].Status)
}

func oneRivalSeals(t *testing.T, g *postgrestest.Cluster) {
	database := g.Database(t)
	dbs := []*postgres.DB{open(t, g.Config(database)), open(t, g.Config(database))}
	withCall(t, dbs[0], site, "c1")
	var all sync.WaitGroup
	results := make([]error, 40)
	for i := range results {
		all.Go(func() {
			_, results[i] = dbs[i%2].Act(t.Context(), storetest.Scope(t, "admin", site),
				store.Act{Name: "seal", Call: "c1"})
		})
	}
	all.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
			continue
		}
		require.ErrorIs(t, err, store.ErrCallState)
	}
	require.Equal(t, 1, won)
	head, err := dbs[1].VerifyAudit(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, head.Size())
}

// Random reads and actions of people of two sites, many at a time on few connections: no
// row of the other site comes back, and nothing of it changes.
func crossTenant(t *testing.T, g *postgrestest.Cluster) {
	database := g.Database(t)
	db := open(t, g.Config(database))
	sites := []string{site, rivalSite}
	for i, of := range sites {
		withCall(t, db, of, fmt.Sprint("c", i))
		batch := fresh(3)
		for j := range batch {
			batch[j].Site, batch[j].ID, batch[j].Visit = of, fmt.Sprint("e", i, j), fmt.Sprint("v", i)
		}
		_, err := db.Store(t.Context(), batch)
		require.NoError(t, err)
	}
	n := soak(1_000, 100_000)
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 3))
			for range n / 8 {
				me := random.IntN(2)
				if err := attempt(t.Context(), t, db, random.IntN(7), sites[me], me); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	conn := g.Super(t, database)
	defer func() { _ = conn.Close(context.Background()) }()
	var touched int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM ingest.calls
		WHERE status <> 'intent'`).Scan(&touched))
	require.Zero(t, touched)
	require.NoError(t, requireOwn(t.Context(), conn))
}

// attempt asks for a row of the other site, and reports one that comes back.
func attempt(ctx context.Context, t *testing.T, db *postgres.DB, kind int, of string, me int) error {
	scope, other := storetest.Scope(t, "u"+fmt.Sprint(me), of), fmt.Sprint(1-me)
	var got []string
	var err error
	switch kind {
	case 0:
		var rows []store.EventRow
		rows, err = db.Events(ctx, scope, 100)
		for _, r := range rows {
			got = append(got, r.ID)
		}
	case 1:
		var rows []store.CallRow
		rows, err = db.Calls(ctx, scope, 100)
		for _, r := range rows {
			got = append(got, r.ID)
		}
	case 2:
		var rows []store.VisitRow
		rows, err = db.Visits(ctx, scope, store.VisitPlace{}, 100)
		for _, r := range rows {
			got = append(got, r.ID)
		}
	case 3:
		var rows []store.EventRow
		rows, err = db.VisitEvents(ctx, scope, "v"+other, 100)
		for _, r := range rows {
			got = append(got, "x"+other+r.ID)
		}
	case 4:
		var rows []store.AuditRow
		rows, err = db.AuditOf(ctx, scope, 100)
		for range rows {
			got = append(got, "x"+other)
		}
	default:
		name := []string{"seal", "junk"}[kind%2]
		if _, err := db.Act(ctx, scope, store.Act{Name: name, Call: "c" + other}); err == nil {
			return fmt.Errorf("site %d does %s to a call of the other", me, name)
		}
		return nil
	}
	for _, id := range got {
		if id[1:2] == other {
			return fmt.Errorf("site %d sees %s (kind %d)", me, id, kind)
		}
	}
	return err
}

// requireOwn makes sure that there was something to see.
func requireOwn(ctx context.Context, conn *pgx.Conn) error {
	var n int
	err := conn.QueryRow(ctx, `SELECT count(*) FROM ingest.events`).Scan(&n)
	if err == nil && n != 6 {
		err = fmt.Errorf("%d events instead of 6", n)
	}
	return err
}
