package account_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/ingest/account"
	"github.com/opsmantik/sallyport/examples/ingest/account/keytest"
	"github.com/opsmantik/sallyport/examples/ingest/password"
	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
	"github.com/opsmantik/sallyport/ratelimit/loginguard"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/sessions/devicebound"
)

const origin = "https://ingest.example.org"

// rig is the handlers of the package, with sessions of any level for the asking.
type rig struct {
	t       *testing.T
	handler http.Handler
	keys    store.SecurityKeys

	mu      sync.Mutex
	broken  string   // what does not work: a method of the store, or Record
	records []string // "action outcome"
	events  []string // codes
}

// keysAfter is on the clock of the tests, which begins in the year 2000.
var keysAfter = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)

// run runs a test on its own clock.
func run(t *testing.T, test func(*testing.T, *rig)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(t, newRig(t, origin)) })
}

func newRig(t *testing.T, origins ...string) *rig {
	t.Helper()
	db, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.DangerouslyOff)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	memory, err := sessions.NewMemory(sessions.MemoryConfig{})
	require.NoError(t, err)
	signedIn, err := sessions.New[account.Data](sessions.Config{Store: memory})
	require.NoError(t, err)
	device, err := devicebound.New(devicebound.Config[account.Data]{
		Sessions:     signedIn,
		Binding:      func(d *account.Data) *devicebound.Binding { return &d.Device },
		RegisterPath: "/register", RefreshPath: "/refresh",
	})
	require.NoError(t, err)
	guard, err := loginguard.New(loginguard.Config{})
	require.NoError(t, err)
	r := &rig{t: t, keys: db}
	hash, err := password.Parse("$argon2id$v=19$m=19456,t=2,p=1$c2FsdC1mb3ItdGVzdHM$" +
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	require.NoError(t, err)
	users := map[string]account.User{}
	for _, id := range []string{"u", "v"} {
		email := id + "@example.test"
		users[email] = account.User{
			ID: id, Email: email, Hash: hash, TOTPSecret: "JBSWY3DPEHPK3PXP", KeysAfter: keysAfter,
		}
	}
	users["plain@example.test"] = account.User{
		ID: "plain", Email: "plain@example.test", Hash: hash, Role: "rep", Needs: sallyport.AAL1,
		Sites: []account.Site{{ID: "s", Name: "Shop"}},
	}
	users["root@example.test"] = account.User{
		ID: "root", Email: "root@example.test", Hash: hash, TOTPSecret: "JBSWY3DPEHPK3PXP",
		Role: "superadmin", Needs: sallyport.AAL3, Sites: []account.Site{},
	}
	users["late@example.test"] = account.User{ // whose role was made stronger since
		ID: "late", Email: "late@example.test", Hash: hash, Role: "admin", Needs: sallyport.AAL2,
	}
	accounts, err := account.New(account.Config{
		Users: users, Sessions: signedIn, Device: device, Guard: guard, Factors: db, Keys: shaky{db, r},
		Origins: origins, Record: r.record, OnEvent: r.event, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	r.handler = r.routes(accounts, signedIn)
	return r
}

func (r *rig) routes(a *account.Accounts, signedIn *account.Sessions) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /start/{user}/{level}", func(_ http.ResponseWriter, req *http.Request) {
		var level sallyport.Level
		_, err := fmt.Sscan(req.PathValue("level"), &level)
		require.NoError(r.t, err)
		login := sessions.Login{User: req.PathValue("user"), Level: level}
		require.NoError(r.t, signedIn.Start(req.Context(), login, account.Data{}))
	})
	mux.HandleFunc("GET /auth/me", a.Me)
	mux.HandleFunc("GET /auth/sessions", a.List)
	mux.HandleFunc("DELETE /auth/sessions", a.EndOthers)
	mux.HandleFunc("POST /auth/key/options", a.AssertOptions)
	mux.HandleFunc("POST /auth/key", a.Assert)
	mux.HandleFunc("GET /auth/keys", a.ListKeys)
	mux.HandleFunc("POST /auth/key/new", a.KeyOptions)
	mux.HandleFunc("POST /auth/keys", a.AddKey)
	mux.HandleFunc("DELETE /auth/keys/{id}", a.RemoveKey)
	address, err := clientaddr.New(clientaddr.Config{})
	require.NoError(r.t, err)
	return address.Wrap(signedIn.Load(mux))
}

func (r *rig) record(_ context.Context, rec audit.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken == "Record" {
		return errBroken
	}
	r.records = append(r.records, rec.Action+" "+string(rec.Outcome))
	return nil
}

var errBroken = errors.New("broken")

// shaky is a store of keys of which a part may not work.
type shaky struct {
	store.SecurityKeys
	r *rig
}

func (s shaky) fails(method string) error {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	if s.r.broken == method {
		return errBroken
	}
	return nil
}

func (s shaky) AddKey(ctx context.Context, key store.SecurityKey, have int) error {
	if err := s.fails("AddKey"); err != nil {
		return err
	}
	if s.fails("AddKey meanwhile") != nil {
		return store.ErrKeysChanged
	}
	return s.SecurityKeys.AddKey(ctx, key, have)
}

func (s shaky) Keys(ctx context.Context, user string) ([]store.SecurityKey, error) {
	if err := s.fails("Keys"); err != nil {
		return nil, err
	}
	return s.SecurityKeys.Keys(ctx, user)
}

func (s shaky) UseKey(
	ctx context.Context, user, id string, counter uint32, now time.Time,
) (bool, error) {
	if err := s.fails("UseKey"); err != nil {
		return false, err
	}
	return s.SecurityKeys.UseKey(ctx, user, id, counter, now)
}

func (s shaky) RemoveKey(ctx context.Context, user, id string) (bool, error) {
	if err := s.fails("RemoveKey"); err != nil {
		return false, err
	}
	return s.SecurityKeys.RemoveKey(ctx, user, id)
}

// breaks sets what does not work from now on.
func (r *rig) breaks(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = what
}

func (r *rig) event(_ context.Context, e sallyport.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e.Code)
}

// answer is a response, read.
type answer struct {
	Status int
	Body   string
	Cookie string // of the session, if it has changed
}

func (a answer) code(t *testing.T) string {
	t.Helper()
	var problem struct {
		Code string `json:"code"`
	}
	require.NoError(t, json.Unmarshal([]byte(a.Body), &problem), a.Body)
	return problem.Code
}

func (r *rig) do(method, path, body, cookie string) answer {
	req := httptest.NewRequestWithContext(r.t.Context(), method, path, strings.NewReader(body))
	req.Header.Set("Cookie", cookie)
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, req)
	got := answer{Status: w.Code, Body: w.Body.String()}
	for _, c := range w.Result().Cookies() {
		if c.Name == sessions.DefaultCookie {
			got.Cookie = c.Name + "=" + c.Value
		}
	}
	return got
}

// start begins a session.
func (r *rig) start(user string, level int) (cookie string) {
	got := r.do(http.MethodPost, fmt.Sprintf("/start/%s/%d", user, level), "", "")
	require.NotEmpty(r.t, got.Cookie)
	return got.Cookie
}

// ask gets the options of a ceremony.
func (r *rig) ask(path, cookie string) string {
	got := r.do(http.MethodPost, path, "", cookie)
	require.Equal(r.t, http.StatusOK, got.Status, got.Body)
	return got.Body
}

// add registers a key in the session of cookie.
func (r *rig) add(key *keytest.Key, cookie string) answer {
	options := r.ask("/auth/key/new", cookie)
	return r.do(http.MethodPost, "/auth/keys",
		`{"name":"blue","credential":`+key.Create(r.t, options)+`}`, cookie)
}

// assert gives a key's answer in the session of cookie.
func (r *rig) assert(credential, cookie string) answer {
	return r.do(http.MethodPost, "/auth/key", `{"credential":`+credential+`}`, cookie)
}

// registered is a key that user has.
func (r *rig) registered(user string) *keytest.Key {
	key := keytest.New(r.t, origin)
	got := r.add(key, r.start(user, 2))
	require.Equal(r.t, http.StatusCreated, got.Status, got.Body)
	return key
}

// wait lets time pass, on the clock of the test.
func (r *rig) wait(d time.Duration) { time.Sleep(d) }

// level is what the session of cookie has reached.
func (r *rig) level(cookie string) string {
	got := r.do(http.MethodGet, "/auth/sessions", "", cookie)
	require.Equal(r.t, http.StatusOK, got.Status, got.Body)
	var list struct {
		Sessions []struct {
			Current bool   `json:"current"`
			Level   string `json:"level"`
		} `json:"sessions"`
	}
	require.NoError(r.t, json.Unmarshal([]byte(got.Body), &list))
	for _, s := range list.Sessions {
		if s.Current {
			return s.Level
		}
	}
	return ""
}
