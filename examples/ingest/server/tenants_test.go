//go:build unix

package server_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/postgres"
	"github.com/opsmantik/sallyport/examples/ingest/postgres/postgrestest"
)

// canaryB is in everything that belongs to site B, and in no request.
const canaryB = "only-b-knows"

// scene is a server on Postgres on which both sites have something.
type scene struct {
	*rig
	handler http.Handler
	targets []string            // patterns, filled in with what is site B's
	headers map[string][]string // of each credential that is not site B's
	names   []string
	ofB     []string // the header of site B's own admin
}

// siteOfB prepares events, a call, a record and an API key of site B, and makes sure
// that B's own admin sees them.
func siteOfB(t *testing.T, r *rig, b string) (call, key string) {
	t.Helper()
	body := strings.NewReplacer(siteA, siteB, "+905551112233", canaryB).Replace(call33)
	require.Equal(t, 202, r.do(http.MethodPost, "/api/call-event/v2", body,
		sign(siteB, secretB, body, time.Now())...).Status)
	event := view(siteA, siteB, originA, originB, `"el":""`, `"el":"`+canaryB+`"`)
	require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", event, "Origin", originB).Status)
	own := &robin{t: t, rigs: []*rig{r}}
	got := r.do(http.MethodGet, "/api/sites/"+siteB+"/calls", "", "Cookie", b)
	require.Contains(t, got.Body, canaryB, "its own admin sees it")
	call = own.member(got, "calls", "id")
	require.Equal(t, 200, r.do(http.MethodPost, "/api/calls/"+call+"/seal", "", "Cookie", b).Status)
	made := r.people(http.MethodPost, "/api/sites/"+siteB+"/keys",
		`{"name":"`+canaryB+`","scopes":["calls:view"],"days":7}`, b).key(t)
	return call, made.ID
}

const call33 = `{"event_id":"33a11c86-2371-4af7-8580-e3f78f56d6a2","site_id":"` + siteA +
	`","phone_number":"+905551112233","action":"phone"}`

func newScene(t *testing.T) (*scene, *postgrestest.Cluster, string) {
	t.Helper()
	g := postgrestest.Start(t)
	database := g.Database(t)
	db, err := postgres.Open(t.Context(), g.Config(database))
	require.NoError(t, err)
	s := configured(t)
	s.RatePerMinute = 1_000_000
	r := runOn(t, s, db, nil)
	b := r.login("other", true)
	callB, keyB := siteOfB(t, r, b)
	admin := r.login("admin", true)
	machine := r.makeKey(admin, "calls:view", "events:view")
	sc := &scene{rig: r, handler: r.srv.Gated(), ofB: []string{"Cookie", b}, headers: map[string][]string{
		"nobody":             nil,
		"a made-up session":  {"Cookie", "__Host-Http-session=" + strings.Repeat("A", 44)},
		"a damaged session":  {"Cookie", admin[:len(admin)-1] + "_"},
		"admin, one factor":  {"Cookie", r.login("admin", false)},
		"admin":              {"Cookie", admin},
		"rep":                {"Cookie", r.login("rep", false)},
		"enrolled, password": {"Cookie", r.login("enrolled", false)},
		"API key":            {"Authorization", "Bearer " + machine.Key},
		"a made-up API key":  {"Authorization", "Bearer " + machine.Key[:len(machine.Key)-1] + "0"},
		"session and key":    {"Cookie", admin, "Authorization", "Bearer " + machine.Key},
	}}
	for name := range sc.headers {
		sc.names = append(sc.names, name)
	}
	fill := strings.NewReplacer("/calls/{id}", "/calls/"+callB, "{key_id}", keyB, "{visit_id}", "v",
		"{id}", "s")
	for _, pattern := range r.srv.Served() {
		_, path, _ := strings.Cut(pattern, " ")
		if strings.HasPrefix(path, "/api/") && !strings.Contains(path, "sync") && !strings.Contains(path, "v2") {
			sc.targets = append(sc.targets, fill.Replace(pattern))
		}
	}
	require.Greater(t, len(sc.targets), 10)
	return sc, g, database
}

// spellings are ways to name site B, in place of or beside one's own.
var spellings = []func(path string) string{
	func(p string) string { return strings.ReplaceAll(p, "{site_id}", siteA) }, // nothing but one's own
	func(p string) string { return strings.ReplaceAll(p, "{site_id}", siteB) },
	func(p string) string { return strings.ReplaceAll(p, "{site_id}", strings.ToUpper(siteB)) },
	func(p string) string {
		return strings.ReplaceAll(p, "{site_id}", siteB[:8]+"-"+siteB[8:12]+"-"+siteB[12:16]+"-"+siteB[16:20]+"-"+siteB[20:])
	},
	func(p string) string { return strings.ReplaceAll(p, "{site_id}", "%66"+siteB[1:]) },
	func(p string) string { return strings.ReplaceAll(p, "{site_id}", siteB) + "?site_id=" + siteA },
	func(p string) string { return strings.ReplaceAll(p, "{site_id}", siteA) + "?site_id=" + siteB },
	func(p string) string { return strings.ReplaceAll(p, "{site_id}", siteB) + "?site_id=" + siteB },
	func(p string) string {
		return strings.ReplaceAll(p, "{site_id}", siteA) + "?site_id=" + siteA + "&site_id=" + siteB
	},
	func(p string) string {
		return strings.ReplaceAll(p, "{site_id}", siteA+"%2f..%2f"+siteB)
	},
	func(p string) string { return strings.ReplaceAll(p, "{site_id}", siteB+"%00") },
}

// attempt asks once for what is site B's, and says what came of it if it is too much.
func (s *scene) attempt(random *rand.Rand) (leak string) {
	name := s.names[random.IntN(len(s.names))]
	method, path, _ := strings.Cut(s.targets[random.IntN(len(s.targets))], " ")
	target := spellings[random.IntN(len(spellings))](path)
	r := httptest.NewRequest(method, target, strings.NewReader(`{"name":"x","scopes":["calls:view"],"days":7}`))
	r.RemoteAddr = fmt.Sprintf("198.51.100.%d:4711", random.IntN(250)+1)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(s.headers[name]); i += 2 {
		r.Header.Set(s.headers[name][i], s.headers[name][i+1])
	}
	for _, header := range []string{"X-Site-Id", "X-Ops-Site-Id", "X-Tenant", "X-Original-Url"} {
		if random.IntN(4) == 0 {
			r.Header.Set(header, siteB)
		}
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	ownSite := strings.Contains(strings.Split(target, "?")[0], siteA) || strings.HasPrefix(path, "/api/audit") ||
		strings.HasPrefix(path, "/api/gdpr") && strings.HasSuffix(target, "?site_id="+siteA)
	switch {
	case strings.Contains(w.Body.String(), canaryB):
		return fmt.Sprintf("%s: %s %s shows what is B's", name, method, target)
	case w.Code < 300 && !ownSite:
		return fmt.Sprintf("%s: %s %s is answered %d", name, method, target, w.Code)
	case w.Code >= 500:
		return fmt.Sprintf("%s: %s %s is answered %d: %s", name, method, target, w.Code, w.Body)
	}
	return ""
}

// TestCrossTenantAttemptsOnPostgres tries every route that acts on a site, with every
// kind of credential that is not site B's, for what is site B's: 100,000 times with
// SALLYPORT_SOAK=1.
func TestCrossTenantAttemptsOnPostgres(t *testing.T) {
	t.Parallel()
	s, g, database := newScene(t)
	n := 2_000
	if os.Getenv("SALLYPORT_SOAK") == "1" {
		n = 100_000
	}
	conn := g.Super(t, database)
	defer func() { _ = conn.Close(context.Background()) }()
	ofB := func() (state string) {
		t.Helper()
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT concat_ws('|',
			(SELECT string_agg(c::text, ';' ORDER BY id) FROM ingest.calls c WHERE site_id = $1),
			(SELECT string_agg(e::text, ';' ORDER BY id) FROM ingest.events e WHERE site_id = $1),
			(SELECT count(*) FROM audit.log WHERE tenant = $1),
			(SELECT string_agg(id || coalesce(revoked_at::text, ''), ';' ORDER BY id)
				FROM ingest.api_keys WHERE name = $2))`, siteB, canaryB).Scan(&state))
		return state
	}
	before := ofB()
	require.Contains(t, before, canaryB)
	var all sync.WaitGroup
	var leaks atomic.Int64
	for worker := range 8 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 11)) // #nosec G404 -- to be repeated
			for range n / 8 {
				if leak := s.attempt(random); leak != "" && leaks.Add(1) < 10 {
					t.Error(leak)
				}
			}
		})
	}
	all.Wait()
	require.Equal(t, before, ofB(), "something of site B has changed")
	t.Logf("%d attempts, %d leaks", n, leaks.Load())

	// With the credential of B's own admin, the same attempts do find something.
	s.headers, s.names = map[string][]string{"B's own admin": s.ofB}, []string{"B's own admin"}
	random, seen := rand.New(rand.NewPCG(8, 11)), 0 // #nosec G404 -- to be repeated
	for range 500 {
		if strings.Contains(s.attempt(random), "shows what is B's") {
			seen++
		}
	}
	require.Positive(t, seen, "the attempts would not see a leak")
}
