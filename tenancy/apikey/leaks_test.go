package apikey_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/tenancy/apikey"
)

// The sample of GitHub's documentation, with the public key that it was signed with.
const (
	sampleBody = `[{"source":"commit","token":"some_token","type":"some_type",` +
		`"url":"https://example.com/base-repo-url/"}]`
	sampleID        = "bcb53661c06b4728e59d897fb6165d5c9cda0fd9cdf9d09ead458168deb7518c"
	sampleSignature = "MEQCIQDaMKqrGnE27S0kgMrEK0eYBmyG0LeZismAEz/BgZyt7AIfXt9fErtRS4XaeSt/" +
		"AO1RtBY66YcAdjxji410VQV4xg=="
	sampleKeys = `{"public_keys":[{"key_identifier":` +
		`"90a421169f0a406205f1563a953312f0be898d3c7b6c06b681aa86a874555f4a",` +
		`"key":"-----BEGIN PUBLIC KEY-----\n` +
		`MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9MJJHnMfn2+H4xL4YaPDA4RpJqUq\n` +
		`kCmRCBnYERxZanmcpzQSXs1X/AljlKkbJ8qpVIW4clayyef9gWhFbNHWAA==\n` +
		`-----END PUBLIC KEY-----\n","is_current":false},{"key_identifier":"` + sampleID + `",` +
		`"key":"-----BEGIN PUBLIC KEY-----\n` +
		`MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYAGMWO8XgCamYKMJS6jc/qgvSlAd\n` +
		`AjPuDPRcXU22YxgBrz+zoN19MzuRyW87qEt9/AmtoNP5GrobzUvQSyJFVw==\n` +
		`-----END PUBLIC KEY-----\n","is_current":true}]}`
)

func report(body, id, signature string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/leaks", strings.NewReader(body))
	r.Header.Set("Github-Public-Key-Identifier", id)
	r.Header.Set("Github-Public-Key-Signature", signature)
	return r
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func fetchSample(context.Context) ([]byte, error) { return []byte(sampleKeys), nil }

func TestGitHubsOwnSample(t *testing.T) {
	t.Parallel()
	g, _ := newGate(t, nil)
	w := serve(g.Leaks(fetchSample), report(sampleBody, sampleID, sampleSignature))
	require.Equal(t, 200, w.Code, w.Body)
	hash := sha256.Sum256([]byte("some_token"))
	require.JSONEq(t, `[{"token_hash":"`+hex.EncodeToString(hash[:])+
		`","token_type":"some_type","label":"false_positive"}]`, w.Body.String())
}

func TestForgedReports(t *testing.T) {
	t.Parallel()
	g, _ := newGate(t, func(c *apikey.Config) {
		c.OnEvent = func(_ context.Context, e sallyport.Event) { require.Error(t, e.Err, e.Code) }
	})
	h := g.Leaks(fetchSample)
	refused := func(name string, r *http.Request, status int, code string) {
		t.Helper()
		w := serve(h, r)
		require.Equal(t, status, w.Code, name)
		require.Contains(t, w.Body.String(), `"code":"`+code+`"`, name)
	}
	const unsigned, malformed = apikey.CodeReportUnsigned, apikey.CodeReportMalformed
	for i := range sampleBody {
		changed := []byte(sampleBody)
		changed[i] ^= 1
		refused("body", report(string(changed), sampleID, sampleSignature), 401, unsigned)
	}
	for i := range sampleSignature {
		changed := []byte(sampleSignature)
		changed[i] ^= 1
		refused("signature", report(sampleBody, sampleID, string(changed)), 401, unsigned)
	}
	refused("another key", report(sampleBody,
		"90a421169f0a406205f1563a953312f0be898d3c7b6c06b681aa86a874555f4a", sampleSignature), 401, unsigned)
	refused("unknown key", report(sampleBody, "x", sampleSignature), 401, unsigned)
	refused("no signature", report(sampleBody, sampleID, ""), 401, unsigned)
	refused("a space", report(sampleBody, sampleID, sampleSignature+" "), 401, unsigned)
	r := report(sampleBody, sampleID, sampleSignature)
	r.Header.Add("Github-Public-Key-Signature", sampleSignature)
	refused("two signatures", r, 401, unsigned)
	r = report(sampleBody, sampleID, sampleSignature)
	r.Header.Del("Github-Public-Key-Identifier")
	refused("no identifier", r, 401, unsigned)
	r = report(sampleBody, sampleID, sampleSignature)
	r.Method = http.MethodGet
	refused("GET", r, 400, malformed)
	r = report(sampleBody, sampleID, sampleSignature)
	r.Body = nil
	refused("no body", r, 400, malformed)
	refused("too long", report(strings.Repeat("x", 1<<20+1), sampleID, sampleSignature), 400, malformed)
	refused("as long as allowed", report(strings.Repeat("x", 1<<20), sampleID, sampleSignature), 401, unsigned)
}

// github signs reports as GitHub does.
type github struct {
	private *ecdsa.PrivateKey
	keys    string
}

func newGitHub(t *testing.T, curve elliptic.Curve) *github {
	t.Helper()
	private, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	require.NoError(t, err)
	text, err := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	require.NoError(t, err)
	return &github{private, `{"public_keys":[{"key_identifier":"k1","key":` + string(text) + `}]}`}
}

func (h *github) fetch(context.Context) ([]byte, error) { return []byte(h.keys), nil }

func (h *github) report(t *testing.T, body string) *http.Request {
	t.Helper()
	sum := sha256.Sum256([]byte(body))
	signature, err := ecdsa.SignASN1(rand.Reader, h.private, sum[:])
	require.NoError(t, err)
	return report(body, "k1", base64.StdEncoding.EncodeToString(signature))
}

func TestLeakedKeysAreRevoked(t *testing.T) {
	t.Parallel()
	var seen []sallyport.Event
	g, store := newGate(t, func(c *apikey.Config) {
		c.OnEvent = func(_ context.Context, e sallyport.Event) { seen = append(seen, e) }
	})
	hub := newGitHub(t, elliptic.P256())
	h := g.Leaks(hub.fetch)
	leaked, record := issue(t, g, 0)
	kept, _ := issue(t, g, 0)
	unknown := apikey.NewKey("acme")
	body := fmt.Sprintf(`[{"token":%q,"type":"acme","url":"https://example.com/x","source":"commit"},`+
		`{"token":%q,"type":"acme"},{"token":"acme_x","type":"acme"}]`, leaked, unknown)
	for range 2 { // a replay changes nothing
		w := serve(h, hub.report(t, body))
		require.Equal(t, 200, w.Code)
		require.NotContains(t, w.Body.String(), leaked)
		require.Equal(t, "application/json", w.Header().Get("Content-Type"))
		var answer []struct{ Label string }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
		require.Equal(t, []struct{ Label string }{
			{"true_positive"}, {"false_positive"}, {"false_positive"},
		}, answer)
	}
	_, err := g.Check(with(leaked))
	require.Equal(t, apikey.CodeUnknown, code(err))
	_, err = g.Check(with(kept))
	require.NoError(t, err)
	var leak apikey.Leak
	for _, e := range seen {
		if e.Code == apikey.CodeLeaked {
			leak = e.Detail.(apikey.Leak)
			require.True(t, e.Allowed)
			require.Equal(t, "ann", e.Actor)
		}
	}
	require.Equal(t, record.ID, leak.Record.ID)
	require.Equal(t, "https://example.com/x", leak.URL)
	require.Equal(t, "commit", leak.Source)

	for _, empty := range []string{`[]`} {
		w := serve(h, hub.report(t, empty))
		require.JSONEq(t, `[]`, w.Body.String())
	}
	for _, bad := range []string{``, `{}`, `null`, `[1]`, `[] []`} {
		require.Equal(t, 400, serve(h, hub.report(t, bad)).Code, bad)
	}
	store.find = errDown
	require.Equal(t, 503, serve(h, hub.report(t, body)).Code)
	store.find, store.end = nil, errDown
	seen = nil
	require.Equal(t, 503, serve(h, hub.report(t, body)).Code, "GitHub comes again")
	require.NotEmpty(t, seen)
	for _, e := range seen {
		require.ErrorIs(t, e.Err, errDown)
		require.False(t, e.Allowed)
	}
}

func TestGitHubsKeysAreFetchedSeldom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, _ := newGate(t, nil)
		hub := newGitHub(t, elliptic.P256())
		fetches := 0
		var failure error
		h := g.Leaks(func(ctx context.Context) ([]byte, error) {
			fetches++
			_, ok := ctx.Deadline()
			require.True(t, ok)
			return []byte(hub.keys), failure
		})
		status := func(r *http.Request) int { return serve(h, r).Code }
		good := hub.report(t, `[]`)
		sent := func() *http.Request {
			r := report(`[]`, "k1", good.Header.Get("Github-Public-Key-Signature"))
			return r
		}
		unknown := func() *http.Request { r := sent(); r.Header.Set("Github-Public-Key-Identifier", "k2"); return r }
		failure = errDown
		require.Equal(t, 503, status(sent()))
		failure = nil
		require.Equal(t, 200, status(sent()), "a failure is not remembered")
		require.Equal(t, 200, status(sent()))
		require.Equal(t, 401, status(unknown()))
		require.Equal(t, 2, fetches)
		time.Sleep(time.Minute - 1)
		require.Equal(t, 401, status(unknown()))
		require.Equal(t, 2, fetches)
		time.Sleep(time.Nanosecond)
		require.Equal(t, 401, status(unknown()))
		require.Equal(t, 3, fetches)
		time.Sleep(time.Hour - 1)
		require.Equal(t, 200, status(sent()))
		require.Equal(t, 3, fetches)
		time.Sleep(time.Nanosecond)
		require.Equal(t, 200, status(sent()))
		require.Equal(t, 4, fetches)
	})
}

func TestListsThatAreNoGitHubs(t *testing.T) {
	t.Parallel()
	g, _ := newGate(t, nil)
	for name, list := range map[string]string{
		"no JSON": `x`,
		"no PEM":  `{"public_keys":[{"key_identifier":"k1","key":"x"}]}`,
		"no key":  `{"public_keys":[{"key_identifier":"k1","key":"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"}]}`,
		"Ed25519": `{"public_keys":[{"key_identifier":"k1","key":"-----BEGIN PUBLIC KEY-----\n` +
			`MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n` +
			`-----END PUBLIC KEY-----\n"}]}`,
		"P-384":        newGitHub(t, elliptic.P384()).keys,
		"endless":      strings.Repeat(" ", 1<<16+1) + `{}`,
		"another list": sampleKeys[:len(sampleKeys)-1],
	} {
		h := g.Leaks(func(context.Context) ([]byte, error) { return []byte(list), nil })
		require.Equal(t, 503, serve(h, report(sampleBody, sampleID, sampleSignature)).Code, name)
	}
	for _, h := range []http.Handler{
		g.Leaks(nil), (*apikey.Gate)(nil).Leaks(fetchSample), (&apikey.Gate{}).Leaks(fetchSample),
	} {
		w := serve(h, report(sampleBody, sampleID, sampleSignature))
		require.Equal(t, 503, w.Code)
		require.Contains(t, w.Body.String(), apikey.CodeNotConfigured)
	}
}
