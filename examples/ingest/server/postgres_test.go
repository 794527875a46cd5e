//go:build unix

package server_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/postgres"
	"github.com/opsmantik/sallyport/examples/ingest/postgres/postgrestest"
	"github.com/opsmantik/sallyport/examples/ingest/servicetest"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tools/gatetest"
)

// scaledOut runs n instances on one Postgres and one Redis.
func scaledOut(t *testing.T, n int, cfg postgres.Config) *robin {
	t.Helper()
	redis := "redis://" + servicetest.StartRedis(t).Addr
	b := &robin{t: t}
	for range n {
		s := configured(t)
		s.RedisURL = redis
		db, err := postgres.Open(t.Context(), cfg)
		require.NoError(t, err)
		b.rigs = append(b.rigs, runOn(t, s, db, nil))
	}
	return b
}

// robin asks one instance after the other.
type robin struct {
	t    *testing.T
	rigs []*rig
	next int
}

func (b *robin) do(method, path, body string, headers ...string) answer {
	b.t.Helper()
	return retried(b.t, func() answer {
		b.next++
		return b.rigs[b.next%len(b.rigs)].do(method, path, body, headers...)
	})
}

// member picks the first row's member of a list in an answer.
func (b *robin) member(got answer, list, name string) string {
	b.t.Helper()
	require.Equal(b.t, 200, got.Status, got.Body)
	var all map[string][]map[string]any
	require.NoError(b.t, json.Unmarshal([]byte(got.Body), &all))
	require.NotEmpty(b.t, all[list], got.Body)
	value, _ := all[list][0][name].(string)
	return value
}

// Each request of a person's work goes to another instance than the one before.
func TestInstancesNeedNoStickyBalancer(t *testing.T) {
	t.Parallel()
	g := postgrestest.Start(t)
	b := scaledOut(t, 3, g.Config(g.Database(t)))

	body := call("33a11c86-2371-4af7-8580-e3f78f56d6a2")
	got := b.do(http.MethodPost, "/api/call-event/v2", body, sign(siteA, secretA, body, time.Now())...)
	require.Equal(t, 202, got.Status, got.Body)
	require.Equal(t, 202, b.do(http.MethodPost, "/api/sync", view(), "Origin", originA).Status)
	require.Equal(t, 202, b.do(http.MethodPost, "/api/sync", view(), "Origin", originA).Status, "a repeat")

	got = b.do(http.MethodPost, "/auth/login", `{"email":"admin@example.test","password":"`+adminPassword+`"}`)
	require.Equal(t, 200, got.Status, got.Body)
	cookie := got.cookie(t)
	calls := "/api/sites/" + siteA + "/calls"
	require.Equal(t, 401, b.do(http.MethodGet, calls, "", "Cookie", cookie).Status, "one factor")
	code, err := totp.GenerateCode(totpSecret, time.Now())
	require.NoError(t, err)
	got = b.do(http.MethodPost, "/auth/totp", `{"code":"`+code+`"}`, "Cookie", cookie)
	require.Equal(t, 200, got.Status, got.Body)
	first, cookie := cookie, got.cookie(t)
	for range b.rigs {
		got = b.do(http.MethodPost, "/auth/totp", `{"code":"`+code+`"}`, "Cookie", first)
		require.Equal(t, 401, got.Status, "a code counts once, and so does a session before its step up")
	}

	id := b.member(b.do(http.MethodGet, calls, "", "Cookie", cookie), "calls", "id")
	require.Equal(t, 200, b.do(http.MethodPost, "/api/calls/"+id+"/seal", "", "Cookie", cookie).Status)
	require.Equal(t, 409, b.do(http.MethodPost, "/api/calls/"+id+"/seal", "", "Cookie", cookie).Status)
	require.Equal(t, "sealed",
		b.member(b.do(http.MethodGet, calls, "", "Cookie", cookie), "calls", "status"))
	got = b.do(http.MethodGet, "/api/sites/"+siteA+"/events", "", "Cookie", cookie)
	require.Equal(t, 1, strings.Count(got.Body, `"category"`), got.Body)
	require.Eventually(t, func() bool { // another instance may be ordering the log just now
		got = b.do(http.MethodGet, "/api/audit?site_id="+siteA, "", "Cookie", cookie)
		return strings.Contains(got.Body, "calls.seal")
	}, 10*time.Second, 20*time.Millisecond)
	got = b.do(http.MethodPost, "/api/audit/verify?site_id="+siteA, "", "Cookie", cookie)
	require.Contains(t, got.Body, `"ok":true`)

	require.Equal(t, 200, b.do(http.MethodPost, "/auth/logout", "{}", "Cookie", cookie).Status)
	for range b.rigs {
		require.Equal(t, 401, b.do(http.MethodGet, calls, "", "Cookie", cookie).Status)
	}
}

// An event id stands for one call at all instances.
func TestInstancesRefuseAnotherCallUnderOneEventID(t *testing.T) {
	t.Parallel()
	g := postgrestest.Start(t)
	b := scaledOut(t, 2, g.Config(g.Database(t)))
	send := func(phone string) answer {
		body := strings.Replace(call("33a11c86-2371-4af7-8580-e3f78f56d6a2"), "+905551112233", phone, 1)
		return b.do(http.MethodPost, "/api/call-event/v2", body, sign(siteA, secretA, body, time.Now())...)
	}
	require.Equal(t, 202, send("+905551112233").Status)
	got := send("+905551112234")
	require.Equal(t, 409, got.Status, got.Body)
	require.Equal(t, "event_id_conflict", got.Code())
}

// Readiness tells of a transaction that stays open, and of a database that is gone.
func TestReadinessOnPostgres(t *testing.T) {
	t.Parallel()
	g := postgrestest.Start(t)
	b := scaledOut(t, 1, g.Config(g.Database(t)))
	got := b.rigs[0].do(http.MethodGet, "/readyz", "")
	require.Equal(t, 200, got.Status, got.Body)
	require.Contains(t, got.Body, `"oldest_transaction_seconds":0`)
	require.Contains(t, b.rigs[0].do(http.MethodGet, "/metrics", "").Body,
		"sallyport_database_oldest_transaction_seconds")
	require.Equal(t, 404, b.rigs[0].do(http.MethodGet, "/api/queue/dead?site_id="+siteA, "").Status,
		"there is no queue")
	g.Server.Kill()
	require.Eventually(t, func() bool {
		return b.rigs[0].do(http.MethodGet, "/readyz", "").Status == 503
	}, 10*time.Second, 50*time.Millisecond)
	got = b.rigs[0].do(http.MethodPost, "/api/sync", unique(), "Origin", originA)
	require.Equal(t, 503, got.Status, got.Body)
	require.NotEmpty(t, got.Header.Get("Retry-After"))
	g.Server.Restart()
	require.Equal(t, 202, b.do(http.MethodPost, "/api/sync", unique(), "Origin", originA).Status)
}

// Every attack of the kit on every route that there is without a queue.
func TestEveryRouteHoldsOnPostgres(t *testing.T) {
	t.Parallel()
	if os.Getenv("SALLYPORT_SOAK") != "1" {
		t.Skip("hundreds of servers, each on a database of its own; the gates are the same on files")
	}
	g := postgrestest.Start(t)
	suite := attacked(t, func(tb testing.TB, _ *settings.Settings) (store.Store, store.Queue) {
		tb.Helper()
		db, err := postgres.Open(tb.Context(), g.Config(g.Database(tb)))
		require.NoError(tb, err)
		return db, nil
	})
	suite.Routes = slices.DeleteFunc(suite.Routes, func(r gatetest.Route) bool {
		return strings.Contains(r.Pattern, "/api/queue/dead")
	})
	gatetest.Run(t, suite)
}

// Each site's admin against the other site, on Postgres.
func TestSitesDoNotMeetOnPostgres(t *testing.T) {
	t.Parallel()
	if os.Getenv("SALLYPORT_SOAK") != "1" {
		t.Skip("many servers, each on a database of its own; TestCrossTenantAttemptsOnPostgres needs one")
	}
	g := postgrestest.Start(t)
	open := func(tb testing.TB, s *settings.Settings) (store.Store, store.Queue) {
		tb.Helper()
		s.RatePerMinute = 1_000_000
		db, err := postgres.Open(tb.Context(), g.Config(g.Database(tb)))
		require.NoError(tb, err)
		furnish(tb, db)
		return db, nil
	}
	routes := slices.DeleteFunc(siteRoutes(), func(r gatetest.Route) bool {
		// Two answers of these differ in any case, by a time and by the root of the log.
		return r.Pattern == "POST /api/sites/{site}/keys" || r.Pattern == "POST /api/audit/verify"
	})
	require.Empty(t, ofTenants(gatetest.Check(t, isolated(open, routes...))))
}
