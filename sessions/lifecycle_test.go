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

func TestListAndEnd(t *testing.T) { // ASVS 7.4.2, 7.4.3, 7.4.5, 7.5.2
	m := newManager(t, nil)
	ctx := t.Context()
	a, b, c, bob := signIn(t, m, "ada"), signIn(t, m, "ada"), signIn(t, m, "ada"), signIn(t, m, "bob")
	list, err := m.List(ctx, "ada")
	require.NoError(t, err)
	require.Len(t, list, 3)

	sa, err := check(m, a)
	require.NoError(t, err)
	require.ErrorIs(t, m.End(ctx, "bob", sa.ID), sessions.ErrNoSession, "not his to end")
	require.ErrorIs(t, m.End(ctx, "ada", ""), sessions.ErrInvalid)
	require.NoError(t, m.End(ctx, "ada", sa.ID))
	// Defect 4: a revocation that did nothing returned nil.
	require.ErrorIs(t, m.End(ctx, "ada", sa.ID), sessions.ErrNoSession)
	_, err = check(m, a)
	require.Equal(t, sessions.CodeEnded, reason(err))

	b.do(m, func(ctx context.Context) {
		n, err := m.EndOthers(ctx)
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
	_, err = check(m, c)
	require.Equal(t, sessions.CodeEnded, reason(err))
	_, err = m.EndUser(ctx, "")
	require.ErrorIs(t, err, sessions.ErrInvalid)
	n, err := m.EndUser(ctx, "ada")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	n, err = m.EndEveryone(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	_, err = check(m, bob)
	require.Equal(t, sessions.CodeEnded, reason(err))
	_, err = m.EndOthers(ctx)
	require.Equal(t, sessions.CodeNotLoaded, reason(err), "outside Load")
}

func TestUpdate(t *testing.T) {
	m := newManager(t, func(c *sessions.Config) { c.MaxData = 16 })
	b := signIn(t, m, "ada")
	b.do(m, func(ctx context.Context) {
		mine := errors.New("no")
		require.Equal(t, mine, m.Update(ctx, func(c *cart) error { c.N = 5; return mine }))
		s, ok := m.FromContext(ctx)
		require.True(t, ok)
		require.Zero(t, s.Data.N, "nothing is stored after an error")
		tooBig := func(c *cart) error { c.N = 1 << 60; return nil }
		require.ErrorIs(t, m.Update(ctx, tooBig), sessions.ErrTooLarge)
		require.NoError(t, m.Update(ctx, add))
		s, _ = m.FromContext(ctx)
		require.Equal(t, 1, s.Data.N)
	})
	require.ErrorIs(t, m.Update(t.Context(), add), sessions.ErrInvalid, "outside Load")
}

func TestStartArguments(t *testing.T) {
	long := strings.Repeat("u", 256)
	m := newManager(t, func(c *sessions.Config) { c.MaxData = 16 })
	for name, tt := range map[string]struct {
		login sessions.Login
		data  cart
		want  error
	}{
		"no user":    {sessions.Login{Level: sallyport.AAL1}, cart{}, sessions.ErrInvalid},
		"no level":   {sessions.Login{User: "ada"}, cart{}, sessions.ErrInvalid},
		"level 4":    {sessions.Login{User: "ada", Level: 4}, cart{}, sessions.ErrInvalid},
		"long user":  {sessions.Login{User: long, Level: 1}, cart{}, sessions.ErrInvalid},
		"large data": {sessions.Login{User: "ada", Level: 1}, cart{N: 1 << 60}, sessions.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			b := signIn(t, m, "eve")
			b.do(m, func(ctx context.Context) {
				require.ErrorIs(t, m.Start(ctx, tt.login, tt.data), tt.want)
				require.ErrorIs(t, m.StepUp(ctx, 0), sessions.ErrInvalid)
			})
			s, err := check(m, b)
			require.NoError(t, err, "a refused Start changes nothing")
			require.Equal(t, "eve", s.User)
		})
	}
	err := m.Start(t.Context(), sessions.Login{User: "ada", Level: sallyport.AAL1}, cart{})
	require.Equal(t, sessions.CodeNotLoaded, reason(err), "outside Load")
	require.NotErrorIs(t, err, sessions.ErrUnavailable, "trying again will not help")
	require.ErrorContains(t, err, "not inside Manager.Load")
	for _, err := range []error{
		err, m.StepUp(t.Context(), sallyport.AAL2), m.Logout(t.Context()),
	} {
		require.Equal(t, sessions.CodeNotLoaded, reason(err))
		require.ErrorIs(t, err, sessions.ErrInvalid)
	}
}

func TestTwoManagersDoNotMeet(t *testing.T) {
	m, other := newManager(t, nil), newManager(t, nil)
	b := signIn(t, m, "ada")
	m.Load(other.Load(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := m.Check(r)
		require.NoError(t, err)
		_, err = other.Check(r)
		require.Equal(t, sessions.CodeEnded, reason(err))
	}))).ServeHTTP(httptest.NewRecorder(), b.request())
}

// A type that JSON cannot hold is an error at Start, not a session that is lost.
func TestDataThatCannotBeStored(t *testing.T) {
	type odd struct{ F func() }
	m, err := sessions.New[odd](sessions.Config{Store: newMemory(t, sessions.MemoryConfig{})})
	require.NoError(t, err)
	h := m.Load(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, ok := m.FromContext(r.Context())
		require.False(t, ok, "nothing is proved before it was asked")
		login := sessions.Login{User: "ada", Level: sallyport.AAL1}
		require.Error(t, m.Start(r.Context(), login, odd{}))
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
}

// A snapshot that others read must not change under them, not even when T holds
// maps and fn fails half way.
func TestUpdateWorksOnACopy(t *testing.T) {
	type seen struct{ Pages map[string]int }
	m, err := sessions.New[seen](sessions.Config{Store: newMemory(t, sessions.MemoryConfig{})})
	require.NoError(t, err)
	h := m.Load(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx, login := r.Context(), sessions.Login{User: "ada", Level: sallyport.AAL1}
		require.NoError(t, m.Start(ctx, login, seen{Pages: map[string]int{"a": 1}}))
		require.Error(t, m.Update(ctx, func(s *seen) error {
			s.Pages["a"]++
			return errors.New("half way")
		}))
		s, err := m.Check(r)
		require.NoError(t, err)
		require.Equal(t, 1, s.Data.Pages["a"])
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
}
