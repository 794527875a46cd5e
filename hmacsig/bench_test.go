package hmacsig_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/opsmantik/sallyport/hmacsig"
)

var sizes = []int{256, 4 << 10, 1 << 20}

// The floor: a keyed state, reset and fed. Everything else is measured
// against it.
func BenchmarkKeyedHMAC(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			mac, content := hmac.New(sha256.New, make([]byte, 32)), make([]byte, size)
			var sum []byte
			b.ReportAllocs()
			for b.Loop() {
				mac.Reset()
				mac.Write(content)
				sum = mac.Sum(sum[:0])
			}
		})
	}
}

// rewind is a request body that can be sent again without an allocation.
type rewind struct{ *bytes.Reader }

func (rewind) Close() error { return nil }

// resend returns a function that gives the same signed request again.
func resend(b testing.TB, scheme hmacsig.Scheme, s hmacsig.Secret, size int) func() *http.Request {
	b.Helper()
	signer, err := hmacsig.NewSigner(hmacsig.SignerConfig{
		Scheme: scheme, KeyID: keyIDFor(scheme), Secret: s, MaxBodyBytes: 2 << 20,
	})
	if err != nil {
		b.Fatal(err)
	}
	content := bytes.Repeat([]byte("x"), size)
	r := httptest.NewRequest(http.MethodPost, "/api/call-event/v2", bytes.NewReader(content))
	if err := signer.Sign(r); err != nil {
		b.Fatal(err)
	}
	source := rewind{bytes.NewReader(content)}
	return func() *http.Request {
		_, _ = source.Seek(0, io.SeekStart)
		r.Body, r.ContentLength = source, int64(size)
		return r
	}
}

func benchVerifier(b testing.TB, scheme hmacsig.Scheme) (*hmacsig.Verifier, hmacsig.Secret) {
	b.Helper()
	s := hmacsig.Generate()
	ring := rotation(b, s, hmacsig.Secret{})
	cfg := hmacsig.Config{
		Scheme: scheme, Keys: keysFor(scheme, ring), MaxBodyBytes: 2 << 20,
	}
	v, err := hmacsig.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	return v, s
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkWrap is the whole middleware, its replay store included. The
// handler answers 500, so that the same request is accepted every time.
func BenchmarkWrap(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			v, s := benchVerifier(b, hmacsig.OpsMantik())
			next := resend(b, hmacsig.OpsMantik(), s, size)
			accepted := 0
			h := v.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				accepted++
				w.WriteHeader(http.StatusInternalServerError)
			}))
			w := &discard{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, next())
			}
			if accepted != b.N {
				b.Fatalf("accepted %d of %d", accepted, b.N)
			}
		})
	}
}

// BenchmarkForgedHeaderFirst is a forgery that is refused unread.
func BenchmarkForgedHeaderFirst(b *testing.B) {
	v, _ := benchVerifier(b, hmacsig.RFC9421())
	next := resend(b, hmacsig.RFC9421(), hmacsig.Generate(), 256)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Check(next()); err == nil {
			b.Fatal("accepted")
		}
	}
}
