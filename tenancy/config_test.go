package tenancy_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
		c.OnReject = func(w http.ResponseWriter, _ *http.Request, rej *tenancy.Rejection) {
			require.NoError(t, errors.Unwrap(rej))
			http.Error(w, rej.Challenge(), http.StatusTeapot)
		}
	})
	w := serve(tenancy.Wrap[sealCall](g, http.NotFoundHandler()), request("max@a", "/?site=s1"))
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
		c.Roles[""] = []string{"a"}
		c.Roles["r"] = []string{""}
		c.StepUp = map[string]time.Duration{"call:seal": 0, "calls:seal": -1}
		c.GrantTTL, c.Timeout = 2*time.Hour, time.Hour
	}))
	for _, want := range []string{
		"Sources[0]", "Sources[1]", "Sources[2]", "empty role", "Roles[r]", "misspelt",
		"StepUp[calls:seal]", "GrantTTL", "Timeout",
	} {
		require.ErrorContains(t, err, want)
	}
	_, ok := errors.AsType[*tenancy.ConfigError](err)
	require.True(t, ok)
}

// New copies: a table changed later changes nothing.
func TestConfigIsCopied(t *testing.T) {
	t.Parallel()
	cfg := world(nil)
	g, err := tenancy.New(cfg)
	require.NoError(t, err)
	cfg.Roles[tenancy.RoleRep] = []string{"calls:seal"}
	cfg.Roles[tenancy.RoleManager][0] = "nobody:has"
	delete(cfg.StepUp, "calls:seal")
	clear(cfg.Sources)
	_, err = tenancy.Check[sealCall](g, request("rob@a", "/?site=s1"))
	require.Equal(t, tenancy.ReasonNotFound, reason(err))
	_, err = tenancy.Check[sealCall](g, request("max@a", "/?site=s1"))
	require.Equal(t, tenancy.ReasonStepUp, reason(err))
	_, err = tenancy.Check[nobodys](g, request("max@a", "/?site=s1"))
	require.Equal(t, tenancy.ReasonNotFound, reason(err))
}
