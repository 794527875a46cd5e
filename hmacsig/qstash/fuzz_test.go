package qstash_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/qstash"
)

const destination = "https://ingest.example.test/api/sync/worker"

// FuzzToken: what is accepted carries the MAC of crypto/hmac over its first
// two parts, and claims in which encoding/json finds what must be there.
func FuzzToken(f *testing.F) {
	current := hmacsig.Generate()
	signer, err := qstash.NewSigner(qstash.SignerConfig{
		URL: destination, Secret: current, Lifetime: time.Hour,
	})
	if err != nil {
		f.Fatal(err)
	}
	for _, content := range []string{"", "{}"} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(content))
		if err := signer.Sign(r); err != nil {
			f.Fatal(err)
		}
		f.Add(r.Header.Get(qstash.Header), []byte(content))
	}
	for _, row := range vectors(f) {
		f.Add(row.Token, []byte(row.Body))
	}
	f.Fuzz(func(t *testing.T, token string, content []byte) {
		v, err := qstash.New(qstash.Config{URLs: []string{destination}, Current: current})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header[qstash.Header] = []string{token}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(content)), -1
		if _, err := v.Check(r); err != nil {
			return
		}
		parts := strings.Split(strings.Trim(token, " \t"), ".")
		mac := hmac.New(sha256.New, []byte(current.Reveal()))
		mac.Write([]byte(parts[0] + "." + parts[1]))
		if parts[2] != base64.RawURLEncoding.EncodeToString(mac.Sum(nil)) {
			t.Fatal("accepted with another MAC")
		}
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			t.Fatal(err)
		}
		var claims struct{ Iss, Sub, JTI, Body string }
		if err := json.Unmarshal(payload, &claims); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		if claims.Iss != "Upstash" || claims.Sub != destination || claims.JTI == "" ||
			strings.TrimSuffix(claims.Body, "=") != base64.RawURLEncoding.EncodeToString(sum[:]) {
			t.Fatalf("accepted with claims %+v", claims)
		}
	})
}

// Every bit of a delivery matters: token and body.
func TestEveryBitMatters(t *testing.T) {
	t.Parallel()
	current := hmacsig.Generate()
	signer, err := qstash.NewSigner(qstash.SignerConfig{URL: destination, Secret: current})
	if err != nil {
		t.Fatal(err)
	}
	v, err := qstash.New(qstash.Config{URLs: []string{destination}, Current: current})
	if err != nil {
		t.Fatal(err)
	}
	const content = `{"events":[]}`
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(content))
	if err := signer.Sign(r); err != nil {
		t.Fatal(err)
	}
	token := r.Header.Get(qstash.Header)
	send := func(token, body string) error {
		again := r.Clone(t.Context())
		again.Header[qstash.Header] = []string{token}
		again.Body, again.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		_, err := v.Check(again)
		return err
	}
	for bit := range 8 * len(token) {
		if changed := flip(token, bit); send(changed, content) == nil {
			t.Fatalf("token bit %d flipped and accepted", bit)
		}
	}
	for bit := range 8 * len(content) {
		if send(token, flip(content, bit)) == nil {
			t.Fatalf("body bit %d flipped and accepted", bit)
		}
	}
	if err := send(token, content); err != nil {
		t.Fatal(err)
	}
}

func flip(s string, bit int) string {
	b := []byte(s)
	b[bit/8] ^= 1 << (bit % 8)
	return string(b)
}
