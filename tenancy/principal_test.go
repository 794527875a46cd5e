package tenancy_test

import (
	"bytes"
	"context"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/tenancy"
)

// apiKey is ann's: she is an admin of s1.
func apiKey(scopes ...string) sallyport.Principal {
	return sallyport.Principal{
		Kind: sallyport.KindKey, ID: "ann", Key: "k1", Scopes: scopes, Level: sallyport.AAL1,
	}
}

// A key acts without a session, as far as its scopes and its user's role both go.
func TestKeysActWithinTheirScopes(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil)
	rep := apiKey("calls:view", "calls:seal")
	rep.ID = "rob"
	disguised := apiKey()
	disguised.Kind = sallyport.KindUser // with a key all the same
	disguised.Level = sallyport.AAL2
	nameless := apiKey()
	nameless.Key = ""
	odd := apiKey("calls:view")
	odd.Kind = "robot"
	strong := apiKey("calls:seal")
	strong.Level, strong.AuthTime = sallyport.AAL2, time.Now()
	for name, tt := range map[string]struct {
		who        sallyport.Principal
		view, seal string
	}{
		"an admin's key":       {apiKey("calls:view"), "", tenancy.CodeNotFound},
		"no scopes":            {apiKey(), tenancy.CodeNotFound, tenancy.CodeNotFound},
		"a scope that is none": {apiKey("calls:*", "*"), tenancy.CodeNotFound, tenancy.CodeNotFound},
		"more than its user":   {rep, "", tenancy.CodeNotFound},
		"what needs a person":  {apiKey("calls:view", "calls:seal"), "", tenancy.CodeStepUp},
		"made with two factors": {
			strong, tenancy.CodeNotFound, "",
		},
		"a user with a key":   {disguised, tenancy.CodeNotFound, tenancy.CodeNotFound},
		"a key without an id": {nameless, tenancy.CodeNotFound, tenancy.CodeNotFound},
		"an unknown kind":     {odd, tenancy.CodeNotFound, tenancy.CodeNotFound},
	} {
		grant, view := tenancy.Authorize[viewCalls](t.Context(), g, tt.who, "s1")
		_, seal := tenancy.Authorize[sealCall](t.Context(), g, tt.who, "s1")
		require.Equal(t, tt.view, code(view), name)
		require.Equal(t, tt.seal, code(seal), name)
		if view == nil {
			require.Equal(t, "k1", grant.Key(), name)
			require.Equal(t, "k1", grant.Scope().Key(), name)
			require.Equal(t, tt.who.ID, grant.User(), name)
		}
	}
	require.Empty(t, tenancy.Grant[viewCalls]{}.Key()+tenancy.Scope{}.Key())
}

// Whatever role comes with it, ErrNotMember is no membership.
func TestNotMemberWithARole(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(c *tenancy.Config) {
		c.Member = func(context.Context, string, string) (tenancy.Role, error) {
			return "manager", tenancy.ErrNotMember
		}
	})
	_, err := tenancy.Check[viewCalls](g, request("max@aa", "/?site=s1"))
	require.Equal(t, tenancy.CodeNotFound, code(err))
	require.ErrorIs(t, err, tenancy.ErrNotMember)
}

// All that comes after the gate sees one spelling.
func TestParseSiteIsTheOnlySpelling(t *testing.T) {
	t.Parallel()
	var asked []string
	var tenant string
	g := newGate(t, func(c *tenancy.Config) {
		member := c.Member
		c.Member = func(ctx context.Context, user, site string) (tenancy.Role, error) {
			asked = append(asked, site)
			return member(ctx, user, site)
		}
		c.ParseSite = func(text string) (string, bool) {
			if text == "nothing" {
				return "", true
			}
			return strings.ToLower(text), len(text) == 2
		}
		c.OnEvent = func(_ context.Context, e sallyport.Event) { tenant = e.Tenant }
		c.Sources = append(c.Sources, tenancy.FromLookup("x", func(*http.Request) (string, error) {
			return "S1", nil
		}))
	})
	r := request("rob@a", "/?site=S1")
	r.Header.Set("X-Site", "s1")
	grant, err := tenancy.Check[viewCalls](g, r)
	require.NoError(t, err)
	require.Equal(t, "s1", grant.Site())
	require.Equal(t, "s1", tenant)
	rob := sallyport.Principal{Kind: sallyport.KindUser, ID: "rob", Level: sallyport.AAL1}
	grant, err = tenancy.Authorize[viewCalls](t.Context(), g, rob, "S1")
	require.NoError(t, err)
	require.Equal(t, "s1", grant.Scope().Site())
	require.Equal(t, []string{"s1", "s1"}, asked)
	for _, site := range []string{"S", "nothing"} {
		_, err = tenancy.Authorize[viewCalls](t.Context(), g, rob, site)
		require.Equal(t, tenancy.CodeSiteMalformed, code(err), site)
	}
}

// Authorize is heard of as well.
func TestEventsOutsideHTTP(t *testing.T) {
	t.Parallel()
	var seen []sallyport.Event
	g := newGate(t, func(c *tenancy.Config) {
		c.OnEvent = func(_ context.Context, e sallyport.Event) { seen = append(seen, e) }
	})
	for _, site := range []string{"s1", "s2"} {
		who := sallyport.Principal{Kind: sallyport.KindUser, ID: "rob", Level: sallyport.AAL1}
		_, _ = tenancy.Authorize[viewCalls](t.Context(), g, who, site)
	}
	require.Len(t, seen, 2)
	for i, want := range []sallyport.Event{
		{Allowed: true, Code: tenancy.CodeGranted, Tenant: "s1"},
		{Code: tenancy.CodeNotFound, Tenant: "s2", Err: tenancy.ErrNotMember},
	} {
		require.IsType(t, tenancy.Decision{}, seen[i].Detail)
		seen[i].Detail = nil
		want.Gate, want.Policy, want.Actor = "tenancy", "calls:view", "rob"
		require.Equal(t, want, seen[i])
	}
}

type (
	pointer  struct{ name string }
	named    interface{ Permission() string }
	panicker struct{ named } // of nothing
)

func (p pointer) Permission() string { return "calls:view" + p.name }

// A route that could only refuse is found when it is built, not when it is used.
func TestRouteOfNobodysPermission(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil)
	refuses := func(h http.Handler, err error, field, kind string, status int) {
		t.Helper()
		var problem *sallyport.ConfigError
		require.ErrorAs(t, err, &problem)
		require.Equal(t, field, problem.Field)
		require.Equal(t, kind, problem.Code)
		require.Equal(t, status, serve(h, request("ann@aa", "/?site=s1")).Code)
	}
	h, err := tenancy.Route(g, func(http.ResponseWriter, *http.Request, tenancy.Grant[nobodys]) {
		t.Error("the handler ran")
	})
	refuses(h, err, "Permission", sallyport.ConfigUnknown, 404)
	h, err = tenancy.Wrap[nobodys](g, http.NotFoundHandler())
	refuses(h, err, "Permission", sallyport.ConfigUnknown, 404)
	h, err = tenancy.Wrap[*pointer](g, http.NotFoundHandler())
	refuses(h, err, "Permission", sallyport.ConfigMalformed, 404)
	h, err = tenancy.Wrap[panicker](g, http.NotFoundHandler())
	refuses(h, err, "Permission", sallyport.ConfigMalformed, 404)
	h, err = tenancy.Wrap[tenancy.Permission](g, http.NotFoundHandler())
	refuses(h, err, "Permission", sallyport.ConfigMalformed, 404)
	for _, zero := range []*tenancy.Gate{nil, {}} {
		h, err = tenancy.Wrap[*pointer](zero, http.NotFoundHandler())
		refuses(h, err, "Gate", sallyport.ConfigRequired, 503)
	}
}

// The zero value and nil answer every call.
func TestZeroGates(t *testing.T) {
	t.Parallel()
	for _, g := range []*tenancy.Gate{nil, {}} {
		_, err := tenancy.Check[viewCalls](g, request("ann@aa", "/?site=s1"))
		require.Equal(t, tenancy.CodeNotConfigured, code(err))
		_, err = tenancy.Authorize[viewCalls](t.Context(), g, apiKey("calls:view"), "s1")
		require.Equal(t, tenancy.CodeNotConfigured, code(err))
		require.Equal(t, tenancy.CodeNotConfigured, code(g.Review(&bytes.Buffer{}, nil)))
		require.False(t, g.Allows("admin", "calls:view"))
		g.Forget("ann", "s1")
		g.Forget("", "")
	}
}

// Only package reflect turns a grant into another without importing unsafe.
func TestCastGrantProvesNothing(t *testing.T) {
	t.Parallel()
	grant, err := tenancy.Check[viewCalls](newGate(t, nil), request("rob@a", "/?site=s1"))
	require.NoError(t, err)
	seal := reflect.NewAt(reflect.TypeFor[tenancy.Grant[sealCall]](),
		reflect.ValueOf(&grant).UnsafePointer()).Elem().Interface().(tenancy.Grant[sealCall])
	require.ErrorIs(t, seal.Check(), tenancy.ErrNoGrant)
	require.Empty(t, seal.Site()+seal.User()+string(seal.Role()))
	require.ErrorIs(t, seal.Scope().Check(), tenancy.ErrNoGrant)
	require.NoError(t, grant.Check())
}

func TestExplain(t *testing.T) {
	t.Parallel()
	var last tenancy.Decision
	g := newGate(t, func(c *tenancy.Config) {
		c.OnEvent = func(_ context.Context, e sallyport.Event) { last = e.Detail.(tenancy.Decision) }
	})
	at := time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC)
	user := func(id string, level sallyport.Level) sallyport.Principal {
		return sallyport.Principal{Kind: sallyport.KindUser, ID: id, Level: level, AuthTime: at}
	}
	for _, tt := range []struct {
		who  sallyport.Principal
		site string
		want string
	}{
		{sallyport.Principal{}, "s1", "who: nobody\ndecision: identity_required\n"},
		{user("rob", 1), "../s1", "who: user rob, AAL1\ndecision: site_malformed\n"},
		{user("rob", 1), "s2", "who: user rob, AAL1\nsite: s2\nrole: none, asked for\n" +
			"decision: resource_not_found\ncause: tenancy: not a member\n"},
		{user("rob", 1), "down", "who: user rob, AAL1\nsite: down\n" +
			"decision: site_access_unavailable\ncause: down\n"},
		{user("odd", 1), "s1", "who: user odd, AAL1\nsite: s1\n" +
			"role: intern, asked for, which the table does not know\n" +
			"decision: resource_not_found\ncause: tenancy: the permission is missing\n"},
		{user("rob", 1), "s1", "who: user rob, AAL1\nsite: s1\nrole: rep, asked for\n" +
			"permission: \"data:erase\", which the role lacks\n" +
			"decision: resource_not_found\ncause: tenancy: the permission is missing\n"},
		{apiKey("calls:view"), "s1", "who: key ann, key k1, scopes calls:view\nsite: s1\n" +
			"role: admin, asked for\npermission: data:erase, which the role has and the key lacks\n" +
			"decision: resource_not_found\ncause: tenancy: the permission is missing\n"},
		{user("ann", 1), "s1", "who: user ann, AAL1\nsite: s1\nrole: admin, asked for\n" +
			"permission: data:erase, which the role has\n" +
			"factors: AAL1 at 2026-11-25T02:00:00Z, and AAL2 not older than 5m0s is needed\n" +
			"decision: insufficient_user_authentication\n"},
	} {
		_, _ = tenancy.Authorize[eraseData](t.Context(), g, tt.who, tt.site)
		require.Equal(t, tt.want, last.Explain())
	}
	cached := newGate(t, func(c *tenancy.Config) {
		c.CacheTTL = time.Second
		c.Address = func(*http.Request) (netip.Addr, error) {
			return netip.MustParseAddr("198.51.100.1"), nil
		}
		rights := c.Roles["rep"]
		rights.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		c.Roles["rep"] = rights
		c.OnEvent = func(_ context.Context, e sallyport.Event) { last = e.Detail.(tenancy.Decision) }
	})
	for _, how := range []string{"asked for", "remembered"} {
		_, _ = tenancy.Check[viewCalls](cached, request("rob@a", "/?site=s1"))
		require.True(t, strings.HasSuffix(last.Explain(), "role: rep, "+how+
			"\npermission: calls:view, which the role has\nnetwork: 198.51.100.1; "+
			"the role's [192.0.2.0/24], the site's []\ndecision: network_not_listed\n"), last.Explain())
		require.Equal(t, tenancy.Role("rep"), last.Role)
	}
	_, _ = tenancy.Authorize[sealCall](t.Context(), g, user("max", 1), "s1")
	require.Contains(t, last.Explain(), "and AAL2 is needed\n", "at any age")
	_, err := tenancy.Check[viewCalls](g, request("rob@a", "/?site=s1"))
	require.NoError(t, err)
	require.Contains(t, last.Explain(), "site: s1, named by site\n")
	require.True(t, strings.HasSuffix(last.Explain(), "decision: site_access_granted\n"))
}
