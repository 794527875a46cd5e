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

	"github.com/opsmantik/sallyport"
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
		want string
	}{
		"now":                        {clocks(0, 0), ""},
		"the machine slept":          {clocks(6*time.Minute, 0), tenancy.CodeStepUp},
		"the clock was set back":     {clocks(0, 6*time.Minute), tenancy.CodeStepUp},
		"another clock, a bit ahead": {now.Add(50 * time.Second).Round(0), ""},
		"the future":                 {now.Add(2 * time.Minute).Round(0), tenancy.CodeStepUp},
		"the far future":             {now.AddDate(100, 0, 0), tenancy.CodeStepUp},
		"never":                      {time.Time{}, tenancy.CodeStepUp},
	} {
		who := sallyport.Principal{Kind: sallyport.KindUser, ID: "ann", Level: 2, AuthTime: tt.at}
		_, err := tenancy.Authorize[eraseData](t.Context(), g, who, "s1")
		require.Equal(t, tt.want, code(err), name)
	}
}

// Whoever of the caller's functions hangs, the request does not.
func TestTimeout(t *testing.T) {
	t.Parallel()
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for name, edit := range map[string]func(*tenancy.Config){
		"Identify": func(c *tenancy.Config) {
			c.Identify = func(r *http.Request) (sallyport.Principal, error) {
				return sallyport.Principal{}, hang(r.Context())
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
				require.Equal(t, tenancy.CodeUnavailable, code(err))
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, 7*time.Second, time.Since(began))
				if name == "Member" {
					who := sallyport.Principal{Kind: sallyport.KindUser, ID: "rob", Level: 1}
					_, err = tenancy.Authorize[viewCalls](context.Background(), g, who, "s1")
					require.ErrorIs(t, err, context.DeadlineExceeded)
				}
			})
		})
	}
}

// What the hook learns besides the reason.
func TestDecisionNamesTheRole(t *testing.T) {
	t.Parallel()
	var last sallyport.Event
	g := newGate(t, func(c *tenancy.Config) {
		c.OnEvent = func(_ context.Context, e sallyport.Event) { last = e }
	})
	for user, want := range map[string]tenancy.Decision{
		"ann@aa": {Role: "admin", Code: tenancy.CodeGranted},
		"ann@a":  {Role: "admin", Code: tenancy.CodeStepUp},
		"rob@aa": {Code: tenancy.CodeNotFound, Err: tenancy.ErrForbidden},
		"odd@aa": {Code: tenancy.CodeNotFound, Err: tenancy.ErrForbidden},
		"nil@aa": {Code: tenancy.CodeNotFound, Err: tenancy.ErrNotMember},
	} {
		r := request(user, "/?site=s1")
		_, _ = tenancy.Check[sealCall](g, r)
		d, ok := last.Detail.(tenancy.Decision)
		require.True(t, ok)
		require.Equal(t, want.Role, d.Role, user)
		require.Equal(t, want.Code, d.Code, user)
		require.Equal(t, want.Err, d.Err, user)
		require.Equal(t, []string{"site"}, d.Sources, user)
		last.Detail = nil
		require.Equal(t, sallyport.Event{
			Gate: "tenancy", Code: want.Code, Allowed: want.Code == tenancy.CodeGranted,
			Policy: "calls:seal", Tenant: "s1", Actor: user[:3], Request: r, Err: want.Err,
		}, last, user)
	}
}
