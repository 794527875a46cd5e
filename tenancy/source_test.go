package tenancy_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/tenancy"
)

func TestLookupSource(t *testing.T) {
	t.Parallel()
	calls, asked := 0, 0
	g := newGate(t, func(c *tenancy.Config) {
		member := c.Member
		c.Member = func(ctx context.Context, user, site string) (tenancy.Role, error) {
			asked++
			return member(ctx, user, site)
		}
		c.Sources = []tenancy.Source{
			tenancy.FromLookup("call", func(r *http.Request) (string, error) {
				calls++
				switch r.URL.Query().Get("call") {
				case "1":
					return "s1", nil
				case "2":
					return "", tenancy.ErrNotMember
				case "4":
					return "not a site", nil
				}
				return "", errDown
			}),
			tenancy.FromQuery("site"),
		}
	})
	for target, want := range map[string]string{
		"/?call=1": "", "/?call=1&site=s1": "", "/?call=1&site=s2": tenancy.CodeNotFound,
		"/?call=2": tenancy.CodeNotFound, "/?call=3": tenancy.CodeUnavailable,
		"/?call=4&site=s1": tenancy.CodeNotFound, "/?call=4": tenancy.CodeNotFound,
	} {
		_, err := tenancy.Check[viewCalls](g, request("rob@a", target))
		require.Equal(t, want, code(err), target)
		if want == tenancy.CodeNotFound {
			require.ErrorIs(t, err, tenancy.ErrNotMember, target)
		}
	}
	asked = 0
	_, err := tenancy.Check[viewCalls](g, request("rob@a", "/?call=2"))
	require.Equal(t, tenancy.CodeNotFound, code(err))
	require.Zero(t, asked, "no object, no question for its site")
	calls = 0
	_, err = tenancy.Check[viewCalls](g, request("", "/?call=1"))
	require.Equal(t, tenancy.CodeIdentityRequired, code(err))
	_, err = tenancy.Check[viewCalls](g, request("@aa", "/?call=1")) // no user, no error
	require.Equal(t, tenancy.CodeIdentityRequired, code(err))
	require.Zero(t, calls, "strangers must not cause lookups")
}

// Whether the request is right or wrong otherwise: a foreign object and none get
// the same answer, or ids of objects could be tried out.
func TestForeignObjectsLookLikeNone(t *testing.T) {
	t.Parallel()
	find := tenancy.FromLookup("call", func(r *http.Request) (string, error) {
		if r.URL.Query().Get("call") == "foreign" {
			return "s2", nil
		}
		return "", tenancy.ErrNotMember
	})
	query := tenancy.FromQuery("site")
	for name, sources := range map[string][]tenancy.Source{
		"lookup first": {find, query}, "lookup last": {query, find},
	} {
		g := newGate(t, func(c *tenancy.Config) { c.Sources = sources })
		h := route(t, g, func(http.ResponseWriter, *http.Request, tenancy.Grant[viewCalls]) {
			t.Error("the handler ran")
		})
		for _, rest := range []string{"", "&site=s1", "&site=s2", "&site=!", "&site=s1&site=s1"} {
			foreign := serve(h, request("rob@a", "/?call=foreign"+rest))
			none := serve(h, request("rob@a", "/?call=none"+rest))
			require.Equal(t, none.Code, foreign.Code, name+rest)
			require.Equal(t, none.Body.String(), foreign.Body.String(), name+rest)
			require.Equal(t, none.Header(), foreign.Header(), name+rest)
		}
	}
}
