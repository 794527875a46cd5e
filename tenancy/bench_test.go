package tenancy_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/tenancy"
)

func benchRequest() *http.Request {
	r := request("rob@a", "/")
	r.SetPathValue("site_id", "s1")
	return r
}

func pathOnly(c *tenancy.Config) { c.Sources = []tenancy.Source{tenancy.FromPath("site_id")} }

// Not parallel: AllocsPerRun counts the whole process.
func TestAllocations(t *testing.T) {
	g, r := newGate(t, pathOnly), benchRequest()
	check := testing.AllocsPerRun(200, func() { _, _ = tenancy.Check[viewCalls](g, r) })
	require.LessOrEqual(t, check, 8.0, "the proof, one slice, the deadline of the lookup")
	grant, err := tenancy.Check[viewCalls](g, r)
	require.NoError(t, err)
	require.Zero(t, testing.AllocsPerRun(200, func() { _ = grant.Site() }))
}

func BenchmarkCheck(b *testing.B) {
	g, r := newGate(b, pathOnly), benchRequest()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = tenancy.Check[viewCalls](g, r)
	}
}

func BenchmarkGrantSite(b *testing.B) {
	grant, err := tenancy.Check[viewCalls](newGate(b, pathOnly), benchRequest())
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		_ = grant.Site()
	}
}
