package tenancy_test

import (
	"errors"
	"net/http"
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
			require.IsType(t, tenancy.Decision{}, refused.Detail)
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
		"Sources[0]", "Sources[1]", "Sources[2]", "empty role", "Roles[r]", "misspelt",
		"StepUp[calls:seal]", "GrantTTL", "Timeout",
	} {
		require.ErrorContains(t, err, want)
	}
	_, ok := errors.AsType[*sallyport.ConfigError](err)
	require.True(t, ok)
}

// New copies: a table changed later changes nothing.
func TestConfigIsCopied(t *testing.T) {
	t.Parallel()
	cfg := world(nil)
	g, err := tenancy.New(cfg)
	require.NoError(t, err)
	cfg.Roles["rep"] = tenancy.Rights{Permissions: []string{"calls:seal"}}
	cfg.Roles["manager"].Permissions[0] = "nobody:has"
	delete(cfg.StepUp, "calls:seal")
	clear(cfg.Sources)
	_, err = tenancy.Check[sealCall](g, request("rob@a", "/?site=s1"))
	require.Equal(t, tenancy.CodeNotFound, code(err))
	_, err = tenancy.Check[sealCall](g, request("max@a", "/?site=s1"))
	require.Equal(t, tenancy.CodeStepUp, code(err))
	_, err = tenancy.Check[nobodys](g, request("max@a", "/?site=s1"))
	require.Equal(t, tenancy.CodeNotFound, code(err))
}
