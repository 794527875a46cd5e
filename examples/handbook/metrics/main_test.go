package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDecisionsAreCounted(t *testing.T) {
	t.Parallel()
	public, metrics, err := newHandlers()
	require.NoError(t, err)
	request := func(h http.Handler, origin string) string {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", http.NoBody)
		r.Header.Set("Origin", origin)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Body.String()
	}
	request(public, "https://app.example.com")
	request(public, "https://evil.example")
	got := request(metrics, "")
	require.Contains(t, got, `sallyport_decisions_total{code="origin_listed",gate="cors",policy=""} 1`)
	require.Contains(t, got, `sallyport_decisions_total{code="origin_not_listed",gate="cors",policy=""} 1`)
	require.Contains(t, got, `sallyport_decisions_total{code="within_limit",gate="ratelimit",policy="address"} 1`)
	require.NotContains(t, got, "evil")
}
