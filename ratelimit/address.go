package ratelimit

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/textproto"
	"slices"
	"strings"
)

// ClientAddrConfig says where a request's client address comes from. There is
// no safe guess: pick the one header that your outermost proxy writes, or none.
type ClientAddrConfig struct {
	_ [0]func() // keyed literals only

	// Header is the one source that counts when the connecting peer is a
	// trusted proxy:
	//
	//   - "" (default): none. The client is the connecting peer.
	//   - "X-Forwarded-For" or "Forwarded" (RFC 7239): a chain. The client is
	//     the rightmost address that is not a trusted proxy.
	//   - any other, such as "X-Real-IP" or "CF-Connecting-IP": one address.
	//
	// From any other peer the header is ignored, and without the header a
	// trusted proxy speaks for itself. A header that cannot be read refuses
	// the request.
	Header string
	// TrustedProxies are the networks whose peers may name a client. Required
	// with Header, refused without. At most 1,000; /0 is refused.
	TrustedProxies []netip.Prefix

	// OnReject, if set, replaces the default problem+json answer.
	OnReject func(http.ResponseWriter, *http.Request, *Rejection)
}

// ClientAddr finds the address of the client behind a request. It never alters
// RemoteAddr. The zero value refuses everything. It is safe for concurrent
// use.
type ClientAddr struct {
	header   string
	trusted  []netip.Prefix
	chain    func(lines []string, trusted func(netip.Addr) bool) (netip.Addr, error)
	onReject func(http.ResponseWriter, *http.Request, *Rejection)
	ready    bool
}

const maxProxies = 1000

// NewClientAddr returns a ClientAddr, or every problem of the configuration.
func NewClientAddr(cfg ClientAddrConfig) (*ClientAddr, error) {
	c := &ClientAddr{onReject: cfg.OnReject, ready: true}
	var errs []error
	bad := func(field, value, reason string) {
		errs = append(errs, &ConfigError{field, value, reason})
	}
	switch {
	case cfg.Header == "" && len(cfg.TrustedProxies) > 0:
		bad("Header", "", "name the header that the trusted proxies write")
	case cfg.Header != "" && len(cfg.TrustedProxies) == 0:
		bad("TrustedProxies", "", "name the peers whose "+cfg.Header+" counts")
	case strings.ContainsFunc(cfg.Header, notToken):
		bad("Header", cfg.Header, "is not a header name")
	}
	if len(cfg.TrustedProxies) > maxProxies {
		bad("TrustedProxies", "", "want at most 1000")
	}
	for _, p := range cfg.TrustedProxies {
		network := unmapPrefix(p.Masked()) // ::ffff:0:0/96 is 0.0.0.0/0
		if !network.IsValid() || network.Bits() == 0 {
			bad("TrustedProxies", p.String(), "want a network smaller than the whole internet")
			continue
		}
		c.trusted = append(c.trusted, network)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	c.header = textproto.CanonicalMIMEHeaderKey(cfg.Header)
	switch c.header {
	case "X-Forwarded-For":
		c.chain = rightmostXFF
	case "Forwarded":
		c.chain = rightmostForwarded
	default:
		c.chain = single
	}
	return c, nil
}

// Check returns the client's address: IPv4-mapped addresses as IPv4, without
// zone. The error is nil or a *Rejection.
func (c *ClientAddr) Check(r *http.Request) (netip.Addr, error) {
	if c == nil || !c.ready {
		return netip.Addr{}, reject(ReasonNotConfigured, errNotConfigured)
	}
	peer, err := parseHost(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, reject(ReasonPeerUnknown, err)
	}
	if c.header == "" || !c.trusts(peer) {
		return peer, nil
	}
	lines := r.Header[c.header]
	if len(lines) == 0 {
		return peer, nil
	}
	addr, err := c.chain(lines, c.trusts)
	if err != nil {
		return netip.Addr{}, reject(ReasonForwardedMalformed, err)
	}
	return addr, nil
}

// Wrap puts the address into the context for FromContext. Requests without
// one do not reach next.
func (c *ClientAddr) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		addr, err := c.Check(r)
		if err == nil {
			next.ServeHTTP(w, r.WithContext(&addrContext{r.Context(), addr}))
			return
		}
		rejection, ok := errors.AsType[*Rejection](err)
		if !ok {
			rejection = reject(ReasonPeerUnknown, err)
		}
		if c != nil && c.onReject != nil {
			c.onReject(w, r, rejection)
			return
		}
		rejection.Write(w)
	})
}

// FromContext returns the client address that ClientAddr.Wrap found.
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

func (c *ClientAddr) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(c.trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}

func reject(reason Reason, err error) *Rejection {
	return &Rejection{Reason: reason, Status: reason.status(), Err: err}
}

var (
	wellKnownNAT64 = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052 section 2.1
	localNAT64     = netip.MustParsePrefix("64:ff9b:1::/48") // RFC 8215
)

// canonical returns the address that names the client: one client must not
// have several spellings, nor several clients one.
func canonical(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if wellKnownNAT64.Contains(addr) {
		b := addr.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return addr
}

// unmapPrefix turns ::ffff:10.0.0.0/104 into 10.0.0.0/8, since addresses are
// compared unmapped.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// notToken reports what cannot be in a field name (RFC 9110 section 5.6.2).
func notToken(c rune) bool {
	letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
	return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
}
