package tenancy_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/tenancy"
)

// JunkCall is a permission: a type, so that grants for it are a type too.
type JunkCall struct{}

func (JunkCall) Permission() string { return "calls:junk" }

// junk cannot be called without a grant for exactly this permission.
func junk(w http.ResponseWriter, r *http.Request, grant tenancy.Grant[JunkCall]) {
	_, _ = fmt.Fprintf(w, "%s junks call %s of %s", grant.User(), r.PathValue("id"), grant.Site())
}

func exampleGate() (*tenancy.Gate, error) {
	siteOfCall := map[string]string{"7": "shop"}
	return tenancy.New(tenancy.Config{
		Identify: func(r *http.Request) (sallyport.Principal, error) {
			user := r.Header.Get("X-Demo-User") // in a server: from the session
			return sallyport.Principal{
				Kind: sallyport.KindUser, ID: user, Level: sallyport.AAL2, AuthTime: time.Now(),
			}, nil
		},
		Sources: []tenancy.Source{
			tenancy.FromLookup("call", func(r *http.Request) (string, error) {
				site, ok := siteOfCall[r.PathValue("id")]
				if !ok {
					return "", tenancy.ErrNotMember
				}
				return site, nil
			}),
		},
		Member: func(_ context.Context, user, site string) (tenancy.Role, error) {
			if user == "ada" && site == "shop" {
				return "manager", nil
			}
			return "", tenancy.ErrNotMember
		},
		Roles: map[tenancy.Role]tenancy.Rights{
			"manager": {Permissions: []string{"calls:junk"}, Level: sallyport.AAL1},
		},
		StepUp: map[string]time.Duration{"calls:junk": 0},
	})
}

func Example() {
	gate, err := exampleGate()
	if err != nil {
		panic(err)
	}
	guarded, err := tenancy.Route(gate, junk)
	if err != nil {
		panic(err) // no role may junk: misspelt?
	}
	mux := http.NewServeMux()
	mux.Handle("POST /api/calls/{id}/junk", guarded)
	for _, who := range []string{"ada", "eve", ""} {
		r := httptest.NewRequest(http.MethodPost, "/api/calls/7/junk", nil)
		r.Header.Set("X-Demo-User", who)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code == http.StatusOK {
			fmt.Println(w.Code, w.Body)
			continue
		}
		fmt.Println(w.Code)
	}
	// Output:
	// 200 ada junks call 7 of shop
	// 404
	// 401
}

// A grant written as a literal compiles, and proves nothing: it names no site.
func ExampleGrant_incorrect() {
	r := httptest.NewRequest(http.MethodPost, "/api/calls/7/junk", nil)
	w := httptest.NewRecorder()
	junk(w, r, tenancy.Grant[JunkCall]{}) // wrong: mount tenancy.Route(gate, junk)
	fmt.Printf("%q\n", w.Body)
	fmt.Println(tenancy.Grant[JunkCall]{}.Check())
	// Output:
	// " junks call  of "
	// tenancy: no grant
}
