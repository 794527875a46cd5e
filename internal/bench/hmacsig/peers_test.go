package hmacsig_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-github/v84/github"
	"github.com/slack-go/slack"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stripe/stripe-go/v85/webhook"
	svix "github.com/svix/svix-webhooks/go"

	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/qstash"
)

const (
	keyText = "uJ9xK3vQ7sTn2WcY5bRd8fGh4jLm6pZa" // made for this file
	whsec   = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	worker  = "https://ingest.example.test/api/sync/worker"
)

// op does one thing once and reports a failure.
type op func() error

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func secret() hmacsig.Secret {
	return must(hmacsig.NewSecret(hmacsig.SecretConfig{Value: keyText}))
}

// body is a request body that can be sent again without an allocation.
type body struct{ *bytes.Reader }

func (body) Close() error { return nil }

// delivery is one signed request, sent over and over.
type delivery struct {
	r       *http.Request
	source  body
	content []byte
}

func newDelivery(signer *hmacsig.Signer, size int) *delivery {
	content := bytes.Repeat([]byte("x"), size)
	r := httptest.NewRequest(http.MethodPost, worker, bytes.NewReader(content))
	if err := signer.Sign(r); err != nil {
		panic(err)
	}
	return &delivery{r: r, source: body{bytes.NewReader(content)}, content: content}
}

func (d *delivery) again() *http.Request {
	_, _ = d.source.Seek(0, io.SeekStart)
	d.r.Body, d.r.ContentLength = d.source, int64(len(d.content))
	return d.r
}

func keyID(scheme hmacsig.Scheme) string {
	if scheme.KeyID == nil {
		return ""
	}
	return "site"
}

func signer(scheme hmacsig.Scheme, s hmacsig.Secret) *hmacsig.Signer {
	return must(hmacsig.NewSigner(hmacsig.SignerConfig{
		Scheme: scheme, KeyID: keyID(scheme), Secret: s, MaxBodyBytes: 2 << 20,
	}))
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

var errNotAccepted = errors.New("not accepted")

// wrap is our whole middleware. The handler answers 500, which releases the
// claim, so that the same request is accepted every time; a release costs what
// a confirmation costs.
func wrap(v *hmacsig.Verifier, d *delivery) op {
	accepted := false
	h := v.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		accepted = true
		w.WriteHeader(http.StatusInternalServerError)
	}))
	w := &discard{header: http.Header{}}
	return func() error {
		accepted = false
		h.ServeHTTP(w, d.again())
		if !accepted {
			return errNotAccepted
		}
		return nil
	}
}

func ours(scheme hmacsig.Scheme, s hmacsig.Secret, size int) op {
	ring := must(hmacsig.NewRotation(s, hmacsig.Secret{}))
	v := must(hmacsig.New(hmacsig.Config{
		Scheme:       scheme,
		Keys:         hmacsig.StaticKeys{keyID(scheme): ring},
		MaxBodyBytes: 2 << 20,
	}))
	return wrap(v, newDelivery(signer(scheme, s), size))
}

func keyed(size int) op {
	mac, content := hmac.New(sha256.New, []byte(keyText)), make([]byte, size)
	var sum []byte
	return func() error {
		mac.Reset()
		mac.Write(content)
		sum = mac.Sum(sum[:0])
		return nil
	}
}

func fresh(size int) op {
	content := make([]byte, size)
	return func() error {
		mac := hmac.New(sha256.New, []byte(keyText))
		mac.Write(content)
		mac.Sum(nil)
		return nil
	}
}

func peerStripe(size int) op {
	d := newDelivery(signer(hmacsig.Stripe(), secret()), size)
	return func() error {
		r := d.again()
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		return webhook.ValidatePayload(content, r.Header.Get("Stripe-Signature"), keyText)
	}
}

func peerGitHub(size int) op {
	d := newDelivery(signer(hmacsig.GitHub(), secret()), size)
	return func() error {
		r := d.again()
		_, err := github.ValidatePayloadFromBody("application/json", r.Body,
			r.Header.Get("X-Hub-Signature-256"), []byte(keyText))
		return err
	}
}

// peerSlackKept leaves the handler a body to read, as every middleware must.
func peerSlackKept(size int) op {
	d := newDelivery(signer(hmacsig.Slack(), secret()), size)
	return func() error {
		r := d.again()
		v, err := slack.NewSecretsVerifier(r.Header, keyText)
		if err != nil {
			return err
		}
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		if _, err := v.Write(content); err != nil {
			return err
		}
		return v.Ensure()
	}
}

// peerSlack hashes the body from where it lies and forgets it.
func peerSlack(size int) op {
	d := newDelivery(signer(hmacsig.Slack(), secret()), size)
	return func() error {
		r := d.again()
		v, err := slack.NewSecretsVerifier(r.Header, keyText)
		if err != nil {
			return err
		}
		if _, err := io.Copy(&v, r.Body); err != nil {
			return err
		}
		return v.Ensure()
	}
}

func peerStandardWebhooks(size int) op {
	wh := must(standardwebhooks.NewWebhook(whsec))
	d := newDelivery(signer(hmacsig.StandardWebhooks(), must(hmacsig.NewWebhookSecret(whsec))), size)
	return func() error {
		r := d.again()
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		return wh.Verify(content, r.Header)
	}
}

func peerSvix(size int) op {
	wh := must(svix.NewWebhook(whsec))
	d := newDelivery(signer(hmacsig.StandardWebhooks(), must(hmacsig.NewWebhookSecret(whsec))), size)
	for _, name := range []string{"Id", "Timestamp", "Signature"} {
		d.r.Header.Set("Svix-"+name, d.r.Header.Get("Webhook-"+name))
	}
	return func() error {
		r := d.again()
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		return wh.Verify(content, r.Header)
	}
}

// forged is a header-first forgery: everything in it is well formed but the
// MAC.
func forged() op {
	ring := must(hmacsig.NewRotation(hmacsig.Generate(), hmacsig.Secret{}))
	v := must(hmacsig.New(hmacsig.Config{
		Scheme: hmacsig.RFC9421(), Keys: hmacsig.StaticKeys{"site": ring},
	}))
	d := newDelivery(signer(hmacsig.RFC9421(), secret()), 256)
	return func() error {
		if _, err := v.Check(d.again()); err == nil {
			return errors.New("forgery accepted")
		}
		if d.source.Len() != 256 {
			return errors.New("the body was read")
		}
		return nil
	}
}

func deliverySigned(size int) *delivery {
	s := must(qstash.NewSigner(qstash.SignerConfig{URL: worker, Secret: secret()}))
	return newDelivery(s, size)
}

// oursQStash verifies a delivery without claiming its jti, as golang-jwt does.
func oursQStash(size int) op {
	v := must(qstash.New(qstash.Config{
		URLs: []string{worker}, Current: secret(), DangerouslyAllowReplay: true,
	}))
	d := deliverySigned(size)
	return func() error {
		r := d.again()
		_, err := v.Check(r)
		_ = r.Body.Close()
		return err
	}
}

type upstashClaims struct {
	jwt.RegisteredClaims
	Body string `json:"body"`
}

// peerJWT does the same checks with golang-jwt.
func peerJWT(size int) op {
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithIssuer("Upstash"),
		jwt.WithSubject(worker), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithStrictDecoding())
	d := deliverySigned(size)
	key := func(*jwt.Token) (any, error) { return []byte(keyText), nil }
	return func() error {
		r := d.again()
		var claims upstashClaims
		if _, err := parser.ParseWithClaims(r.Header.Get(qstash.Header), &claims, key); err != nil {
			return err
		}
		if claims.ID == "" || claims.NotBefore == nil || claims.IssuedAt == nil {
			return errNotAccepted
		}
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		want, err := base64.RawURLEncoding.DecodeString(claims.Body)
		if err != nil || subtle.ConstantTimeCompare(sum[:], want) != 1 {
			return errNotAccepted
		}
		return nil
	}
}

// naive is what a careful developer writes by hand for the OpsMantik scheme.
func naive(size int) op {
	d := newDelivery(signer(hmacsig.OpsMantik(), secret()), size)
	return func() error {
		r := d.again()
		content, err := io.ReadAll(io.LimitReader(r.Body, 2<<20))
		if err != nil {
			return err
		}
		unix, err := strconv.ParseInt(r.Header.Get("X-Ops-Ts"), 10, 64)
		if err != nil || time.Since(time.Unix(unix, 0)) > 300*time.Second {
			return errNotAccepted
		}
		mac := hmac.New(sha256.New, []byte(keyText))
		mac.Write([]byte(r.Header.Get("X-Ops-Ts") + "."))
		mac.Write(content)
		got, err := hex.DecodeString(r.Header.Get("X-Ops-Signature"))
		if err != nil || !hmac.Equal(mac.Sum(nil), got) {
			return errNotAccepted
		}
		return nil
	}
}
