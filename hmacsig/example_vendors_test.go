package hmacsig_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	"github.com/opsmantik/sallyport/hmacsig"
)

// Schemes of vendors that are not shipped, to copy. Each was run against the
// vendor's own SDK.

const malformed = hmacsig.Fault(hmacsig.CodeSignatureMalformed)

// shopify signs the body alone, in base64. The secret is the app's client
// secret. Nothing signed says when: deduplicate by X-Shopify-Event-Id as well.
func shopify() hmacsig.Scheme {
	return hmacsig.Scheme{
		Name:    "shopify",
		Untimed: true,
		MaxAge:  24 * time.Hour, // how long the replay store remembers a message
		Read: func(r *http.Request, m *hmacsig.Message) error {
			text, err := hmacsig.SingleHeader(r.Header, "X-Shopify-Hmac-Sha256")
			if err != nil {
				return err
			}
			if !m.AddBase64(text) {
				return malformed
			}
			return nil
		},
		Base: func(dst []byte, _ *http.Request, _ *hmacsig.Message) []byte { return dst },
		Write: func(r *http.Request, _ *hmacsig.Message, mac []byte) {
			r.Header.Set("X-Shopify-Hmac-Sha256", base64.StdEncoding.EncodeToString(mac))
		},
	}
}

// square signs the notification URL, as it is configured there, and the body.
func square(notificationURL string) hmacsig.Scheme {
	scheme := shopify()
	scheme.Name = "square"
	scheme.Read = func(r *http.Request, m *hmacsig.Message) error {
		text, err := hmacsig.SingleHeader(r.Header, "X-Square-Hmacsha256-Signature")
		if err != nil {
			return err
		}
		if !m.AddBase64(text) {
			return malformed
		}
		return nil
	}
	scheme.Base = func(dst []byte, _ *http.Request, _ *hmacsig.Message) []byte {
		return append(dst, notificationURL...)
	}
	scheme.Write = func(r *http.Request, _ *hmacsig.Message, mac []byte) {
		r.Header.Set("X-Square-Hmacsha256-Signature", base64.StdEncoding.EncodeToString(mac))
	}
	return scheme
}

// zoom signs "v0:" timestamp ":" body, as Slack does, under other header names.
// The handler answers endpoint.url_validation events.
func zoom() hmacsig.Scheme {
	return hmacsig.Scheme{
		Name:     "zoom",
		MaxAge:   5 * time.Minute,
		MaxAhead: time.Minute,
		Read: func(r *http.Request, m *hmacsig.Message) (err error) {
			if m.Raw, err = hmacsig.SingleHeader(r.Header, "X-Zm-Request-Timestamp"); err != nil {
				return err
			}
			text, err := hmacsig.SingleHeader(r.Header, "X-Zm-Signature")
			if err != nil {
				return err
			}
			sum, version0 := strings.CutPrefix(text, "v0=")
			var ok bool
			if m.Timestamp, ok = hmacsig.ParseUnix(m.Raw); !ok || !version0 || !m.AddHex(sum) {
				return malformed
			}
			return nil
		},
		Base: func(dst []byte, _ *http.Request, m *hmacsig.Message) []byte {
			if m.Raw == "" { // signing
				m.Raw = strconv.FormatInt(m.Timestamp, 10)
			}
			return append(append(append(dst, "v0:"...), m.Raw...), ':')
		},
		Write: func(r *http.Request, m *hmacsig.Message, mac []byte) {
			r.Header.Set("X-Zm-Request-Timestamp", m.Raw)
			r.Header.Set("X-Zm-Signature", "v0="+hex.EncodeToString(mac))
		},
	}
}

// paddle signs timestamp ":" body. While a secret is rotated, several h1 come.
// Paddle's own SDKs allow no more than 5 seconds.
func paddle() hmacsig.Scheme {
	return hmacsig.Scheme{
		Name:     "paddle",
		Several:  true,
		MaxAge:   time.Minute,
		MaxAhead: time.Minute,
		Read: func(r *http.Request, m *hmacsig.Message) error {
			text, err := hmacsig.SingleHeader(r.Header, "Paddle-Signature")
			if err != nil {
				return err
			}
			stamp, sums, _ := strings.Cut(text, ";")
			raw, found := strings.CutPrefix(stamp, "ts=")
			unix, ok := hmacsig.ParseUnix(raw)
			if !found || !ok {
				return malformed
			}
			for item := range strings.SplitSeq(sums, ";") {
				sum, found := strings.CutPrefix(item, "h1=")
				if !found || !m.AddHex(sum) {
					return malformed
				}
			}
			m.Raw, m.Timestamp = raw, unix
			return nil
		},
		Base: func(dst []byte, _ *http.Request, m *hmacsig.Message) []byte {
			if m.Raw == "" { // signing
				m.Raw = strconv.FormatInt(m.Timestamp, 10)
			}
			return append(append(dst, m.Raw...), ':')
		},
		Write: func(r *http.Request, m *hmacsig.Message, mac []byte) {
			r.Header.Set("Paddle-Signature", "ts="+m.Raw+";h1="+hex.EncodeToString(mac))
		},
	}
}

// hubSpot is version 3: method, URI, body and a timestamp in milliseconds, with
// nothing in between. The URI is the webhook's own, as it is configured there and
// never from the request: otherwise the end of one could be read as the beginning
// of the next.
func hubSpot(uri string) hmacsig.Scheme {
	return hmacsig.Scheme{
		Name:     "hubspot-v3",
		MaxAge:   5 * time.Minute,
		MaxAhead: time.Minute,
		Read: func(r *http.Request, m *hmacsig.Message) (err error) {
			if m.Raw, err = hmacsig.SingleHeader(r.Header, "X-HubSpot-Request-Timestamp"); err != nil {
				return err
			}
			text, err := hmacsig.SingleHeader(r.Header, "X-HubSpot-Signature-v3")
			if err != nil {
				return err
			}
			ms, err := strconv.ParseUint(m.Raw, 10, 63)
			if err != nil || len(m.Raw) != 13 || !m.AddBase64(text) {
				return malformed
			}
			m.Timestamp = int64(ms / 1000)
			return nil
		},
		Base: func(dst []byte, r *http.Request, _ *hmacsig.Message) []byte {
			return append(append(dst, r.Method...), uri...)
		},
		Tail: func(dst []byte, _ *http.Request, m *hmacsig.Message) []byte {
			if m.Raw == "" { // signing
				m.Raw = strconv.FormatInt(1000*m.Timestamp, 10)
			}
			return append(dst, m.Raw...) // 13 digits, so the body's end is known
		},
		Write: func(r *http.Request, m *hmacsig.Message, mac []byte) {
			r.Header.Set("X-HubSpot-Request-Timestamp", m.Raw)
			r.Header.Set("X-HubSpot-Signature-v3", base64.StdEncoding.EncodeToString(mac))
		},
	}
}

// box signs the body and a timestamp after it, under two keys at once. Give the
// Keyring either or both.
func box() hmacsig.Scheme {
	return hmacsig.Scheme{
		Name:     "box",
		Several:  true,
		MaxAge:   10 * time.Minute,
		MaxAhead: time.Minute,
		Read: func(r *http.Request, m *hmacsig.Message) (err error) {
			if m.Raw, err = hmacsig.SingleHeader(r.Header, "Box-Delivery-Timestamp"); err != nil {
				return err
			}
			at, err := time.Parse("2006-01-02T15:04:05Z07:00", m.Raw)
			if err != nil || len(m.Raw) != 20 && len(m.Raw) != 25 || // no fraction: of known length
				r.Header.Get("Box-Signature-Version") != "1" ||
				r.Header.Get("Box-Signature-Algorithm") != "HmacSHA256" {
				return malformed
			}
			m.Timestamp = at.Unix()
			for _, name := range []string{"Box-Signature-Primary", "Box-Signature-Secondary"} {
				text, err := hmacsig.SingleHeader(r.Header, name)
				if err == nil && !m.AddBase64(text) {
					return malformed
				}
			}
			return nil
		},
		Base: func(dst []byte, _ *http.Request, _ *hmacsig.Message) []byte { return dst },
		Tail: func(dst []byte, _ *http.Request, m *hmacsig.Message) []byte {
			if m.Raw == "" { // signing
				m.Raw = time.Unix(m.Timestamp, 0).UTC().Format(time.RFC3339)
			}
			return append(dst, m.Raw...)
		},
		Write: func(r *http.Request, m *hmacsig.Message, mac []byte) {
			r.Header.Set("Box-Delivery-Timestamp", m.Raw)
			r.Header.Set("Box-Signature-Version", "1")
			r.Header.Set("Box-Signature-Algorithm", "HmacSHA256")
			r.Header.Set("Box-Signature-Primary", base64.StdEncoding.EncodeToString(mac))
		},
	}
}

// try signs a request as the vendor would and prints what the gate says of it,
// and of one whose body was changed.
func try(scheme hmacsig.Scheme) {
	secret := hmacsig.Generate()
	ring, _ := hmacsig.NewRotation(secret, hmacsig.Secret{})
	gate, err := hmacsig.New(hmacsig.Config{Scheme: scheme, Keys: hmacsig.StaticKeys{"": ring}})
	if err != nil {
		panic(err)
	}
	signer, err := hmacsig.NewSigner(hmacsig.SignerConfig{Scheme: scheme, Secret: secret})
	if err != nil {
		panic(err)
	}
	for _, body := range []string{`{"id":1}`, `{"id":2}`} {
		r := httptest.NewRequest(http.MethodPost, "/hooks", strings.NewReader(`{"id":1}`))
		_ = signer.Sign(r)
		r.Body = io.NopCloser(strings.NewReader(body))
		_, err = gate.Check(r)
		fmt.Println(err)
	}
}

func ExampleScheme_shopify() {
	try(shopify())
	// Output:
	// <nil>
	// hmacsig: signature_invalid
}

func ExampleScheme_square() {
	try(square("https://shop.example/hooks"))
	// Output:
	// <nil>
	// hmacsig: signature_invalid
}

func ExampleScheme_zoom() {
	try(zoom())
	// Output:
	// <nil>
	// hmacsig: signature_invalid
}

func ExampleScheme_paddle() {
	try(paddle())
	// Output:
	// <nil>
	// hmacsig: signature_invalid
}

func ExampleScheme_hubSpot() {
	try(hubSpot("https://shop.example/hooks"))
	// Output:
	// <nil>
	// hmacsig: signature_invalid
}

func ExampleScheme_box() {
	try(box())
	// Output:
	// <nil>
	// hmacsig: signature_invalid
}

// The tenant is in the path and has a webhook secret of its own. The path is not
// signed: the secret that it selects binds the message to it.
func ExampleScheme_tenantFromPath() {
	scheme := hmacsig.GitHub()
	read := scheme.Read
	scheme.KeyID = func(id string) bool { return id != "" && len(id) <= 64 }
	scheme.Read = func(r *http.Request, m *hmacsig.Message) error {
		m.KeyID = r.PathValue("tenant")
		return read(r, m)
	}
	acme, zeta := hmacsig.Generate(), hmacsig.Generate()
	acmeRing, _ := hmacsig.NewRotation(acme, hmacsig.Secret{})
	zetaRing, _ := hmacsig.NewRotation(zeta, hmacsig.Secret{})
	gate, err := hmacsig.New(hmacsig.Config{
		Scheme: scheme, Keys: hmacsig.StaticKeys{"acme": acmeRing, "zeta": zetaRing},
	})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux() // around the gate, so that the path value is there
	mux.Handle("POST /hooks/{tenant}", gate.Wrap(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			proof, _ := hmacsig.FromContext(r.Context())
			fmt.Fprintln(w, "from", proof.KeyID)
		})))
	signer, _ := hmacsig.NewSigner(hmacsig.SignerConfig{Scheme: hmacsig.GitHub(), Secret: acme})
	for _, path := range []string{"/hooks/acme", "/hooks/zeta", "/hooks/nobody"} {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader("{}"))
		_ = signer.Sign(r)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Print(w.Code, " ")
		if w.Code == http.StatusOK {
			fmt.Print(w.Body)
		}
	}
	// Output:
	// 200 from acme
	// 401 401
}
