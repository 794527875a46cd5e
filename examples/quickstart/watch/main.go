// Command watch hands the decisions of a gate to a watcher, and sends what it finds to a
// webhook, signed. It tries thirty accounts' passwords on itself.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit/watch"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/ratelimit/loginguard"
)

// signed signs every request before it leaves.
type signed struct{ signer *hmacsig.Signer }

func (s signed) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := s.signer.Sign(r); err != nil {
		return nil, err
	}
	return http.DefaultTransport.RoundTrip(r)
}

// newTower watches for passwords that are tried on many accounts, and tells the receiver
// at url, who knows the secret.
func newTower(url string, secret hmacsig.Secret) (*watch.Engine, error) {
	signer, err := hmacsig.NewSigner(hmacsig.SignerConfig{
		Scheme: hmacsig.OpsMantik(), KeyID: "watchtower", Secret: secret,
	})
	if err != nil {
		return nil, err
	}
	return watch.New(watch.Config{
		Scenarios: []watch.Scenario{{
			Name: "password-spraying", Match: watch.Match{Codes: []string{loginguard.CodeFailed}},
			Per: watch.All, Distinct: watch.Actor, Capacity: 20, Leak: time.Minute, Page: true,
			Hint: "warn the users, and ask for second factors",
		}},
		OnAlert: watch.Webhook(url, &http.Client{Transport: signed{signer}}),
	})
}

// newReceiver takes what the watchtower has signed, once.
func newReceiver(secret hmacsig.Secret, next http.Handler) (http.Handler, error) {
	keys, err := hmacsig.NewRotation(secret, hmacsig.Secret{})
	if err != nil {
		return nil, err
	}
	verifier, err := hmacsig.New(hmacsig.Config{
		Scheme: hmacsig.OpsMantik(), Keys: hmacsig.StaticKeys{"watchtower": keys},
	})
	if err != nil {
		return nil, err
	}
	return verifier.Wrap(next), nil
}

// spray is what a gate's OnEvent receives while somebody tries n accounts.
func spray(ctx context.Context, tower *watch.Engine, n int) {
	for i := range n {
		tower.Observe(ctx, sallyport.Event{
			Gate: "loginguard", Code: loginguard.CodeFailed, Actor: fmt.Sprint("user-", i),
		})
	}
}

func main() {
	secret := hmacsig.Generate()
	receiver, err := newReceiver(secret, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Println("an alert has arrived, signed")
		w.WriteHeader(http.StatusNoContent)
	}))
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(receiver)
	defer server.Close()
	tower, err := newTower(server.URL, secret)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), 3*time.Second)
	defer stop()
	spray(ctx, tower, 30) // a service has: loginguard.Config{OnEvent: tower.Observe}
	tower.Run(ctx)
}
