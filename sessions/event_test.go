package sessions_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/sessions"
)

func TestPrincipal(t *testing.T) {
	m := newManager(t, nil)
	s, err := check(m, signIn(t, m, "ada"))
	require.NoError(t, err)
	p := s.Principal()
	require.Equal(t, sallyport.Principal{
		Kind: sallyport.KindUser, ID: "ada", Level: sallyport.AAL1, AuthTime: s.AuthTime,
	}, p)
	require.True(t, p.Proved())
	require.Equal(t, sallyport.Principal{}, sessions.Info{}.Principal(), "nobody")
}

// A change of client is told to the hook, and ends nothing.
func TestClientsThatChange(t *testing.T) {
	var seen []sallyport.Event
	m := newManager(t, func(c *sessions.Config) {
		c.Client = func(r *http.Request) string { return r.UserAgent() }
		c.OnEvent = func(_ context.Context, e sallyport.Event) { seen = append(seen, e) }
	})
	b := &browser{}
	visit := func(agent string, fn func(context.Context)) {
		r := b.request()
		r.Header.Set("User-Agent", agent)
		w := httptest.NewRecorder()
		m.Load(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			fn(r.Context())
		})).ServeHTTP(w, r)
		b.take(w.Result())
	}
	look := func(ctx context.Context) {
		s, err := get(m, ctx)
		require.NoError(t, err)
		require.Equal(t, "Firefox", s.Client)
	}
	visit("Firefox", func(ctx context.Context) {
		login := sessions.Login{User: "ada", Level: sallyport.AAL1}
		require.NoError(t, m.Start(ctx, login, cart{}))
	})
	visit("Firefox", look)
	visit("curl", look)
	visit("Firefox", look)
	agentless := *b
	b = &browser{} // one whose client said nothing has not moved
	visit("", func(ctx context.Context) {
		login := sessions.Login{User: "ada", Level: sallyport.AAL1}
		require.NoError(t, m.Start(ctx, login, cart{}))
	})
	visit("Firefox", func(ctx context.Context) { _, _ = get(m, ctx) })
	b = &agentless
	var moved []bool
	for _, e := range seen {
		d, ok := e.Detail.(sessions.Decision)
		require.True(t, ok)
		require.Equal(t, "ada", d.User)
		moved = append(moved, d.Moved)
	}
	require.Equal(t, []bool{false, true, false, false}, moved)
	list, err := m.List(t.Context(), "ada")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"Firefox", ""}, []string{list[0].Client, list[1].Client})
}

// A label of the client's making is cut off, between characters.
func TestClientLabelsAreBounded(t *testing.T) {
	for label, want := range map[string]int{
		strings.Repeat("a", 255): 255, strings.Repeat("a", 256): 255,
		"a" + strings.Repeat("é", 200): 255, strings.Repeat("é", 200): 254,
		strings.Repeat("\x80", 300): 0,
	} {
		m := newManager(t, func(c *sessions.Config) {
			c.Client = func(*http.Request) string { return label }
		})
		s, err := check(m, signIn(t, m, "ada"))
		require.NoError(t, err)
		require.Len(t, s.Client, want)
		require.True(t, strings.HasPrefix(label, s.Client))
	}
}

// An OnReject that answers nothing must not turn a refusal into a 200.
func TestSilentOnReject(t *testing.T) {
	m := newManager(t, func(c *sessions.Config) {
		c.OnReject = func(w http.ResponseWriter, _ *http.Request, _ *sallyport.Refusal) {
			require.NotEmpty(t, w.Header().Get("WWW-Authenticate"), "set before")
		}
	})
	w := httptest.NewRecorder()
	m.Wrap(http.NotFoundHandler()).ServeHTTP(w, (&browser{}).request())
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.Contains(t, w.Body.String(), sessions.CodeRequired)
}

func TestProblemBase(t *testing.T) {
	m := newManager(t, func(c *sessions.Config) { c.ProblemBase = "https://example.com/p/" })
	w := httptest.NewRecorder()
	m.Wrap(http.NotFoundHandler()).ServeHTTP(w, (&browser{}).request())
	require.Contains(t, w.Body.String(), `"type":"https://example.com/p/session_required"`)
}

// Each refusal is told once with its cause, and no event holds the token.
func TestEventsOfRefusals(t *testing.T) {
	var seen []sallyport.Event
	_, store := newFaulty(t)
	m := newManager(t, func(c *sessions.Config) {
		c.Store = store
		c.OnEvent = func(_ context.Context, e sallyport.Event) { seen = append(seen, e) }
	})
	b := signIn(t, m, "ada")
	require.Empty(t, seen, "starting is no lookup")
	store.down = errors.New("down")
	b.do(m, func(ctx context.Context) {
		for range 3 {
			_, err := get(m, ctx)
			require.ErrorIs(t, err, store.down)
		}
	})
	require.Len(t, seen, 1, "one request, one decision")
	require.Equal(t, sessions.CodeUnavailable, seen[0].Code)
	require.False(t, seen[0].Allowed)
	require.ErrorIs(t, seen[0].Err, store.down)
	require.Nil(t, seen[0].Detail)
	store.down = nil
	seen = nil
	b.do(m, func(ctx context.Context) {
		_, _ = get(m, ctx)
		store.down = errors.New("down")
		require.ErrorIs(t, m.Update(ctx, add), sessions.ErrUnavailable)
		require.ErrorIs(t, m.Recheck(ctx), sessions.ErrUnavailable)
	})
	got := make([]string, len(seen))
	for i, e := range seen {
		got[i] = e.Code + " " + e.Actor
		require.NotContains(t, e.Code+e.Actor, strings.Split(b.cookie, "=")[1])
	}
	require.Equal(t, []string{
		"session_live ada", "session_unavailable ada", "session_unavailable ada",
	}, got)
}

// A page that shows the session is marked, however late the handler asks.
func TestNoStoreWhenReadAfterTheFirstWrite(t *testing.T) {
	for name, tt := range map[string]struct {
		cache string // what the handler says itself
		want  string
		late  error
	}{
		"nothing said":      {"", "no-store", nil},
		"public":            {"public, max-age=60", "public, max-age=60", sessions.ErrCommitted},
		"private":           {"private", "private", sessions.ErrCommitted},
		"no-store itself":   {"private, No-Store", "private, No-Store", nil},
		"another directive": {"no-storey", "no-storey", sessions.ErrCommitted},
	} {
		t.Run(name, func(t *testing.T) {
			m := newManager(t, nil)
			b := signIn(t, m, "ada")
			handler := func(w http.ResponseWriter, r *http.Request) {
				if tt.cache != "" {
					w.Header().Set("Cache-Control", tt.cache)
				}
				_, _ = w.Write([]byte("hello "))
				s, err := m.Check(r)
				require.ErrorIs(t, err, tt.late)
				_, _ = w.Write([]byte(s.User))
				require.ErrorIs(t, m.Recheck(r.Context()), tt.late)
			}
			w := httptest.NewRecorder()
			m.Load(http.HandlerFunc(handler)).ServeHTTP(w, b.request())
			require.Equal(t, tt.want, w.Header().Get("Cache-Control"))
			require.Equal(t, tt.late == nil, w.Body.String() == "hello ada")

			w = httptest.NewRecorder()
			m.Load(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tt.cache != "" {
					w.Header().Set("Cache-Control", tt.cache)
				}
				_, _ = w.Write([]byte("hello"))
				_, err := m.Check(r)
				require.Equal(t, sessions.CodeRequired, reason(err), "nobody's secret")
			})).ServeHTTP(w, (&browser{}).request())
			require.Equal(t, tt.cache, w.Header().Get("Cache-Control"))
		})
	}
}

// A Wrap that comes after the first byte cannot take it back, and lets nobody in.
func TestWrapAfterTheFirstWrite(t *testing.T) {
	m := newManager(t, nil)
	b := signIn(t, m, "ada")
	w := httptest.NewRecorder()
	m.Load(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public")
		_, _ = w.Write([]byte("public"))
		m.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			t.Error("ran")
		})).ServeHTTP(w, r)
	})).ServeHTTP(w, b.request())
	require.Equal(t, "public", w.Body.String())
}

// A forged request is refused before it counts as activity.
func TestCrossOriginProtectionStandsOutside(t *testing.T) {
	m := newManager(t, nil)
	b := signIn(t, m, "ada")
	app := http.NewCrossOriginProtection().Handler(m.Load(http.HandlerFunc(
		func(_ http.ResponseWriter, r *http.Request) {
			require.NoError(t, m.Update(r.Context(), add))
		})))
	for site, want := range map[string]int{
		"cross-site": 403, "same-site": 403, "same-origin": 200, "none": 200,
	} {
		r := b.request()
		r.Method = http.MethodPost
		r.Header.Set("Sec-Fetch-Site", site)
		w := httptest.NewRecorder()
		app.ServeHTTP(w, r)
		require.Equal(t, want, w.Code, site)
	}
	s, err := check(m, b)
	require.NoError(t, err)
	require.Equal(t, 2, s.Data.N)
}
