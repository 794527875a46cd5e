package server_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// Behind proxies, what comes past them is refused, browsers are told to keep to
// TLS, and the metrics are not on the way in.
func TestBehindProxies(t *testing.T) {
	t.Parallel()
	s := configured(t)
	s.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	r := run(t, s)
	handler := r.srv.Gated()
	for peer, want := range map[string]int{
		"192.0.2.7:1": 200, "127.0.0.1:1": 200, "[::1]:1": 200, "[::ffff:192.0.2.7]:1": 200,
		"198.51.100.7:1": 403, "192.0.3.1:1": 403, "": 403,
	} {
		w, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/healthz", nil)
		req.RemoteAddr = peer
		handler.ServeHTTP(w, req)
		require.Equal(t, want, w.Code, peer)
		require.NotEmpty(t, w.Header().Get("Strict-Transport-Security"))
	}
	require.Equal(t, 404, r.do(http.MethodGet, "/metrics", "").Status)
}

func TestMetricsOnAListenerOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := configured(t)
	s.MetricsAddr = "127.0.0.1:0"
	r := run(t, s)
	require.Equal(t, 404, r.do(http.MethodGet, "/metrics", "").Status)
	r.URL = r.srv.Addresses().Metrics
	require.Contains(t, r.do(http.MethodGet, "/metrics", "", "Via", "x").Body, "sallyport_queue_rows")
	require.Equal(t, 404, r.do(http.MethodGet, "/healthz", "").Status, "nothing else is there")
}
