// Command sessions counts a visitor's visits, in a session that ends after 30
// minutes without one.
package main

import (
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/sessions"
)

// Visitor is what a session remembers.
type Visitor struct{ Visits int }

func newHandler() (http.Handler, error) {
	store, err := sessions.NewMemory(sessions.MemoryConfig{MaxSessions: 10_000})
	if err != nil {
		return nil, err
	}
	manager, err := sessions.New[Visitor](sessions.Config{Store: store})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		// Check the password first; this page takes everybody.
		login := sessions.Login{User: "ada", Level: sallyport.AAL1}
		if err := manager.Start(r.Context(), login, Visitor{}); err != nil {
			http.Error(w, "sign-in is unavailable", http.StatusServiceUnavailable)
		}
	})
	mux.Handle("GET /", manager.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var visits int
		err := manager.Update(r.Context(), func(v *Visitor) error {
			v.Visits++
			visits = v.Visits
			return nil
		})
		if err != nil {
			http.Error(w, "the session has ended", http.StatusUnauthorized)
			return
		}
		_, _ = fmt.Fprintln(w, "visit", visits)
	})))
	// Requests that other sites forge do not even reach the session.
	return http.NewCrossOriginProtection().Handler(manager.Load(mux)), nil
}

func main() {
	handler, err := newHandler()
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: "127.0.0.1:8090", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}
