package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// provider is go-oidc's own test provider, with a token endpoint.
type provider struct {
	*httptest.Server
	nonce string // of the token that it makes next
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	p := &provider{}
	discovery := &oidctest.Server{PublicKeys: []oidctest.PublicKey{
		{PublicKey: key.Public(), KeyID: "1", Algorithm: oidc.RS256},
	}}
	mux := http.NewServeMux()
	mux.Handle("/", discovery)
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, _ *http.Request) {
		claims := fmt.Sprintf(`{"iss":%q,"aud":"app","sub":"7","exp":%d,"nonce":%q,"email":"ada@example.com"}`,
			p.URL, time.Now().Add(time.Minute).Unix(), p.nonce)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{
			"access_token": "a", "token_type": "Bearer",
			"id_token": oidctest.SignIDToken(key, "1", oidc.RS256, claims),
		})
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	discovery.SetIssuer(p.URL)
	return p
}

func TestSignInAtAProvider(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	handler, err := newHandler(t.Context(), p.URL, oauth2.Config{ClientID: "app", RedirectURL: "https://app.example.com/callback"})
	require.NoError(t, err)
	get := func(path string, cookies ...*http.Cookie) *http.Response {
		r := httptest.NewRequestWithContext(t.Context(), "GET", path, http.NoBody)
		for _, c := range cookies {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Result()
	}
	begin := func() (state, nonce string, cookie *http.Cookie) {
		answer := get("/login")
		require.Equal(t, 303, answer.StatusCode)
		to, err := url.Parse(answer.Header.Get("Location"))
		require.NoError(t, err)
		require.Equal(t, "S256", to.Query().Get("code_challenge_method"))
		return to.Query().Get("state"), to.Query().Get("nonce"), answer.Cookies()[0]
	}

	state, nonce, cookie := begin()
	require.Equal(t, 400, get("/callback?code=c&state="+state).StatusCode, "another browser")
	require.Equal(t, 400, get("/callback?code=c&state=x", cookie).StatusCode, "another sign-in's state")
	p.nonce = "x"
	require.Equal(t, 502, get("/callback?code=c&state="+state, cookie).StatusCode, "another sign-in's token")

	p.nonce = nonce
	answer := get("/callback?code=c&state="+state, cookie)
	require.Equal(t, 200, answer.StatusCode)
	var session *http.Cookie
	for _, c := range answer.Cookies() {
		if c.Name == "__Host-Http-session" {
			session = c
		}
	}
	require.NotNil(t, session)
	require.Equal(t, 200, get("/me", session).StatusCode)
	require.Equal(t, 401, get("/me", cookie).StatusCode, "the cookie of the first half")
}
