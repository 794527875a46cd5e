package storetest

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/tenancy"
)

type anything struct{}

func (anything) Permission() string { return "test:anything" }

// Scope is what a gate that lets everybody in says of a user and a site.
func Scope(t testing.TB, user, site string) tenancy.Scope {
	t.Helper()
	gate, err := tenancy.New(tenancy.Config{
		Identify: func(*http.Request) (sallyport.Principal, error) {
			return sallyport.Principal{}, tenancy.ErrUnauthenticated
		},
		Sources: []tenancy.Source{tenancy.FromPath("site_id")},
		Member:  func(context.Context, string, string) (tenancy.Role, error) { return "tester", nil },
		Roles: map[tenancy.Role]tenancy.Rights{
			"tester": {Permissions: []string{anything{}.Permission()}, Level: sallyport.AAL1},
		},
	})
	require.NoError(t, err)
	who := sallyport.Principal{
		Kind: sallyport.KindUser, ID: user, Level: sallyport.AAL2, AuthTime: time.Now(),
	}
	grant, err := tenancy.Authorize[anything](t.Context(), gate, who, site)
	require.NoError(t, err)
	return grant.Scope()
}
