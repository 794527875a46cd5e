// Command start is a small service behind the gates that most services need.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/cors"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
	"github.com/opsmantik/sallyport/scrub"
	"github.com/opsmantik/sallyport/sessions"
)

type user struct{ Name string } // what a session remembers

func newHandler() (http.Handler, error) {
	scrubber, err0 := scrub.New(scrub.Config{Preset: scrub.Logs}) // keeps e-mails and tokens out of logs
	logger := slog.New(scrubber.Handler(slog.NewTextHandler(os.Stderr, nil)))
	tell := func(ctx context.Context, e sallyport.Event) { // what every gate decides
		if !e.Allowed {
			logger.WarnContext(ctx, "refused", "gate", e.Gate, "code", e.Code, "cause", e.Err)
		}
	}
	origin, err1 := cors.New(cors.Config{
		Origins:        []string{"https://app.example.com"}, // pages that may call this server
		OwnOrigins:     []string{"https://api.example.com"}, // where browsers reach it
		Methods:        []string{"PUT", "DELETE"},           // besides GET, HEAD and POST
		RequestHeaders: []string{"Content-Type"}, Credentials: true, OnEvent: tell,
	})
	address, err2 := clientaddr.New(clientaddr.Config{OnEvent: tell}) // no proxy in front
	perAddress := ratelimit.PerAddress("address", ratelimit.PerMinute(60))
	limit, err3 := ratelimit.New(ratelimit.Config{
		Policies: []func(*http.Request) ratelimit.Policy{perAddress}, OnEvent: tell,
	})
	store, err4 := sessions.NewMemory(sessions.MemoryConfig{MaxSessions: 100_000})
	people, err5 := sessions.New[user](sessions.Config{Store: store, OnEvent: tell})
	if err := errors.Join(err0, err1, err2, err3, err4, err5); err != nil {
		return nil, err // every problem at once: the field, and what to write instead
	}

	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		login := sessions.Login{User: "ada", Level: sallyport.AAL1} // check the password first
		if err := people.Start(r.Context(), login, user{Name: "Ada"}); err != nil {
			http.Error(w, "try again later", http.StatusServiceUnavailable)
		}
	})
	mux.Handle("GET /me", people.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session, _ := people.FromContext(r.Context()) // Wrap found it, or answered 401
		_, _ = fmt.Fprintln(w, "Hello,", session.Data.Name)
	})))
	return origin.Wrap(address.Wrap(limit.Wrap(people.Load(mux)))), nil
}

func main() {
	handler, err := newHandler()
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}
