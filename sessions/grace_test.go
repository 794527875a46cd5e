package sessions_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/sessions"
)

// codes collects what the hook is told.
func codes(into *[]string) func(*sessions.Config) {
	return func(c *sessions.Config) {
		c.OnEvent = func(_ context.Context, e sallyport.Event) { *into = append(*into, e.Code) }
	}
}

func stepUp(t *testing.T, m *manager, b *browser) {
	t.Helper()
	b.do(m, func(ctx context.Context) { require.NoError(t, m.StepUp(ctx, sallyport.AAL2)) })
}

// A tab whose request left a moment before the step-up is not signed out.
func TestARotatedTokenStillReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		m := newManager(t, codes(&seen))
		b := signIn(t, m, "ada")
		tab := *b
		stepUp(t, m, b)
		seen = nil

		time.Sleep(sessions.Grace - 1)
		s, err := check(m, &tab)
		require.NoError(t, err)
		require.Equal(t, "ada", s.User)
		require.Equal(t, sallyport.AAL1, s.Level, "never the new level")
		require.Equal(t, []string{sessions.CodeGrace}, seen)
		time.Sleep(time.Nanosecond)
		_, err = check(m, &tab)
		require.Equal(t, sessions.CodeEnded, reason(err))
		s, err = check(m, b)
		require.NoError(t, err)
		require.Equal(t, sallyport.AAL2, s.Level)
	})
}

// Reading is all it does: no unsafe method, no write, no step-up, no ends.
func TestARotatedTokenChangesNothing(t *testing.T) {
	var seen []string
	m := newManager(t, codes(&seen))
	b, other := signIn(t, m, "ada"), signIn(t, m, "ada")
	tab := *b
	stepUp(t, m, b)
	seen = nil
	res := tab.do(m, func(ctx context.Context) {
		for _, err := range []error{
			m.Update(ctx, add), m.StepUp(ctx, sallyport.AAL2),
			func() error { _, err := m.EndOthers(ctx); return err }(),
		} {
			require.Equal(t, sessions.CodeReplaced, reason(err))
			require.ErrorIs(t, err, sessions.ErrNoSession)
		}
		_, err := get(m, ctx)
		require.NoError(t, err, "it goes on reading")
		require.NoError(t, m.Recheck(ctx))
	})
	require.Empty(t, res.Cookies())
	require.Equal(t, []string{
		"session_grace", "session_replaced", "session_replaced", "session_replaced", "session_grace",
	}, seen)
	for method, want := range map[string]int{
		http.MethodGet: 200, http.MethodHead: 200, http.MethodOptions: 200,
		http.MethodPost: 401, http.MethodPut: 401, http.MethodPatch: 401,
		http.MethodDelete: 401, "PROPFIND": 401,
	} {
		r := tab.request()
		r.Method = method
		w := httptest.NewRecorder()
		m.Wrap(http.HandlerFunc(empty)).ServeHTTP(w, r)
		require.Equal(t, want, w.Code, method)
	}
	for _, live := range []*browser{b, other} {
		_, err := check(m, live)
		require.NoError(t, err)
	}
}

// 14 of 15 sessions lived on when a logout raced a step-up in another tab.
func TestLogoutWithARotatedTokenEndsTheSession(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		for _, looked := range []bool{false, true} {
			m := newManager(t, nil)
			b := signIn(t, m, "ada")
			tab := *b
			stepUp(t, m, b)
			r := tab.request()
			r.Method = method
			w := httptest.NewRecorder()
			m.Load(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if looked {
					_, _ = m.Check(r)
				}
				require.NoError(t, m.Logout(r.Context()))
			})).ServeHTTP(w, r)
			for _, dead := range []*browser{b, &tab} {
				_, err := check(m, dead)
				require.Equal(t, sessions.CodeEnded, reason(err))
			}
			require.Contains(t, w.Header().Get("Set-Cookie"), "Max-Age=0")
		}
	}
}

// A thief whose session the owner has ended must not end the owner's.
func TestADeadSessionEndsNoOthers(t *testing.T) {
	var seen []string
	m := newManager(t, codes(&seen))
	owner, thief := signIn(t, m, "ada"), signIn(t, m, "ada")
	thief.do(m, func(ctx context.Context) {
		s, err := get(m, ctx)
		require.NoError(t, err)
		require.NoError(t, m.End(ctx, "ada", s.ID))
		seen = nil
		_, err = m.EndOthers(ctx)
		require.Equal(t, sessions.CodeEnded, reason(err))
		require.Equal(t, []string{sessions.CodeEnded}, seen)
		_, ok := m.FromContext(ctx)
		require.False(t, ok)
	})
	_, err := check(m, owner)
	require.NoError(t, err)
}

func TestRememberedSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const month = 30 * 24 * time.Hour
		m, b := newManager(t, nil), &browser{}
		login := sessions.Login{
			User: "ada", Level: sallyport.AAL1, Remember: true, Idle: month / 2, Lifetime: month,
		}
		res := b.do(m, func(ctx context.Context) { require.NoError(t, m.Start(ctx, login, cart{})) })
		require.Equal(t, int(month/time.Second), res.Cookies()[0].MaxAge)
		require.True(t, res.Cookies()[0].HttpOnly && res.Cookies()[0].Secure)
		time.Sleep(month/2 - 1)
		s, err := check(m, b)
		require.NoError(t, err)
		require.Equal(t, month, s.Expires.Sub(s.AuthTime))
		res = b.do(m, func(ctx context.Context) { require.NoError(t, m.StepUp(ctx, sallyport.AAL2)) })
		require.Equal(t, int(month/time.Second), res.Cookies()[0].MaxAge, "remembered after a step-up")
		time.Sleep(month / 2)
		_, err = check(m, b)
		require.Equal(t, sessions.CodeEnded, reason(err))
	})
}

func TestLimitsOfALogin(t *testing.T) {
	const year = 366 * 24 * time.Hour
	good := sessions.Login{User: "ada", Level: sallyport.AAL1}
	for name, tt := range map[string]struct {
		edit func(*sessions.Login)
		ok   bool
	}{
		"least": {func(l *sessions.Login) { l.Idle, l.Lifetime, l.PerUser = 1e9, 1e9, 1 }, true},
		"most": {func(l *sessions.Login) {
			l.Idle, l.Lifetime, l.PerUser = year, year, 1000
		}, true},
		"short life, idle follows":  {func(l *sessions.Login) { l.Lifetime = time.Minute }, true},
		"idle longer than lifetime": {func(l *sessions.Login) { l.Idle = 12*time.Hour + 1 }, false},
		"short idle":                {func(l *sessions.Login) { l.Idle = 1e9 - 1 }, false},
		"negative idle":             {func(l *sessions.Login) { l.Idle = -1 }, false},
		"long life":                 {func(l *sessions.Login) { l.Lifetime = year + 1 }, false},
		"none per user":             {func(l *sessions.Login) { l.PerUser = -1 }, false},
		"many per user":             {func(l *sessions.Login) { l.PerUser = 1001 }, false},
		"AAL3":                      {func(l *sessions.Login) { l.Level = sallyport.AAL3 }, true},
		"AAL4":                      {func(l *sessions.Login) { l.Level = 4 }, false},
	} {
		m, login := newManager(t, nil), good
		tt.edit(&login)
		(&browser{}).do(m, func(ctx context.Context) {
			err := m.Start(ctx, login, cart{})
			if tt.ok {
				require.NoError(t, err, name)
			} else {
				require.ErrorIs(t, err, sessions.ErrInvalid, name)
			}
		})
	}
}

// One sign-in beyond the limit ends the session that was not used for longest.
func TestPerUserLimits(t *testing.T) {
	m := newManager(t, func(c *sessions.Config) { c.PerUser = 2 })
	first, second, third := signIn(t, m, "ada"), signIn(t, m, "ada"), signIn(t, m, "ada")
	_, err := check(m, first)
	require.Equal(t, sessions.CodeEnded, reason(err))
	only := &browser{}
	only.do(m, func(ctx context.Context) {
		login := sessions.Login{User: "bob", Level: sallyport.AAL1, PerUser: 1}
		require.NoError(t, m.Start(ctx, login, cart{}))
	})
	for _, live := range []*browser{second, third, only} {
		_, err := check(m, live)
		require.NoError(t, err)
	}
}
