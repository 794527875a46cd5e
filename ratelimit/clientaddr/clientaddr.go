package clientaddr

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/refusal"
)

// Gate finds the address of the client behind a request. It never alters
// RemoteAddr. The zero value refuses everything. It is safe for concurrent use.
type Gate struct {
	header  string
	read    func(lines []string, g *Gate) (netip.Addr, error)
	trusted []netip.Prefix
	hops    int
	unix    bool
	ready   bool

	table    *refusal.Table
	onEvent  func(context.Context, sallyport.Event)
	onReject func(http.ResponseWriter, *http.Request, *sallyport.Refusal)
}

// Check returns the client's address: IPv4-mapped addresses as IPv4, without
// zone. The error is nil or a *[sallyport.Refusal].
func (g *Gate) Check(r *http.Request) (netip.Addr, error) {
	addr, code, cause := g.find(r)
	var refused *sallyport.Refusal
	switch {
	case code == CodeFound:
	case g == nil || !g.ready:
		refused = unnamed.New(code, cause)
	default:
		refused = g.table.New(code, cause)
	}
	if g != nil && g.onEvent != nil {
		e := sallyport.Event{
			Gate: gate, Code: code, Allowed: refused == nil, Request: r, Err: cause,
		}
		if refused == nil {
			e.Detail = addr
		}
		g.onEvent(r.Context(), e)
	}
	if refused != nil {
		return netip.Addr{}, refused
	}
	return addr, nil
}

// find decides.
func (g *Gate) find(r *http.Request) (addr netip.Addr, code string, cause error) {
	if g == nil || !g.ready {
		return addr, CodeNotConfigured, errNotConfigured
	}
	peer, code, err := g.peer(r.RemoteAddr)
	if err != nil {
		return addr, code, err
	}
	if g.header == "" || !g.believes(peer) {
		return peer, CodeFound, nil
	}
	lines := r.Header[g.header]
	switch {
	case len(lines) == 0 && !peer.IsValid():
		return addr, CodePeerUnknown, errUnixSocket
	case len(lines) == 0 && g.hops > 0:
		return addr, CodeForwardedMalformed, errFewHops
	case len(lines) == 0:
		return peer, CodeFound, nil
	}
	if addr, err = g.read(lines, g); err != nil {
		return addr, CodeForwardedMalformed, err
	}
	return addr, CodeFound, nil
}

// peer returns the address of the connection; the zero Addr for a Unix socket
// that is trusted. The error says that it is none that net/http writes: it always
// writes a port, and middleware that replaces RemoteAddr by what a header claims
// leaves it out. To count such a claim as the peer would void every limit.
func (g *Gate) peer(remote string) (addr netip.Addr, code string, err error) {
	if remote == "@" || remote == "" { // as net.UnixAddr has it
		if g.unix {
			return addr, "", nil
		}
		return addr, CodePeerUnknown, errUnixSocket
	}
	pair, err := netip.ParseAddrPort(remote)
	if err != nil || pair.Port() == 0 || !client(canonical(pair.Addr())) {
		return addr, CodePeerRewritten, errRewritten
	}
	return canonical(pair.Addr()), "", nil
}

// believes reports whether a peer may name a client.
func (g *Gate) believes(peer netip.Addr) bool {
	return g.hops > 0 || !peer.IsValid() || g.trusts(peer)
}

func (g *Gate) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(g.trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// canonical gives one client one spelling.
func canonical(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// Wrap puts the address into the context for FromContext. Requests without
// one do not reach next.
func (g *Gate) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		addr, err := g.Check(r)
		if err == nil {
			next.ServeHTTP(w, r.WithContext(&addrContext{r.Context(), addr}))
			return
		}
		refused, _ := errors.AsType[*sallyport.Refusal](err) // Check says so
		if g == nil {
			unnamed.Answer(w, r, refused, nil)
			return
		}
		g.table.Answer(w, r, refused, g.onReject)
	})
}

// FromContext returns the client address that Gate.Wrap found.
func FromContext(ctx context.Context) (netip.Addr, bool) {
	addr, ok := ctx.Value(addrKey{}).(*netip.Addr)
	if !ok {
		return netip.Addr{}, false
	}
	return *addr, true
}

type addrKey struct{}

// addrContext carries the address in one allocation.
type addrContext struct {
	context.Context
	addr netip.Addr
}

func (c *addrContext) Value(key any) any {
	if key == (addrKey{}) {
		return &c.addr
	}
	return c.Context.Value(key)
}
