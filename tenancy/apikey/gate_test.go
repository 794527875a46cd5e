package apikey_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/apikey"
)

var errDown = errors.New("down")

const day = 24 * time.Hour

// faulty is a store that can fail, count and be changed.
type faulty struct {
	*apikey.Memory
	find, create, end, touch error
	change                   func(*apikey.Record)
	finds, touches           atomic.Int64
}

func (s *faulty) Create(ctx context.Context, r apikey.Record) error {
	if s.create != nil {
		return s.create
	}
	return s.Memory.Create(ctx, r)
}

func (s *faulty) Find(ctx context.Context, hash [sha256.Size]byte) (apikey.Record, error) {
	s.finds.Add(1)
	if s.find != nil {
		return apikey.Record{}, s.find
	}
	r, err := s.Memory.Find(ctx, hash)
	if s.change != nil {
		s.change(&r)
	}
	return r, err
}

func (s *faulty) End(ctx context.Context, user, id string, at time.Time) error {
	if s.end != nil {
		return s.end
	}
	return s.Memory.End(ctx, user, id, at)
}

func (s *faulty) Touch(ctx context.Context, id string, at time.Time) error {
	s.touches.Add(1)
	if s.touch != nil {
		return s.touch
	}
	return s.Memory.Touch(ctx, id, at)
}

func newStore(t testing.TB) *faulty {
	t.Helper()
	memory, err := apikey.NewMemory(apikey.MemoryConfig{})
	require.NoError(t, err)
	return &faulty{Memory: memory}
}

func newGate(t testing.TB, edit func(*apikey.Config)) (*apikey.Gate, *faulty) {
	t.Helper()
	store := newStore(t)
	cfg := apikey.Config{
		Prefix: "acme", Store: store,
		Permitted: func(_ context.Context, user sallyport.Principal, scope string) (bool, error) {
			if scope == "down" {
				return false, errDown
			}
			return user.ID == "ann" && strings.HasPrefix(scope, "calls:"), nil
		},
	}
	if edit != nil {
		edit(&cfg)
	}
	g, err := apikey.New(cfg)
	require.NoError(t, err)
	return g, store
}

// ann has signed in with two factors.
var ann = sallyport.Principal{Kind: sallyport.KindUser, ID: "ann", Level: sallyport.AAL2}

func issue(t testing.TB, g *apikey.Gate, ttl time.Duration) (string, apikey.Record) {
	t.Helper()
	key, record, err := g.Issue(context.Background(), ann, "deploy", []string{"calls:view"}, ttl)
	require.NoError(t, err)
	return key, record
}

func with(key string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	return r
}

func code(err error) string {
	if refused, ok := errors.AsType[*sallyport.Refusal](err); ok {
		return refused.Code
	}
	return ""
}

func TestCheck(t *testing.T) {
	t.Parallel()
	g, store := newGate(t, nil)
	key, record := issue(t, g, 0)
	for name, tt := range map[string]struct {
		header []string
		want   string
		finds  int64
	}{
		"good":                {[]string{"Bearer " + key}, "", 1},
		"scheme in any case":  {[]string{"bEARER " + key}, "", 1},
		"none":                {nil, apikey.CodeRequired, 0},
		"empty":               {[]string{""}, apikey.CodeRequired, 0},
		"another scheme":      {[]string{"Basic " + key}, apikey.CodeRequired, 0},
		"without a scheme":    {[]string{key}, apikey.CodeRequired, 0},
		"scheme alone":        {[]string{"Bearer"}, apikey.CodeMalformed, 0},
		"two spaces":          {[]string{"Bearer  " + key}, apikey.CodeMalformed, 0},
		"twice":               {[]string{"Bearer " + key, "Bearer " + key}, apikey.CodeMalformed, 0},
		"with another scheme": {[]string{"Basic x", "Bearer " + key}, apikey.CodeMalformed, 0},
		"a list":              {[]string{"Bearer " + key + ", Bearer " + key}, apikey.CodeMalformed, 0},
		"a typo":              {[]string{"Bearer " + key[:10] + "x" + key[11:]}, apikey.CodeMalformed, 0},
		"a token of others":   {[]string{"Bearer eyJhbGciOiJub25lIn0.e30."}, apikey.CodeMalformed, 0},
		"unknown":             {[]string{"Bearer " + apikey.NewKey("acme")}, apikey.CodeUnknown, 1},
	} {
		if name == "a typo" && key[10] == 'x' {
			continue
		}
		store.finds.Store(0)
		r := httptest.NewRequest(http.MethodGet, "/?access_token="+key, nil)
		r.Header["Authorization"] = tt.header
		who, err := g.Check(r)
		require.Equal(t, tt.want, code(err), name)
		require.Equal(t, tt.finds, store.finds.Load(), name)
		if tt.want == "" {
			require.Equal(t, sallyport.Principal{
				Kind: sallyport.KindKey, ID: "ann", Key: record.ID, Scopes: []string{"calls:view"},
				Level: sallyport.AAL1, AuthTime: record.Created,
			}, who, name)
			continue
		}
		require.Equal(t, sallyport.Principal{}, who, name)
		require.ErrorIs(t, err, tenancy.ErrUnauthenticated, name)
		require.NotContains(t, err.Error(), key[5:], name)
	}
}

func TestHeaderOfItsOwn(t *testing.T) {
	t.Parallel()
	g, _ := newGate(t, func(c *apikey.Config) { c.Header = "X-API-Key" })
	key, _ := issue(t, g, 0)
	r := with(key)
	_, err := g.Check(r)
	require.Equal(t, apikey.CodeRequired, code(err))
	r.Header.Set("X-Api-Key", key)
	_, err = g.Check(r)
	require.NoError(t, err)
	r.Header.Set("X-Api-Key", "Bearer "+key)
	_, err = g.Check(r)
	require.Equal(t, apikey.CodeMalformed, code(err))
}

// A key ends to the nanosecond, by whichever end comes first.
func TestKeysEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, store := newGate(t, nil)
		key, record := issue(t, g, time.Hour)
		require.Equal(t, time.Hour, record.Expires.Sub(record.Created))
		ends := func(key string, in time.Duration, want string) {
			t.Helper()
			time.Sleep(in - 1)
			_, err := g.Check(with(key))
			require.NoError(t, err)
			time.Sleep(time.Nanosecond)
			_, err = g.Check(with(key))
			require.Equal(t, want, code(err))
		}
		ends(key, time.Hour, apikey.CodeExpired)
		_, err := g.Check(with(key))
		require.ErrorIs(t, err, tenancy.ErrUnauthenticated)

		longest, record := issue(t, g, 0)
		require.Equal(t, 90*day, record.Expires.Sub(record.Created))
		ends(longest, 90*day, apikey.CodeExpired)

		planned, record := issue(t, g, 0)
		require.NoError(t, store.Memory.End(t.Context(), "ann", record.ID, time.Now().Add(time.Hour)))
		ends(planned, time.Hour, apikey.CodeUnknown)

		// Whatever the row says: a shorter MaxAge ends older keys.
		shorter, err := apikey.New(apikey.Config{
			Prefix: "acme", Store: store, MaxAge: 30 * day, Permitted: never,
		})
		require.NoError(t, err)
		old, _ := issue(t, g, 0)
		time.Sleep(30*day - 1)
		_, err = shorter.Check(with(old))
		require.NoError(t, err)
		time.Sleep(time.Nanosecond)
		_, err = shorter.Check(with(old))
		require.Equal(t, apikey.CodeExpired, code(err))
		_, err = g.Check(with(old))
		require.NoError(t, err)
	})
}

func never(context.Context, sallyport.Principal, string) (bool, error) { return false, nil }

// Stores fail, and some compare loosely.
func TestStoreFailures(t *testing.T) {
	t.Parallel()
	g, store := newGate(t, nil)
	key, _ := issue(t, g, 0)
	unavailable := func(name string) {
		t.Helper()
		_, err := g.Check(with(key))
		require.Equal(t, apikey.CodeUnavailable, code(err), name)
		require.NotErrorIs(t, err, tenancy.ErrUnauthenticated, name)
	}
	store.find = errDown
	unavailable("down")
	_, err := g.Check(with(key))
	require.ErrorIs(t, err, errDown)
	store.find = nil
	for name, change := range map[string]func(*apikey.Record){
		"another key": func(r *apikey.Record) { r.Hash[31] ^= 1 },
		"no hash":     func(r *apikey.Record) { r.Hash = [32]byte{} },
		"no user":     func(r *apikey.Record) { r.User = "" },
		"no id":       func(r *apikey.Record) { r.ID = "" },
		"nothing":     func(r *apikey.Record) { *r = apikey.Record{} },
	} {
		store.change = change
		unavailable(name)
	}
	store.change = nil
	synctest.Test(t, func(t *testing.T) {
		slow, err := apikey.New(apikey.Config{Prefix: "acme", Store: hanging{}, Permitted: never})
		require.NoError(t, err)
		began := time.Now()
		_, err = slow.Check(with(key))
		require.Equal(t, apikey.CodeUnavailable, code(err))
		require.Equal(t, 2*time.Second, time.Since(began))
	})
}

// hanging is a store that waits for its context.
type hanging struct{ apikey.Store }

func (hanging) Find(ctx context.Context, _ [sha256.Size]byte) (apikey.Record, error) {
	<-ctx.Done()
	return apikey.Record{}, ctx.Err()
}

// The use is written once a minute; that it cannot be written lets nobody down.
func TestLastUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var last sallyport.Event
		g, store := newGate(t, func(c *apikey.Config) {
			c.OnEvent = func(_ context.Context, e sallyport.Event) { last = e }
		})
		key, _ := issue(t, g, 0)
		for range 1000 { // over 100 s
			_, err := g.Check(with(key))
			require.NoError(t, err)
			time.Sleep(100 * time.Millisecond)
		}
		require.EqualValues(t, 2, store.touches.Load())
		require.Equal(t, time.Now().Add(-40*time.Second).UTC(), store.List("ann")[0].LastUsed)
		time.Sleep(time.Minute)
		store.touch = errDown
		_, err := g.Check(with(key))
		require.NoError(t, err)
		require.ErrorIs(t, last.Err, errDown)
		require.True(t, last.Allowed)
	})
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	g, store := newGate(t, nil)
	key, _ := issue(t, g, 0)
	h := g.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, ok := apikey.FromContext(r.Context())
		require.True(t, ok)
		_, _ = w.Write([]byte(who.ID))
	}))
	for name, tt := range map[string]struct {
		handler   http.Handler
		key       string
		status    int
		challenge string
		body      string
	}{
		"good":     {h, key, 200, "", "ann"},
		"none":     {h, "", 401, "Bearer", `"code":"api_key_required"`},
		"unknown":  {h, apikey.NewKey("acme"), 401, `Bearer error="invalid_token"`, `"code":"api_key_unknown"`},
		"nil gate": {(*apikey.Gate)(nil).Wrap(h), key, 503, "", `"code":"apikey_not_configured"`},
		"zero":     {(&apikey.Gate{}).Wrap(h), key, 503, "", `"code":"apikey_not_configured"`},
	} {
		w := httptest.NewRecorder()
		tt.handler.ServeHTTP(w, with(tt.key))
		require.Equal(t, tt.status, w.Code, name)
		require.Equal(t, tt.challenge, w.Header().Get("WWW-Authenticate"), name)
		require.Contains(t, w.Body.String(), tt.body, name)
	}
	store.find = errDown
	w := httptest.NewRecorder()
	h.ServeHTTP(w, with(key))
	require.Equal(t, 503, w.Code)
	require.Equal(t, "5", w.Header().Get("Retry-After"))
	_, ok := apikey.FromContext(t.Context())
	require.False(t, ok)
}

func TestEvents(t *testing.T) {
	t.Parallel()
	var seen []sallyport.Event
	g, _ := newGate(t, func(c *apikey.Config) {
		c.OnEvent = func(_ context.Context, e sallyport.Event) { seen = append(seen, e) }
	})
	key, record := issue(t, g, 0)
	who, err := g.Check(with(key))
	require.NoError(t, err)
	require.Equal(t, record.ID, who.Key)
	_, _ = g.Check(with(""))
	require.NoError(t, g.Revoke(t.Context(), "ann", record.ID))
	_, err = g.Check(with(key))
	require.ErrorIs(t, err, tenancy.ErrUnauthenticated)
	require.ErrorIs(t, g.Revoke(t.Context(), "rob", record.ID), apikey.ErrNotFound)
	var codes []string
	for _, e := range seen {
		codes = append(codes, e.Code)
		require.Equal(t, "apikey", e.Gate)
		text, err := json.Marshal(e.Detail)
		require.NoError(t, err)
		require.NotContains(t, string(text), key[5:])
		detail, ok := e.Detail.(apikey.Record)
		require.Equal(t, e.Code != apikey.CodeRequired, ok, e.Code)
		if ok {
			require.Zero(t, detail.Hash)
			require.Equal(t, record.ID, detail.ID)
			require.Equal(t, "ann", e.Actor)
		}
	}
	require.Equal(t, []string{
		apikey.CodeIssued, apikey.CodeAccepted, apikey.CodeRequired, apikey.CodeEnded,
		apikey.CodeUnknown,
	}, codes)
}

// 10,000 uses against a revocation: nobody gets in who asked after it had returned.
func TestRevocationRace(t *testing.T) {
	t.Parallel()
	g, store := newGate(t, nil)
	key, record := issue(t, g, 0)
	var revoked atomic.Bool
	var late, uses atomic.Int64
	var users sync.WaitGroup
	for range 8 {
		users.Go(func() {
			for uses.Add(1) <= 10_000 {
				before := revoked.Load()
				if _, err := g.Check(with(key)); before && err == nil {
					late.Add(1)
				}
			}
		})
	}
	for uses.Load() < 2000 {
		_, _ = g.Check(with(key))
	}
	require.NoError(t, g.Revoke(t.Context(), "ann", record.ID))
	revoked.Store(true)
	users.Wait()
	require.Zero(t, late.Load())
	_, err := g.Check(with(key))
	require.Equal(t, apikey.CodeUnknown, code(err))
	require.False(t, store.List("ann")[0].Revoked.IsZero(), "and no use took it back")
}

// What tenancy makes of a key, and of an answer that it is none.
func TestKeysActThroughTenancy(t *testing.T) {
	t.Parallel()
	keys, store := newGate(t, nil)
	access, err := tenancy.New(tenancy.Config{
		Identify: keys.Check,
		Sources:  []tenancy.Source{tenancy.FromQuery("site")},
		Member: func(_ context.Context, user, site string) (tenancy.Role, error) {
			if user == "ann" && site == "s1" {
				return "admin", nil
			}
			return "", tenancy.ErrNotMember
		},
		Roles: map[tenancy.Role]tenancy.Rights{
			"admin": {Permissions: []string{"calls:view", "calls:seal"}}, // with two factors
		},
	})
	require.NoError(t, err)
	key, record := issue(t, keys, 0)
	at := func(key, site string) *http.Request {
		r := with(key)
		r.URL.RawQuery = "site=" + site
		return r
	}
	grant, err := tenancy.Check[viewCalls](access, at(key, "s1"))
	require.NoError(t, err, "an admin's key acts without a session")
	require.Equal(t, record.ID, grant.Key())
	_, err = tenancy.Check[sealCall](access, at(key, "s1"))
	require.Equal(t, tenancy.CodeNotFound, code(err), "and not beyond its scopes")
	_, err = tenancy.Check[viewCalls](access, at(key, "s2"))
	require.Equal(t, tenancy.CodeNotFound, code(err))
	_, err = tenancy.Check[viewCalls](access, at("", "s1"))
	require.Equal(t, tenancy.CodeIdentityRequired, code(err))
	_, err = tenancy.Check[viewCalls](access, at(apikey.NewKey("acme"), "s1"))
	require.Equal(t, tenancy.CodeIdentityRequired, code(err))
	store.find = errDown
	_, err = tenancy.Check[viewCalls](access, at(key, "s1"))
	require.Equal(t, tenancy.CodeUnavailable, code(err))
}

type (
	viewCalls struct{}
	sealCall  struct{}
)

func (viewCalls) Permission() string { return "calls:view" }

func (sealCall) Permission() string { return "calls:seal" }

// slow answers after a while, whatever its context says.
type slow struct {
	apikey.Store
	record apikey.Record
	after  time.Duration
}

func (s slow) Find(context.Context, [sha256.Size]byte) (apikey.Record, error) {
	time.Sleep(s.after)
	return s.record, nil
}

// A key that ends while the store thinks has ended.
func TestKeyEndsWhileTheStoreThinks(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		change func(*apikey.Record)
		after  time.Duration
		want   string
	}{
		"expires":               {func(r *apikey.Record) { r.Expires = time.Now().Add(time.Second) }, time.Second, apikey.CodeExpired},
		"just before":           {func(r *apikey.Record) { r.Expires = time.Now().Add(time.Second) }, time.Second - 1, ""},
		"is revoked ahead":      {func(r *apikey.Record) { r.Revoked = time.Now().Add(time.Second) }, time.Second, apikey.CodeUnknown},
		"and not yet":           {func(r *apikey.Record) { r.Revoked = time.Now().Add(time.Second) }, time.Second - 1, ""},
		"within the hour":       {func(r *apikey.Record) { r.Expires = time.Now().Add(time.Hour) }, time.Hour, apikey.CodeExpired},
		"is too old":            {func(r *apikey.Record) { r.Created = time.Now().Add(time.Second - 90*24*time.Hour) }, time.Second, apikey.CodeExpired},
		"lasts":                 {func(*apikey.Record) {}, time.Minute, ""},
		"already expired":       {func(r *apikey.Record) { r.Expires = time.Now() }, 0, apikey.CodeExpired},
		"revoked already":       {func(r *apikey.Record) { r.Revoked = time.Now() }, 0, apikey.CodeUnknown},
		"revoked in the future": {func(r *apikey.Record) { r.Revoked = time.Now().Add(2 * time.Hour) }, time.Minute, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, store := newGate(t, nil)
				key, _ := issue(t, g, 0)
				record, err := store.Memory.Find(t.Context(), apikey.Hash(key))
				require.NoError(t, err)
				record.LastUsed = time.Now().Add(24 * time.Hour) // nothing to note
				row.change(&record)
				slowly, _ := newGate(t, func(c *apikey.Config) {
					c.Store = slow{record: record, after: row.after}
				})
				_, err = slowly.Check(with(key))
				if row.want == "" {
					require.NoError(t, err)
					return
				}
				require.Equal(t, row.want, code(err))
			})
		})
	}
}
