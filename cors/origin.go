package cors

import (
	"net/netip"
	"strings"
)

// maxOriginLen leaves room for the longest host (253), a long scheme and a
// port; jub0bs/cors found no browser beyond it.
const maxOriginLen = 330

// origin is a serialized origin cut into its parts. Authority is host and
// port as they stood in it.
type origin struct{ scheme, host, port, authority string }

// parseOrigin accepts what a browser can send as an Origin other than "null":
// the ASCII serialization (https://www.rfc-editor.org/rfc/rfc6454#section-6.2) in
// the canonical form of the URL standard (https://url.spec.whatwg.org/#host-serializing).
// It does not allocate.
//
// Being stricter than net/url is the point: with a lenient parser,
// "https://evil.test#.example.com" ends in a listed suffix.
func parseOrigin(s string) (o origin, ok bool) {
	if len(s) > maxOriginLen {
		return origin{}, false
	}
	o.scheme, o.authority, ok = strings.Cut(s, "://")
	if !ok || !isScheme(o.scheme) {
		return origin{}, false
	}
	o.host = o.authority
	from := strings.LastIndexByte(o.authority, ']') + 1 // colons in [::1] are no port
	if i := strings.IndexByte(o.authority[from:], ':'); i >= 0 {
		o.host, o.port = o.authority[:from+i], o.authority[from+i+1:]
		if !isDecimal(o.port, 65535) || o.port == defaultPort(o.scheme) {
			return origin{}, false
		}
	}
	if o.host == "." { // the host of Electron apps: app://.
		return o, !isSocket(o.scheme) && defaultPort(o.scheme) == ""
	}
	return o, isHost(o.host)
}

// isSocket reports whether a scheme is one of WebSocket URLs. Pages that open
// sockets send their own origin; these come from native clients only.
func isSocket(scheme string) bool { return scheme == "ws" || scheme == "wss" }

// isInsecure reports whether anybody on the way can speak for an origin.
func isInsecure(o origin) bool {
	return (o.scheme == "http" || o.scheme == "ws") && !isLoopback(o.host)
}

// defaultPort is the port that serializing leaves out
// (https://url.spec.whatwg.org/#default-port). Other schemes have none, and native
// WebSocket clients, which write their own Origin, do not leave theirs out.
func defaultPort(scheme string) string {
	switch scheme {
	case "https":
		return "443"
	case "http":
		return "80"
	}
	return ""
}

// isScheme follows RFC 3986 section 3.1, lower case only.
func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !isLower(c) && (i == 0 || !isDigit(c) && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return s != ""
}

// isHost follows the host parser (https://url.spec.whatwg.org/#concept-host-parser)
// for hosts that are already serialized: nothing is decoded, nothing is mapped.
func isHost(s string) bool {
	if strings.HasPrefix(s, "[") {
		return strings.HasSuffix(s, "]") && isIPv6(s[1:len(s)-1])
	}
	name := strings.TrimSuffix(s, ".") // a fully qualified name is an origin of its own
	last := name[strings.LastIndexByte(name, '.')+1:]
	if isNumber(last) {
		// https://url.spec.whatwg.org/#ends-in-a-number-checker: such a host is an
		// address or an error.
		return isIPv4(s)
	}
	return isDomain(name)
}

// isDomain accepts letters, digits, hyphens and, as browsers do, underscores
// in labels of at most 63 bytes (https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4).
func isDomain(s string) bool {
	if len(s) > 253 {
		return false
	}
	label := 0
	for i := range len(s) {
		c := s[i]
		if c == '.' {
			if label == 0 {
				return false
			}
			label = 0
			continue
		}
		if label++; label > 63 || !isLower(c) && !isDigit(c) && c != '-' && c != '_' {
			return false
		}
	}
	return label > 0
}

// isNumber reports whether the URL standard would read a host's last label as
// a number: decimal, octal or hexadecimal.
func isNumber(s string) bool {
	digits, hex := strings.CutPrefix(s, "0x")
	for i := range len(digits) {
		c := digits[i]
		if !isDigit(c) && (!hex || c < 'a' || c > 'f') {
			return false
		}
	}
	return s != ""
}

// isIPv4 accepts four decimal parts. Shorter, octal and hexadecimal forms are
// for address bars; browsers have rewritten them before they send an Origin.
func isIPv4(s string) bool {
	for range 3 {
		part, rest, ok := strings.Cut(s, ".")
		if !ok || !isDecimal(part, 255) {
			return false
		}
		s = rest
	}
	return isDecimal(s, 255)
}

// isIPv6 accepts groups of hexadecimal digits, one run of at least two zero
// groups cut out. It lets pass some addresses that are valid but not the
// canonical form; isCanonical is for configuration.
func isIPv6(s string) bool {
	head, tail, cut := strings.Cut(s, "::")
	groups := countGroups(head) + countGroups(tail)
	if cut {
		return groups <= 6
	}
	return groups == 8
}

// countGroups counts the groups of half an IPv6 address; 9 is an error.
func countGroups(s string) (n int) {
	for s != "" {
		group, rest, more := strings.Cut(s, ":")
		if !isGroup(group) || more && rest == "" {
			return 9
		}
		s = rest
		n++
	}
	return n
}

// isGroup accepts up to four lower-case digits without leading zeros (RFC 5952
// section 4).
func isGroup(s string) bool {
	if s == "" || len(s) > 4 || s[0] == '0' && s != "0" {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isDigit(c) && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// isCanonical reports whether a browser would write the host like this; for
// anything but an IPv6 address, isHost has already made sure.
func isCanonical(host string) bool {
	if host[0] != '[' {
		return true
	}
	address, _ := netip.ParseAddr(host[1 : len(host)-1])
	return "["+address.String()+"]" == host
}

// isLoopback follows https://w3c.github.io/webappsec-secure-contexts/#localhost,
// with a final dot or without.
func isLoopback(host string) bool {
	host = strings.TrimSuffix(host, ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || host == "[::1]" {
		return true
	}
	return strings.HasPrefix(host, "127.") && isIPv4(host)
}

// isDecimal accepts 0 to limit without leading zeros.
func isDecimal(s string, limit int) bool {
	if s == "" || s[0] == '0' && s != "0" {
		return false
	}
	n := 0
	for i := range len(s) {
		n = n*10 + int(s[i]-'0')
		if !isDigit(s[i]) || n > limit {
			return false // before n can overflow
		}
	}
	return true
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
