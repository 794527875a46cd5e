// Command cors answers pages on the listed origins, and refuses all others
// before the handler runs.
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
		Methods: []string{http.MethodPut, http.MethodDelete},
		MaxAge:  10 * time.Minute,
	})
	if err != nil {
		return nil, err
	}
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "only listed origins get here\n")
	})
	return gate.Wrap(hello), nil
}

func main() {
	handler, err := newHandler()
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: "127.0.0.1:8090", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}
