package engine_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/scrub/internal/engine"
)

func tokens(t *testing.T) *engine.Engine {
	t.Helper()
	return engine.New(engine.Config{Enabled: [engine.Builtin]bool{engine.Token: true}})
}

// TestVendors makes three texts of each row: a token that must go, one that was
// cut too short, and one whose mark is another. It reads the table itself, so
// that a row without an example cannot be added.
func TestVendors(t *testing.T) {
	t.Parallel()
	e := tokens(t)
	for _, x := range engine.VendorTokens() {
		t.Run(x.Mark, func(t *testing.T) {
			t.Parallel()
			var counts engine.Counts
			text := "upstream said " + x.Token + " for request 42"
			require.Equal(t, "upstream said [token] for request 42", e.String(text, &counts))
			require.NotEmpty(t, e.Spans(text)[0].Rule)
			for _, other := range []string{x.Cut, x.Altered} {
				if other == "" {
					continue
				}
				if x.Mark == "live_" || x.Mark == "test_" {
					continue // several issuers have it
				}
				for _, sp := range e.Spans("upstream said " + other + " for request 42") {
					require.NotEqual(t, "token."+x.Mark, sp.Rule, "%s is no token of this row", other)
				}
			}
			quoted := `{"v":"` + x.Token + `"}`
			require.False(t, strings.Contains(e.String(quoted, &counts), x.Token))
		})
	}
	require.Greater(t, len(engine.VendorTokens()), 250)
}
