package server_test

import (
	"context"
	"database/sql"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tools/gatetest"
)

// What each site owns, in a database that every attack gets a copy of.
const (
	callOfA, callOfB   = "7a11c86a-2371-4af7-8580-e3f78f56d6a1", "4c92d0bf-90ae-4f0e-8b1d-5a7c2f1e6db2"
	visitOfA, visitOfB = "1f2504e0-4f89-41d3-9a0c-0305e82c33a1", "6b2d3c1a-0f5e-4d7b-8c6a-1122334455b2"
	canaryOfA          = "only-a-knows"
	canaryOfB          = "only-b-knows-it"
)

// furnish gives each site a call and a visit.
func furnish(tb testing.TB, db store.Store) {
	tb.Helper()
	at := time.Now().Add(-time.Minute).UTC()
	for _, own := range []struct{ site, call, visit, canary string }{
		{siteA, callOfA, visitOfA, canaryOfA}, {siteB, callOfB, visitOfB, canaryOfB},
	} {
		page := event.Received{
			ID: "event-of-" + own.visit, Site: own.site, At: at, Visit: own.visit,
			Event: &event.Event{
				Site: own.site, Session: own.visit, URL: "https://shop.example/" + own.canary,
				Category: "interaction", Action: "view",
			},
		}
		page.Complete()
		phone := event.Received{ID: own.call, Site: own.site, At: at, Call: &event.Call{
			EventID: own.call, Site: own.site, Phone: own.canary, Action: "phone",
		}}
		phone.Seal()
		_, err := db.Store(tb.Context(), []event.Received{page, phone})
		require.NoError(tb, err)
	}
}

// furnished opens copies of a database in which both sites have a call and a visit.
func furnished(t *testing.T) opener {
	t.Helper()
	dir := t.TempDir()
	db, err := sqlite.Open(t.Context(), dir, sqlite.DangerouslyOff)
	require.NoError(t, err)
	furnish(t, db)
	require.NoError(t, db.Close())
	return func(tb testing.TB, s *settings.Settings) (store.Store, store.Queue) {
		tb.Helper()
		s.RatePerMinute = 1_000_000
		require.NoError(tb, os.CopyFS(s.DataDir, os.DirFS(dir)))
		db, err := sqlite.Open(tb.Context(), s.DataDir, sqlite.DangerouslyOff)
		require.NoError(tb, err)
		return db, db
	}
}

// isolated is the suite of two sites' admins, each with what the other owns.
func isolated(open opener, routes ...gatetest.Route) gatetest.Suite {
	var codes factors
	suite := gatetest.Suite{
		New: func(tb testing.TB, log io.Writer) http.Handler {
			tb.Helper()
			codes = -1
			return attackedServer(tb, log, open).Gated()
		},
		Own: attackedOrigin, Routes: routes,
		Tenants: func(testing.TB, http.Handler) []gatetest.Tenant {
			return []gatetest.Tenant{
				{
					Name: "A", Users: []gatetest.SignIn{codes.signIn("admin")}, Canaries: []string{canaryOfA},
					IDs: map[string][]string{"site": {siteA}, "call": {callOfA}, "visit": {visitOfA}},
				},
				{
					Name: "B", Users: []gatetest.SignIn{codes.signIn("other")}, Canaries: []string{canaryOfB},
					IDs: map[string][]string{"site": {siteB}, "call": {callOfB}, "visit": {visitOfB}},
				},
			}
		},
	}
	for _, r := range routes {
		suite.Served = append(suite.Served, r.Pattern)
	}
	return suite
}

var (
	listOfCalls  = gatetest.Route{Pattern: "GET /api/sites/{site}/calls"}
	listOfEvents = gatetest.Route{Pattern: "GET /api/sites/{site}/events"}
	listOfVisits = gatetest.Route{Pattern: "GET /api/sites/{site}/visits"}
	aVisit       = gatetest.Route{Pattern: "GET /api/sites/{site}/visits/{visit}"}
	aSeal        = gatetest.Route{Pattern: "POST /api/calls/{call}/seal"}
)

// tenants are the attacks of the kit that need two tenants.
var tenants = []string{
	"data of another tenant", "rows of another tenant changed", "id of another tenant is told from none",
	"id of another tenant is told by time", "request of each tenant", "limit before isolation",
}

// ofTenants are the findings of those attacks: the others are TestEveryRouteHolds'.
func ofTenants(found []gatetest.Finding) []gatetest.Finding {
	return slices.DeleteFunc(found, func(f gatetest.Finding) bool { return !slices.Contains(tenants, f.Attack) })
}

// siteRoutes are those that name a site, whatever the store.
func siteRoutes() []gatetest.Route {
	return []gatetest.Route{
		listOfCalls, aVisit, aSeal, listOfEvents, listOfVisits,
		{Pattern: "POST /api/calls/{call}/junk"},
		{Pattern: "GET /api/audit", Request: "GET /api/audit?site_id={site}"},
		{Pattern: "POST /api/audit/verify", Request: "POST /api/audit/verify?site_id={site}"},
		{Pattern: "GET /api/sites/{site}/keys"},
		{Pattern: "POST /api/sites/{site}/keys", Body: `{"name":"x","scopes":["calls:view"]}`},
	}
}

// TestSitesDoNotMeet plays each site's admin against the other site: every id in every
// place, method and spelling. With SALLYPORT_SOAK=1 on every route that names a site.
func TestSitesDoNotMeet(t *testing.T) {
	t.Parallel()
	routes := []gatetest.Route{listOfCalls, aVisit, aSeal}
	if os.Getenv("SALLYPORT_SOAK") == "1" {
		routes = append(siteRoutes(),
			gatetest.Route{Pattern: "GET /api/queue/dead", Request: "GET /api/queue/dead?site_id={site}"},
			gatetest.Route{Pattern: "POST /api/queue/dead/replay", Request: "POST /api/queue/dead/replay?site_id={site}"},
		)
	}
	require.Empty(t, ofTenants(gatetest.Check(t, isolated(furnished(t), routes...))))
}

// kept is the store that is not forgetful. It has a method Store, so that it cannot be
// embedded under its own name.
type kept = store.Store

// forgetful is a store with one mistake: what a query looks like that has forgotten its
// site.
type forgetful struct {
	kept
	file    *sql.DB
	mistake string
}

func (f forgetful) rows(ctx context.Context, query string, scan func(*sql.Rows) error) error {
	rows, err := f.file.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (f forgetful) Calls(ctx context.Context, scope tenancy.Scope, limit int) ([]store.CallRow, error) {
	if f.mistake != "all calls" {
		return f.kept.Calls(ctx, scope, limit)
	}
	var list []store.CallRow
	return list, f.rows(ctx, `SELECT id, phone FROM calls`, func(rows *sql.Rows) error {
		list = append(list, store.CallRow{})
		return rows.Scan(&list[len(list)-1].ID, &list[len(list)-1].Phone)
	})
}

func (f forgetful) events(ctx context.Context, where string) (list []store.EventRow, err error) {
	err = f.rows(ctx, `SELECT id, url FROM events WHERE `+where, func(rows *sql.Rows) error {
		list = append(list, store.EventRow{})
		return rows.Scan(&list[len(list)-1].ID, &list[len(list)-1].URL)
	})
	return list, err
}

func (f forgetful) Events(ctx context.Context, scope tenancy.Scope, limit int) ([]store.EventRow, error) {
	if f.mistake != "all events" {
		return f.kept.Events(ctx, scope, limit)
	}
	return f.events(ctx, "true")
}

func (f forgetful) VisitEvents(
	ctx context.Context, scope tenancy.Scope, visit string, limit int,
) ([]store.EventRow, error) {
	if f.mistake != "a visit by its id alone" || !slices.Contains([]string{visitOfA, visitOfB}, visit) {
		return f.kept.VisitEvents(ctx, scope, visit, limit)
	}
	return f.events(ctx, "visit = '"+visit+"'")
}

func (f forgetful) Visits(
	ctx context.Context, scope tenancy.Scope, after store.VisitPlace, limit int,
) ([]store.VisitRow, error) {
	if f.mistake != "all visits" {
		return f.kept.Visits(ctx, scope, after, limit)
	}
	var list []store.VisitRow
	return list, f.rows(ctx, `SELECT id FROM visits`, func(rows *sql.Rows) error {
		list = append(list, store.VisitRow{FirstAt: time.Now(), LastAt: time.Now()})
		return rows.Scan(&list[len(list)-1].ID)
	})
}

// CallSite says that B's calls are A's, as a route may think that takes no site.
func (f forgetful) CallSite(ctx context.Context, id string) (string, error) {
	site, err := f.kept.CallSite(ctx, id)
	switch {
	case site == siteB && strings.HasPrefix(f.mistake, "act: "):
		site = siteA
	case site == siteB && f.mistake == "works before it knows":
		<-time.After(5 * time.Millisecond)
	}
	return site, err
}

func (f forgetful) Act(ctx context.Context, scope tenancy.Scope, act store.Act) (string, error) {
	foreign := act.Call == callOfB && scope.Site() == siteA
	switch {
	case foreign && f.mistake == "act: by the id alone":
		_, err := f.file.ExecContext(ctx, `UPDATE calls SET status = 'sealed' WHERE id = ?`, act.Call)
		return store.Sealed, err
	case foreign && f.mistake == "act: says that it is there":
		return "", store.ErrCallState
	}
	return f.kept.Act(ctx, scope, act)
}

// TestForgottenSitesAreFound breaks the server's store in one place at a time: in each
// with SALLYPORT_SOAK=1, in two otherwise.
func TestForgottenSitesAreFound(t *testing.T) {
	t.Parallel()
	open := furnished(t)
	type mutant struct {
		mistake, attack string
		routes          []gatetest.Route
	}
	rows := []mutant{
		{"all calls", tenants[0], []gatetest.Route{listOfCalls}},
		{"all events", tenants[0], []gatetest.Route{listOfEvents}},
		{"all visits", tenants[0], []gatetest.Route{listOfVisits}},
		{"a visit by its id alone", tenants[0], []gatetest.Route{aVisit}},
		{"act: by the id alone", tenants[1], []gatetest.Route{aSeal, listOfCalls}},
		{"act: says that it is there", tenants[2], []gatetest.Route{aSeal}},
		{"works before it knows", tenants[3], []gatetest.Route{aSeal}},
	}
	if os.Getenv("SALLYPORT_SOAK") != "1" {
		rows = slices.DeleteFunc(rows, func(row mutant) bool {
			return row.mistake != "all calls" && row.mistake != "act: by the id alone"
		})
	}
	for _, row := range rows {
		t.Run(row.mistake, func(t *testing.T) {
			t.Parallel()
			broken := func(tb testing.TB, s *settings.Settings) (store.Store, store.Queue) {
				tb.Helper()
				db, queue := open(tb, s)
				file, err := sql.Open("sqlite", filepath.Join(s.DataDir, sqlite.File))
				require.NoError(tb, err)
				tb.Cleanup(func() { require.NoError(tb, file.Close()) })
				return forgetful{db, file, row.mistake}, queue
			}
			found := ofTenants(gatetest.Check(t, isolated(broken, row.routes...)))
			require.True(t, slices.ContainsFunc(found, func(f gatetest.Finding) bool {
				return f.Attack == row.attack
			}), "not found: %v", found)
		})
	}
}
