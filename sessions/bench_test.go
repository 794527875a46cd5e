package sessions_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// discard is the cheapest ResponseWriter.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

func empty(http.ResponseWriter, *http.Request) {}

func allocs(t *testing.T, h http.Handler, r *http.Request) float64 {
	t.Helper()
	w := &discard{h: http.Header{}}
	return testing.AllocsPerRun(200, func() { h.ServeHTTP(w, r) })
}

// Not parallel: AllocsPerRun counts the whole process.
func TestAllocations(t *testing.T) {
	m := newManager(t, nil)
	b := signIn(t, m, "ada")
	require.LessOrEqual(t, allocs(t, m.Load(http.HandlerFunc(empty)), b.request()), 2.0, "unused")
	require.LessOrEqual(t, allocs(t, m.Wrap(http.HandlerFunc(empty)), b.request()), 6.0, "read")
	none := testing.AllocsPerRun(200, func() { _, _ = m.Check(&http.Request{}) })
	require.LessOrEqual(t, none, 4.0, "no cookie")
}

func BenchmarkSessions(b *testing.B) {
	m := newManager(b, nil)
	r := signIn(b, m, "ada").request()
	update := func(_ http.ResponseWriter, r *http.Request) { _ = m.Update(r.Context(), add) }
	for _, bb := range []struct {
		name string
		h    http.Handler
	}{
		{"bare", http.HandlerFunc(empty)},
		{"wrapped and unused", m.Load(http.HandlerFunc(empty))},
		{"read", m.Wrap(http.HandlerFunc(empty))},
		{"update", m.Load(http.HandlerFunc(update))},
	} {
		b.Run(bb.name, func(b *testing.B) {
			w := &discard{h: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				bb.h.ServeHTTP(w, r)
			}
		})
	}
}
