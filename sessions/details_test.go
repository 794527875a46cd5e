package sessions_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/sessions"
)

// A count comes without an error, or is zero.
func TestCountsOfErrors(t *testing.T) {
	m, store := newFaulty(t)
	ctx := t.Context()
	for _, b := range []*browser{{}, signIn(t, m, "ada")} {
		b.do(m, func(ctx context.Context) {
			if b.cookie != "" {
				_, err := get(m, ctx)
				require.NoError(t, err)
				store.down = errors.New("down")
			}
			n, err := m.EndOthers(ctx)
			require.Error(t, err)
			require.Zero(t, n)
		})
	}
	require.ErrorIs(t, m.End(ctx, "ada", "x"), sessions.ErrUnavailable)
	for _, user := range []string{"", "ada"} {
		n, err := m.EndUser(ctx, user)
		require.Error(t, err)
		require.Zero(t, n)
	}
	n, err := m.EndEveryone(ctx)
	require.Error(t, err)
	require.Zero(t, n)
	n, err = m.EndOthers(ctx)
	require.Equal(t, sessions.CodeNotLoaded, reason(err))
	require.Zero(t, n)
	n, err = (*manager)(nil).EndUser(ctx, "ada")
	require.Error(t, err)
	require.Zero(t, n)
	store.down = nil
	require.ErrorIs(t, m.End(ctx, "", "x"), sessions.ErrInvalid)
	b, other := signIn(t, m, "ada"), signIn(t, m, "ada")
	stale := *b
	stepUp(t, m, b)
	stale.do(m, func(ctx context.Context) {
		n, err := m.EndOthers(ctx)
		require.Error(t, err)
		require.Zero(t, n)
	})
	_, err = check(m, other)
	require.NoError(t, err)
}

// What stands around the handlers passes through.
func TestContextsPassThrough(t *testing.T) {
	type key struct{}
	m := newManager(t, nil)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	ctx, cancel := context.WithCancel(context.WithValue(r.Context(), key{}, "outer"))
	cancel()
	m.Load(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		require.Equal(t, "outer", r.Context().Value(key{}))
		require.ErrorIs(t, r.Context().Err(), context.Canceled)
	})).ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
}

// A user id of 255 bytes is one; see TestStartArguments for 256.
func TestLongestUser(t *testing.T) {
	m := newManager(t, nil)
	s, err := check(m, signIn(t, m, strings.Repeat("u", 255)))
	require.NoError(t, err)
	require.Len(t, s.User, 255)
}

// The token's layout: a tag of the user, and 31 random bytes.
func TestTokenLayout(t *testing.T) {
	m := newManager(t, func(c *sessions.Config) { c.PerUser = 1000 })
	seen := [33]map[byte]bool{}
	for range 64 {
		_, token, _ := strings.Cut(signIn(t, m, "ada").cookie, "=")
		raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
		require.NoError(t, err)
		require.Len(t, raw, 33)
		require.Equal(t, sessions.Tag("ada"), uint16(raw[0])<<8|uint16(raw[1]))
		for i, b := range raw {
			if seen[i] == nil {
				seen[i] = map[byte]bool{}
			}
			seen[i][b] = true
		}
	}
	for i, values := range seen {
		require.Equal(t, i < 2, len(values) == 1, "byte %d", i)
	}
	require.Equal(t, uint16(0x3dee), sessions.Tag("ada"))
	require.Less(t, sessions.Tag("bob"), uint16(1<<14))
	// The first tag that no user has, as the store's last slot is 16383.
	for tag, want := range map[string]string{"QAA": sessions.CodeMalformed, "P_8": sessions.CodeEnded} {
		b := &browser{cookie: sessions.DefaultCookie + "=" + tag + strings.Repeat("A", 41)}
		_, err := check(m, b)
		require.Equal(t, want, reason(err), tag)
	}
}

func TestCookieNames(t *testing.T) {
	store := newMemory(t, sessions.MemoryConfig{})
	for _, c := range "\"(),/:;<=>?@[\\]{}\x00 \t\x7f\x80" {
		_, err := sessions.New[cart](sessions.Config{Store: store, Cookie: "__Host-" + string(c)})
		require.Error(t, err, "%q", c)
	}
	for _, c := range "!#$%&'*+-.^_`|~09azAZ" {
		_, err := sessions.New[cart](sessions.Config{Store: store, Cookie: "__Host-" + string(c)})
		require.NoError(t, err, "%q", c)
	}
}

// Reading before the first write marks the page whatever the handler said.
func TestNoStoreOverrulesTheHandler(t *testing.T) {
	m := newManager(t, nil)
	w := httptest.NewRecorder()
	m.Load(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := m.Check(r)
		require.NoError(t, err)
		w.Header().Set("Cache-Control", "public")
		_, _ = w.Write([]byte("x"))
		_, err = m.Check(r)
		require.NoError(t, err)
	})).ServeHTTP(w, signIn(t, m, "ada").request())
	require.Equal(t, []string{"no-store"}, w.Header()["Cache-Control"])
}

// Logging out of many: a bad one among them takes no place.
func TestEightSessionsAtOnce(t *testing.T) {
	m := newManager(t, nil)
	var all []*browser
	var header strings.Builder
	header.WriteString(strings.Repeat(sessions.DefaultCookie+"=bad; ", 5))
	for range 9 {
		b := signIn(t, m, "ada")
		all = append(all, b)
		header.WriteString(b.cookie + "; ")
	}
	(&browser{cookie: header.String()}).do(m, func(ctx context.Context) { require.NoError(t, m.Logout(ctx)) })
	for i, b := range all {
		_, err := check(m, b)
		require.Equal(t, i == 8, err == nil, i)
	}
}

// An error on the way of a write stays that error.
func TestErrorsOfUpdates(t *testing.T) {
	m, store := newFaulty(t)
	b := &browser{}
	b.do(m, func(ctx context.Context) {
		require.Equal(t, sessions.CodeRequired, reason(m.Update(ctx, add)))
		require.Equal(t, sessions.CodeRequired, reason(m.StepUp(ctx, sallyport.AAL2)))
		require.Equal(t, sessions.CodeRequired, reason(m.Recheck(ctx)))
	})
	b = signIn(t, m, "ada")
	b.do(m, func(ctx context.Context) {
		_, err := m.EndUser(ctx, "ada")
		require.NoError(t, err)
		require.NoError(t, m.Logout(ctx), "what is over is logged out")
	})
	require.Empty(t, b.cookie)
	b = &browser{cookie: sessions.DefaultCookie + "=" + strings.Repeat("A", 44)}
	store.down = errors.New("down")
	b.do(m, func(ctx context.Context) {
		require.ErrorIs(t, m.Logout(ctx), store.down)
	})
}
