// Command logs writes an access log without personal data or secrets: the route
// instead of the URL, a pseudonym instead of the address, and every other value
// through scrub.
package main

import (
	"context"
	"crypto/rand"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
	"github.com/opsmantik/sallyport/scrub"
)

// newLogger is a logger behind scrub: what looks like an e-mail, a card or a token
// never reaches the file, whoever logs it.
func newLogger(w io.Writer, key []byte) (*slog.Logger, error) {
	scrubber, err := scrub.New(scrub.Config{
		Preset:        scrub.Logs,
		PseudonymKeys: [][]byte{key}, // one client stays one client: [ip:kbnq...]
	})
	if err != nil {
		return nil, err
	}
	return slog.New(scrubber.Handler(slog.NewJSONHandler(w, nil))), nil
}

// refusals is the OnEvent of every gate.
func refusals(logger *slog.Logger) func(context.Context, sallyport.Event) {
	return func(ctx context.Context, e sallyport.Event) {
		if !e.Allowed {
			logger.WarnContext(ctx, "refused", "gate", e.Gate, "code", e.Code, "cause", e.Err)
		}
	}
}

// access logs each request once it is answered.
func access(logger *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, answer := time.Now(), &recorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(answer, r)
		addr, _ := clientaddr.FromContext(r.Context())
		logger.InfoContext(r.Context(), "request",
			"route", r.Pattern, // "GET /orders/{id}": a URL may hold a token
			"status", answer.status,
			"ms", time.Since(began).Milliseconds(),
			"client", addr.String())
	})
}

// recorder remembers the status. Unwrap keeps flushing, hijacking and deadlines.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func newHandler(w io.Writer, key []byte) (http.Handler, error) {
	logger, err := newLogger(w, key)
	if err != nil {
		return nil, err
	}
	address, err := clientaddr.New(clientaddr.Config{OnEvent: refusals(logger)})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		logger.InfoContext(r.Context(), "looked up for ada@example.com", "password", "hunter2")
		w.WriteHeader(http.StatusNotFound)
	})
	return address.Wrap(access(logger, mux)), nil
}

func main() {
	key := make([]byte, 32) // keep it, and a client has one name across restarts
	_, _ = rand.Read(key)
	handler, err := newHandler(os.Stderr, key)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}
