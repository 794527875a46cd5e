// Command tenancy lists a site's calls to those who may see them. The header
// X-User stands for the session that a real server would have checked.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/tenancy"
)

// ViewCalls is the permission to see calls.
type ViewCalls struct{}

// Permission names it.
func (ViewCalls) Permission() string { return "calls:view" }

var members = map[[2]string]tenancy.Role{
	{"ada", "shop"}: "manager",
}

func newHandler() (http.Handler, error) {
	gate, err := tenancy.New(tenancy.Config{
		Identify: func(r *http.Request) (sallyport.Principal, error) {
			if r.Header.Get("X-User") == "" {
				return sallyport.Principal{}, tenancy.ErrUnauthenticated
			}
			return sallyport.Principal{
				Kind: sallyport.KindUser, ID: r.Header.Get("X-User"), Level: sallyport.AAL1,
			}, nil
		},
		Sources: []tenancy.Source{tenancy.FromPath("site_id")},
		Member: func(_ context.Context, user, site string) (tenancy.Role, error) {
			role, ok := members[[2]string{user, site}]
			if !ok {
				return "", tenancy.ErrNotMember
			}
			return role, nil
		},
		Roles: map[tenancy.Role]tenancy.Rights{
			"manager": {Permissions: []string{"calls:view"}, Level: sallyport.AAL1},
		},
	})
	if err != nil {
		return nil, err
	}
	// A handler that forgets the check does not compile: it needs the grant.
	list, err := tenancy.Route(gate, listCalls)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /sites/{site_id}/calls", list)
	return mux, nil
}

func listCalls(w http.ResponseWriter, _ *http.Request, grant tenancy.Grant[ViewCalls]) {
	_, _ = fmt.Fprintln(w, "calls of", grant.Site())
}

func main() {
	handler, err := newHandler()
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: "127.0.0.1:8090", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}
