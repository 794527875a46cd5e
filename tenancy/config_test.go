package tenancy_test

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/tenancy"
)

func TestConfigLimits(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		ttl, timeout time.Duration
		ok           bool
	}{
		"least":         {time.Second, time.Millisecond, true},
		"most":          {time.Hour, time.Minute, true},
		"ttl short":     {time.Second - 1, time.Second, false},
		"ttl long":      {time.Hour + 1, time.Second, false},
		"timeout short": {time.Second, time.Millisecond - 1, false},
		"timeout long":  {time.Second, time.Minute + 1, false},
	} {
		_, err := tenancy.New(world(func(c *tenancy.Config) {
			c.GrantTTL, c.Timeout = tt.ttl, tt.timeout
		}))
		require.Equal(t, tt.ok, err == nil, name)
	}
}

func TestOnRejectReplacesTheAnswer(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(c *tenancy.Config) {
		c.OnReject = func(w http.ResponseWriter, _ *http.Request, refused *sallyport.Refusal) {
			require.NoError(t, errors.Unwrap(refused))
			require.Equal(t, refused.Challenge, w.Header().Get("WWW-Authenticate"))
			d, ok := refused.Detail.(tenancy.Decision)
			require.True(t, ok)
			require.Equal(t, refused.Code, d.Code)
			http.Error(w, refused.Challenge, http.StatusTeapot)
		}
	})
	h, err := tenancy.Wrap[sealCall](g, http.NotFoundHandler())
	require.NoError(t, err)
	w := serve(h, request("max@a", "/?site=s1"))
	require.Equal(t, http.StatusTeapot, w.Code)
	require.Contains(t, w.Body.String(), "insufficient_user_authentication")
}

func TestNewReportsEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := tenancy.New(tenancy.Config{})
	for _, field := range []string{"Identify", "Sources", "Member", "Roles"} {
		require.ErrorContains(t, err, "tenancy: "+field+":")
	}
	_, err = tenancy.New(world(func(c *tenancy.Config) {
		c.Sources = []tenancy.Source{{}, tenancy.FromPath(""), tenancy.FromLookup("x", nil)}
		c.Roles[""] = tenancy.Rights{Permissions: []string{"a"}}
		c.Roles["r"] = tenancy.Rights{Permissions: []string{""}, Level: 4}
		c.StepUp = map[string]time.Duration{"call:seal": 0, "calls:seal": -1}
		c.GrantTTL, c.Timeout = 2*time.Hour, time.Hour
	}))
	for _, want := range []string{
		"Sources[0]", "Sources[1]", `Sources[2]: "x"`, "empty role", "Roles[r]", "misspelt",
		"StepUp[calls:seal]", "GrantTTL", "Timeout",
	} {
		require.ErrorContains(t, err, want)
	}
	_, ok := errors.AsType[*sallyport.ConfigError](err)
	require.True(t, ok)
}

// Each limit and each contradiction, alone.
func TestConfigProblems(t *testing.T) {
	t.Parallel()
	sources := func(n int) []tenancy.Source {
		all := make([]tenancy.Source, n)
		for i := range all {
			all[i] = tenancy.FromHeader("X-Site")
		}
		return all
	}
	addr := func(*http.Request) (netip.Addr, error) { return netip.Addr{}, nil }
	networks := func(text ...string) map[tenancy.Role]tenancy.Rights {
		var list []netip.Prefix
		for _, one := range text {
			list = append(list, netip.MustParsePrefix(one))
		}
		return map[tenancy.Role]tenancy.Rights{
			"r": {Permissions: []string{"calls:seal", "data:erase"}, Networks: list},
		}
	}
	for name, tt := range map[string]struct {
		edit  func(*tenancy.Config)
		field string
		code  string
	}{
		"16 sources": {func(c *tenancy.Config) { c.Sources = sources(16) }, "", ""},
		"17 sources": {
			func(c *tenancy.Config) { c.Sources = sources(17) }, "Sources",
			sallyport.ConfigOutOfRange,
		},
		"AAL4": {
			func(c *tenancy.Config) {
				c.Roles["r"] = tenancy.Rights{Permissions: []string{"x"}, Level: 4}
			}, "Roles[r].Level", sallyport.ConfigOutOfRange,
		},
		"AAL3": {
			func(c *tenancy.Config) {
				c.Roles["r"] = tenancy.Rights{Permissions: []string{"x"}, Level: sallyport.AAL3}
			}, "", "",
		},
		"a body of a byte": {
			func(c *tenancy.Config) { c.Sources = []tenancy.Source{tenancy.FromJSON("x", 1)} }, "", "",
		},
		"a network without an address": {
			func(c *tenancy.Config) { c.Roles = networks("192.0.2.0/24") }, "Address",
			sallyport.ConfigRequired,
		},
		"a network": {
			func(c *tenancy.Config) { c.Roles, c.Address = networks("192.0.2.0/24"), addr }, "", "",
		},
		"bits beyond a network": {
			func(c *tenancy.Config) {
				c.Roles, c.Address = networks("192.0.2.0/24", "192.0.2.7/24"), addr
			}, "Roles[r].Networks[1]", sallyport.ConfigMalformed,
		},
		"no network": {
			func(c *tenancy.Config) {
				c.Roles, c.Address = networks("192.0.2.0/24"), addr
				c.Roles["r"].Networks[0] = netip.Prefix{}
			}, "Roles[r].Networks[0]", sallyport.ConfigMalformed,
		},
		"site networks without an address": {
			func(c *tenancy.Config) {
				c.SiteNetworks = func(context.Context, string) ([]netip.Prefix, error) { return nil, nil }
			}, "Address", sallyport.ConfigRequired,
		},
		"a service without a name": {
			func(c *tenancy.Config) { c.Services[""] = []string{"x"} }, "Services[]",
			sallyport.ConfigMalformed,
		},
		"a service's nameless permission": {
			func(c *tenancy.Config) { c.Services["s"] = []string{""} }, "Services[s]",
			sallyport.ConfigMalformed,
		},
		"cache of a second": {func(c *tenancy.Config) { c.CacheTTL = time.Second }, "", ""},
		"cache of more": {
			func(c *tenancy.Config) { c.CacheTTL = time.Second + 1 }, "CacheTTL",
			sallyport.ConfigOutOfRange,
		},
		"cache of less": {
			func(c *tenancy.Config) { c.CacheTTL = -1 }, "CacheTTL", sallyport.ConfigOutOfRange,
		},
		"grants twice the cache": {
			func(c *tenancy.Config) { c.CacheTTL, c.GrantTTL = time.Second, 2*time.Second }, "", "",
		},
		"grants of less": {
			func(c *tenancy.Config) { c.CacheTTL, c.GrantTTL = time.Second, 2*time.Second-1 },
			"GrantTTL", sallyport.ConfigConflict,
		},
		"64 members": {func(c *tenancy.Config) { c.CacheSize = 64 }, "", ""},
		"63 members": {
			func(c *tenancy.Config) { c.CacheSize = 63 }, "CacheSize", sallyport.ConfigOutOfRange,
		},
		"2^20 members": {func(c *tenancy.Config) { c.CacheSize = 1 << 20 }, "", ""},
		"more members": {
			func(c *tenancy.Config) { c.CacheSize = 1<<20 + 1 }, "CacheSize",
			sallyport.ConfigOutOfRange,
		},
	} {
		_, err := tenancy.New(world(tt.edit))
		if tt.field == "" {
			require.NoError(t, err, name)
			continue
		}
		problem, ok := errors.AsType[*sallyport.ConfigError](err)
		require.True(t, ok, name)
		require.Equal(t, tt.field, problem.Field, name)
		require.Equal(t, tt.code, problem.Code, name)
	}
}

// New copies: a table changed later changes nothing.
func TestConfigIsCopied(t *testing.T) {
	t.Parallel()
	cfg := world(nil)
	cfg.Address = func(*http.Request) (netip.Addr, error) {
		return netip.MustParseAddr("198.51.100.1"), nil
	}
	admin := cfg.Roles["admin"]
	admin.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	cfg.Roles["admin"] = admin
	g, err := tenancy.New(cfg)
	require.NoError(t, err)
	cfg.Roles["rep"] = tenancy.Rights{Permissions: []string{"calls:seal"}}
	cfg.Roles["manager"].Permissions[0] = "nobody:has"
	cfg.Roles["admin"].Networks[0] = netip.MustParsePrefix("198.51.100.0/24")
	delete(cfg.StepUp, "calls:seal")
	clear(cfg.Sources)
	_, err = tenancy.Check[sealCall](g, request("rob@a", "/?site=s1"))
	require.Equal(t, tenancy.CodeNotFound, code(err))
	_, err = tenancy.Check[sealCall](g, request("max@a", "/?site=s1"))
	require.Equal(t, tenancy.CodeStepUp, code(err))
	_, err = tenancy.Check[viewCalls](g, request("ann@aa", "/?site=s1"))
	require.Equal(t, tenancy.CodeNetwork, code(err))
	_, err = tenancy.Check[nobodys](g, request("max@a", "/?site=s1"))
	require.Equal(t, tenancy.CodeNotFound, code(err))
}
