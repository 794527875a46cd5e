package gatetest

import (
	"fmt"
	"net/netip"
	"strconv"
)

// limited are the codes that end a flood. A server that does not believe a
// forwarding header at all may refuse it as malformed.
var limited = []string{"rate_limited", "forwarded_malformed", "peer_unknown"}

// floodAttacks send as many requests as pass and then some.
func floodAttacks() []attack {
	const gate = "ratelimit"
	isLimited := func(_ *Suite, r *Route) bool { return r.Limit > 0 }
	// Over loopback every request comes from 127.0.0.1.
	inProcess := func(s *Suite, r *Route) bool { return isLimited(s, r) && !s.Loopback }
	const key = "count by the address that the connection has, or one header of trusted peers " +
		"(ratelimit's client address), whole IPv6 networks, and never the port"
	return []attack{
		{
			name: "flood", gate: gate, late: true, applies: isLimited,
			fix: "put the route behind a ratelimit.Limiter, inside the origin gate",
			run: func(t *trial) []string { return flood(t, func(*draft, int) {}) },
		},
		// Anybody may write these. A limiter that believes one counts one request of
		// each of many addresses.
		{
			name: "flood with forged forwarding headers", gate: gate, late: true, applies: isLimited,
			fix: key,
			run: func(t *trial) []string { return flood(t, forge) },
		},
		// http.Request.RemoteAddr has the port, and every connection another one.
		{
			name: "flood from many ports", gate: gate, late: true, applies: inProcess, fix: key,
			run: func(t *trial) []string {
				return flood(t, func(d *draft, i int) {
					d.RemoteAddr = "203.0.113.7:" + strconv.Itoa(1024+i%60000)
				})
			},
		},
		// A subscriber has a /64 at least: 2^64 addresses.
		{
			name: "flood from one IPv6 network", gate: gate, late: true, applies: inProcess, fix: key,
			run: func(t *trial) []string {
				return flood(t, func(d *draft, i int) {
					address := netip.MustParseAddr("2001:db8::1").As16()
					address[14], address[15] = byte(i>>8), byte(i)
					d.RemoteAddr = netip.AddrPortFrom(netip.AddrFrom16(address), 40000).String()
				})
			},
		},
	}
}

// forge puts another address into every header that has been believed somewhere.
func forge(d *draft, i int) {
	address := netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}).String()
	for _, name := range []string{
		"X-Forwarded-For", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "Fastly-Client-Ip",
		"X-Client-Ip", "X-Cluster-Client-Ip",
	} {
		d.Header.Set(name, address)
	}
	d.Header.Set("Forwarded", "for="+address)
}

// flood sends the requests that the limit allows, and then those that it must
// not. Time passes meanwhile, so a tenth more may pass.
func flood(t *trial, change func(*draft, int)) []string {
	most := t.route.Limit + max(2, t.route.Limit/10)
	for i := range most {
		d := t.draft()
		change(d, i)
		for range i { // no two are the same, or a replay store would refuse them
			if len(d.body) > 0 {
				d.body = append(d.body, ' ')
			}
		}
		got := t.genuine(d)
		switch {
		case t.accepted(got):
		case i > 0 && !t.refused(got, limited) && got.status != 429 && got.status < 500:
			// The first one has ended the object, or the session, and the others are
			// counted all the same.
		case !t.refused(got, limited):
			return []string{fmt.Sprintf("request %d: %s, not %s", i+1, got, oneOf(limited))}
		case i < t.route.Limit && got.code == "rate_limited":
			return []string{fmt.Sprintf("request %d of %d: %s", i+1, t.route.Limit, got)}
		default:
			return t.readable(got)
		}
	}
	return []string{fmt.Sprintf("%d requests pass", most)}
}

// readable is what the client needs of a 429: how long to wait, and, on a listed
// page, the right to read that. Pages of the server's own need no header.
func (t *trial) readable(got answer) (wrong []string) {
	if got.status != 429 {
		return nil
	}
	if got.header.Get("Retry-After") == "" {
		wrong = append(wrong, got.String()+" without Retry-After")
	}
	allowed := got.header.Get("Access-Control-Allow-Origin")
	if t.route.Browser && allowed != t.suite.Listed && allowed != "*" {
		wrong = append(wrong, got.String()+" that the page cannot read: the origin gate belongs outside")
	}
	return wrong
}
