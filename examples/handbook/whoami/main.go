// Command whoami shows which address counts as the client's, to verify a set-up.
package main

import (
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
)

func newHandler() (http.Handler, error) {
	address, err := clientaddr.New(clientaddr.Config{}) // your row of the table
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/whoami", address.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		addr, _ := clientaddr.FromContext(r.Context())
		_, _ = fmt.Fprintln(w, addr, r.RemoteAddr, r.Header)
	})))
	return mux, nil
}

func main() {
	handler, err := newHandler()
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}
