package clientaddr

import (
	"errors"
	"net/netip"
	"strings"
)

// Chains are read from the right, where the nearest proxy wrote, and only as
// far as the first address that is not a trusted proxy. What stands left of it
// was written by the client, or by somebody who cannot be checked: it is not
// even parsed, so that it can neither mislead nor get anyone refused. Whatever
// stands right of it must be well-formed.

// maxHops bounds the trusted part of a chain.
const maxHops = 32

var (
	errNotAddress = errors.New("clientaddr: not an IP address")
	errTooLong    = errors.New("clientaddr: more than 32 trusted hops")
	errFewHops    = errors.New("clientaddr: the chain is shorter than TrustedHops")
	errManyLines  = errors.New("clientaddr: more than one line of a single-address header")
	errForwarded  = errors.New("clientaddr: not an RFC 7239 element with one for=")
)

// xff reads X-Forwarded-For: addresses with optional ports, comma separated, over
// one or more lines in order (RFC 9110 section 5.3).
func xff(lines []string, g *Gate) (netip.Addr, error) {
	return g.walk(lines, cutComma, parseHost)
}

// forwarded reads Forwarded (RFC 7239 section 4).
func forwarded(lines []string, g *Gate) (netip.Addr, error) {
	return g.walk(lines, cutElement, parseFor)
}

// single reads a header that holds one address.
func single(lines []string, _ *Gate) (netip.Addr, error) {
	if len(lines) != 1 {
		return netip.Addr{}, errManyLines
	}
	return parseHost(trimOWS(lines[0]))
}

// walk reads a chain from its end. With TrustedHops the client is that many
// elements from the right. Else it is the first that is not a trusted proxy, and
// when every hop is one, the leftmost made the request itself.
func (g *Gate) walk(
	lines []string,
	cut func(string) (rest, last string, more bool), parse func(string) (netip.Addr, error),
) (netip.Addr, error) {
	var addr netip.Addr
	hops := 0
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			var element string
			rest, element, more = cut(rest)
			if element = trimOWS(element); element == "" {
				continue // RFC 9110 section 5.6.1.2
			}
			if hops++; hops > maxHops {
				return netip.Addr{}, errTooLong
			}
			var err error
			if addr, err = parse(element); err != nil {
				return netip.Addr{}, err
			}
			if hops == g.hops || g.hops == 0 && !g.trusts(addr) {
				return addr, nil
			}
		}
	}
	switch {
	case hops == 0:
		return netip.Addr{}, errNotAddress
	case g.hops > 0:
		return netip.Addr{}, errFewHops
	}
	return addr, nil
}

func cutComma(s string) (rest, last string, more bool) {
	i := strings.LastIndexByte(s, ',')
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}

// cutElement is cutComma for values that may be quoted. Without escapes, the
// quotes of the last element can be matched from the right. An escaped quote
// would be matched wrongly, and could move the cut into a text that the client
// chose: parseFor refuses the escape, which is then always in the element.
func cutElement(s string) (rest, last string, more bool) {
	quoted := false
	for i := len(s) - 1; i >= 0; i-- {
		switch s[i] {
		case '"':
			quoted = !quoted
		case ',':
			if !quoted {
				return s[:i], s[i+1:], true
			}
		}
	}
	return "", s, false
}

// parseFor returns the address in the element's one "for" parameter. Unknown
// and obfuscated identifiers (section 6.2, 6.3) name nobody and are refused.
func parseFor(element string) (netip.Addr, error) {
	if strings.Contains(element, `\`) {
		return netip.Addr{}, errForwarded // no node needs one (section 6); see cutElement
	}
	var node string
	found := 0
	for more := true; more; {
		var pair string
		pair, element, more = strings.Cut(element, ";")
		name, value, ok := strings.Cut(trimOWS(pair), "=")
		if !ok {
			return netip.Addr{}, errForwarded
		}
		if strings.EqualFold(name, "for") {
			node = value
			found++
		}
	}
	if found != 1 {
		return netip.Addr{}, errForwarded
	}
	if inner, ok := strings.CutPrefix(node, `"`); ok {
		if inner, ok = strings.CutSuffix(inner, `"`); ok {
			return parseHost(inner)
		}
	}
	if strings.ContainsAny(node, `":[]`) {
		return netip.Addr{}, errForwarded // section 4: such a node must be quoted
	}
	return parseHost(node)
}

// parseHost accepts "192.0.2.1", "192.0.2.1:80", "2001:db8::1",
// "[2001:db8::1]" and "[2001:db8::1]:80", and nothing else. Addresses that no
// client can have (0.0.0.0, ::, multicast) are none.
func parseHost(s string) (netip.Addr, error) {
	addr, ok := parseAny(s)
	if addr = canonical(addr); !ok || !client(addr) {
		return netip.Addr{}, errNotAddress
	}
	return addr, nil
}

func parseAny(s string) (netip.Addr, bool) {
	if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(inner, "]") {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return addr, err == nil && !addr.Is4()
	}
	if strings.HasPrefix(s, "[") || strings.Count(s, ":") == 1 {
		pair, err := netip.ParseAddrPort(s)
		return pair.Addr(), err == nil
	}
	addr, err := netip.ParseAddr(s)
	return addr, err == nil
}

// client reports whether a connection can come from an address.
func client(addr netip.Addr) bool { return !addr.IsUnspecified() && !addr.IsMulticast() }

// trimOWS removes optional whitespace (RFC 9110 section 5.6.3).
func trimOWS(s string) string { return strings.Trim(s, " \t") }
