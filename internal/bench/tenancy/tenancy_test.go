// Package tenancy_test measures a cached decision of tenancy beside casbin's cached
// enforcer, both warm, in one run: only the ratio means anything. It also shows what
// each still allows after a role was taken away.
package tenancy_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
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

// BenchmarkCachedDecision lets the two take turns in rounds of a thousand, so that what
// the machine does besides hits both, and reports the median round of each, with what
// the garbage collector takes. User and site are variables, as in a server.
func BenchmarkCachedDecision(b *testing.B) {
	const round = 1000
	g, _ := gate(b)
	e, ctx := enforcer(b), context.Background()
	person, place := who, strings.Clone(site0)
	person.ID = strings.Clone(who.ID)
	synced, err := casbin.NewSyncedCachedEnforcer(e.GetModel())
	require.NoError(b, err)
	require.NoError(b, synced.BuildRoleLinks())
	contenders := [3]func() bool{
		func() bool {
			_, err := tenancy.Authorize[viewCalls](ctx, g, person, place)
			return err == nil
		},
		func() bool {
			ok, err := e.Enforce(person.ID, place, "calls", "view")
			return ok && err == nil
		},
		func() bool {
			ok, err := synced.Enforce(person.ID, place, "calls", "view")
			return ok && err == nil
		},
	}
	var rounds [3][]time.Duration
	for b.Loop() {
		for i, allowed := range contenders {
			began := time.Now()
			for range round {
				if !allowed() {
					b.Fatal("refused", i)
				}
			}
			rounds[i] = append(rounds[i], time.Since(began))
		}
	}
	var median [3]float64
	for i := range rounds {
		slices.Sort(rounds[i])
		median[i] = float64(rounds[i][len(rounds[i])/2]) / round
	}
	b.ReportMetric(median[0], "ours-ns")
	b.ReportMetric(median[1], "casbin-ns")
	b.ReportMetric(median[1]/median[0], "ratio")
	b.ReportMetric(median[2]/median[0], "ratio-synced")
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
