package hmacsig_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/opsmantik/sallyport/hmacsig"
)

// signatureHeaders are what each scheme reads, in the order of the fuzzed
// values.
var signatureHeaders = map[string][]string{
	"opsmantik":         {"X-Ops-Site-Id", "X-Ops-Ts", "X-Ops-Signature"},
	"standard-webhooks": {"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"},
	"stripe":            {"Stripe-Signature"},
	"slack":             {"X-Slack-Request-Timestamp", "X-Slack-Signature"},
	"github":            {"X-Hub-Signature-256"},
	"rfc9421":           {"Content-Digest", "Signature-Input", "Signature"},
}

// FuzzVerify: what is accepted has a MAC that comes out again when it is
// computed over the parsed parts with crypto/hmac alone, and a timestamp
// within the window.
func FuzzVerify(f *testing.F) {
	s := hmacsig.Generate()
	for i, scheme := range all() {
		for _, content := range []string{"", "{}", "1795299383.{}"} {
			r := signAt(f, scheme, s, time.Now(), content)
			var values [3]string
			for j, name := range signatureHeaders[scheme.Name] {
				values[j] = r.Header.Get(name)
			}
			f.Add(uint8(i), values[0], values[1], values[2], "/a/b?c=d", []byte(content))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, a, b, c, target string, content []byte) {
		scheme := all()[int(which)%len(all())]
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		if u, err := url.ParseRequestURI(target); err == nil {
			r.RequestURI, r.URL = target, u
		}
		for i, name := range signatureHeaders[scheme.Name] {
			if value := []string{a, b, c}[i]; value != "" {
				r.Header[name] = []string{value}
			}
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(content)), -1
		v := verifier(t, scheme, s)
		proof, err := v.Check(r)
		if err != nil {
			return
		}
		var m hmacsig.Message
		if err := scheme.Read(r, &m); err != nil {
			t.Fatal("accepted and not readable again")
		}
		mac := hmac.New(sha256.New, []byte(s.Reveal()))
		mac.Write(scheme.Base(nil, r, &m))
		if !scheme.SignsDigest {
			mac.Write(content)
		}
		want := mac.Sum(nil)
		if !slices.ContainsFunc(hmacsig.ExportParts(&m), func(got [32]byte) bool {
			return bytes.Equal(got[:], want)
		}) {
			t.Fatal("accepted with another MAC")
		}
		if scheme.SignsDigest && m.Digest != sha256.Sum256(content) {
			t.Fatal("accepted with another body")
		}
		age := time.Since(time.Unix(m.Timestamp, 0))
		const slack = 2 * time.Second
		if !scheme.Untimed && (age > scheme.MaxAge+slack || age < -scheme.MaxAhead-slack) {
			t.Fatalf("accepted at age %s", age)
		}
		if proof.KeyID != m.KeyID {
			t.Fatal("proved for another key id")
		}
	})
}

// FuzzSecret: no value panics, and no problem quotes the value.
func FuzzSecret(f *testing.F) {
	for _, text := range []string{
		"", "changeme", "\x00", siteText, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
	} {
		f.Add(text, true)
	}
	f.Fuzz(func(t *testing.T, text string, short bool) {
		s, err := hmacsig.NewSecret(hmacsig.SecretConfig{Value: text, AllowShort: short})
		if err == nil && s.Reveal() != text {
			t.Fatal("another value")
		}
		if err != nil && len(text) > 12 && bytes.Contains([]byte(err.Error()), []byte(text)) {
			t.Fatal("the problem quotes the value")
		}
		_, _ = hmacsig.NewWebhookSecret(text)
	})
}
