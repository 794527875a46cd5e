package cors_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/opsmantik/sallyport/cors"
)

// BenchmarkWrap is for profiles; the comparison with other packages is in
// internal/bench/cors.
func BenchmarkWrap(b *testing.B) {
	gate := newGate(b, cors.Config{
		Origins: []string{app}, Methods: []string{"PUT"}, RequestHeaders: []string{"X-A"},
		ExposedHeaders: []string{"X-B"}, Credentials: true, MaxAge: time.Minute,
	})
	h := gate.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for name, r := range map[string]*http.Request{
		"allowed":    newRequest("POST", "Origin", app),
		"disallowed": newRequest("POST", "Origin", evil),
		"preflight":  newPreflight(app, "x-a"),
		"no_origin":  newRequest("GET"),
	} {
		b.Run(name, func(b *testing.B) {
			w := &quiet{make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}
		})
	}
}
