package sessions_test

import (
	"context"
	"encoding/base64"
	"math/bits"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/sessions"
)

// One test per requirement of OWASP ASVS 5.0 that a session library can keep:
// https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x16-V7-Session-Management.md

// 7.2.1: tokens are verified by the backend.
func TestASVS7_2_1(t *testing.T) {
	m, store := newFaulty(t)
	b := signIn(t, m, "ada")
	before := store.calls
	_, err := check(m, b)
	require.NoError(t, err)
	require.Equal(t, before+1, store.calls, "no request is believed on its token alone")
}

// 7.2.2: tokens are dynamic, not static secrets.
func TestASVS7_2_2(t *testing.T) {
	m := newManager(t, nil)
	require.NotEqual(t, signIn(t, m, "ada").cookie, signIn(t, m, "ada").cookie)
}

// 7.2.3: reference tokens are unique and have at least 128 random bits.
func TestASVS7_2_3(t *testing.T) {
	m := newManager(t, func(c *sessions.Config) { c.PerUser = 1000 })
	const count = 1000
	seen := map[string]bool{}
	ones := 0
	for range count {
		_, token, _ := strings.Cut(signIn(t, m, "ada").cookie, "=")
		require.False(t, seen[token])
		seen[token] = true
		raw, err := base64.RawURLEncoding.DecodeString(token)
		require.NoError(t, err)
		require.GreaterOrEqual(t, 8*len(raw[2:]), 128)
		for _, b := range raw[2:] {
			ones += bits.OnesCount8(b)
		}
	}
	// Half of 248,000 bits, within five standard deviations.
	require.InDelta(t, 124_000, ones, 1245)
}

// 7.2.4: a new token at authentication and at re-authentication, and the old one dead.
func TestASVS7_2_4(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, nil)
		b := signIn(t, m, "ada")
		for name, again := range map[string]func(context.Context) error{
			"authentication": func(ctx context.Context) error {
				return m.Start(ctx, sessions.Login{User: "ada", Level: sallyport.AAL1}, cart{})
			},
			"re-authentication": func(ctx context.Context) error { return m.StepUp(ctx, sallyport.AAL1) },
		} {
			old := *b
			b.do(m, func(ctx context.Context) { require.NoError(t, again(ctx)) })
			require.NotEqual(t, old.cookie, b.cookie, name)
			old.do(m, func(ctx context.Context) { require.Error(t, m.Update(ctx, add), name) })
			time.Sleep(sessions.Grace)
			_, err := check(m, &old)
			require.ErrorIs(t, err, sessions.ErrNoSession, name)
			_, err = check(m, b)
			require.NoError(t, err, name)
		}
	})
}

// 7.3.1: an inactivity timeout. To the nanosecond.
func TestASVS7_3_1(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, func(c *sessions.Config) { c.Idle = 5 * time.Minute })
		b := signIn(t, m, "ada")
		time.Sleep(5*time.Minute - 1)
		_, err := check(m, b)
		require.NoError(t, err)
		time.Sleep(5 * time.Minute)
		_, err = check(m, b)
		require.Equal(t, sessions.CodeEnded, reason(err))
	})
}

// 7.3.2: an absolute maximum lifetime. To the nanosecond.
func TestASVS7_3_2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, func(c *sessions.Config) { c.Idle, c.Lifetime = time.Hour, time.Hour })
		b := signIn(t, m, "ada")
		time.Sleep(time.Hour - 1)
		_, err := check(m, b)
		require.NoError(t, err)
		time.Sleep(time.Nanosecond)
		_, err = check(m, b)
		require.Equal(t, sessions.CodeEnded, reason(err))
	})
}

// 7.4.1: logout and expiry disallow any further use, also of a recorded cookie
// (defect 12 of peers: a signed cookie replayed after the logout works).
func TestASVS7_4_1(t *testing.T) {
	m := newManager(t, nil)
	b := signIn(t, m, "ada")
	recorded := *b
	b.do(m, func(ctx context.Context) { require.NoError(t, m.Logout(ctx)) })
	recorded.do(m, func(ctx context.Context) {
		_, err := get(m, ctx)
		require.Equal(t, sessions.CodeEnded, reason(err))
		require.ErrorIs(t, m.Update(ctx, add), sessions.ErrNoSession)
		require.ErrorIs(t, m.StepUp(ctx, sallyport.AAL2), sessions.ErrNoSession)
	})
}

// 7.4.2: all sessions end when an account is disabled or deleted.
func TestASVS7_4_2(t *testing.T) {
	m := newManager(t, nil)
	all := []*browser{signIn(t, m, "ada"), signIn(t, m, "ada"), signIn(t, m, "ada")}
	n, err := m.EndUser(t.Context(), "ada")
	require.NoError(t, err)
	require.Equal(t, 3, n)
	for _, b := range all {
		_, err := check(m, b)
		require.Equal(t, sessions.CodeEnded, reason(err))
	}
}

// 7.4.3: the option to end all other sessions after a change of a factor.
func TestASVS7_4_3(t *testing.T) {
	m := newManager(t, nil)
	here, there := signIn(t, m, "ada"), signIn(t, m, "ada")
	here.do(m, func(ctx context.Context) {
		require.NoError(t, m.StepUp(ctx, sallyport.AAL2)) // the factor was changed
		n, err := m.EndOthers(ctx)
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
	_, err := check(m, here)
	require.NoError(t, err)
	_, err = check(m, there)
	require.Equal(t, sessions.CodeEnded, reason(err))
}

// 7.4.5: administrators end the sessions of one user or of all.
func TestASVS7_4_5(t *testing.T) {
	m := newManager(t, nil)
	ada, bob := signIn(t, m, "ada"), signIn(t, m, "bob")
	_, err := m.EndUser(t.Context(), "ada")
	require.NoError(t, err)
	_, err = check(m, ada)
	require.Equal(t, sessions.CodeEnded, reason(err))
	_, err = check(m, bob)
	require.NoError(t, err)
	_, err = m.EndEveryone(t.Context())
	require.NoError(t, err)
	_, err = check(m, bob)
	require.Equal(t, sessions.CodeEnded, reason(err))
}

// 7.5.1 and 7.5.3: full re-authentication, or another factor, before sensitive changes:
// the time and the level of the last one are known, and only an event raises them.
func TestASVS7_5_1and3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, nil)
		b := signIn(t, m, "ada")
		fresh := func(s sessions.Session[cart]) bool {
			return s.Level >= sallyport.AAL2 && time.Since(s.AuthTime) < 5*time.Minute
		}
		time.Sleep(10 * time.Minute)
		s, err := check(m, b)
		require.NoError(t, err)
		require.False(t, fresh(s))
		b.do(m, func(ctx context.Context) { require.NoError(t, m.Update(ctx, add)) })
		s, _ = check(m, b)
		require.False(t, fresh(s), "no use of the session is a re-authentication")
		stepUp(t, m, b)
		s, _ = check(m, b)
		require.True(t, fresh(s))
		time.Sleep(5 * time.Minute)
		s, _ = check(m, b)
		require.False(t, fresh(s))
	})
}

// 7.5.2: users see their sessions and end any of them.
func TestASVS7_5_2(t *testing.T) {
	m := newManager(t, func(c *sessions.Config) {
		c.Client = func(*http.Request) string { return "Firefox, 192.0.2.0/24" }
	})
	b, other := signIn(t, m, "ada"), signIn(t, m, "ada")
	here, err := check(m, b)
	require.NoError(t, err)
	list, err := m.List(t.Context(), "ada")
	require.NoError(t, err)
	require.Len(t, list, 2)
	for _, info := range list {
		require.Equal(t, "Firefox, 192.0.2.0/24", info.Client)
		require.False(t, info.AuthTime.IsZero() || info.Seen.IsZero() || info.Expires.IsZero())
		if info.ID != here.ID {
			require.NoError(t, m.End(t.Context(), "ada", info.ID))
		}
	}
	_, err = check(m, other)
	require.Equal(t, sessions.CodeEnded, reason(err))
}

// cookieOf is the cookie of a sign-in, as the server writes it.
func cookieOf(t *testing.T) (header string, c *http.Cookie) {
	t.Helper()
	m, b := newManager(t, nil), &browser{}
	res := b.do(m, func(ctx context.Context) {
		login := sessions.Login{User: strings.Repeat("u", 255), Level: sallyport.AAL1, Remember: true}
		require.NoError(t, m.Start(ctx, login, cart{N: 1 << 60}))
	})
	require.Len(t, res.Cookies(), 1)
	return res.Header.Get("Set-Cookie"), res.Cookies()[0]
}

// 3.3.1: Secure, and a __Secure- or __Host- name.
func TestASVS3_3_1(t *testing.T) {
	_, c := cookieOf(t)
	require.True(t, c.Secure)
	require.True(t, strings.HasPrefix(c.Name, "__Host-"))
}

// 3.3.2: SameSite by purpose.
func TestASVS3_3_2(t *testing.T) {
	_, c := cookieOf(t)
	require.Equal(t, http.SameSiteStrictMode, c.SameSite)
}

// 3.3.3: __Host- unless it is shared with other hosts, and so no Domain, and Path=/.
func TestASVS3_3_3(t *testing.T) {
	_, c := cookieOf(t)
	require.Empty(t, c.Domain)
	require.Equal(t, "/", c.Path)
	_, err := sessions.New[cart](sessions.Config{
		Store: newMemory(t, sessions.MemoryConfig{}), Cookie: "__Secure-session",
	})
	require.Error(t, err)
}

// 3.3.4: HttpOnly, and the value reaches the client in Set-Cookie alone.
func TestASVS3_3_4(t *testing.T) {
	header, c := cookieOf(t)
	require.True(t, c.HttpOnly)
	require.Contains(t, header, c.Value)
	m := newManager(t, nil)
	b := signIn(t, m, "ada")
	_, token, _ := strings.Cut(b.cookie, "=")
	list, err := m.List(t.Context(), "ada")
	require.NoError(t, err)
	require.NotContains(t, list[0].ID, token[:8], "lists hold handles, not tokens")
	w := httptest.NewRecorder()
	m.Wrap(http.NotFoundHandler()).ServeHTTP(w, b.request())
	require.NotContains(t, w.Body.String(), token)
}

// 3.3.5: name and value together have at most 4096 bytes.
func TestASVS3_3_5(t *testing.T) {
	header, c := cookieOf(t)
	require.Less(t, len(c.Name)+len(c.Value), 4096)
	require.Less(t, len(header), 4096)
}

// 14.3.2: caches are told to keep nothing; see TestNoStoreWhenReadAfterTheFirstWrite.
func TestASVS14_3_2(t *testing.T) {
	m := newManager(t, nil)
	w := httptest.NewRecorder()
	m.Wrap(http.HandlerFunc(empty)).ServeHTTP(w, signIn(t, m, "ada").request())
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
}

// NIST SP 800-63B-4: re-authentication restarts both timers, and the level is that of
// the event, also when it is lower.
func TestNISTReauthentication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, func(c *sessions.Config) { c.Idle, c.Lifetime = time.Hour, 2*time.Hour })
		b := signIn(t, m, "ada")
		for range 5 {
			time.Sleep(50 * time.Minute)
			stepUp(t, m, b)
		}
		s, err := check(m, b)
		require.NoError(t, err, "four hours after the sign-in")
		require.Equal(t, 2*time.Hour, s.Expires.Sub(s.AuthTime))
		b.do(m, func(ctx context.Context) { require.NoError(t, m.StepUp(ctx, sallyport.AAL1)) })
		s, err = check(m, b)
		require.NoError(t, err)
		require.Equal(t, sallyport.AAL1, s.Level)
	})
}
