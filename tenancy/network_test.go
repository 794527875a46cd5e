package tenancy_test

import (
	"context"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/tenancy"
)

// Addresses count as they were proved, for the role and for the site.
func TestNetworks(t *testing.T) {
	t.Parallel()
	office := []netip.Prefix{
		netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32"),
	}
	var peer netip.Addr
	var failure error
	g := newGate(t, func(c *tenancy.Config) {
		rights := c.Roles["admin"]
		rights.Networks = office
		c.Roles["admin"] = rights
		c.Address = func(*http.Request) (netip.Addr, error) { return peer, failure }
		c.SiteNetworks = func(_ context.Context, site string) ([]netip.Prefix, error) {
			require.Equal(t, "s1", site)
			return []netip.Prefix{
				netip.MustParsePrefix("192.0.2.0/25"), netip.MustParsePrefix("2001:db8::/32"),
				netip.MustParsePrefix("198.51.100.0/24"),
			}, nil
		}
	})
	const ok = ""
	for name, tt := range map[string]struct {
		user, peer, want string
		failure          error
	}{
		"in both":               {"ann@aa", "192.0.2.127", ok, nil},
		"IPv6":                  {"ann@aa", "2001:db8::1", ok, nil},
		"mapped":                {"ann@aa", "::ffff:192.0.2.1", ok, nil},
		"the role's alone":      {"ann@aa", "192.0.2.128", tenancy.CodeNetwork, nil},
		"the site's alone":      {"ann@aa", "198.51.100.1", tenancy.CodeNetwork, nil},
		"a role without a list": {"rob@a", "198.51.100.1", ok, nil},
		"neither":               {"rob@a", "203.0.113.1", tenancy.CodeNetwork, nil},
		"an address with a zone": {
			"rob@a", "2001:db8::1%eth0", tenancy.CodeNetwork, nil,
		},
		"no address":           {"rob@a", "", tenancy.CodeNetwork, nil},
		"not proved":           {"rob@a", "198.51.100.1", tenancy.CodeNetwork, errDown},
		"a stranger":           {"eve@aa", "203.0.113.1", tenancy.CodeNotFound, nil},
		"without the factors":  {"ann@a", "192.0.2.1", tenancy.CodeStepUp, nil},
		"neither of these two": {"ann@a", "203.0.113.1", tenancy.CodeNetwork, nil},
	} {
		peer, failure = netip.Addr{}, tt.failure
		if tt.peer != "" {
			peer = netip.MustParseAddr(tt.peer)
		}
		r := request(tt.user, "/?site=s1")
		r.Header.Set("X-Forwarded-For", "192.0.2.1") // nobody asked
		_, err := tenancy.Check[viewCalls](g, r)
		require.Equal(t, tt.want, code(err), name)
		if tt.want == tenancy.CodeNetwork {
			require.ErrorContains(t, err, "network_not_listed", name)
			require.NotContains(t, err.Error(), "192.0.2.", name)
		}
	}
	rob := sallyport.Principal{Kind: sallyport.KindUser, ID: "rob", Level: sallyport.AAL1}
	_, err := tenancy.Authorize[viewCalls](t.Context(), g, rob, "s1")
	require.Equal(t, tenancy.CodeNetwork, code(err), "outside HTTP there is no address")
}

// A list is asked at every use, remembered membership or not: one list alone, the role's
// or the site's.
func TestNetworksOfRememberedMembers(t *testing.T) {
	t.Parallel()
	one := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for name, edit := range map[string]func(*tenancy.Config){
		"role": func(c *tenancy.Config) {
			rights := c.Roles["rep"]
			rights.Networks = one
			c.Roles["rep"] = rights
		},
		"site": func(c *tenancy.Config) {
			c.SiteNetworks = func(context.Context, string) ([]netip.Prefix, error) { return one, nil }
		},
	} {
		peer := netip.MustParseAddr("192.0.2.1")
		g := newGate(t, func(c *tenancy.Config) {
			c.CacheTTL = time.Second
			c.Address = func(*http.Request) (netip.Addr, error) { return peer, nil }
			edit(c)
		})
		_, err := tenancy.Check[viewCalls](g, request("rob@a", "/?site=s1"))
		require.NoError(t, err, name)
		peer = netip.MustParseAddr("198.51.100.1")
		for range 2 {
			_, err = tenancy.Check[viewCalls](g, request("rob@a", "/?site=s1"))
			require.Equal(t, tenancy.CodeNetwork, code(err), name)
			_, err = view(g, "rob", "s1")
			require.Equal(t, tenancy.CodeNetwork, code(err), name)
		}
	}
}

func TestNetworksThatCannotBeRead(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(c *tenancy.Config) {
		c.Address = func(*http.Request) (netip.Addr, error) { return netip.Addr{}, nil }
		c.SiteNetworks = func(context.Context, string) ([]netip.Prefix, error) { return nil, errDown }
	})
	_, err := tenancy.Check[viewCalls](g, request("rob@a", "/?site=s1"))
	require.Equal(t, tenancy.CodeUnavailable, code(err))
	require.ErrorIs(t, err, errDown)
	_, err = tenancy.Check[viewCalls](g, request("eve@a", "/?site=s1"))
	require.Equal(t, tenancy.CodeNotFound, code(err), "strangers cause no lookup of networks")
	_, err = tenancy.Check[viewCalls](g, request("odd@a", "/?site=s1"))
	require.Equal(t, tenancy.CodeNotFound, code(err), "nor does a role that can do nothing")
}
