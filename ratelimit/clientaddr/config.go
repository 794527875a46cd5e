package clientaddr

import (
	"context"
	"net/http"
	"net/netip"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
	"github.com/opsmantik/sallyport/internal/refusal"
)

// Config says where a request's client address comes from. There is no safe
// guess: pick the one header that your outermost proxy writes, or none. The
// package documentation has a table.
type Config struct {
	_ [0]func() // keyed literals only

	// Header is the one source that counts when the connecting peer is trusted:
	//
	//	""                 none: the client is the connecting peer (default)
	//	"X-Forwarded-For"  a chain, to which each proxy appends
	//	"Forwarded"        the same, in the form of RFC 7239
	//	"CF-Connecting-IP" any other name: one address
	//	"X-Real-IP"        the same
	//	"X Real IP"        refused: not a header name
	//
	// From any other peer the header is ignored, and without the header a trusted
	// proxy speaks for itself. A header that cannot be read refuses the request.
	Header string

	// TrustedProxies are the networks whose peers may name a client. In a chain
	// the client is the rightmost address that is in none of them. At most 1,000.
	//
	//	10.0.0.0/8, 2400:cb00::/32, fc00::/7, 192.0.2.7/32 // permitted
	//	::ffff:10.0.0.0/104                                // permitted: it is 10.0.0.0/8
	//	::ffff:10.0.0.0/8                                  // refused: it is ::/8
	//	0.0.0.0/0, or 0.0.0.0/1 and 128.0.0.0/1            // refused: that is everybody
	TrustedProxies []netip.Prefix

	// TrustedHops is for balancers whose networks nobody can list: how many
	// proxies append to the chain. The client is the address that the outermost of
	// them wrote, that many from the right; a shorter chain is refused. Every peer
	// is believed, so nothing but the balancer may be able to connect. 1 to 32,
	// with a chain only, and not with TrustedProxies.
	TrustedHops int

	// TrustUnixSocket believes the Header of peers that connect over a Unix
	// socket, which have no address. File permissions say who they are.
	TrustUnixSocket bool

	// OnEvent, if set, is called once per decision, after it. Event.Detail is the
	// netip.Addr that was found.
	OnEvent func(context.Context, sallyport.Event)
	// OnReject, if set, replaces the default problem+json answer.
	OnReject func(http.ResponseWriter, *http.Request, *sallyport.Refusal)
	// ProblemBase is what the type URIs of problem documents begin with. Default:
	// this project's docs/problems.md.
	ProblemBase string
}

const (
	maxProxies = 1000
	// The largest networks that one operator has: 10.0.0.0/8, and fc00::/7 of
	// RFC 4193; registries hand out no more than an IPv6 /16.
	minBits4, minBits6, minBitsLocal = 8, 16, 7
	// An eighth of the IPv4 internet, in /32: more than any operator has.
	maxAddresses = 1 << 29
)

var uniqueLocal = netip.MustParsePrefix("fc00::/7")

// New returns a Gate, or every problem of the configuration at once, each a
// *[sallyport.ConfigError].
func New(cfg Config) (*Gate, error) {
	problems := configerr.For(gate)
	header := textproto.CanonicalMIMEHeaderKey(cfg.Header)
	chain := header == "X-Forwarded-For" || header == "Forwarded"
	trusts := len(cfg.TrustedProxies) > 0 || cfg.TrustedHops != 0 || cfg.TrustUnixSocket
	switch {
	case cfg.Header == "" && trusts:
		problems.Add("Header", "", sallyport.ConfigRequired,
			"name the header that the trusted proxies write")
	case cfg.Header != "" && !trusts:
		problems.Add("TrustedProxies", "", sallyport.ConfigRequired,
			"name the peers whose "+header+" counts")
	case strings.Trim(cfg.Header, tokens) != "":
		problems.Add("Header", cfg.Header, sallyport.ConfigMalformed, "is not a header name")
	}
	checkHops(problems, cfg, chain)
	g := &Gate{
		header: header, hops: cfg.TrustedHops, unix: cfg.TrustUnixSocket, ready: true,
		trusted: checkProxies(problems, cfg.TrustedProxies),
		onEvent: cfg.OnEvent, onReject: cfg.OnReject,
		table: refusal.NewTable(gate, cfg.ProblemBase, kinds...),
	}
	switch header {
	case "X-Forwarded-For":
		g.read = xff
	case "Forwarded":
		g.read = forwarded
	default:
		g.read = single
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return g, nil
}

func checkHops(problems *configerr.List, cfg Config, chain bool) {
	value := strconv.Itoa(cfg.TrustedHops)
	switch {
	case cfg.TrustedHops == 0:
	case cfg.TrustedHops < 1 || cfg.TrustedHops > maxHops:
		problems.Add("TrustedHops", value, sallyport.ConfigOutOfRange, "want 1 to 32, or 0 for none")
	case !chain:
		problems.Add("TrustedHops", value, sallyport.ConfigConflict,
			"counts the hops of X-Forwarded-For or Forwarded; set Header to one of them")
	case len(cfg.TrustedProxies) > 0:
		problems.Add("TrustedHops", value, sallyport.ConfigConflict,
			"set either TrustedHops or TrustedProxies")
	}
}

// checkProxies returns the networks as addresses are compared: unmapped.
func checkProxies(problems *configerr.List, proxies []netip.Prefix) []netip.Prefix {
	if len(proxies) > maxProxies {
		problems.Add("TrustedProxies", strconv.Itoa(len(proxies)), sallyport.ConfigOutOfRange,
			"want at most 1000")
	}
	var trusted []netip.Prefix
	addresses := 0
	for i, p := range proxies {
		field := "TrustedProxies[" + strconv.Itoa(i) + "]"
		network := unmap(p)
		switch addr := network.Addr(); {
		case !network.IsValid():
			problems.Add(field, "", sallyport.ConfigMalformed, "is not a network")
		case addr.Is4In6():
			problems.Add(field, p.String(), sallyport.ConfigMalformed, "is an IPv4-mapped address with "+
				"a prefix that is not; write it as an IPv4 network")
		case addr.Is4() && network.Bits() < minBits4,
			addr.Is6() && network.Bits() < minBits6 && !local(network):
			problems.Add(field, p.String(), sallyport.ConfigInsecure,
				"is more of the internet than any operator has; list the proxies' own networks")
		default:
			trusted = append(trusted, network.Masked())
			if addr.Is4() {
				addresses += 1 << (32 - network.Bits())
			}
		}
	}
	if addresses > maxAddresses {
		problems.Add("TrustedProxies", "", sallyport.ConfigInsecure,
			"are together more of the internet than any operator has")
	}
	return trusted
}

func local(p netip.Prefix) bool {
	return p.Bits() >= minBitsLocal && uniqueLocal.Contains(p.Addr())
}

// unmap turns ::ffff:10.0.0.0/104 into 10.0.0.0/8.
func unmap(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// tokens is what a field name is made of (RFC 9110 section 5.6.2).
const tokens = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" // #nosec G101 -- the characters of a header name
