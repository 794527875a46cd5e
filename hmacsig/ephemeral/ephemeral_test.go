package ephemeral_test

import (
	"crypto/hmac"
	"crypto/sha1" // #nosec G505 -- the protocol's
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/ephemeral"
)

func ring(t testing.TB, keys ...hmacsig.Key) hmacsig.Keyring {
	t.Helper()
	if len(keys) == 0 {
		keys = []hmacsig.Key{{Name: "current", Secret: hmacsig.Generate()}}
	}
	r, err := hmacsig.NewKeyring(keys...)
	require.NoError(t, err)
	return r
}

func reasonOf(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var rejection *sallyport.Refusal
	require.ErrorAs(t, err, &rejection)
	return rejection.Code
}

func urls(t testing.TB, cfg ephemeral.URLConfig) (*ephemeral.URLSigner, *hmacsig.Verifier) {
	t.Helper()
	s, err := ephemeral.NewURLSigner(cfg)
	require.NoError(t, err)
	v, err := ephemeral.NewURLVerifier(cfg)
	require.NoError(t, err)
	return s, v
}

func TestURLs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := ephemeral.URLConfig{Scope: "recordings:read", Keys: ring(t)}
		s, v := urls(t, cfg)
		signed, err := s.Sign(http.MethodGet, "https://media.test/rec/a%2Fb.ogg?part=1#frag")
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(signed, "https://media.test/rec/a%2Fb.ogg?part=1&expires="))
		get := func(method, target string) string {
			u, err := url.Parse(target)
			require.NoError(t, err)
			_, err = v.Check(httptest.NewRequest(method, u.RequestURI(), nil))
			return reasonOf(t, err)
		}
		for _, row := range []struct {
			name, method, target string
			want                 string
		}{
			{"as signed", "GET", signed, ""},
			{"again, it is for ranges", "GET", signed, ""},
			{"another method", "HEAD", signed, hmacsig.CodeSignatureInvalid},
			{"another path", "GET", strings.Replace(signed, "b.ogg", "c.ogg", 1), hmacsig.CodeSignatureInvalid},
			{"decoded path", "GET", strings.Replace(signed, "%2F", "/", 1), hmacsig.CodeSignatureInvalid},
			{"another query", "GET", strings.Replace(signed, "part=1", "part=2", 1), hmacsig.CodeSignatureInvalid},
			{
				"later expiry", "GET", strings.Replace(signed, "expires=9", "expires=99", 1),
				hmacsig.CodeSignatureInvalid,
			},
			{"scope added", "GET", strings.Replace(signed, "scope=", "scope=x", 1), hmacsig.CodeSignatureInvalid},
			{"parameter appended", "GET", signed + "&a=b", hmacsig.CodeSignatureMalformed},
			{
				"second signature", "GET", signed + signed[strings.Index(signed, "&sig="):],
				hmacsig.CodeSignatureInvalid,
			},
			{"no signature", "GET", signed[:strings.Index(signed, "&sig=")], hmacsig.CodeSignatureMissing},
			{"plain", "GET", "/rec/a.ogg", hmacsig.CodeSignatureMissing},
		} {
			require.Equal(t, row.want, get(row.method, row.target), row.name)
		}

		other := cfg
		other.Scope = "recordings:write"
		_, writer := urls(t, other)
		u, _ := url.Parse(signed)
		_, err = writer.Check(httptest.NewRequest("GET", u.RequestURI(), nil))
		require.Equal(t, hmacsig.CodeSignatureClaims, reasonOf(t, err), "another scope")

		time.Sleep(5*time.Minute - time.Second)
		require.Empty(t, get("GET", signed), "a second left")
		time.Sleep(time.Second)
		require.Equal(t, hmacsig.CodeSignatureExpired, get("GET", signed))
	})
}

func TestURLSingleUse(t *testing.T) {
	t.Parallel()
	s, v := urls(t, ephemeral.URLConfig{Scope: "invite", Keys: ring(t), SingleUse: true})
	signed, err := s.Sign(http.MethodGet, "/invite")
	require.NoError(t, err)
	h := v.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proof, ok := hmacsig.FromContext(r.Context())
		require.True(t, ok)
		require.Equal(t, "invite", proof.Subject)
		w.WriteHeader(http.StatusNoContent)
	}))
	open := func() int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, signed, nil))
		return w.Code
	}
	require.Equal(t, http.StatusNoContent, open())
	require.Equal(t, http.StatusConflict, open())
}

// A verifier does not accept more life than it would have given.
func TestURLLifetimeIsCapped(t *testing.T) {
	t.Parallel()
	keys := ring(t)
	long, _ := urls(t, ephemeral.URLConfig{Scope: "a", Keys: keys, Lifetime: time.Hour})
	_, v := urls(t, ephemeral.URLConfig{Scope: "a", Keys: keys})
	signed, err := long.Sign(http.MethodGet, "/")
	require.NoError(t, err)
	_, err = v.Check(httptest.NewRequest(http.MethodGet, signed, nil))
	require.Equal(t, hmacsig.CodeSignatureClaims, reasonOf(t, err))
}

func TestURLRotation(t *testing.T) {
	t.Parallel()
	old := hmacsig.Key{Name: "old", Secret: hmacsig.Generate()}
	fresh := hmacsig.Key{Name: "new", Secret: hmacsig.Generate()}
	before, _ := urls(t, ephemeral.URLConfig{Scope: "a", Keys: ring(t, old)})
	after, v := urls(t, ephemeral.URLConfig{Scope: "a", Keys: ring(t, fresh, old)})
	for want, s := range map[string]*ephemeral.URLSigner{"old": before, "new": after} {
		signed, err := s.Sign(http.MethodGet, "/x")
		require.NoError(t, err)
		proof, err := v.Check(httptest.NewRequest(http.MethodGet, signed, nil))
		require.NoError(t, err)
		require.Equal(t, want, proof.Key)
	}
}

func TestURLSignRefusesReservedNames(t *testing.T) {
	t.Parallel()
	s, _ := urls(t, ephemeral.URLConfig{Scope: "a", Keys: ring(t)})
	for _, name := range []string{"expires", "nonce", "scope", "sig"} {
		_, err := s.Sign(http.MethodGet, "/?"+name+"=1")
		require.ErrorContains(t, err, name)
	}
}

func TestConfigProblems(t *testing.T) {
	t.Parallel()
	_, err := ephemeral.NewURLVerifier(ephemeral.URLConfig{Scope: "a b", Lifetime: 48 * time.Hour})
	for _, field := range []string{"Scope", "Lifetime", "Keys"} {
		require.ErrorContains(t, err, field)
	}
	_, err = ephemeral.NewSessionIssuer(ephemeral.SessionConfig{
		Issuer: `a"b`, Lifetime: time.Millisecond,
	})
	for _, field := range []string{"Issuer", "Audience", "Scope", "Lifetime", "Keys"} {
		require.ErrorContains(t, err, field)
	}
	_, err = ephemeral.NewTURN(hmacsig.Secret{}, -1)
	require.ErrorContains(t, err, "Secret")
	require.ErrorContains(t, err, "Lifetime")
}

func sessions(
	t testing.TB, change func(*ephemeral.SessionConfig),
) (*ephemeral.SessionIssuer, *hmacsig.Verifier) {
	t.Helper()
	cfg := ephemeral.SessionConfig{
		Issuer: "api", Audience: "signaling", Scope: "room:7", Keys: ring(t),
	}
	if change != nil {
		change(&cfg)
	}
	i, err := ephemeral.NewSessionIssuer(cfg)
	require.NoError(t, err)
	v, err := ephemeral.NewSessionVerifier(cfg)
	require.NoError(t, err)
	return i, v
}

func join(v *hmacsig.Verifier, token string) (hmacsig.Proof, error) {
	r := httptest.NewRequest(http.MethodGet, "/ws", nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return v.Check(r)
}

func TestSessionTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i, v := sessions(t, nil)
		token, err := i.Issue("user-1")
		require.NoError(t, err)
		proof, err := join(v, token)
		require.NoError(t, err)
		require.Equal(t, "user-1", proof.Subject)
		require.NotEmpty(t, proof.Nonce)
		require.NoError(t, v.Confirm(t.Context(), proof))
		_, err = join(v, token)
		require.Equal(t, hmacsig.CodeReplayed, reasonOf(t, err), "one token, one session")

		late, err := i.Issue("user-1")
		require.NoError(t, err)
		time.Sleep(5 * time.Minute)
		_, err = join(v, late)
		require.Equal(t, hmacsig.CodeSignatureExpired, reasonOf(t, err))
		_, err = join(v, "")
		require.Equal(t, hmacsig.CodeSignatureMissing, reasonOf(t, err))
	})
}

func TestSessionTokensElsewhere(t *testing.T) {
	t.Parallel()
	keys := ring(t)
	with := func(change func(*ephemeral.SessionConfig)) func(*ephemeral.SessionConfig) {
		return func(c *ephemeral.SessionConfig) { c.Keys = keys; change(c) }
	}
	_, v := sessions(t, with(func(*ephemeral.SessionConfig) {}))
	for _, row := range []struct {
		name   string
		change func(*ephemeral.SessionConfig)
	}{
		{"issuer", func(c *ephemeral.SessionConfig) { c.Issuer = "other" }},
		{"audience", func(c *ephemeral.SessionConfig) { c.Audience = "other" }},
		{"room", func(c *ephemeral.SessionConfig) { c.Scope = "room:8" }},
		{"lifetime", func(c *ephemeral.SessionConfig) { c.Lifetime = time.Hour }},
	} {
		i, _ := sessions(t, with(row.change))
		token, err := i.Issue("user-1")
		require.NoError(t, err)
		_, err = join(v, token)
		require.Equal(t, hmacsig.CodeSignatureClaims, reasonOf(t, err), row.name)
	}
	i, _ := sessions(t, nil)
	token, err := i.Issue("user-1")
	require.NoError(t, err)
	_, err = join(v, token)
	require.Equal(t, hmacsig.CodeSignatureInvalid, reasonOf(t, err), "another key")
	_, err = i.Issue(`user","aud":"x`)
	require.Error(t, err)
}

// Every bit of a token and of a URL matters.
func TestEveryBitMatters(t *testing.T) {
	t.Parallel()
	i, v := sessions(t, func(c *ephemeral.SessionConfig) { c.DangerouslyMultipleUse = true })
	token, err := i.Issue("user-1")
	require.NoError(t, err)
	s, u := urls(t, ephemeral.URLConfig{Scope: "a", Keys: ring(t)})
	signed, err := s.Sign(http.MethodGet, "/x?y=1")
	require.NoError(t, err)
	for bit := range 8 * len(token) {
		_, err := join(v, flip(token, bit))
		require.Error(t, err, "token bit %d", bit)
	}
	for bit := range 8 * len(signed) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RequestURI = flip(signed, bit)
		r.URL = &url.URL{Path: "/other"}
		_, err := u.Check(r)
		require.Error(t, err, "URL bit %d", bit)
	}
}

func flip(s string, bit int) string {
	b := []byte(s)
	b[bit/8] ^= 1 << (bit % 8)
	return string(b)
}

// The written protocol: draft-uberti-behave-turn-rest-00 section 2.2.
func TestTURN(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		secret := hmacsig.Generate()
		turn, err := ephemeral.NewTURN(secret, time.Minute)
		require.NoError(t, err)
		got, err := turn.Credentials("user-1")
		require.NoError(t, err)
		expires, user, ok := strings.Cut(got.Username, ":")
		require.True(t, ok)
		require.Equal(t, "user-1", user)
		unix, err := strconv.ParseInt(expires, 10, 64)
		require.NoError(t, err)
		require.Equal(t, time.Now().Add(time.Minute).Unix(), unix)
		mac := hmac.New(sha1.New, []byte(secret.Reveal()))
		mac.Write([]byte(got.Username))
		require.Equal(t, base64.StdEncoding.EncodeToString(mac.Sum(nil)), got.Password)
		_, err = turn.Credentials("a b")
		require.Error(t, err)
	})
}
