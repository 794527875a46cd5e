package devicebound_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/sessions/devicebound"
)

// What the browser is told, to the letter.
func TestInstructions(t *testing.T) {
	s := newSite(t, nil)
	b := newBrowser(t, s)
	b.signIn()
	require.JSONEq(t, `{
		"session_identifier": "`+b.id+`",
		"refresh_url": "/session/device/refresh",
		"scope": {"include_site": false, "scope_specification": []},
		"credentials": [{
			"type": "cookie", "name": "__Host-device",
			"attributes": "Path=/; Secure; HttpOnly; SameSite=Strict"
		}]
	}`, b.body)
	require.Equal(t, "application/json", b.header.Get("Content-Type"))
	require.Equal(t, "no-store", b.header.Get("Cache-Control"))
	require.Equal(t, "__Host-device="+b.cookies["__Host-device"]+
		"; Max-Age=300; Path=/; Secure; HttpOnly; SameSite=Strict", b.header.Get("Set-Cookie"))
	require.Equal(t, 405, b.do(http.MethodGet, "/session/device"))
	require.Equal(t, "POST", b.header.Get("Allow"))
}

func TestCheckReturnsTheSession(t *testing.T) {
	s := newSite(t, nil)
	b := newBrowser(t, s)
	b.signIn()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	_, err := s.gate.Check(r)
	refused, ok := errors.AsType[*sallyport.Refusal](err)
	require.True(t, ok)
	require.Equal(t, sessions.CodeRequired, refused.Code)
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	session, err := s.gate.Check(r)
	require.NoError(t, err)
	require.Equal(t, "ada", session.User)
	require.Equal(t, 1, session.Data.N)
	ran := false
	s.gate.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { ran = true })).
		ServeHTTP(httptest.NewRecorder(), r)
	require.True(t, ran)
	require.ErrorIs(t, s.gate.Offer(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)),
		sessions.ErrNoSession)
}

// An unbound session has nothing to refresh.
func TestRefreshingAnUnboundSession(t *testing.T) {
	s := newSite(t, nil)
	b := newBrowser(t, s)
	require.Equal(t, 200, b.do(http.MethodPost, "/login"))
	list, err := s.sess.List(t.Context(), "ada")
	require.NoError(t, err)
	require.Equal(t, 400, b.do(http.MethodPost, "/session/device/refresh", "Sec-Secure-Session-Id", list[0].ID))
	require.Equal(t, devicebound.CodeProof, b.code(), "not even a challenge")
}

// The policy that New was given is not changed from outside.
func TestThePolicyIsCopied(t *testing.T) {
	policy := map[sallyport.Level]devicebound.Policy{sallyport.AAL1: devicebound.Off}
	s := newSite(t, func(c *devicebound.Config[data]) { c.Policy = policy })
	policy[sallyport.AAL1] = devicebound.Required
	b := newBrowser(t, s)
	require.Equal(t, 200, b.do(http.MethodPost, "/login"))
	require.Equal(t, 200, b.page())
	require.Equal(t, "device_binding_off", s.codes())
}

func TestEventsTellTheCause(t *testing.T) {
	s := newSite(t, nil)
	b := newBrowser(t, s)
	require.Equal(t, 200, b.do(http.MethodPost, "/login"))
	require.Equal(t, 400, b.do(http.MethodPost, "/session/device", "Secure-Session-Response", "x"))
	require.Len(t, s.events, 1)
	require.ErrorContains(t, s.events[0].Err, "malformed proof")
	require.Equal(t, "devicebound", s.events[0].Gate)
	require.NotNil(t, s.events[0].Request)
}

func TestItems(t *testing.T) {
	for value, want := range map[string]string{
		`"abc"`: "abc", `abc`: "abc", ` "abc" `: "abc", ` abc `: "abc", `"abc";x=y`: "abc", `abc;x=y`: "abc",
		`"a;b"`: "a;b", `"a,b"`: "a,b", `""`: "",
	} {
		got, ok := devicebound.Item(value)
		require.True(t, ok, value)
		require.Equal(t, want, got)
	}
	for _, value := range []string{``, ` `, `;x`, `"`, `"abc`, `abc"`, `a b`, `a,b`, `a\b`, `"a\"b"`, `"a\b"`, `"abc"x`, `"abc", "d"`} {
		_, ok := devicebound.Item(value)
		require.False(t, ok, value)
	}
}

func TestSkipReasonsAreBounded(t *testing.T) {
	h := http.Header{"Secure-Session-Skipped": {
		` unreachable ;session_identifier="1",server_error`, "\tquota_exceeded\t", "secret, unreachable, unreachable",
	}}
	require.Equal(t, []string{"unreachable", "server_error", "quota_exceeded", "other"}, devicebound.Skipped(h))
	require.Nil(t, devicebound.Skipped(http.Header{}))
	require.Equal(t, []string{"unreachable"}, devicebound.Skipped(http.Header{
		"Secure-Session-Skipped": {"unreachable"},
	}))
}

// Four tickets at most, the newest, and none that is over.
func TestTickets(t *testing.T) {
	now := time.Now()
	var list []devicebound.Ticket
	var values []string
	for i := range 6 {
		values = append(values, devicebound.Issue(&list, now, time.Minute))
		require.Len(t, list, min(i+1, 4))
	}
	for i, value := range values {
		require.Equal(t, i >= 2, devicebound.Works(list, value, now), i)
		require.False(t, devicebound.Works(list, value, now.Add(time.Minute)), "over")
	}
	require.Len(t, values[0], 26)
	require.Len(t, list[0].Hash, 32)
	devicebound.Issue(&list, now.Add(time.Minute), time.Minute)
	require.Len(t, list, 1, "what is over leaves")
}

// The cause of each refusal of a key or a proof.
func TestCauses(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	big2048, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	x, y := jwk(ec)["x"].(string), jwk(ec)["y"].(string)
	n := jwk(big2048)["n"].(string)
	short, long := enc(make([]byte, 31)), enc(make([]byte, 33))
	modulus := func(bits int, last byte) string {
		m := make([]byte, bits/8)
		m[0], m[len(m)-1] = 0x80, last
		return enc(m)
	}
	wrong := "wrong signature"
	for key, want := range map[string]string{
		`{"kty":"EC","crv":"P-256","x":"` + x + `","y":"` + y + `","d":"x"}`: "it is private",
		`{"kty":"oct"}`: "neither EC nor RSA",
		`{}`:            "neither EC nor RSA",
		`"x"`:           "unsuitable key",
		`[`:             "malformed proof",
		`{"kty":"EC","crv":"P-384","x":"` + x + `","y":"` + y + `"}`:         "want a point of P-256",
		`{"kty":"EC","crv":"P-256","x":"=","y":"` + y + `"}`:                 "want a point of P-256",
		`{"kty":"EC","crv":"P-256","x":"` + x + `","y":"="}`:                 "want a point of P-256",
		`{"kty":"EC","crv":"P-256","x":"` + short + `","y":"` + y + `"}`:     "want a point of P-256",
		`{"kty":"EC","crv":"P-256","x":"` + x + `","y":"` + long + `"}`:      "want a point of P-256",
		`{"kty":"EC","crv":"P-256","x":"` + long + `","y":"` + short + `"}`:  "want a point of P-256",
		`{"kty":"EC","crv":"P-256","x":"` + x + `","y":"` + x + `"}`:         "not on the curve",
		`{"kty":"EC","crv":"P-256","x":"` + x + "\\n" + `","y":"` + y + `"}`: "want a point of P-256",
		`{"kty":"EC","crv":"P-256","x":"` + x + `!","y":"` + y + `"}`:        "want a point of P-256",
		`{"kty":"EC","crv":"P-256","x":"` + x + `","y":"` + y + `!"}`:        "want a point of P-256",
		`{"kty":"RSA","n":"` + n + `!","e":"AQAB"}`:                          "want an RSA key",
		`{"kty":"RSA","n":"` + n + `","e":"AQAB!"}`:                          "want an RSA key",
		`{"kty":"RSA","n":"` + n + `","e":"AQAE"}`:                           "odd exponent", // 65540
		`{"kty":"RSA","n":"=","e":"AQAB"}`:                                   "want an RSA key",
		`{"kty":"RSA","n":"` + n + `","e":"="}`:                              "want an RSA key",
		`{"kty":"RSA","n":"` + n + `","e":""}`:                               "want an RSA key",
		`{"kty":"RSA","n":"` + n + `","e":"AAAAAAE"}`:                        "want an RSA key",
		`{"kty":"RSA","n":"` + n + `","e":"AQAAAQ"}`:                         wrong, // four bytes
		`{"kty":"RSA","n":"` + n + `","e":"AQAD"}`:                           wrong, // 65539
		`{"kty":"RSA","n":"` + n + `","e":"AQAC"}`:                           "odd exponent",
		`{"kty":"RSA","n":"` + n + `","e":"__8"}`:                            "odd exponent", // 65535
		`{"kty":"RSA","n":"` + modulus(2048, 2) + `","e":"AQAB"}`:            "odd modulus",
		`{"kty":"RSA","n":"` + modulus(2048, 1) + `","e":"AQAB"}`:            wrong,
		`{"kty":"RSA","n":"` + modulus(2040, 1) + `","e":"AQAB"}`:            "2048 to 8192 bits",
		`{"kty":"RSA","n":"` + modulus(8200, 1) + `","e":"AQAB"}`:            "2048 to 8192 bits",
		`{"kty":"RSA","n":"` + modulus(8192, 1) + `","e":"AQAB"}`:            wrong,
		`{"kty":"EC","crv":"P-256","x":"` + x + `","y":"` + y + `"} `:        "not that of its key",
	} {
		token := sign(t, big2048, `{"typ":"dbsc+jwt","alg":"RS256","jwk":`+key+`}`, `{"jti":"c"}`)
		_, _, err := devicebound.Registered(token)
		require.ErrorContains(t, err, want, key)
	}
	good := sign(t, ec, asJSON(t, object{"typ": "dbsc+jwt", "alg": "ES256", "jwk": jwk(ec)}), `{"jti":"c"}`)
	key, _, err := devicebound.Registered(good)
	require.NoError(t, err)
	head := enc([]byte(`{"typ":"dbsc+jwt","alg":"ES256"}`))
	body := enc([]byte(`{"jti":"c"}`))
	for token, want := range map[string]string{
		"": "malformed", head: "malformed", head + "." + body: "malformed",
		head + "." + body + ".x.y": "malformed", "=." + body + ".": "malformed", head + ".=.": "malformed",
		head + "." + body + ".=": "malformed", enc([]byte("x")) + "." + body + ".": "malformed",
		head + "." + enc([]byte("x")) + ".": "malformed", head + "." + enc([]byte(`{"jti":""}`)) + ".": "malformed",
		enc([]byte(`{"typ":"x","alg":"ES256"}`)) + "." + body + ".":                   "malformed",
		enc([]byte(`{"typ":"dbsc+jwt","alg":"ES256","crit":[]}`)) + "." + body + ".":  "malformed",
		enc([]byte(`{"typ":"dbsc+jwt","alg":"ES256","jwk":{}}`)) + "." + body + ".":   "malformed",
		enc([]byte(`{"typ":"dbsc+jwt","alg":"ES256","jwk":null}`)) + "." + body + ".": wrong,
		head + "." + body + "." + enc(make([]byte, 63)):                               wrong,
		head + "." + body + "." + enc(make([]byte, 65)):                               wrong,
		head + "." + body + ".": wrong,
		enc([]byte(`{"typ":"dbsc+jwt","alg":"none"}`)) + "." + body + ".": "not that of its key",
		head + "\n." + body + ".":    "malformed",
		strings.Repeat("a", 8<<10+1): "malformed",
	} {
		_, err := devicebound.Refreshed(token, key)
		require.ErrorContains(t, err, want, token)
	}
	_, err = devicebound.Refreshed(head+"."+body+".", []byte("x"))
	require.ErrorContains(t, err, "unsuitable key")
	// As long as may be, and signed well.
	pad := func(size int) string {
		filler := size
		for {
			h := fmt.Sprintf(`{"typ":"dbsc+jwt","alg":"ES256","x":"%s"}`, strings.Repeat("x", filler))
			if token := sign(t, ec, h, `{"jti":"c"}`); len(token) <= size {
				return token
			}
			filler--
		}
	}
	for size, ok := range map[int]bool{8 << 10: true, 8<<10 + 4: false} {
		token := pad(size)
		if ok {
			require.InDelta(t, 8<<10, len(token), 2)
		}
		_, err := devicebound.Refreshed(token, key)
		require.Equal(t, ok, err == nil, "%d bytes", len(token))
	}
}

func TestMoreLimits(t *testing.T) {
	sess := newSite(t, nil).sess
	name := func(n int) string { return "__Host-" + strings.Repeat("c", n-7) }
	for label, tt := range map[string]struct {
		edit func(*devicebound.Config[data])
		ok   bool
	}{
		"name of 128":  {func(c *devicebound.Config[data]) { c.Cookie = name(128) }, true},
		"name of 129":  {func(c *devicebound.Config[data]) { c.Cookie = name(129) }, false},
		"AAL3":         {func(c *devicebound.Config[data]) { c.Policy = map[sallyport.Level]devicebound.Policy{3: 1} }, true},
		"level 0":      {func(c *devicebound.Config[data]) { c.Policy = map[sallyport.Level]devicebound.Policy{0: 1} }, false},
		"deep path":    {func(c *devicebound.Config[data]) { c.RefreshPath = strings.Repeat("/a", 9) }, false},
		"path":         {func(c *devicebound.Config[data]) { c.RefreshPath = strings.Repeat("/a", 8) }, true},
		"long segment": {func(c *devicebound.Config[data]) { c.RefreshPath = "/" + strings.Repeat("a", 65) }, false},
		"ends with /":  {func(c *devicebound.Config[data]) { c.RefreshPath = "/a/" }, false},
	} {
		cfg := devicebound.Config[data]{
			Sessions: sess, Binding: func(d *data) *devicebound.Binding { return &d.Device },
		}
		tt.edit(&cfg)
		_, err := devicebound.New(cfg)
		require.Equal(t, tt.ok, err == nil, "%s: %v", label, err)
	}
	type odd struct {
		F      func()
		Device devicebound.Binding
	}
	_, err := devicebound.New(devicebound.Config[odd]{
		Binding: func(d *odd) *devicebound.Binding { return &d.Device },
	})
	require.ErrorContains(t, err, "binds nobody", "JSON cannot hold it")
}

// ending lets a session end just before it is changed.
type ending struct {
	sessions.Store
	armed bool
}

func (s *ending) Replace(ctx context.Context, old sessions.Key, next *sessions.Record) (sessions.Record, error) {
	if s.armed {
		_, _ = s.Store.End(ctx, sessions.Selection{User: next.User})
	}
	return s.Store.Replace(ctx, old, next)
}

// A session that ends while its device proves itself gets neither cookie nor challenge.
func TestSessionsThatEndMeanwhile(t *testing.T) {
	memory, err := sessions.NewMemory(sessions.MemoryConfig{})
	require.NoError(t, err)
	store := &ending{Store: memory}
	sess, err := sessions.New[data](sessions.Config{Store: store})
	require.NoError(t, err)
	begin := func() (*site, *browser) {
		store.armed = false
		s := newSiteOn(t, sess, nil)
		return s, newBrowser(t, s)
	}
	s, b := begin()
	require.Equal(t, 200, b.do(http.MethodPost, "/login"))
	proof := b.proof(b.challenge(), true)
	store.armed = true
	require.Equal(t, 401, b.do(http.MethodPost, "/session/device", "Secure-Session-Response", proof))
	require.Equal(t, sessions.CodeEnded, b.code())
	require.Empty(t, b.cookies[devicebound.DefaultCookie])
	require.Empty(t, s.events, "sessions tells of its own")

	_, b = begin()
	b.signIn()
	store.armed = true
	require.Equal(t, 401, b.refresh(), "no challenge")
	require.Equal(t, sessions.CodeEnded, b.code())
	require.Empty(t, b.header.Get("Secure-Session-Challenge"))

	s, b = begin()
	b.signIn()
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	unbound := newBrowser(t, s)
	require.Equal(t, 200, unbound.do(http.MethodPost, "/login"))
	store.armed = true
	again := httptest.NewRequest(http.MethodPost, "/", nil)
	again.AddCookie(&http.Cookie{Name: sessions.DefaultCookie, Value: unbound.cookies[sessions.DefaultCookie]})
	w := httptest.NewRecorder()
	sess.Load(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.ErrorIs(t, s.gate.Offer(w, r), sessions.ErrNoSession)
	})).ServeHTTP(w, again)
	require.Empty(t, w.Header().Get("Secure-Session-Registration"))
}
