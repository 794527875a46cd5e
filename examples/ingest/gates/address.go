package gates

import (
	"net/http"
	"net/netip"
	"slices"

	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
)

// newAddress finds the client's address. It trusts X-Forwarded-For from the
// named proxies, and nothing from anybody else.
func newAddress(cfg Config) (*clientaddr.Gate, error) {
	address := clientaddr.Config{
		TrustedProxies: cfg.Settings.TrustedProxies, OnEvent: cfg.OnEvent,
	}
	if len(address.TrustedProxies) > 0 {
		address.Header = "X-Forwarded-For"
	}
	return clientaddr.New(address)
}

// Peers refuses who reaches the server past the proxies that it is told to stand
// behind, without TLS of its own: what came over an open network could have been
// read and changed there. This machine itself may.
func (g *Gates) Peers(next http.Handler) http.Handler {
	s := g.cfg.Settings
	if len(s.TrustedProxies) == 0 || s.TLSCertFile != "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		addr := peer.Addr().Unmap()
		known := err == nil && (addr.IsLoopback() ||
			slices.ContainsFunc(s.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(addr) }))
		if !known {
			reply.Problem(w, http.StatusForbidden, codePeerNotProxy, "Not through the proxy")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// codePeerNotProxy: 403. The connection came past the proxies.
const codePeerNotProxy = "peer_not_proxy"
