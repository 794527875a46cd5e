package tenancy_test

import (
	"context"
	"net/http"
	"reflect"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/tenancy"
)

// clocks returns a time that lies back by these amounts on either clock. No call of
// package time makes one: only a machine that slept, or somebody who set its clock.
func clocks(wall, monotonic time.Duration) time.Time {
	t := time.Now().Add(-wall)
	ext, _ := reflect.TypeFor[time.Time]().FieldByName("ext") // the monotonic reading
	*(*int64)(unsafe.Add(unsafe.Pointer(&t), ext.Offset)) -= int64(monotonic - wall)
	return t
}

// The clock that has gone further counts, and the future does not.
func TestStepUpClocks(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil)
	now := time.Now()
	for name, tt := range map[string]struct {
		at   time.Time
		want tenancy.Reason
	}{
		"now":                        {clocks(0, 0), ""},
		"the machine slept":          {clocks(6*time.Minute, 0), tenancy.ReasonStepUp},
		"the clock was set back":     {clocks(0, 6*time.Minute), tenancy.ReasonStepUp},
		"another clock, a bit ahead": {now.Add(50 * time.Second).Round(0), ""},
		"the future":                 {now.Add(2 * time.Minute).Round(0), tenancy.ReasonStepUp},
		"the far future":             {now.AddDate(100, 0, 0), tenancy.ReasonStepUp},
		"never":                      {time.Time{}, tenancy.ReasonStepUp},
	} {
		who := tenancy.Principal{User: "ann", Level: 2, AuthTime: tt.at}
		_, err := tenancy.Authorize[eraseData](t.Context(), g, who, tenancy.NewClaim("s1"))
		require.Equal(t, tt.want, reason(err), name)
	}
}

// Whoever of the caller's functions hangs, the request does not.
func TestTimeout(t *testing.T) {
	t.Parallel()
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for name, edit := range map[string]func(*tenancy.Config){
		"Identify": func(c *tenancy.Config) {
			c.Identify = func(r *http.Request) (tenancy.Principal, error) {
				return tenancy.Principal{}, hang(r.Context())
			}
		},
		"FromLookup": func(c *tenancy.Config) {
			c.Sources = []tenancy.Source{
				tenancy.FromLookup("call", func(r *http.Request) (string, error) {
					return "", hang(r.Context())
				}),
			}
		},
		"Member": func(c *tenancy.Config) {
			c.Member = func(ctx context.Context, _, _ string) (tenancy.Role, error) {
				return "", hang(ctx)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGate(t, func(c *tenancy.Config) { c.Timeout = 7 * time.Second; edit(c) })
				began := time.Now()
				_, err := tenancy.Check[viewCalls](g, request("rob@a", "/?site=s1"))
				require.Equal(t, tenancy.ReasonUnavailable, reason(err))
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, 7*time.Second, time.Since(began))
				if name == "Member" {
					who := tenancy.Principal{User: "rob", Level: 1}
					claim := tenancy.NewClaim("s1")
					_, err = tenancy.Authorize[viewCalls](context.Background(), g, who, claim)
					require.ErrorIs(t, err, context.DeadlineExceeded)
				}
			})
		})
	}
}

// What the hook learns besides the reason.
func TestDecisionNamesTheRole(t *testing.T) {
	t.Parallel()
	var last tenancy.Decision
	g := newGate(t, func(c *tenancy.Config) {
		c.OnDecision = func(_ *http.Request, d tenancy.Decision) { last = d }
	})
	for user, want := range map[string]tenancy.Decision{
		"ann@aa": {Role: tenancy.RoleAdmin},
		"ann@a":  {Role: tenancy.RoleAdmin, Reason: tenancy.ReasonStepUp},
		"rob@aa": {Reason: tenancy.ReasonNotFound, Err: tenancy.ErrForbidden},
		"odd@aa": {Reason: tenancy.ReasonNotFound, Err: tenancy.ErrForbidden},
		"nil@aa": {Reason: tenancy.ReasonNotFound, Err: tenancy.ErrNotMember},
	} {
		_, _ = tenancy.Check[sealCall](g, request(user, "/?site=s1"))
		want.Permission, want.User, want.Site = "calls:seal", user[:3], "s1"
		require.Equal(t, want, last, user)
	}
}
