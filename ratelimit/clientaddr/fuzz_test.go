package clientaddr_test

import (
	"errors"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
)

// The slow reference: split everything, understand all of it, and only then
// look for the client.

var (
	refBracketed = regexp.MustCompile(`^\[([^\[\]]*)\](?::([0-9]+))?$`)
	refWithPort  = regexp.MustCompile(`^([^:]*):([0-9]+)$`)
)

func refPort(s string) bool {
	if s == "" || len(s) > 20 {
		return s == ""
	}
	n := 0
	for _, c := range s {
		if n = n*10 + int(c-'0'); n > 65535 {
			return false
		}
	}
	return true
}

func refHost(s string) (netip.Addr, bool) {
	addr, ok := refParse(s)
	return addr, ok && addr != netip.IPv4Unspecified() && addr != netip.IPv6Unspecified() &&
		!addr.IsMulticast()
}

func refParse(s string) (netip.Addr, bool) {
	if m := refBracketed.FindStringSubmatch(s); m != nil {
		addr, err := netip.ParseAddr(m[1])
		return addr.Unmap().WithZone(""), err == nil && !addr.Is4() && refPort(m[2])
	}
	if m := refWithPort.FindStringSubmatch(s); m != nil {
		addr, err := netip.ParseAddr(m[1])
		return addr, err == nil && refPort(m[2])
	}
	addr, err := netip.ParseAddr(s)
	return addr.Unmap().WithZone(""), err == nil
}

func refFor(s string) (netip.Addr, bool) {
	if strings.Contains(s, `\`) {
		return netip.Addr{}, false
	}
	var nodes []string
	for pair := range strings.SplitSeq(s, ";") {
		name, value, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
		if !ok {
			return netip.Addr{}, false
		}
		if strings.EqualFold(name, "for") {
			nodes = append(nodes, value)
		}
	}
	if len(nodes) != 1 {
		return netip.Addr{}, false
	}
	if n := nodes[0]; len(n) >= 2 && strings.HasPrefix(n, `"`) && strings.HasSuffix(n, `"`) {
		return refHost(n[1 : len(n)-1])
	}
	if strings.ContainsAny(nodes[0], `":[]`) {
		return netip.Addr{}, false
	}
	return refHost(nodes[0])
}

// refSplit splits at commas, those in quotes excepted; quotes are paired from
// the right, since only the right end is known to be well-formed.
func refSplit(s string, quotes bool) []string {
	var parts []string
	for {
		cut := -1
		for i := range len(s) {
			if s[i] == ',' && (!quotes || strings.Count(s[i:], `"`)%2 == 0) {
				cut = i
			}
		}
		parts = append([]string{s[cut+1:]}, parts...)
		if cut < 0 {
			return parts
		}
		s = s[:cut]
	}
}

func refClient(header string, lines []string) (netip.Addr, bool) {
	var elements []string
	for _, line := range lines {
		elements = append(elements, refSplit(line, header == "Forwarded")...)
	}
	elements = slices.DeleteFunc(elements, func(e string) bool { return strings.Trim(e, " \t") == "" })
	var client netip.Addr
	for i := len(elements) - 1; i >= 0; i-- {
		parse := refHost
		if header == "Forwarded" {
			parse = refFor
		}
		addr, ok := parse(strings.Trim(elements[i], " \t"))
		if !ok || len(elements)-i > 32 {
			return netip.Addr{}, false
		}
		client = addr
		trusted := false
		for _, p := range proxies[:2] {
			trusted = trusted || p.Contains(addr)
		}
		trusted = trusted || netip.MustParsePrefix("192.0.2.0/24").Contains(addr)
		if !trusted {
			return client, true
		}
	}
	return client, client.IsValid()
}

func FuzzForwarding(f *testing.F) {
	for _, seed := range []string{
		"", ",", "198.51.100.7", "1.1.1.1, 198.51.100.7", "198.51.100.7, 10.9.9.9", "10.1.1.1",
		"[2001:db8::1]:80", "[::ffff:10.0.0.1]", "1.2.3.4:99999", "fe80::1%eth0, 10.0.0.1", "[1.2.3.4]:1",
		"for=198.51.100.7", `for="[2001:db8::1]:80";proto=https, for=10.2.2.2`, "for=_x", "for=unknown",
		`for=1.1.1.1;x="a,b", for=10.2.2.2`, `for="1.1.1.1`, `for=";for="`,
		`for=10.2.2.2;host="x\", for=6.6.6.6;host=\"y"`, "for=1.1.1.1;for=2.2.2.2",
	} {
		f.Add(seed, "10.3.3.3", true)
		f.Add(seed, "", false)
	}
	gates := map[string]*clientaddr.Gate{
		"X-Forwarded-For": newGate(f, "X-Forwarded-For"), "Forwarded": newGate(f, "Forwarded"),
	}
	f.Fuzz(func(t *testing.T, first, second string, two bool) {
		lines := []string{first}
		if two {
			lines = append(lines, second)
		}
		for header, gate := range gates {
			r := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{header: lines}}
			got, err := gate.Check(r)
			want, ok := refClient(header, lines)
			require.Equal(t, ok, err == nil, "%s %q: %v, want %v", header, lines, err, want)
			if err != nil {
				_, typed := errors.AsType[*sallyport.Refusal](err)
				require.True(t, typed)
				continue
			}
			require.Equal(t, want, got, "%s %q", header, lines)
			require.Empty(t, got.Zone())
			require.False(t, got.Is4In6())
		}
	})
}
