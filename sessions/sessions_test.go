package sessions_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/sessions"
)

type cart struct{ N int }

type manager = sessions.Manager[cart]

func newManager(t testing.TB, edit func(*sessions.Config)) *manager {
	t.Helper()
	cfg := sessions.Config{Store: newMemory(t, sessions.MemoryConfig{})}
	if edit != nil {
		edit(&cfg)
	}
	m, err := sessions.New[cart](cfg)
	require.NoError(t, err)
	return m
}

// browser sends the one cookie it has and takes what the server sets.
type browser struct{ cookie string }

func (b *browser) request() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if b.cookie != "" {
		r.Header.Set("Cookie", b.cookie)
	}
	return r
}

func (b *browser) take(res *http.Response) {
	for _, c := range res.Cookies() {
		b.cookie = c.Name + "=" + c.Value
		if c.MaxAge < 0 {
			b.cookie = ""
		}
	}
}

// do runs fn as a handler inside Load and returns the response.
func (b *browser) do(m *manager, fn func(context.Context)) *http.Response {
	w := httptest.NewRecorder()
	m.Load(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fn(r.Context())
	})).ServeHTTP(w, b.request())
	res := w.Result()
	b.take(res)
	return res
}

func signIn(t testing.TB, m *manager, user string) *browser {
	t.Helper()
	b := &browser{}
	b.do(m, func(ctx context.Context) {
		require.NoError(t, m.Start(ctx, sessions.Login{User: user, Level: sallyport.AAL1}, cart{}))
	})
	require.NotEmpty(t, b.cookie)
	return b
}

// get asks for the session of the request that ctx belongs to.
func get(m *manager, ctx context.Context) (sessions.Session[cart], error) {
	return m.Check(httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx))
}

func check(m *manager, b *browser) (sessions.Session[cart], error) { return m.Check(b.request()) }

func reason(err error) string {
	if refused, ok := errors.AsType[*sallyport.Refusal](err); ok {
		return refused.Code
	}
	return ""
}

func add(c *cart) error { c.N++; return nil }

func TestStartSetsAHardenedCookie(t *testing.T) { // ASVS 3.3.1 to 3.3.5, 7.2.2
	m, b := newManager(t, nil), &browser{}
	res := b.do(m, func(ctx context.Context) {
		err := m.Start(ctx, sessions.Login{User: "ada", Level: sallyport.AAL1}, cart{N: 7})
		require.NoError(t, err)
	})
	require.Len(t, res.Cookies(), 1)
	c := res.Cookies()[0]
	require.Equal(t, "__Host-Http-session", c.Name)
	require.True(t, c.HttpOnly && c.Secure)
	require.Equal(t, http.SameSiteStrictMode, c.SameSite)
	require.Equal(t, "/", c.Path)
	require.Empty(t, c.Domain)
	require.Less(t, len(res.Header.Get("Set-Cookie")), 4096)
	require.Equal(t, "no-store", res.Header.Get("Cache-Control"))

	s, err := check(m, b)
	require.NoError(t, err)
	require.Equal(t, "ada", s.User)
	require.Equal(t, sallyport.AAL1, s.Level)
	require.Equal(t, cart{N: 7}, s.Data)
	require.Equal(t, 12*time.Hour, s.Expires.Sub(s.AuthTime))
}

func TestIdleAndAbsoluteLimits(t *testing.T) { // ASVS 7.3.1, 7.3.2; policy O10
	for name, tt := range map[string]struct {
		gap   time.Duration
		times int
		want  string
	}{
		"one nanosecond short of idle": {30*time.Minute - 1, 1, ""},
		"exactly idle":                 {30 * time.Minute, 1, sessions.CodeEnded},
		"always in use, short of 12 h": {20 * time.Minute, 35, ""},
		"always in use, exactly 12 h":  {20 * time.Minute, 36, sessions.CodeEnded},
		"uses a second apart count":    {time.Second, 3600, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newManager(t, nil)
				b := signIn(t, m, "ada")
				var err error
				for range tt.times {
					time.Sleep(tt.gap)
					_, err = check(m, b)
				}
				require.Equal(t, tt.want, reason(err))
			})
		})
	}
}

func TestPassiveRequestsAreNotActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, nil)
		b := signIn(t, m, "ada")
		poll := m.LoadPassive(m.Wrap(http.NotFoundHandler()))
		for range 30 {
			time.Sleep(time.Minute)
			poll.ServeHTTP(httptest.NewRecorder(), b.request())
		}
		_, err := check(m, b)
		require.Equal(t, sessions.CodeEnded, reason(err))
	})
}

func TestStartAgainKillsTheOldToken(t *testing.T) { // ASVS 7.2.4
	m := newManager(t, nil)
	old := signIn(t, m, "ada")
	now := *old
	now.do(m, func(ctx context.Context) {
		login := sessions.Login{User: "bob", Level: sallyport.AAL2}
		require.NoError(t, m.Start(ctx, login, cart{}))
		s, err := get(m, ctx)
		require.NoError(t, err)
		require.Equal(t, "bob", s.User)
	})
	require.NotEqual(t, old.cookie, now.cookie)
	_, err := check(m, old)
	require.Equal(t, sessions.CodeEnded, reason(err))
	s, err := check(m, &now)
	require.NoError(t, err)
	require.Equal(t, sallyport.AAL2, s.Level)
}

func TestStepUpRotatesAndRestartsBothTimers(t *testing.T) { // NIST 800-63B-4 5.2
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, nil)
		old := signIn(t, m, "ada")
		first, err := check(m, old)
		require.NoError(t, err)
		time.Sleep(29 * time.Minute)
		now := *old
		now.do(m, func(ctx context.Context) {
			require.NoError(t, m.Update(ctx, add))
			require.NoError(t, m.StepUp(ctx, sallyport.AAL2))
		})
		time.Sleep(sessions.Grace)
		_, err = check(m, old)
		require.Equal(t, sessions.CodeEnded, reason(err))
		time.Sleep(29*time.Minute - sessions.Grace)
		s, err := check(m, &now)
		require.NoError(t, err)
		require.Equal(t, first.ID, s.ID, "the same session in the user's list")
		require.Equal(t, sallyport.AAL2, s.Level)
		require.Equal(t, 1, s.Data.N, "data survives")
		require.Equal(t, 29*time.Minute, s.AuthTime.Sub(first.AuthTime))
		now.do(m, func(ctx context.Context) { require.NoError(t, m.StepUp(ctx, sallyport.AAL1)) })
		s, err = check(m, &now)
		require.NoError(t, err)
		require.Equal(t, sallyport.AAL1, s.Level, "never above its authentication event")
	})
}

// Defect 1 (CVE-2025-46336 class): a slow request revives a destroyed session.
func TestLogoutIsNotUndoneByASlowRequest(t *testing.T) { // ASVS 7.4.1
	m := newManager(t, nil)
	b := signIn(t, m, "ada")
	slow := *b
	res := slow.do(m, func(ctx context.Context) {
		_, err := get(m, ctx)
		require.NoError(t, err)
		b.do(m, func(ctx context.Context) { require.NoError(t, m.Logout(ctx)) })
		require.ErrorIs(t, m.Update(ctx, add), sessions.ErrNoSession)
		_, ok := m.FromContext(ctx)
		require.False(t, ok, "from here on this request knows")
		require.ErrorIs(t, m.StepUp(ctx, sallyport.AAL2), sessions.ErrNoSession)
	})
	require.Empty(t, b.cookie, "logout removes the cookie")
	require.Empty(t, res.Cookies())
	_, err := check(m, &slow)
	require.Equal(t, sessions.CodeEnded, reason(err))
}

// Defect 2: a slow request revives the old token, and its Set-Cookie puts the
// browser back on it.
func TestRotationIsNotUndoneByASlowRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, nil)
		b := signIn(t, m, "ada")
		slow := *b
		stepUp := func(ctx context.Context) { require.NoError(t, m.StepUp(ctx, sallyport.AAL2)) }
		res := slow.do(m, func(ctx context.Context) {
			_, err := get(m, ctx)
			require.NoError(t, err)
			b.do(m, stepUp)
			require.ErrorIs(t, m.Update(ctx, add), sessions.ErrNoSession)
		})
		require.Empty(t, res.Cookies(), "a dead token must not touch the cookie")
		time.Sleep(sessions.Grace)
		_, err := check(m, &slow)
		require.Equal(t, sessions.CodeEnded, reason(err))
		_, err = check(m, b)
		require.NoError(t, err)
	})
}

// Defect 5: 1 of 100 writers survives when all load first.
func TestNoUpdateIsLost(t *testing.T) {
	m := newManager(t, nil)
	b := signIn(t, m, "ada")
	const writers = 100
	var loaded, done sync.WaitGroup
	loaded.Add(writers)
	for range writers {
		done.Go(func() {
			mine := *b
			mine.do(m, func(ctx context.Context) {
				_, err := get(m, ctx)
				loaded.Done()
				loaded.Wait()
				if err := errors.Join(err, m.Update(ctx, add)); err != nil {
					t.Error(err)
				}
			})
		})
	}
	done.Wait()
	s, err := check(m, b)
	require.NoError(t, err)
	require.Equal(t, writers, s.Data.N)
}

// Defect 6: an attacker-chosen id is adopted.
func TestFixation(t *testing.T) {
	m := newManager(t, nil)
	planted := "__Host-Http-session=" + strings.Repeat("A", 44)
	b := &browser{cookie: planted}
	b.do(m, func(ctx context.Context) {
		require.ErrorIs(t, m.Update(ctx, add), sessions.ErrNoSession)
		login := sessions.Login{User: "ada", Level: sallyport.AAL1}
		require.NoError(t, m.Start(ctx, login, cart{}))
	})
	require.NotEqual(t, planted, b.cookie)
	_, err := check(m, &browser{cookie: planted})
	require.Equal(t, sessions.CodeEnded, reason(err))
}

// Defect 7: the cookie is lost on Flush before Write; data after a Write or a 103.
func TestEveryWayToStartAResponse(t *testing.T) {
	m := newManager(t, nil)
	login := sessions.Login{User: "ada", Level: sallyport.AAL1}
	for name, begin := range map[string]func(http.ResponseWriter){
		"nothing":     func(http.ResponseWriter) {},
		"write":       func(w http.ResponseWriter) { _, _ = w.Write([]byte("x")) },
		"header":      func(w http.ResponseWriter) { w.WriteHeader(http.StatusTeapot) },
		"flush":       func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() },
		"early hints": func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints) },
	} {
		t.Run(name, func(t *testing.T) {
			b := &browser{}
			srv := httptest.NewServer(m.Load(http.HandlerFunc(
				func(w http.ResponseWriter, r *http.Request) {
					err := m.Start(r.Context(), login, cart{})
					begin(w)
					if err := errors.Join(err, m.Update(r.Context(), add)); err != nil {
						t.Error(err)
					}
				})))
			defer srv.Close()
			res, err := srv.Client().Get(srv.URL)
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, res.Body) // to the end of the handler
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			b.take(res)
			s, err := check(m, b)
			require.NoError(t, err)
			require.Equal(t, 1, s.Data.N, "an update after the header is stored all the same")
		})
	}
}

func TestTokensCannotChangeOnceTheResponseHasStarted(t *testing.T) {
	m := newManager(t, nil)
	b := signIn(t, m, "ada")
	w := httptest.NewRecorder()
	m.Load(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		login := sessions.Login{User: "bob", Level: sallyport.AAL1}
		require.ErrorIs(t, m.Start(r.Context(), login, cart{}), sessions.ErrCommitted)
		require.ErrorIs(t, m.StepUp(r.Context(), sallyport.AAL2), sessions.ErrCommitted)
		s, err := m.Check(r)
		require.NoError(t, err, "nothing was changed")
		require.Equal(t, "ada", s.User)
		require.NoError(t, m.Logout(r.Context()), "logout still works")
	})).ServeHTTP(w, b.request())
	_, err := check(m, b)
	require.Equal(t, sessions.CodeEnded, reason(err))
}
