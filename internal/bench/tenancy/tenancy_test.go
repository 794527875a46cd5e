// Package tenancy_test measures a cached decision of tenancy beside casbin's cached
// enforcer, both warm, in one run: only the ratio means anything. It also shows what
// each still allows after a role was taken away.
package tenancy_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/tenancy"
)

// The model of casbin's own example for roles with domains.
const rbacWithDomains = `
[request_definition]
r = sub, dom, obj, act
[policy_definition]
p = sub, dom, obj, act
[role_definition]
g = _, _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub, r.dom) && r.dom == p.dom && r.obj == p.obj && r.act == p.act
`

const (
	sites = 100
	user  = "user-123456"
)

func site(i int) string { return fmt.Sprintf("%032x", i) }

type viewCalls struct{}

func (viewCalls) Permission() string { return "calls:view" }

func enforcer(t testing.TB) *casbin.CachedEnforcer {
	t.Helper()
	m, err := model.NewModelFromString(rbacWithDomains)
	require.NoError(t, err)
	e, err := casbin.NewCachedEnforcer(m)
	require.NoError(t, err)
	for i := range sites {
		_, err = e.AddPolicy("rep", site(i), "calls", "view")
		require.NoError(t, err)
		_, err = e.AddGroupingPolicy(user, "rep", site(i))
		require.NoError(t, err)
	}
	return e
}

// members is the table that ours asks.
type members struct {
	mu      sync.Mutex
	removed bool
}

func (m *members) role(context.Context, string, string) (tenancy.Role, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.removed {
		return "", tenancy.ErrNotMember
	}
	return "rep", nil
}

func gate(t testing.TB) (*tenancy.Gate, *members) {
	t.Helper()
	m := &members{}
	g, err := tenancy.New(tenancy.Config{
		Identify: func(*http.Request) (sallyport.Principal, error) { return who, nil },
		Sources:  []tenancy.Source{tenancy.FromPath("site_id")},
		Member:   m.role, CacheTTL: time.Second,
		Roles: map[tenancy.Role]tenancy.Rights{
			"rep": {Permissions: []string{"calls:view"}, Level: sallyport.AAL1},
		},
	})
	require.NoError(t, err)
	return g, m
}

var who = sallyport.Principal{Kind: sallyport.KindUser, ID: user, Level: sallyport.AAL1}

func BenchmarkCachedDecision(b *testing.B) {
	b.Run("ours", func(b *testing.B) {
		g, _ := gate(b)
		ctx := context.Background()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := tenancy.Authorize[viewCalls](ctx, g, who, site0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("casbin cached", func(b *testing.B) {
		e := enforcer(b)
		b.ReportAllocs()
		for b.Loop() {
			if ok, err := e.Enforce(user, site0, "calls", "view"); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
}

var site0 = site(0)

// A removed role: ours refuses at once, casbin's cached enforcers go on.
func TestRevocation(t *testing.T) {
	g, m := gate(t)
	_, err := tenancy.Authorize[viewCalls](t.Context(), g, who, site0)
	require.NoError(t, err)
	m.removed = true
	g.Forget(user, site0)
	_, err = tenancy.Authorize[viewCalls](t.Context(), g, who, site0)
	require.Error(t, err)

	e := enforcer(t)
	ok, err := e.Enforce(user, site0, "calls", "view")
	require.NoError(t, err)
	require.True(t, ok)
	_, err = e.RemoveGroupingPolicy(user, "rep", site0)
	require.NoError(t, err)
	ok, err = e.Enforce(user, site0, "calls", "view")
	require.NoError(t, err)
	t.Logf("casbin's cached enforcer after the role is gone: allowed = %v", ok)
}
