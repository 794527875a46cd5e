package devicebound_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/sessions/devicebound"
)

type data struct {
	N      int
	Device devicebound.Binding
}

// site is a server with bound sessions: /login, /stepup, /page and the endpoints.
type site struct {
	http.Handler
	sess   *sessions.Manager[data]
	gate   *devicebound.Gate[data]
	events []sallyport.Event
}

func newSite(t testing.TB, edit func(*devicebound.Config[data])) *site {
	t.Helper()
	store, err := sessions.NewMemory(sessions.MemoryConfig{})
	require.NoError(t, err)
	sess, err := sessions.New[data](sessions.Config{Store: store})
	require.NoError(t, err)
	return newSiteOn(t, sess, edit)
}

func newSiteOn(
	t testing.TB, sess *sessions.Manager[data], edit func(*devicebound.Config[data]),
) *site {
	t.Helper()
	var err error
	s := &site{sess: sess}
	cfg := devicebound.Config[data]{
		Sessions: s.sess,
		Binding:  func(d *data) *devicebound.Binding { return &d.Device },
		OnEvent:  func(_ context.Context, e sallyport.Event) { s.events = append(s.events, e) },
	}
	if edit != nil {
		edit(&cfg)
	}
	s.gate, err = devicebound.New(cfg)
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		login := sessions.Login{User: "ada", Level: sallyport.AAL1}
		require.NoError(t, s.sess.Start(r.Context(), login, data{N: 1}))
		require.NoError(t, s.gate.Offer(w, r))
	})
	mux.HandleFunc("POST /stepup", func(w http.ResponseWriter, r *http.Request) {
		require.NoError(t, s.sess.StepUp(r.Context(), sallyport.AAL2))
		require.NoError(t, s.gate.Offer(w, r))
	})
	mux.Handle("GET /page", s.gate.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	outer := http.NewServeMux()
	outer.Handle("/session/device", s.gate.Register())
	outer.Handle("/session/device/refresh", s.gate.Refresh())
	outer.Handle("/", s.sess.Load(mux))
	s.Handler = outer
	return s
}

// browser speaks DBSC as Chromium does.
type browser struct {
	t       testing.TB
	site    *site
	cookies map[string]string
	key     crypto.Signer
	id      string
	header  http.Header // of the last answer
	body    string
}

func newBrowser(t testing.TB, s *site) *browser {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return &browser{t: t, site: s, cookies: map[string]string{}, key: key}
}

// copied is a thief's client: all cookies, no key.
func (b *browser) copied() *browser {
	thief := newBrowser(b.t, b.site)
	maps.Copy(thief.cookies, b.cookies)
	thief.id = b.id
	return thief
}

func (b *browser) do(method, path string, header ...string) int {
	r := httptest.NewRequest(method, path, nil)
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	b.site.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		b.cookies[c.Name] = c.Value
	}
	b.header, b.body = w.Header(), w.Body.String()
	return w.Code
}

func (b *browser) code() string {
	var problem struct{ Code string }
	require.NoError(b.t, json.Unmarshal([]byte(b.body), &problem), b.body)
	return problem.Code
}

var challenges = regexp.MustCompile(`challenge="([^"]+)"|^"([^"]+)";id=`)

// challenge finds the one in the last answer.
func (b *browser) challenge() string {
	for _, name := range []string{"Secure-Session-Registration", "Secure-Session-Challenge"} {
		if m := challenges.FindStringSubmatch(b.header.Get(name)); m != nil {
			return m[1] + m[2]
		}
	}
	return ""
}

func enc(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func asJSON(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

type object = map[string]any

// jwk is the public part of a key.
func jwk(key crypto.Signer) object {
	switch public := key.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			return nil
		}
		return object{"kty": "EC", "crv": "P-256", "x": enc(point[1:33]), "y": enc(point[33:])}
	case *rsa.PublicKey:
		e := big.NewInt(int64(public.E)).Bytes()
		return object{"kty": "RSA", "n": enc(public.N.Bytes()), "e": enc(e)}
	}
	return nil
}

// sign makes a JWT of these two parts, as they are.
func sign(t testing.TB, key crypto.Signer, head, body string) string {
	t.Helper()
	text := enc([]byte(head)) + "." + enc([]byte(body))
	sum := sha256.Sum256([]byte(text))
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
		require.NoError(t, err)
		size := (key.Params().BitSize + 7) / 8
		mac := make([]byte, 2*size)
		r.FillBytes(mac[:size])
		s.FillBytes(mac[size:])
		return text + "." + enc(mac)
	case *rsa.PrivateKey:
		mac, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		require.NoError(t, err)
		return text + "." + enc(mac)
	}
	return ""
}

func algorithm(key crypto.Signer) string {
	if _, ok := key.(*rsa.PrivateKey); ok {
		return "RS256"
	}
	return "ES256"
}

// proof is what the browser signs.
func (b *browser) proof(challenge string, withKey bool) string {
	head := object{"typ": "dbsc+jwt", "alg": algorithm(b.key)}
	if withKey {
		head["jwk"] = jwk(b.key)
	}
	return sign(b.t, b.key, asJSON(b.t, head), asJSON(b.t, object{"jti": challenge}))
}

// signIn signs in, and registers as Chromium does.
func (b *browser) signIn() {
	b.t.Helper()
	require.Equal(b.t, 200, b.do(http.MethodPost, "/login"))
	require.Contains(b.t, b.header.Get("Secure-Session-Registration"), `(ES256 RS256);path="/session/device";`)
	b.register()
}

func (b *browser) register() {
	b.t.Helper()
	proof := b.proof(b.challenge(), true)
	require.Equal(b.t, 200, b.do(http.MethodPost, "/session/device", "Secure-Session-Response", proof), b.body)
	var got struct {
		ID          string `json:"session_identifier"`
		URL         string `json:"refresh_url"`
		Credentials []struct{ Type, Name, Attributes string }
	}
	require.NoError(b.t, json.Unmarshal([]byte(b.body), &got))
	require.NotEmpty(b.t, got.ID)
	require.Equal(b.t, "/session/device/refresh", got.URL)
	require.Len(b.t, got.Credentials, 1)
	require.Equal(b.t, devicebound.DefaultCookie, got.Credentials[0].Name)
	require.Contains(b.t, b.header.Get("Set-Cookie"), got.Credentials[0].Attributes)
	b.id = got.ID
}

// refresh asks for a challenge and answers it.
func (b *browser) refresh() int {
	b.t.Helper()
	const path = "/session/device/refresh"
	if code := b.do(http.MethodPost, path, "Sec-Secure-Session-Id", `"`+b.id+`"`); code != 403 {
		return code
	}
	proof := `"` + b.proof(b.challenge(), false) + `"`
	return b.do(http.MethodPost, path, "Sec-Secure-Session-Id", `"`+b.id+`"`, "Secure-Session-Response", proof)
}

func (b *browser) page() int { return b.do(http.MethodGet, "/page") }

func (s *site) codes() string {
	codes := make([]string, len(s.events))
	for i, e := range s.events {
		codes[i] = e.Code
	}
	return strings.Join(codes, " ")
}
