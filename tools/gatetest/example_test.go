package gatetest_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/opsmantik/sallyport/cors"
	"github.com/opsmantik/sallyport/tools/gatetest"
)

// printed stands in for a test here. In yours, call gatetest.Run(t, suite).
type printed struct{ testing.TB }

func (printed) Helper() {}

func (printed) Logf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// A server has two routes, and somebody has added a third. It forgot the gate, and
// it is not declared.
func Example() {
	server := func(testing.TB, io.Writer) http.Handler {
		gate, err := cors.New(cors.Config{OwnOrigins: []string{"https://api.example.com"}})
		if err != nil {
			panic(err)
		}
		ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
		mux := http.NewServeMux()
		mux.Handle("POST /orders", gate.Wrap(ok))
		mux.Handle("GET /healthz", ok)
		mux.Handle("POST /admin/reset", ok)
		return mux
	}
	found := gatetest.Check(printed{}, gatetest.Suite{
		New: server, Own: "https://api.example.com",
		Served: []string{"POST /orders", "GET /healthz", "POST /admin/reset"},
		Routes: []gatetest.Route{
			{Pattern: "POST /orders", Public: true},
			{Pattern: "GET /healthz", Public: true, Accept: gatetest.Accepted{
				"cors": "it says nothing that a page could not know",
			}},
		},
	})
	for _, f := range found {
		fmt.Println(f)
	}
	// Output:
	// GET /healthz: cors passes, accepted: it says nothing that a page could not know
	// POST /admin/reset: gatetest: undeclared route
	// 	got: nobody says what is true of it
	// 	fix: declare it in Suite.Routes, or remove the route
}

// A suite whose requests never worked proves nothing: a server that refuses everybody
// refuses every attack. The kit sends the genuine request too.
func Example_incorrect() {
	server := func(testing.TB, io.Writer) http.Handler {
		gate, err := cors.New(cors.Config{OwnOrigins: []string{"https://api.example.com"}})
		if err != nil {
			panic(err)
		}
		return gate.Wrap(http.NotFoundHandler())
	}
	found := gatetest.Check(printed{}, gatetest.Suite{
		New: server, Own: "https://api.example.com",
		Served: []string{"POST /orders"},
		Routes: []gatetest.Route{{Pattern: "POST /orders", Public: true}}, // Incorrect: no such path
	})
	for _, f := range found {
		fmt.Println(f)
	}
	// Output:
	// POST /orders: handler: genuine request
	// 	got: 404 without a code
	// 	fix: declare the request as a real client sends it, or Route.Status
}
