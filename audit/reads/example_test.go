package reads_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/reads"
)

// The record is on disk before the handler runs.
func Example() {
	dir, err := os.MkdirTemp("", "reads")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	log, err := audit.New(audit.Config{Dir: dir})
	if err != nil {
		panic(err)
	}
	gate, err := reads.New(reads.Config{
		Store: log,
		Describe: func(r *http.Request) (audit.Record, bool) {
			return audit.Record{
				Actor:  audit.Ref{Kind: sallyport.KindUser, ID: "ada"}, // from the session, in a server
				Action: "calls.read", Tenant: "shop",
			}, strings.HasPrefix(r.URL.Path, "/calls")
		},
	})
	if err != nil {
		panic(err)
	}
	calls := gate.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		head, err := log.Head(r.Context())
		fmt.Println("recorded before the handler:", head.Size(), err)
	}))
	calls.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/calls", http.NoBody))
	// Output: recorded before the handler: 1 <nil>
}

// Who reads is not what the request says, and a path is not compared by hand with the
// router's: it is /Calls, /calls/ and //calls as well. Take both from what a gate has
// proved (tenancy.FromContext) and from where the gate is mounted.
func Example_incorrect() {
	describe := func(r *http.Request) (audit.Record, bool) {
		return audit.Record{
			Actor:  audit.Ref{Kind: sallyport.KindUser, ID: r.Header.Get("X-User")}, // wrong
			Action: "calls.read", Tenant: "shop",
		}, r.URL.Path == "/calls" // wrong
	}
	r := httptest.NewRequest(http.MethodGet, "/calls/", http.NoBody)
	r.Header.Set("X-User", "somebody else")
	record, confidential := describe(r)
	fmt.Println(record.Actor.ID, confidential)
	// Output: somebody else false
}
