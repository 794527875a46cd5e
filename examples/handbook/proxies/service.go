// Package proxies has configurations of nginx and Caddy in front of a service, and the
// service that tests them.
package proxies

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"time"

	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
)

// New is a service behind a proxy on the same host.
func New() (http.Handler, error) {
	address, err := clientaddr.New(clientaddr.Config{
		Header:         "X-Forwarded-For",
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /whoami", whoami)
	mux.HandleFunc("POST /upload", upload)
	mux.HandleFunc("GET /stream", stream)
	return address.Wrap(mux), nil
}

func whoami(w http.ResponseWriter, r *http.Request) {
	addr, _ := clientaddr.FromContext(r.Context())
	_, _ = fmt.Fprint(w, addr)
}

// upload takes 2 MiB: less than the proxy.
func upload(w http.ResponseWriter, r *http.Request) {
	_, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, 2<<20))
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		http.Error(w, "the file is too long", http.StatusRequestEntityTooLarge)
	}
}

// stream sends an event, and another one once the client has had it.
func stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx: pass each write on
	rc := http.NewResponseController(w)
	for range 2 {
		_, _ = io.WriteString(w, "data: now\n\n")
		if rc.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(time.Minute):
		}
	}
}
