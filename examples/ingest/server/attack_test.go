package server_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/delivery"
	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/server"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/examples/ingest/telemetry"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/qstash"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/tools/gatetest"
)

const (
	attackedOrigin = "https://ingest.example.org"
	attackedWorker = "https://worker.example.org/api/sync/worker"
	attackedLimit  = 30
)

// TestEveryRouteHolds tries every attack of the kit on every route. What a route
// is excused from is named with its reason.
func TestEveryRouteHolds(t *testing.T) {
	t.Parallel()
	gatetest.Run(t, attacked(t, onFiles(t)))
}

// opener opens the store and, where there is one, the queue of a server that is attacked.
type opener func(testing.TB, *settings.Settings) (store.Store, store.Queue)

func attacked(t *testing.T, open opener) gatetest.Suite {
	t.Helper()
	var codes factors
	return gatetest.Suite{
		New: func(tb testing.TB, log io.Writer) http.Handler {
			tb.Helper()
			codes = -1
			return attackedServer(tb, log, open).Gated()
		},
		Listed: originB, Own: attackedOrigin,
		SignIn: [2]gatetest.SignIn{codes.signIn("admin"), codes.signIn("other")},
		SignOut: func(tb testing.TB, server http.Handler, user func(*http.Request)) {
			r := httptest.NewRequest(http.MethodPost, "/auth/logout", nil)
			user(r)
			w := httptest.NewRecorder()
			server.ServeHTTP(w, r)
			require.Less(tb, w.Code, 300, w.Body)
		},
		Code: func(_ int, _ http.Header, body []byte) string {
			if strings.Contains(string(body), `"status":"noop"`) {
				return "noop"
			}
			if page := inPage.FindSubmatch(body); page != nil {
				return string(page[1])
			}
			return (answer{Body: string(body)}).Code()
		},
		// The wire contract has words of its own, and two for several reasons.
		Codes: map[string][]string{
			"SIGNATURE_REQUIRED":          {"signature_missing", "signature_malformed"},
			"SIGNATURE_INVALID":           {"signature_invalid"},
			"SIGNATURE_TIMESTAMP_INVALID": {"signature_expired", "signature_not_yet_valid"},
			"QSTASH_SIGNATURE_MISSING":    {"signature_missing"},
			"QSTASH_SIGNATURE_INVALID": {
				"signature_malformed", "signature_invalid", "signature_expired",
				"signature_not_yet_valid", "body_digest_mismatch",
			},
			"noop": {"request_replayed"},
		},
		Served: served(t, open), Routes: attackedRoutes(t),
	}
}

// served asks a server for its own table, so that a new route is a finding.
func served(t *testing.T, open opener) []string {
	t.Helper()
	return attackedServer(t, io.Discard, open).Served()
}

func attackedRoutes(t *testing.T) []gatetest.Route {
	t.Helper()
	const unknown = "/api/calls/33a11c86-2371-4af7-8580-e3f78f56d6a2"
	notFound := []int{http.StatusNotFound}
	routes := []gatetest.Route{
		{
			Pattern: "POST /api/sync", Public: true, Browser: true, Limit: attackedLimit,
			Body: view(siteA, siteB), MaxBody: event.MaxSyncBody,
		},
		{
			Pattern: "POST /api/call-event/v2", Public: true, MaxBody: event.MaxCallBody,
			Body: call("33a11c86-2371-4af7-8580-e3f78f56d6a2"), Sign: signCall,
		},
		{
			Pattern: "POST /api/sync/worker", Public: true, MaxBody: delivery.MaxBody,
			Body: `{"events":[]}`, Sign: signDelivery(t),
		},
		{Pattern: "OPTIONS /api/sync", Public: true, Browser: true},
		{Pattern: "OPTIONS /api/call-event/v2", Public: true, Browser: true},
		{
			Pattern: "POST /auth/login", Public: true, MaxBody: maxAuthBody,
			Body: `{"email":"manager@example.test","password":"` + adminPassword + `"}`,
		},
		{
			Pattern: "POST /auth/totp", Body: `{"code":"000000"}`, MaxBody: maxAuthBody,
			Status: []int{http.StatusUnauthorized}, // not the code of now
		},
		{Pattern: "POST /auth/recovery"},
		{Pattern: "GET /auth/me"},
		{Pattern: "DELETE /auth/sessions"},
		{Pattern: "GET /auth/keys"},
		{Pattern: "POST /auth/key/new"},
		{
			Pattern: "POST /auth/keys", Body: `{"name":"","credential":{}}`, MaxBody: 16 << 10,
			Status: []int{http.StatusUnauthorized}, // no challenge is waiting
		},
		{Pattern: "DELETE /auth/keys/{id}", Request: "DELETE /auth/keys/x", Status: notFound},
		{Pattern: "POST /auth/key/options", Status: notFound}, // there is no key
		{
			Pattern: "POST /auth/key", Body: `{"credential":{}}`, MaxBody: 16 << 10,
			Status: []int{http.StatusUnauthorized},
		},
		{Pattern: "POST /auth/logout", Accept: gatetest.Accepted{
			"nobody":                         "who is not signed in is signed out already",
			"guessed credential":             "likewise",
			"planted cookie":                 "likewise",
			"cookie after the sign-out":      "likewise",
			"cookie from before the sign-in": "likewise",
			"doubled cookie":                 "it signs nobody in, and ends both",
		}},
		{Pattern: "GET /auth/sessions"},
		// Without the proof that only a browser with its key can make.
		{Pattern: "POST /auth/device", Status: []int{http.StatusBadRequest}},
		{Pattern: "POST /auth/device/refresh", Status: []int{http.StatusBadRequest}},
		{Pattern: "DELETE /auth/sessions/{id}", Request: "DELETE /auth/sessions/x", Status: notFound},
		{
			Pattern: "GET /api/audit", Request: "GET /api/audit?site_id=" + siteA,
			Other: "/api/audit?site_id=" + siteB,
		},
		{
			Pattern: "GET /api/audit/checkpoint", Request: "GET /api/audit/checkpoint?site_id=" + siteA,
			Other: "/api/audit/checkpoint?site_id=" + siteB,
		},
		{
			Pattern: "GET /api/gdpr/records", Request: "GET /api/gdpr/records?site_id=" + siteA,
			Other: "/api/gdpr/records?site_id=" + siteB,
		},
		{
			Pattern: "GET /api/audit/review", Request: "GET /api/audit/review?site_id=" + siteA,
			Other: "/api/audit/review?site_id=" + siteB,
		},
		{
			Pattern: "GET /api/audit/proof/{index}", Request: "GET /api/audit/proof/999999?site_id=" + siteA,
			Other: "/api/audit/proof/999999?site_id=" + siteB, Status: notFound,
		},
		// For superadmins alone.
		{Pattern: "GET /api/audit/log", Request: "GET /api/audit/log?site_id=" + siteA, Status: notFound},
		{
			Pattern: "GET /api/audit/tile/{path...}", Status: notFound,
			Request: "GET /api/audit/tile/entries/000.p/1?site_id=" + siteA,
		},
		{
			Pattern: "POST /api/audit/verify", Request: "POST /api/audit/verify?site_id=" + siteA,
			Other: "/api/audit/verify?site_id=" + siteB,
		},
		{
			Pattern: "GET /api/queue/dead", Request: "GET /api/queue/dead?site_id=" + siteA,
			Other: "/api/queue/dead?site_id=" + siteB,
		},
		{
			Pattern: "POST /api/queue/dead/replay", Request: "POST /api/queue/dead/replay?site_id=" + siteA,
			Other: "/api/queue/dead/replay?site_id=" + siteB,
		},
		{Pattern: "GET /metrics", Public: true, Status: notFound}, // local peers only
		{Pattern: "GET /healthz", Public: true},
		{Pattern: "GET /readyz", Public: true},
	}
	routes = append(routes, gatetest.Route{
		Pattern: "GET /api/sites/{site_id}/visits/{visit_id}",
		Request: "GET /api/sites/" + siteA + "/visits/x", Status: notFound,
	})
	routes = append(routes,
		gatetest.Route{
			Pattern: "GET /watchtower/alerts", Request: "GET /watchtower/alerts?site_id=" + siteA,
			Other: "/watchtower/alerts?site_id=" + siteB,
		},
		gatetest.Route{
			Pattern: "POST /watchtower/alerts", Request: "POST /watchtower/alerts?site_id=" + siteA,
			Other: "/watchtower/alerts?site_id=" + siteB, MaxBody: 4096, Status: notFound,
			Body: `{"alert":"none","action":"acknowledge","reason":"attack"}`,
		},
		gatetest.Route{
			Pattern: "GET /api/sites/{site_id}/keys", Request: "GET /api/sites/" + siteA + "/keys",
			Other: "/api/sites/" + siteB + "/keys",
		},
		gatetest.Route{
			Pattern: "POST /api/sites/{site_id}/keys", Request: "POST /api/sites/" + siteA + "/keys",
			Other: "/api/sites/" + siteB + "/keys", MaxBody: 4096,
			Body: `{"name":"attack","scopes":["calls:view"]}`,
		},
		gatetest.Route{
			Pattern: "POST /api/sites/{site_id}/keys/{key_id}/rotate",
			Request: "POST /api/sites/" + siteA + "/keys/x/rotate",
			Other:   "/api/sites/" + siteB + "/keys/x/rotate", MaxBody: 4096,
			Body: `{"overlap_hours":1}`, Status: notFound,
		},
		gatetest.Route{
			Pattern: "DELETE /api/sites/{site_id}/keys/{key_id}",
			Request: "DELETE /api/sites/" + siteA + "/keys/x",
			Other:   "/api/sites/" + siteB + "/keys/x", Status: notFound,
		},
	)
	for _, what := range []string{"calls", "events", "visits"} {
		routes = append(routes, gatetest.Route{
			Pattern: "GET /api/sites/{site_id}/" + what,
			Request: "GET /api/sites/" + siteA + "/" + what,
			Other:   "/api/sites/" + siteB + "/" + what,
		})
	}
	routes = append(routes, attackedPages()...)
	for _, what := range []string{"seal", "junk", "undo"} {
		routes = append(routes, gatetest.Route{
			Pattern: "POST /api/calls/{id}/" + what, Request: "POST " + unknown + "/" + what,
			Status: notFound,
		})
	}
	return routes
}

// maxAuthBody is what sign-in reads.
const maxAuthBody = 4096

func signCall(r *http.Request, body []byte, at time.Time) error {
	headers := sign(siteA, secretA, string(body), at)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return nil
}

func signDelivery(t *testing.T) func(*http.Request, []byte, time.Time) error {
	t.Helper()
	secret, err := hmacsig.NewSecret(hmacsig.SecretConfig{Value: signingKey, AllowShort: true})
	require.NoError(t, err)
	signer, err := qstash.NewSigner(qstash.SignerConfig{
		URL: attackedWorker, Secret: secret, MaxBodyBytes: 2 * delivery.MaxBody,
	})
	require.NoError(t, err)
	return func(r *http.Request, _ []byte, at time.Time) error { return signer.SignAt(r, at) }
}

// onFiles opens copies of a database that nothing was done in. To copy it takes a tenth
// of the time of making it, and there are hundreds of servers.
func onFiles(t *testing.T) opener {
	t.Helper()
	dir := t.TempDir()
	db, err := sqlite.Open(t.Context(), dir, sqlite.DangerouslyOff)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	return func(tb testing.TB, s *settings.Settings) (store.Store, store.Queue) {
		tb.Helper()
		require.NoError(tb, os.CopyFS(s.DataDir, os.DirFS(dir)))
		db, err := sqlite.Open(tb.Context(), s.DataDir, sqlite.DangerouslyOff) // nothing outlives its attack
		require.NoError(tb, err)
		return db, db
	}
}

// attackedServer does not run: the kit calls its handler.
func attackedServer(tb testing.TB, log io.Writer, open opener) *server.Server {
	tb.Helper()
	s := configured(tb)
	s.PublicOrigins, s.WorkerURL = []string{attackedOrigin}, attackedWorker
	s.RatePerMinute = attackedLimit
	logger, _, err := telemetry.NewLogger(log, "")
	require.NoError(tb, err)
	db, queue := open(tb, s)
	srv := newServerOn(tb, s, logger, db, queue)
	tb.Cleanup(func() {
		require.NoError(tb, srv.Stop())
		require.NoError(tb, db.Close())
	})
	return srv
}

// factors is the time step of the next code of a second factor, seen from now: a
// code counts once, and that of the step before counts still.
type factors int

// signIn signs a user in with both factors.
func (f *factors) signIn(user string) gatetest.SignIn {
	return func(tb testing.TB, server http.Handler) func(*http.Request) {
		tb.Helper()
		post := func(path, body string, cookies []*http.Cookie) *http.Response {
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			for _, c := range cookies {
				r.AddCookie(c)
			}
			w := httptest.NewRecorder()
			server.ServeHTTP(w, r)
			return w.Result()
		}
		first := post("/auth/login",
			`{"email":"`+user+`@example.test","password":"`+adminPassword+`"}`, nil)
		require.Equal(tb, http.StatusOK, first.StatusCode)
		step := time.Duration(*f) * 30 * time.Second
		*f++
		for range 2 { // the step may end between the code and its use
			code, err := totp.GenerateCode(totpSecret, time.Now().Add(step))
			require.NoError(tb, err)
			got := post("/auth/totp", `{"code":"`+code+`"}`, first.Cookies())
			if got.StatusCode == http.StatusOK {
				return func(r *http.Request) {
					for _, c := range got.Cookies() {
						if c.Name == sessions.DefaultCookie { // and not that of the device
							r.AddCookie(c)
						}
					}
				}
			}
		}
		tb.Fatal("no code is accepted")
		return nil
	}
}
