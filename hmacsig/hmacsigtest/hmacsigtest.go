// Package hmacsigtest makes signed requests for tests of handlers behind an
// hmacsig.Verifier: valid ones, and ones with exactly one thing wrong.
//
//	forge := hmacsigtest.New(t, hmacsig.OpsMantik(), "site-id", secret)
//	h.ServeHTTP(w, forge.Expired("POST", "/api/call-event/v2", body))
package hmacsigtest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/opsmantik/sallyport/hmacsig"
)

// Forge makes requests of one scheme, key id and secret.
type Forge struct {
	t             testing.TB
	signer, other *hmacsig.Signer
	scheme        hmacsig.Scheme
}

// New makes a Forge. It fails the test if the parts do not fit.
func New(t testing.TB, scheme hmacsig.Scheme, keyID string, secret hmacsig.Secret) *Forge {
	t.Helper()
	f := &Forge{t: t, scheme: scheme}
	f.signer = f.make(keyID, secret)
	f.other = f.make(keyID, hmacsig.Generate())
	return f
}

func (f *Forge) make(keyID string, secret hmacsig.Secret) *hmacsig.Signer {
	f.t.Helper()
	s, err := hmacsig.NewSigner(hmacsig.SignerConfig{
		Scheme: f.scheme, KeyID: keyID, Secret: secret, MaxBodyBytes: 64 << 20,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// Valid is accepted.
func (f *Forge) Valid(method, target, body string) *http.Request {
	f.t.Helper()
	return f.sign(f.signer, method, target, body, time.Now())
}

// Unsigned has no signature headers.
func (f *Forge) Unsigned(method, target, body string) *http.Request {
	return httptest.NewRequest(method, target, bytes.NewReader([]byte(body)))
}

// Expired was signed a second longer ago than the scheme allows. It fails the
// test if the scheme has no timestamp that could be too old.
func (f *Forge) Expired(method, target, body string) *http.Request {
	f.t.Helper()
	f.timed()
	at := time.Now().Add(-f.scheme.MaxAge - time.Second)
	return f.sign(f.signer, method, target, body, at)
}

// Early was signed two seconds further ahead than the scheme allows. It fails
// the test as Expired does.
func (f *Forge) Early(method, target, body string) *http.Request {
	f.t.Helper()
	f.timed()
	at := time.Now().Add(f.scheme.MaxAhead + 2*time.Second)
	return f.sign(f.signer, method, target, body, at)
}

// timed keeps a test from passing a valid request for an expired one.
func (f *Forge) timed() {
	f.t.Helper()
	if f.scheme.Untimed {
		f.t.Fatalf("hmacsigtest: the window is not known: scheme %s is untimed", f.scheme.Name)
	}
}

// WrongKey was signed by somebody else.
func (f *Forge) WrongKey(method, target, body string) *http.Request {
	f.t.Helper()
	return f.sign(f.other, method, target, body, time.Now())
}

// Altered was signed over body and carries one with its last bit flipped, or
// one byte if body is empty.
func (f *Forge) Altered(method, target, body string) *http.Request {
	f.t.Helper()
	r := f.Valid(method, target, body)
	content := append([]byte(body), 0)
	if body != "" {
		content = content[:len(body)]
		content[len(body)-1] ^= 1
	}
	return withBody(r, content)
}

// Replay returns the same valid request twice.
func (f *Forge) Replay(method, target, body string) (first, second *http.Request) {
	f.t.Helper()
	first = f.Valid(method, target, body)
	return first, f.again(first)
}

// again copies a request that has not been served yet.
func (f *Forge) again(r *http.Request) *http.Request {
	f.t.Helper()
	content, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	withBody(r, content)
	return withBody(r.Clone(r.Context()), content)
}

func withBody(r *http.Request, content []byte) *http.Request {
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(content)), int64(len(content))
	return r
}

func (f *Forge) sign(s *hmacsig.Signer, method, target, body string, at time.Time) *http.Request {
	f.t.Helper()
	r := f.Unsigned(method, target, body)
	if err := s.SignAt(r, at); err != nil {
		f.t.Fatal(err)
	}
	return r
}
