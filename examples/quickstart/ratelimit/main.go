// Command ratelimit answers each client address ten times a minute.
package main

import (
	"io"
	"log"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
)

func newHandler() (http.Handler, error) {
	// Behind a proxy: name the header it writes and the networks it is in.
	address, err := clientaddr.New(clientaddr.Config{})
	if err != nil {
		return nil, err
	}
	limiter, err := ratelimit.New(ratelimit.Config{
		Policies: []func(*http.Request) ratelimit.Policy{
			ratelimit.PerAddress("address", ratelimit.PerMinute(10)),
		},
	})
	if err != nil {
		return nil, err
	}
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "one of ten\n")
	})
	return address.Wrap(limiter.Wrap(hello)), nil
}

func main() {
	handler, err := newHandler()
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: "127.0.0.1:8090", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}
