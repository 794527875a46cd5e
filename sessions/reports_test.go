package sessions_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/sessions"
)

// Faults that people reported of other libraries and services, tried here.

// gobuffalo/buffalo#631, mozilla/node-client-sessions#66: the cookie is set twice.
func TestOneSetCookiePerResponse(t *testing.T) {
	m := newManager(t, nil)
	b := signIn(t, m, "ada")
	res := b.do(m, func(ctx context.Context) {
		login := sessions.Login{User: "ada", Level: sallyport.AAL1}
		require.NoError(t, m.Start(ctx, login, cart{}))
		require.NoError(t, m.StepUp(ctx, sallyport.AAL2))
		require.NoError(t, m.Start(ctx, login, cart{}))
		require.NoError(t, m.Update(ctx, add))
	})
	require.Len(t, res.Header["Set-Cookie"], 1)
	s, err := check(m, b)
	require.NoError(t, err)
	require.Equal(t, 1, s.Data.N)
	list, err := m.List(t.Context(), "ada")
	require.NoError(t, err)
	require.Len(t, list, 1)
}

// nextcloud/user_oidc#1175, Ayushh-Sharmaa/NexaSphere#1054: tabs that ask while another
// renews the session are signed out, and take the newer session with them.
func TestTabsSurviveARenewal(t *testing.T) {
	m := newManager(t, nil)
	b := signIn(t, m, "ada")
	tabs := make([]browser, 20)
	var loaded, done sync.WaitGroup
	loaded.Add(len(tabs))
	renewed := make(chan struct{})
	for i := range tabs {
		tabs[i] = *b
		done.Go(func() {
			loaded.Done()
			<-renewed
			res := tabs[i].do(m, func(ctx context.Context) {
				if _, err := get(m, ctx); err != nil {
					t.Error(err)
				}
			})
			if len(res.Cookies()) > 0 {
				t.Error("a tab changed the cookie")
			}
		})
	}
	loaded.Wait()
	stepUp(t, m, b)
	close(renewed)
	done.Wait()
	_, err := check(m, b)
	require.NoError(t, err)
}

// Two renewals at once: one wins, and the other one's browser is not left with a token
// that never was.
func TestRenewalsAtOnce(t *testing.T) {
	m := newManager(t, nil)
	b := signIn(t, m, "ada")
	tabs := make([]browser, 8)
	var loaded, done sync.WaitGroup
	loaded.Add(len(tabs))
	for i := range tabs {
		tabs[i] = *b
		done.Go(func() {
			tabs[i].do(m, func(ctx context.Context) {
				_, err := get(m, ctx)
				loaded.Done()
				loaded.Wait()
				if err == nil {
					_ = m.StepUp(ctx, sallyport.AAL2)
				}
			})
		})
	}
	done.Wait()
	won := 0
	for i := range tabs {
		_, err := check(m, &tabs[i])
		require.NoError(t, err, "the winner's, or the old one that still reads")
		if tabs[i].cookie != b.cookie {
			won++
		}
	}
	require.Equal(t, 1, won)
	list, err := m.List(t.Context(), "ada")
	require.NoError(t, err)
	require.Len(t, list, 1)
}

// moorcheh-ai/memanto#1534: a renewal that is on its way publishes a fresh token after
// the logout.
func TestARenewalOnItsWayDoesNotOutliveTheLogout(t *testing.T) {
	m := newManager(t, nil)
	b := signIn(t, m, "ada")
	renewing := *b
	renewing.do(m, func(ctx context.Context) {
		_, err := get(m, ctx)
		require.NoError(t, err)
		b.do(m, func(ctx context.Context) { require.NoError(t, m.Logout(ctx)) })
		require.ErrorIs(t, m.StepUp(ctx, sallyport.AAL2), sessions.ErrNoSession)
	})
	_, err := check(m, &renewing)
	require.Equal(t, sessions.CodeEnded, reason(err))
}

// expressjs/session#448: two cookies of one name, and the older one is read.
func TestTwoCookiesAreNoSession(t *testing.T) {
	m := newManager(t, nil)
	older, newer := signIn(t, m, "ada"), signIn(t, m, "bob")
	for _, header := range []string{
		older.cookie + "; " + newer.cookie, newer.cookie + "; " + older.cookie,
	} {
		_, err := check(m, &browser{cookie: header})
		require.Equal(t, sessions.CodeDuplicate, reason(err))
	}
}

// goravel/goravel#922, OliveTin (GHSA-gq2m-77hf-vwgh), gorilla/sessions#282: the token is
// the same after the login, or works after the logout.
func TestTokensAtTheBoundaries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, nil)
		b := signIn(t, m, "eve")
		before := *b
		b.do(m, func(ctx context.Context) {
			login := sessions.Login{User: "ada", Level: sallyport.AAL1}
			require.NoError(t, m.Start(ctx, login, cart{}))
		})
		require.NotEqual(t, before.cookie, b.cookie)
		_, err := check(m, &before)
		require.Equal(t, sessions.CodeEnded, reason(err), "at once: it was another login's")
		during := *b
		res := b.do(m, func(ctx context.Context) { require.NoError(t, m.Logout(ctx)) })
		require.Equal(t, -1, res.Cookies()[0].MaxAge)
		for range 3 {
			_, err = check(m, &during)
			require.Equal(t, sessions.CodeEnded, reason(err))
			time.Sleep(time.Hour)
		}
	})
}

// decred/politeia#418: a logout without a session is an error.
func TestLogoutWithoutASession(t *testing.T) {
	m := newManager(t, nil)
	b := &browser{}
	res := b.do(m, func(ctx context.Context) { require.NoError(t, m.Logout(ctx)) })
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Len(t, res.Cookies(), 1)
}
