// Command chi has the gates of the README in a chi router: origins around the
// router, and around each group of routes what that group needs.
package main

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/cors"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
	"github.com/opsmantik/sallyport/sessions"
)

type user struct{ Name string }

func newHandler(github hmacsig.Secret) (http.Handler, error) {
	origin, err1 := cors.New(cors.Config{
		Origins:        []string{"https://app.example.com"},
		OwnOrigins:     []string{"https://api.example.com"},
		RequestHeaders: []string{"Content-Type"}, Credentials: true,
	})
	address, err2 := clientaddr.New(clientaddr.Config{})
	perAddress := ratelimit.PerAddress("address", ratelimit.PerMinute(60))
	limit, err3 := ratelimit.New(ratelimit.Config{
		Policies: []func(*http.Request) ratelimit.Policy{perAddress},
	})
	store, err4 := sessions.NewMemory(sessions.MemoryConfig{MaxSessions: 100_000})
	people, err5 := sessions.New[user](sessions.Config{Store: store})
	ring, err6 := hmacsig.NewRotation(github, hmacsig.Secret{})
	signed, err7 := hmacsig.New(hmacsig.Config{Scheme: hmacsig.GitHub(), Keys: hmacsig.StaticKeys{"": ring}})
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7); err != nil {
		return nil, err
	}

	r := chi.NewRouter()
	r.Group(func(r chi.Router) { // what programs call sends no Origin
		r.Use(address.Wrap, limit.Wrap, signed.Wrap)
		r.Post("/webhooks/github", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	})
	// Pages have a router of their own: a preflight matches no route, so cors goes around
	// all of them, and outside the limit, whose 429 they could not read otherwise.
	pages := chi.NewRouter()
	pages.Use(origin.Wrap, address.Wrap, limit.Wrap, people.Load)
	pages.Post("/login", func(w http.ResponseWriter, r *http.Request) {
		login := sessions.Login{User: "ada", Level: sallyport.AAL1} // check the password first
		if err := people.Start(r.Context(), login, user{Name: "Ada"}); err != nil {
			http.Error(w, "try again later", http.StatusServiceUnavailable)
		}
	})
	pages.With(people.Wrap).Get("/me", func(w http.ResponseWriter, r *http.Request) {
		session, _ := people.FromContext(r.Context())
		_, _ = fmt.Fprintln(w, "Hello,", session.Data.Name)
	})
	r.Mount("/", pages)
	return r, nil
}

func main() {
	handler, err := newHandler(hmacsig.Generate())
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}
