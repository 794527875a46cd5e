// Command cors answers pages on the listed origins, and refuses the pages of all
// others before the handler runs.
//
//	ALLOWED_ORIGINS=https://app.example.com go run ./examples/quickstart/cors
package main

import (
	"io"
	"log"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport/cors"
)

func newHandler() (http.Handler, error) {
	origins, err := cors.FromEnv("ALLOWED_ORIGINS") // unset, empty or malformed is an error
	if err != nil {
		return nil, err
	}
	gate, err := cors.New(cors.Config{
		Origins: origins,
		// Where browsers reach this server. Its own pages are never refused.
		OwnOrigins:     []string{"http://127.0.0.1:8090", "http://localhost:8090"},
		Methods:        []string{http.MethodPut, http.MethodDelete},
		RequestHeaders: []string{"Content-Type"}, // for pages that send JSON
		MaxAge:         10 * time.Minute,
		// Tells you, on this machine only, why a page was refused.
		DebugOnLoopback: true,
	})
	if err != nil {
		return nil, err
	}
	pages := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "pages of other sites do not get here\n")
	})
	webhook := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		// Verify the sender's signature first: see the quickstart of hmacsig.
		http.Error(w, "signature required", http.StatusUnauthorized)
	})
	mux := http.NewServeMux()
	mux.Handle("/", gate.Wrap(pages))
	// Programs send no Origin header. What they call stands outside the gate.
	mux.Handle("POST /webhook", webhook)
	return mux, nil
}

func main() {
	handler, err := newHandler()
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: "127.0.0.1:8090", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}
