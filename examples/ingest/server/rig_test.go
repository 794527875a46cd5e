package server_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/argon2"

	"github.com/opsmantik/sallyport/examples/ingest/server"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/examples/ingest/telemetry"
)

// The site and secret of the captured traffic, and a second tenant.
const (
	siteA, secretA = "0123456789abcdef0123456789abcdef", "s3cr3t-s3cr3t-s3cr3t"
	siteB, secretB = "fedcba9876543210fedcba9876543210", "an0ther-s1te-s3cr3t!"
	originA        = "http://localhost:9102"
	originB        = "https://b.example"
	signingKey     = "sig_7kQ2mVx9Lr4TzW8bN3cY"
	totpSecret     = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	adminPassword  = "correct horse battery"
)

// adminHash costs as little as a hash may: there are many sign-ins here.
var adminHash = func() string {
	salt := []byte("salt-for-tests")
	key := argon2.IDKey([]byte(adminPassword), salt, 1, 19<<10, 1, 32)
	encode := base64.RawStdEncoding.EncodeToString
	return "$argon2id$v=19$m=19456,t=1,p=1$" + encode(salt) + "$" + encode(key)
}()

// configured is a complete production configuration on loopback.
func configured(t testing.TB) *settings.Settings {
	t.Helper()
	user := func(id, role, totp string, sites ...string) settings.User {
		return settings.User{
			ID: id, Email: id + "@example.test", PasswordHash: adminHash, TOTPSecret: totp, Role: role, Sites: sites,
		}
	}
	return &settings.Settings{
		ListenAddr: "127.0.0.1:0", DataDir: t.TempDir(),
		AllowedOrigins: []string{originA, originB},
		Sites: []settings.Site{
			{ID: siteA, Name: "A", Origins: []string{originA}, Secret: secretA, NextSecret: "n3xt-s3cr3t-n3xt-s3cr3t", RatePerMinute: 100_000, Owner: "admin"},
			{ID: siteB, Name: "B", Origins: []string{originB}, Secret: secretB, RatePerMinute: 100_000, Owner: "other"},
		},
		Users: []settings.User{
			user("admin", "admin", totpSecret, siteA), user("rep", "rep", "", siteA),
			user("manager", "manager", "", siteA), user("enrolled", "manager", totpSecret, siteA), user("other", "admin", totpSecret), // by owning site B
		},
		CurrentKey: signingKey, RatePerMinute: 100_000, FailMode: settings.FailClosed,
	}
}

// rig is a server that runs in this process.
type rig struct {
	t    testing.TB
	URL  string
	DB   string // its folder
	Logs *lockedBuffer
	srv  *server.Server
}

// run serves s until the test ends, and requires a clean stop.
func run(t testing.TB, s *settings.Settings, change ...func(*server.Config)) *rig {
	t.Helper()
	return runWith(t, s, sqlite.Full, change...)
}

func runWith(
	t testing.TB, s *settings.Settings, durability sqlite.Durability, change ...func(*server.Config),
) *rig {
	t.Helper()
	db, err := sqlite.Open(t.Context(), s.DataDir, durability)
	require.NoError(t, err)
	return runOn(t, s, db, db, change...)
}

// runOn serves from db, and closes it in the end.
func runOn(
	t testing.TB, s *settings.Settings, db store.Store, queue store.Queue, change ...func(*server.Config),
) *rig {
	t.Helper()
	logs := &lockedBuffer{}
	log, _, err := telemetry.NewLogger(logs, "")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	srv := newServerOn(t, s, log, db, queue, change...)
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		http.DefaultClient.CloseIdleConnections()
		require.NoError(t, <-done)
		require.NoError(t, db.Close())
	})
	return &rig{t: t, URL: srv.Addresses().API, DB: s.DataDir, Logs: logs, srv: srv}
}

// newServer is a server that does not run yet. Who runs it closes its store.
func newServer(
	t testing.TB, s *settings.Settings, log *slog.Logger, durability sqlite.Durability,
) (*sqlite.DB, *server.Server) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), s.DataDir, durability)
	require.NoError(t, err)
	return db, newServerOn(t, s, log, db, db)
}

func newServerOn(
	t testing.TB, s *settings.Settings, log *slog.Logger, db store.Store, queue store.Queue,
	change ...func(*server.Config),
) *server.Server {
	t.Helper()
	listeners, err := server.Listen(t.Context(), s)
	require.NoError(t, err)
	require.NoError(t, s.Complete(listeners.Bound()))
	cfg := server.Config{Settings: s, Listeners: listeners, Store: db, Queue: queue, Log: log}
	for _, change := range change {
		change(&cfg)
	}
	srv, err := server.New(t.Context(), cfg)
	require.NoError(t, err)
	return srv
}

// answer is a response, read.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

// Code is the code of a problem, or empty.
func (a answer) Code() string {
	var problem struct {
		Code string `json:"code"`
	}
	_ = json.Unmarshal([]byte(a.Body), &problem)
	return problem.Code
}

// do sends one request; headers are name, value, name, value. A sign-in is JSON.
func (r *rig) do(method, path, body string, headers ...string) answer {
	r.t.Helper()
	if body != "" && strings.HasPrefix(path, "/auth/") {
		headers = append([]string{"Content-Type", "application/json"}, headers...)
	}
	return r.doPlain(method, path, body, headers...)
}

// doPlain sends nothing but what it is told to.
func (r *rig) doPlain(method, path, body string, headers ...string) answer {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.URL+path, strings.NewReader(body))
	require.NoError(r.t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(r.t, err)
	text, err := io.ReadAll(res.Body)
	require.NoError(r.t, err)
	require.NoError(r.t, res.Body.Close())
	return answer{res.StatusCode, res.Header, string(text)}
}

// doHost asks for a host by name, as a page does whose name resolves to this
// machine.
func (r *rig) doHost(host, path string) answer {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.URL+path, nil)
	require.NoError(r.t, err)
	req.Host = host
	res, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(r.t, err)
	require.NoError(r.t, res.Body.Close())
	return answer{Status: res.StatusCode}
}

// sign returns the three headers of a call event.
func sign(site, secret, body string, at time.Time) []string {
	ts := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(ts + "." + body))
	return []string{"X-Ops-Site-Id", site, "X-Ops-Ts", ts, "X-Ops-Signature", hex.EncodeToString(mac.Sum(nil))}
}

// view is the body of one valid event.
func view(change ...string) string {
	body := `{"s":"` + siteA + `","u":"http://localhost:9102/p","sid":"e22b4136-1bf0-4fd4-a10d-0cbeb2a5d12f",` +
		`"sm":"2026-11-01","ec":"interaction","ea":"view","el":"","ev":null,"r":"","meta":{},"consent_scopes":["analytics"]}`
	return strings.NewReplacer(change...).Replace(body)
}

var labels atomic.Int64

// unique is an event that was never sent before.
func unique() string {
	return view(`"el":""`, fmt.Sprintf(`"el":"event-%d"`, labels.Add(1)))
}

func contains(text, part string) bool { return strings.Contains(text, part) }

// call is the body of one valid call event.
func call(eventID string) string {
	return `{"event_id":"` + eventID + `","site_id":"` + siteA + `","phone_number":"+905551112233","action":"phone"}`
}

// lockedBuffer collects log lines.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
