package ephemeral_test

import (
	"crypto/hmac"
	"crypto/sha1" // #nosec G505 -- the protocol's
	"crypto/sha256"
	"encoding/base64"
	"fmt"
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
		require.True(
			t,
			strings.HasPrefix(signed, "https://media.test/rec/a%2Fb.ogg?part=1&expires="),
		)
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
		Issuer: `a"b`, Lifetime: 5*time.Minute + 1, Leeway: 2 * time.Minute,
	})
	for _, field := range []string{"Issuer", "Audience", "Lifetime", "Leeway", "Keys"} {
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
		Issuer: "api", Audience: "signaling", Keys: ring(t),
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

// call is a session to issue.
func call() ephemeral.Session {
	return ephemeral.Session{
		Site: "site-1", Room: "room:7", Subject: "user-1", Certificate: sha256.Sum256([]byte("DER")),
	}
}

func TestSessionTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i, v := sessions(t, nil)
		token, err := i.Issue(call())
		require.NoError(t, err)
		proof, err := join(v, token)
		require.NoError(t, err)
		require.Equal(t, "site-1", proof.KeyID)
		require.Equal(t, "user-1", proof.Subject)
		require.NotEmpty(t, proof.Nonce)
		require.NoError(t, v.Confirm(t.Context(), proof))
		_, err = join(v, token)
		require.Equal(t, hmacsig.CodeReplayed, reasonOf(t, err), "one token, one session")

		late, err := i.Issue(call())
		require.NoError(t, err)
		time.Sleep(5*time.Minute - time.Second)
		proof, err = join(v, late)
		require.NoError(t, err, "a second left")
		require.NoError(t, v.Release(t.Context(), proof))
		time.Sleep(time.Second)
		_, err = join(v, late)
		require.Equal(t, hmacsig.CodeSignatureExpired, reasonOf(t, err))
		_, err = join(v, "")
		require.Equal(t, hmacsig.CodeSignatureMissing, reasonOf(t, err))
	})
}

// What the token says reaches the handler, and nothing else does.
func TestSessionOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i, v := sessions(t, nil)
		token, err := i.Issue(call())
		require.NoError(t, err)
		other := call()
		other.Room = "room:8"
		swapped, err := i.Issue(other)
		require.NoError(t, err)
		var got ephemeral.Session
		h := v.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			proof, ok := hmacsig.FromContext(r.Context())
			require.True(t, ok)
			got, ok = ephemeral.SessionOf(r, proof)
			require.True(t, ok)
			r.Header.Set("Authorization", "Bearer "+swapped)
			_, ok = ephemeral.SessionOf(r, proof)
			require.False(t, ok, "another token than the one that was verified")
			_, ok = ephemeral.SessionOf(r, hmacsig.Proof{})
			require.False(t, ok, "nothing was verified")
			r.Header.Del("Authorization")
			_, ok = ephemeral.SessionOf(r, proof)
			require.False(t, ok)
		}))
		r := httptest.NewRequest(http.MethodPost, "/offer", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code)
		want := call()
		require.NotEmpty(t, got.ID)
		want.ID, want.Expires = got.ID, time.Now().Add(5*time.Minute)
		require.True(t, want.Expires.Equal(got.Expires))
		want.Expires = got.Expires
		require.Equal(t, want, got)
	})
}

func TestSessionTokensElsewhere(t *testing.T) {
	t.Parallel()
	keys := ring(t)
	with := func(change func(*ephemeral.SessionConfig)) func(*ephemeral.SessionConfig) {
		return func(c *ephemeral.SessionConfig) { c.Keys = keys; change(c) }
	}
	_, v := sessions(t, with(func(c *ephemeral.SessionConfig) { c.Lifetime = time.Minute }))
	for _, row := range []struct {
		name   string
		change func(*ephemeral.SessionConfig)
	}{
		{"issuer", func(c *ephemeral.SessionConfig) { c.Issuer = "other" }},
		{"audience", func(c *ephemeral.SessionConfig) { c.Audience = "other" }},
		{"lifetime", func(c *ephemeral.SessionConfig) { c.Lifetime = 2 * time.Minute }},
	} {
		i, _ := sessions(t, with(row.change))
		token, err := i.Issue(call())
		require.NoError(t, err)
		_, err = join(v, token)
		require.Equal(t, hmacsig.CodeSignatureClaims, reasonOf(t, err), row.name)
	}
	i, _ := sessions(t, nil)
	token, err := i.Issue(call())
	require.NoError(t, err)
	_, err = join(v, token)
	require.Equal(t, hmacsig.CodeSignatureInvalid, reasonOf(t, err), "another key")
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	v.Wrap(http.NotFoundHandler()).ServeHTTP(w, r)
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.Equal(t, "Bearer", w.Header().Get("WWW-Authenticate"))
}

// A token opens one room of one site.
func TestSessionTokenForAnotherPlace(t *testing.T) {
	t.Parallel()
	i, v := sessions(t, func(c *ephemeral.SessionConfig) {
		c.Place = func(r *http.Request) (site, room string) {
			return r.URL.Query().Get("site"), r.URL.Query().Get("room")
		}
	})
	for target, want := range map[string]string{
		"/?site=site-1&room=room:7":    "",
		"/?site=site-2&room=room:7":    hmacsig.CodeSignatureClaims,
		"/?site=site-1&room=room:8":    hmacsig.CodeSignatureClaims,
		"/?room=room:7":                hmacsig.CodeSignatureClaims,
		"/":                            hmacsig.CodeSignatureClaims,
		"/?site=site-1/room:7&room=":   hmacsig.CodeSignatureClaims,
		"/?site=&room=site-1/room:7":   hmacsig.CodeSignatureClaims,
		"/?site=site-1&room=room:7%00": hmacsig.CodeSignatureClaims,
	} {
		token, err := i.Issue(call())
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodPost, target, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		_, err = v.Check(r)
		require.Equal(t, want, reasonOf(t, err), target)
	}
}

func TestIssueRefuses(t *testing.T) {
	t.Parallel()
	i, _ := sessions(t, nil)
	for field, change := range map[string]func(*ephemeral.Session){
		"Session.Site":        func(s *ephemeral.Session) { s.Site = "" },
		"Session.Room":        func(s *ephemeral.Session) { s.Room = "a/b" },
		"Session.Subject":     func(s *ephemeral.Session) { s.Subject = `user","aud":"x` },
		"Session.Certificate": func(s *ephemeral.Session) { s.Certificate = [32]byte{} },
	} {
		s := call()
		change(&s)
		_, err := i.Issue(s)
		require.ErrorContains(t, err, "hmacsig/ephemeral: "+field)
	}
}

// An issuer or a signer half a second ahead makes credentials that work at once.
func TestClocksThatDiffer(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name          string
		ahead, leeway time.Duration
		ok            bool
	}{
		{"half a second", 500 * time.Millisecond, 0, true},
		{"5 seconds", 5 * time.Second, 0, true},
		{"6 seconds", 6 * time.Second, 0, false},
		{"no leeway", time.Second, time.Nanosecond, false},
		{"a minute of leeway", time.Minute, time.Minute, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(700 * time.Millisecond) // not on the second
			s := hmacsig.Generate()
			keys := ring(t, hmacsig.Key{Name: "current", Secret: s})
			_, v := sessions(
				t,
				func(c *ephemeral.SessionConfig) { c.Keys, c.Leeway = keys, row.leeway },
			)
			_, u := urls(t, ephemeral.URLConfig{Scope: "a", Keys: keys, Leeway: row.leeway})
			at := time.Now().Add(row.ahead).Unix()
			payload := fmt.Sprintf(
				`{"iss":"api","aud":"signaling","sub":"u","site":"s","room":"r",`+
					`"cnf":{"x5t#S256":"%s"},"iat":%d,"nbf":%d,"exp":%d,"jti":"j"}`,
				strings.Repeat("A", 43),
				at,
				at,
				at+300,
			)
			_, err := join(v, token(s, `{"alg":"HS256","typ":"JWT"}`, payload))
			require.Equal(t, row.ok, err == nil, "%s: %v", row.name, err)
			target := fmt.Sprintf("/?expires=%d&nonce=%s&scope=a", at+300, strings.Repeat("n", 16))
			_, err = u.Check(
				httptest.NewRequest(http.MethodGet, target+"&sig="+sum(s, "GET\n"+target), nil),
			)
			require.Equal(t, row.ok, err == nil, "%s: %v", row.name, err)
		})
	}
}

// What Sign returns verifies after a browser's respelling.
func TestURLsAreSpelledAsBrowsersDo(t *testing.T) {
	t.Parallel()
	s, v := urls(t, ephemeral.URLConfig{Scope: "a", Keys: ring(t)})
	for target, want := range map[string]string{
		`/a b/"c"/<d>.ogg`:         "/a%20b/%22c%22/%3Cd%3E.ogg?",
		"/Müller/日本":               "/M%C3%BCller/%E6%97%A5%E6%9C%AC?",
		`/x?q=a b&r="ü"&s='<>`:     "/x?q=a%20b&r=%22%C3%BC%22&s=%27%3C%3E&",
		"/a%20b?c=%22":             "/a%20b?c=%22&",
		"/it's/(1)!*":              "/it%27s/(1)!*?",
		"/{a}|b^c`d":               "/%7Ba%7D%7Cb%5Ec%60d?",
		`/a\b`:                     "/a%5Cb?",
		"https://m.test/x y?z=1#f": "https://m.test/x%20y?z=1&",
		"https://m.test":           "https://m.test?",
		"//m.test/x":               "//m.test/x?",
		"/a%2Fb?x=%2B+&y":          "/a%2Fb?x=%2B+&y&",
		"/a..b/...":                "/a..b/...?",
	} {
		signed, err := s.Sign(http.MethodGet, target)
		require.NoError(t, err, target)
		require.Contains(t, signed, want, target)
		require.Equal(t, want, signed[:len(want)], target)
		u, err := url.Parse(signed)
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RequestURI, r.URL = u.RequestURI(), u
		_, err = v.Check(r)
		require.NoError(t, err, target)
	}
}

// What a browser would resolve, or not request at all, is an error.
func TestSignRefusesWhatIsNoRequest(t *testing.T) {
	t.Parallel()
	s, _ := urls(t, ephemeral.URLConfig{Scope: "a", Keys: ring(t)})
	for _, target := range []string{
		"", "x.ogg", "recordings/1.ogg", "?a=b", "#f", "./x", "../x", "mailto:a@example.com",
		"javascript:alert(1)", "ftp://m.test/x", "https:///x", "https:x", "file:///etc/passwd",
		"/a/../b", "/a/%2e%2E/b", "/.", "/a/..", "/a/%2e", "https://user:pass@m.test/x",
		"/x?a=%zz", "/x?a;b", "http://[", "/a\nb",
	} {
		_, err := s.Sign(http.MethodGet, target)
		require.ErrorContains(t, err, "hmacsig/ephemeral:", target)
		require.NotContains(t, err.Error(), "pass", "the target is not quoted")
	}
}

// A single-use URL that redirects to its object has been used.
func TestSingleUseRedirectIsUsed(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]int{
		http.StatusFound: http.StatusConflict, http.StatusSeeOther: http.StatusConflict,
		http.StatusNotFound: http.StatusNotFound, http.StatusServiceUnavailable: http.StatusServiceUnavailable,
	} {
		s, v := urls(t, ephemeral.URLConfig{Scope: "a", Keys: ring(t), SingleUse: true})
		signed, err := s.Sign(http.MethodGet, "/x")
		require.NoError(t, err)
		h := v.Wrap(
			http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }),
		)
		for _, want := range []int{code, want} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, signed, nil))
			require.Equal(t, want, w.Code)
		}
	}
}

func TestZeroValues(t *testing.T) {
	t.Parallel()
	for _, s := range []*ephemeral.URLSigner{{}, nil} {
		_, err := s.Sign(http.MethodGet, "/")
		require.ErrorContains(t, err, "New")
	}
	for _, i := range []*ephemeral.SessionIssuer{{}, nil} {
		_, err := i.Issue(call())
		require.ErrorContains(t, err, "New")
	}
	for _, turn := range []*ephemeral.TURN{{}, nil} {
		_, err := turn.Credentials("u")
		require.ErrorContains(t, err, "New")
	}
}

// Every bit of a token and of a URL matters.
func TestEveryBitMatters(t *testing.T) {
	t.Parallel()
	i, v := sessions(t, nil)
	token, err := i.Issue(call())
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
