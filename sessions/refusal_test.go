package sessions_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/sessions"
)

// faulty is a store that counts calls and can be down.
type faulty struct {
	sessions.Store
	calls int
	down  error
}

func (s *faulty) Load(
	ctx context.Context, k sessions.Key, a sessions.Access,
) (sessions.Record, error) {
	if s.calls++; s.down != nil {
		return sessions.Record{}, s.down
	}
	return s.Store.Load(ctx, k, a)
}

func (s *faulty) write(ctx context.Context) error {
	s.calls++
	if err := errors.Join(s.down, ctx.Err()); err != nil {
		return err
	}
	if _, timed := ctx.Deadline(); !timed {
		return errors.New("no deadline")
	}
	return nil
}

func (s *faulty) Create(ctx context.Context, rec *sessions.Record) (sessions.Record, error) {
	if err := s.write(ctx); err != nil {
		return sessions.Record{}, err
	}
	return s.Store.Create(ctx, rec)
}

func (s *faulty) Replace(
	ctx context.Context, k sessions.Key, next *sessions.Record,
) (sessions.Record, error) {
	if err := s.write(ctx); err != nil {
		return sessions.Record{}, err
	}
	return s.Store.Replace(ctx, k, next)
}

func (s *faulty) List(ctx context.Context, user string) ([]sessions.Record, error) {
	if s.down != nil {
		return nil, s.down
	}
	return s.Store.List(ctx, user)
}

func (s *faulty) End(ctx context.Context, which sessions.Selection) (int, error) {
	if err := errors.Join(s.down, ctx.Err()); err != nil {
		return 0, err
	}
	return s.Store.End(ctx, which)
}

func newFaulty(t testing.TB) (*manager, *faulty) {
	t.Helper()
	store := &faulty{Store: newMemory(t, sessions.MemoryConfig{})}
	return newManager(t, func(c *sessions.Config) { c.Store = store }), store
}

// Defects 9 and the trap "an outage must not look like no session".
func TestStoreDown(t *testing.T) {
	m, store := newFaulty(t)
	b := signIn(t, m, "ada")
	store.down = errors.New("down")
	store.calls = 0

	res := b.do(m, func(context.Context) {})
	require.Equal(t, http.StatusOK, res.StatusCode, "a handler without sessions works")
	require.Empty(t, res.Header.Get("Cache-Control"), "and may be cached")
	require.Zero(t, store.calls)

	_, err := check(m, b)
	require.ErrorIs(t, err, sessions.ErrUnavailable)
	require.NotErrorIs(t, err, sessions.ErrNoSession)
	require.ErrorIs(t, err, store.down, "the cause is kept for logs")

	kept := b.cookie
	b.do(m, func(ctx context.Context) {
		require.ErrorIs(t, m.Logout(ctx), sessions.ErrUnavailable, "must not claim success")
		login := sessions.Login{User: "bob", Level: sallyport.AAL1}
		require.ErrorIs(t, m.Start(ctx, login, cart{}), sessions.ErrUnavailable)
		require.ErrorIs(t, m.Update(ctx, add), sessions.ErrUnavailable)
	})
	require.Equal(t, kept, b.cookie, "the cookie stays, so that logout can be repeated")
	_, err = m.List(t.Context(), "ada")
	require.ErrorIs(t, err, sessions.ErrUnavailable)
	_, err = m.EndUser(t.Context(), "ada")
	require.ErrorIs(t, err, sessions.ErrUnavailable)

	w := httptest.NewRecorder()
	m.Wrap(http.NotFoundHandler()).ServeHTTP(w, b.request())
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "5", w.Header().Get("Retry-After"))

	store.down = nil
	b.do(m, func(ctx context.Context) {
		_, err := get(m, ctx)
		require.NoError(t, err)
		store.down = errors.New("down")
		require.ErrorIs(t, m.Update(ctx, add), sessions.ErrUnavailable)
		_, err = get(m, ctx)
		require.NoError(t, err, "an outage later does not end what was proved")
	})
}

// A full store refuses the login, and must not leave the old session either.
func TestStartThatFailsSignsNobodyIn(t *testing.T) {
	store := newMemory(t, sessions.MemoryConfig{MaxSessions: 1})
	m := newManager(t, func(c *sessions.Config) { c.Store = store })
	signIn(t, m, "ada")
	b := &browser{}
	b.do(m, func(ctx context.Context) {
		err := m.Start(ctx, sessions.Login{User: "bob", Level: sallyport.AAL1}, cart{})
		require.ErrorIs(t, err, sessions.ErrFull)
		_, err = get(m, ctx)
		require.Error(t, err)
	})
	require.Empty(t, b.cookie)
}

// Defect 10: a client that disconnects during logout keeps the session alive. The
// other changes that must not stop half way are no different.
func TestChangesSurviveADisconnect(t *testing.T) {
	m, _ := newFaulty(t)
	gone := func(b *browser, fn func(context.Context)) {
		ctx, cancel := context.WithCancel(t.Context())
		w := httptest.NewRecorder()
		m.Load(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = m.Check(r)
			cancel()
			fn(r.Context())
		})).ServeHTTP(w, b.request().WithContext(ctx))
		b.take(w.Result())
	}
	b, other := &browser{}, signIn(t, m, "ada")
	gone(b, func(ctx context.Context) {
		login := sessions.Login{User: "ada", Level: sallyport.AAL1}
		require.NoError(t, m.Start(ctx, login, cart{}))
	})
	gone(b, func(ctx context.Context) { require.NoError(t, m.StepUp(ctx, sallyport.AAL2)) })
	s, err := check(m, b)
	require.NoError(t, err)
	require.Equal(t, sallyport.AAL2, s.Level)
	gone(b, func(ctx context.Context) {
		n, err := m.EndOthers(ctx)
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
	_, err = check(m, other)
	require.Equal(t, sessions.CodeEnded, reason(err))
	kept := *b
	gone(b, func(ctx context.Context) { require.NoError(t, m.Logout(ctx)) })
	_, err = check(m, &kept)
	require.Equal(t, sessions.CodeEnded, reason(err))
}

// Defects 8 and 11, and duplicates.
func TestPresentedCookies(t *testing.T) {
	good := strings.TrimPrefix(signIn(t, newManager(t, nil), "ada").cookie, "__Host-Http-session=")
	const name = "__Host-Http-session="
	large := strings.Repeat("A", 100_000)
	for label, tt := range map[string]struct {
		cookies []string
		want    string
		calls   int
	}{
		"none":                {nil, sessions.CodeRequired, 0},
		"another name":        {[]string{"x=" + good}, sessions.CodeRequired, 0},
		"another case":        {[]string{"__host-Http-session=" + good}, sessions.CodeRequired, 0},
		"a suffix":            {[]string{"__Host-Http-session2=" + good}, sessions.CodeRequired, 0},
		"no value":            {[]string{"__Host-Http-session"}, sessions.CodeMalformed, 0},
		"empty":               {[]string{name}, sessions.CodeMalformed, 0},
		"short":               {[]string{name + good[1:]}, sessions.CodeMalformed, 0},
		"long":                {[]string{name + good + "A"}, sessions.CodeMalformed, 0},
		"100 kB":              {[]string{name + large}, sessions.CodeMalformed, 0},
		"not base64url":       {[]string{name + "+" + good[1:]}, sessions.CodeMalformed, 0},
		"impossible slot":     {[]string{name + "_" + good[1:]}, sessions.CodeMalformed, 0},
		"line feed":           {[]string{name + good[:43] + "\n"}, sessions.CodeMalformed, 0},
		"quoted":              {[]string{name + `"` + good + `"`}, sessions.CodeMalformed, 0},
		"twice":               {[]string{name + good + "; " + name + good}, sessions.CodeDuplicate, 0},
		"in two lines":        {[]string{name + good, "a=b; " + name + "x"}, sessions.CodeDuplicate, 0},
		"unknown":             {[]string{name + good}, sessions.CodeEnded, 1},
		"unknown, one of two": {[]string{"a=b; " + name + good + " ; c=d"}, sessions.CodeEnded, 1},
	} {
		t.Run(label, func(t *testing.T) {
			m, store := newFaulty(t)
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header["Cookie"] = tt.cookies
			_, err := m.Check(r)
			require.Equal(t, tt.want, reason(err))
			require.Equal(t, tt.calls, store.calls, "store calls")
			require.NotContains(t, err.Error(), good)
		})
	}
}

func TestAnUndecodableRecordIsDestroyed(t *testing.T) {
	store := newMemory(t, sessions.MemoryConfig{})
	was, err := sessions.New[string](sessions.Config{Store: store})
	require.NoError(t, err)
	b := &browser{}
	w := httptest.NewRecorder()
	was.Load(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		login := sessions.Login{User: "ada", Level: sallyport.AAL1}
		require.NoError(t, was.Start(r.Context(), login, "text"))
	})).ServeHTTP(w, b.request())
	b.take(w.Result())

	m := newManager(t, func(c *sessions.Config) { c.Store = store })
	for _, want := range []string{sessions.CodeUnreadable, sessions.CodeEnded} {
		_, err := check(m, b)
		require.Equal(t, want, reason(err))
		require.ErrorIs(t, err, sessions.ErrNoSession)
	}
}

func TestWrap(t *testing.T) {
	var seen []string
	m := newManager(t, func(c *sessions.Config) {
		c.OnEvent = func(_ context.Context, e sallyport.Event) {
			require.Equal(t, "sessions", e.Gate)
			require.NotNil(t, e.Request)
			seen = append(seen, e.Code+" "+e.Actor+" "+strconv.FormatBool(e.Allowed))
		}
	})
	ran := 0
	h := m.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ran++
		s, ok := m.FromContext(r.Context())
		require.True(t, ok)
		require.Equal(t, "ada", s.User)
	}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, (&browser{}).request())
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.NotEmpty(t, w.Header().Get("WWW-Authenticate"))
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	var body struct{ Code string }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
	require.Equal(t, "session_required", body.Code)
	require.Zero(t, ran)

	w = httptest.NewRecorder()
	h.ServeHTTP(w, signIn(t, m, "ada").request())
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, 1, ran)
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	require.Equal(t, []string{"session_required  false", "session_live ada true"}, seen,
		"one decision per request")
}

func TestOnRejectReplacesTheAnswer(t *testing.T) {
	m := newManager(t, func(c *sessions.Config) {
		c.OnReject = func(w http.ResponseWriter, _ *http.Request, rej *sallyport.Refusal) {
			require.Equal(t, sessions.CodeRequired, rej.Code)
			w.WriteHeader(http.StatusTeapot)
		}
	})
	w := httptest.NewRecorder()
	m.Wrap(http.NotFoundHandler()).ServeHTTP(w, (&browser{}).request())
	require.Equal(t, http.StatusTeapot, w.Code)
}

func TestZeroManagerRefuses(t *testing.T) {
	for name, m := range map[string]*manager{"zero": {}, "nil": nil} {
		t.Run(name, func(t *testing.T) {
			b := &browser{cookie: sessions.DefaultCookie + "=" + strings.Repeat("A", 44)}
			for _, h := range []http.Handler{
				m.Load(http.NotFoundHandler()), m.LoadPassive(http.NotFoundHandler()),
				m.Wrap(http.NotFoundHandler()),
			} {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, b.request())
				require.Equal(t, http.StatusServiceUnavailable, w.Code)
				require.Contains(t, w.Body.String(), `"code":"sessions_not_configured"`)
			}
			ctx := t.Context()
			_, ok := m.FromContext(ctx)
			require.False(t, ok)
			_, checked := m.Check(b.request())
			_, listed := m.List(ctx, "ada")
			_, others := m.EndOthers(ctx)
			_, user := m.EndUser(ctx, "ada")
			_, everyone := m.EndEveryone(ctx)
			login := sessions.Login{User: "ada", Level: sallyport.AAL1}
			for _, err := range []error{
				checked, listed, others, user, everyone, m.End(ctx, "ada", "x"),
				m.Start(ctx, login, cart{}), m.StepUp(ctx, sallyport.AAL2), m.Update(ctx, add),
				m.Logout(ctx), m.Recheck(ctx),
			} {
				require.Equal(t, sessions.CodeNotConfigured, reason(err))
				require.ErrorIs(t, err, sessions.ErrUnavailable)
			}
		})
	}
}

func TestNewReportsEveryProblem(t *testing.T) {
	_, err := sessions.New[cart](sessions.Config{
		Cookie: "__Host-a b", Idle: time.Hour, Lifetime: time.Minute, MaxData: 1,
		Timeout: time.Hour, PerUser: -1,
	})
	for _, field := range []string{"Store", "Cookie", "Idle", "PerUser", "MaxData", "Timeout"} {
		require.ErrorContains(t, err, "sessions: "+field+":")
	}
	_, err = sessions.New[cart](sessions.Config{Cookie: "sid", Lifetime: -1})
	require.ErrorContains(t, err, `"sid"`)
	require.ErrorContains(t, err, "Lifetime")
	bad, ok := errors.AsType[*sallyport.ConfigError](err)
	require.True(t, ok)
	require.NotEmpty(t, bad.Field)
}

func TestConfigLimits(t *testing.T) {
	store := newMemory(t, sessions.MemoryConfig{MaxSessions: 1})
	const year = 366 * 24 * time.Hour
	for name, tt := range map[string]struct {
		cfg sessions.Config
		ok  bool
	}{
		"least": {sessions.Config{
			Idle: time.Second, Lifetime: time.Second, MaxData: 2, Timeout: time.Millisecond,
		}, true},
		"most": {sessions.Config{
			Idle: year, Lifetime: year, MaxData: 1 << 20, Timeout: time.Minute,
			Cookie: "__Host-" + strings.Repeat("c", 121),
		}, true},
		"name too long": {sessions.Config{Cookie: "__Host-" + strings.Repeat("c", 122)}, false},
		"name with DEL": {sessions.Config{Cookie: "__Host-\x7f"}, false},
		"name with ~":   {sessions.Config{Cookie: "__Host-~!"}, true},
		"short idle":    {sessions.Config{Idle: time.Second - 1}, false},
		"long idle":     {sessions.Config{Idle: time.Hour + 1, Lifetime: time.Hour}, false},
		"long life":     {sessions.Config{Lifetime: year + 1}, false},
		"short life":    {sessions.Config{Idle: 1, Lifetime: time.Second - 1}, false},
		"little data":   {sessions.Config{MaxData: 1}, false},
		"much data":     {sessions.Config{MaxData: 1<<20 + 1}, false},
		"short wait":    {sessions.Config{Timeout: time.Millisecond - 1}, false},
		"one each":      {sessions.Config{PerUser: 1}, true},
		"many each":     {sessions.Config{PerUser: 1000}, true},
		"too many each": {sessions.Config{PerUser: 1001}, false},
		"none each":     {sessions.Config{PerUser: -1}, false},
		"long wait":     {sessions.Config{Timeout: time.Minute + 1}, false},
	} {
		tt.cfg.Store = store
		_, err := sessions.New[cart](tt.cfg)
		require.Equal(t, tt.ok, err == nil, "%s: %v", name, err)
	}
}

// A machine that sleeps stops the monotonic clock; somebody may set back the wall
// clock. Neither may keep a session alive.
func TestClocksThatStandStill(t *testing.T) {
	wall := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rec := sessions.Record{Idle: time.Minute, Lifetime: time.Hour, Seen: wall, Started: wall}
	require.True(t, rec.Live(wall.Add(time.Minute-1)))
	require.False(t, rec.Live(wall.Add(time.Minute)))
	now := time.Now()
	rec.Seen, rec.Started = now, now
	require.True(t, rec.Live(now))
	rec.Seen = clocks(time.Minute, 0)
	require.False(t, rec.Live(now.Add(time.Second)), "by the wall clock a minute has passed")
	rec.Seen = clocks(0, time.Minute)
	require.False(t, rec.Live(now.Add(time.Second)), "by the monotonic clock it has")
}

// contended loses every swap, and may hold something else at the next look.
type contended struct {
	sessions.Store
	data  string
	swaps int
}

func (s *contended) Replace(
	context.Context, sessions.Key, *sessions.Record,
) (sessions.Record, error) {
	s.swaps++
	return sessions.Record{}, sessions.ErrConflict
}

func (s *contended) Load(
	ctx context.Context, key sessions.Key, a sessions.Access,
) (sessions.Record, error) {
	rec, err := s.Store.Load(ctx, key, a)
	if a == sessions.Peek && s.data != "" {
		rec.Data = []byte(s.data)
	}
	return rec, err
}

func TestUpdateGivesUp(t *testing.T) {
	for name, tt := range map[string]struct {
		data  string
		want  error
		swaps int
	}{
		"after many conflicts":         {"", sessions.ErrConflict, 1000},
		"on data that does not decode": {"[", sessions.ErrNoSession, 1},
	} {
		t.Run(name, func(t *testing.T) {
			store := &contended{Store: newMemory(t, sessions.MemoryConfig{}), data: tt.data}
			m := newManager(t, func(c *sessions.Config) { c.Store = store })
			signIn(t, m, "ada").do(m, func(ctx context.Context) {
				require.ErrorIs(t, m.Update(ctx, add), tt.want)
			})
			require.Equal(t, tt.swaps, store.swaps)
		})
	}
}
