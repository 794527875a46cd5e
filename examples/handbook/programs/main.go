// Command programs serves pages and programs side by side: people with a session,
// mobile apps and scripts with an API key.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"slices"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/cors"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
	"github.com/opsmantik/sallyport/tenancy/apikey"
)

func newHandler(store apikey.Store) (http.Handler, *apikey.Gate, error) {
	keys, err1 := apikey.New(apikey.Config{
		Prefix: "acme",
		Store:  store,
		// Which scopes may this person's keys have? Those of the person's own role.
		Permitted: func(_ context.Context, _ sallyport.Principal, scope string) (bool, error) {
			return scope == "orders:read", nil
		},
	})
	address, err2 := clientaddr.New(clientaddr.Config{})
	perAddress := ratelimit.PerAddress("address", ratelimit.PerMinute(600))
	limit, err3 := ratelimit.New(ratelimit.Config{
		Policies: []func(*http.Request) ratelimit.Policy{perAddress},
	})
	origin, err4 := cors.New(cors.Config{
		Origins: []string{"https://app.example.com"}, OwnOrigins: []string{"https://api.example.com"},
	})
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	// Programs send no Origin header: what they call stands outside the origin gate.
	mux.Handle("POST /v1/orders", keys.Wrap(http.HandlerFunc(orders)))
	mux.Handle("/", origin.Wrap(http.NotFoundHandler())) // your pages, with their sessions
	return address.Wrap(limit.Wrap(mux)), keys, nil
}

func orders(w http.ResponseWriter, r *http.Request) {
	who, _ := apikey.FromContext(r.Context()) // Wrap has proved it
	if !slices.Contains(who.Scopes, "orders:read") {
		http.Error(w, "this key has no scope orders:read", http.StatusForbidden)
		return
	}
	_, _ = fmt.Fprintln(w, "orders of", who.ID)
}

func main() {
	store, err := apikey.NewMemory(apikey.MemoryConfig{MaxKeys: 10_000}) // yours is a table
	if err != nil {
		log.Fatal(err)
	}
	handler, keys, err := newHandler(store)
	if err != nil {
		log.Fatal(err)
	}
	// A person with two factors makes a key, on a page of yours that shows it once.
	ada := sallyport.Principal{Kind: sallyport.KindUser, ID: "ada", Level: sallyport.AAL2}
	key, _, err := keys.Issue(context.Background(), ada, "phone", []string{"orders:read"}, 0)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("curl -X POST -H 'Authorization: Bearer %s' http://127.0.0.1:8080/v1/orders\n", key)
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}
