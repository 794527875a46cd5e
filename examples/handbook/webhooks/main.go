// Command webhooks takes the webhooks of Stripe, GitHub, Clerk and Shopify.
package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/opsmantik/sallyport/hmacsig"
)

// secrets are what the vendors' dashboards show.
type secrets struct{ stripe, github, clerk, shopify string }

func newHandler(s secrets) (http.Handler, error) {
	stripe, err1 := receive(hmacsig.Stripe(), asShown, s.stripe)
	github, err2 := receive(hmacsig.GitHub(), asShown, s.github)
	clerk, err3 := receive(hmacsig.Svix(), hmacsig.NewWebhookSecret, s.clerk) // Clerk sends through Svix
	shop, err4 := receive(shopify(), asShown, s.shopify)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/stripe", stripe.Wrap(http.HandlerFunc(event)))
	mux.Handle("POST /webhooks/github", github.Wrap(http.HandlerFunc(event)))
	mux.Handle("POST /webhooks/clerk", clerk.Wrap(http.HandlerFunc(event)))
	mux.Handle("POST /webhooks/shopify", shop.Wrap(http.HandlerFunc(event)))
	return mux, nil
}

// receive is the gate of one sender.
func receive(scheme hmacsig.Scheme, parse func(string) (hmacsig.Secret, error), text string) (*hmacsig.Verifier, error) {
	secret, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("secret of %s: %w", scheme.Name, err)
	}
	ring, err := hmacsig.NewRotation(secret, hmacsig.Secret{}) // no next secret yet
	if err != nil {
		return nil, err
	}
	return hmacsig.New(hmacsig.Config{Scheme: scheme, Keys: hmacsig.StaticKeys{"": ring}})
}

// asShown takes the text that the vendor shows as the key itself.
func asShown(text string) (hmacsig.Secret, error) {
	return hmacsig.NewSecret(hmacsig.SecretConfig{Value: text})
}

// event stores what was received and answers at once: senders wait for seconds only.
func event(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body) // the bytes that were signed
	if err != nil {
		http.Error(w, "try again", http.StatusServiceUnavailable) // the retry is let in again
		return
	}
	log.Printf("%s: %d bytes", r.URL.Path, len(body))
	w.WriteHeader(http.StatusNoContent)
}

// shopify is a scheme of your own: which header holds the signature, and what is signed.
func shopify() hmacsig.Scheme {
	return hmacsig.Scheme{
		Name:    "shopify",
		Untimed: true,           // Shopify signs no time
		MaxAge:  24 * time.Hour, // how long a message is remembered
		Read: func(r *http.Request, m *hmacsig.Message) error {
			text, err := hmacsig.SingleHeader(r.Header, "X-Shopify-Hmac-Sha256")
			if err != nil {
				return err
			}
			if !m.AddBase64(text) {
				return hmacsig.Fault(hmacsig.CodeSignatureMalformed)
			}
			return nil
		},
		Base: func(dst []byte, _ *http.Request, _ *hmacsig.Message) []byte { return dst }, // the body alone
		Write: func(r *http.Request, _ *hmacsig.Message, mac []byte) { // for tests
			r.Header.Set("X-Shopify-Hmac-Sha256", base64.StdEncoding.EncodeToString(mac))
		},
	}
}

func main() {
	handler, err := newHandler(secrets{
		stripe: os.Getenv("STRIPE_WEBHOOK_SECRET"), github: os.Getenv("GITHUB_WEBHOOK_SECRET"),
		clerk: os.Getenv("CLERK_WEBHOOK_SECRET"), shopify: os.Getenv("SHOPIFY_CLIENT_SECRET"),
	})
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}
