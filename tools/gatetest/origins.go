package gatetest

import (
	"net/http"
	"net/url"
	"strings"
)

const attacker = "https://attacker.example"

// originAttacks are what pages elsewhere can make a visitor's browser send, and
// what a lenient comparison of origins lets in.
func originAttacks() []attack {
	const gate = "cors"
	const fix = "put the route behind a cors.Gate that lists only the pages which need it"
	notListed := []string{"origin_not_listed", "foreign_page"}
	malformed := []string{"origin_malformed", "origin_not_listed", "foreign_page"}
	changes := []change{
		// The gate is missing, or reflects whatever origin asks.
		{name: "page of another site", codes: notListed, before: from(attacker)},
		// Sandboxed frames and redirects send null, and anybody can make one.
		{
			name: "opaque page", codes: []string{"origin_null", "foreign_page"},
			before: from("null"),
		},
		// Same-origin is decided by a header that the client, or no proxy, has set.
		{
			name: "page of another site, forwarded host", codes: notListed,
			before: func(t *trial, d *draft) {
				from(attacker)(t, d)
				d.Header.Set("X-Forwarded-Host", "attacker.example")
				d.Header.Set("X-Forwarded-Proto", "https")
			},
		},
		// strings.HasPrefix, or a regular expression without its "$".
		{
			name: "host that begins like a known one", codes: notListed, applies: hasKnown,
			before: fromKnown(func(u *url.URL) { u.Host = u.Hostname() + ".attacker.example" }),
		},
		// strings.HasSuffix, or a regular expression without its "^".
		{
			name: "host that ends like a known one", codes: notListed, applies: isHTTPS,
			before: fromKnown(func(u *url.URL) { u.Host = "attacker" + u.Host }),
		},
		// A wildcard that forgot the dot: "*example.com".
		{
			name: "domain that ends like a known one", codes: notListed, applies: isHTTPS,
			before: fromKnown(func(u *url.URL) { u.Host = "attacker" + lastLabels(u.Host) }),
		},
		// A regular expression with bare dots.
		{
			name: "dot of a known host as any character", codes: notListed, applies: isHTTPS,
			before: fromKnown(func(u *url.URL) { u.Host = strings.Replace(u.Host, ".", "x", 1) }),
		},
		// Hosts are compared, not origins: whoever controls a network is listed.
		{
			name: "known host without TLS", codes: notListed, applies: isHTTPS,
			before: fromKnown(func(u *url.URL) { u.Scheme = "http" }),
		},
		// url.URL.Hostname: another service of the host, or another user of it.
		{
			name: "known host on another port", codes: notListed, applies: isHTTPS,
			before: fromKnown(func(u *url.URL) { u.Host = u.Hostname() + ":8444" }),
		},
		// strings.Contains, or a parser more lenient than the browser.
		{
			name: "known host as userinfo", codes: malformed, applies: hasKnown,
			before: fromKnown(func(u *url.URL) {
				u.User, u.Host = url.User(u.Hostname()), "attacker.example"
			}),
		},
		// Browsers send lower case: who sends this is none, and a folded comparison is
		// often one that folds more than it should.
		{
			name: "known origin in another case", codes: malformed, applies: isHTTPS,
			before: func(t *trial, d *draft) { from(strings.ToUpper(known(t.suite, t.route)))(t, d) },
		},
		// Two layers read two different ones.
		{
			name: "two origins", codes: []string{"origin_repeated", "foreign_page"}, applies: hasKnown,
			before: func(t *trial, d *draft) {
				from(known(t.suite, t.route))(t, d)
				d.Header.Add("Origin", attacker)
			},
		},
		// One list for two kinds of trust: a customer's page acts for who is signed in.
		{
			name: "listed page on a route of the server's own", codes: notListed,
			applies: func(s *Suite, r *Route) bool { return s.Listed != "" && !r.Browser },
			before:  func(t *trial, d *draft) { from(t.suite.Listed)(t, d) },
		},
		// A handshake is a GET, needs no preflight, and carries cookies.
		{
			name: "WebSocket of another site", codes: notListed, applies: isGet,
			before: func(t *trial, d *draft) {
				from(attacker)(t, d)
				for _, name := range []string{"Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest"} {
					d.Header.Del(name) // Chromium sends none of them with a handshake
				}
				d.Header.Set("Connection", "Upgrade")
				d.Header.Set("Upgrade", "websocket")
				d.Header.Set("Sec-Websocket-Version", "13")
				d.Header.Set("Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
			},
		},
		// Loads without CORS have no Origin: only Sec-Fetch-Site tells.
		{
			name: "image of another site", codes: []string{"cross_site"}, applies: isGet,
			before: func(_ *trial, d *draft) {
				d.Header.Del("Origin")
				d.fetchSite("cross-site")
				d.Header.Set("Sec-Fetch-Mode", "no-cors")
				d.Header.Set("Sec-Fetch-Dest", "image")
			},
		},
	}
	var all []attack
	for _, c := range changes {
		all = append(all, c.attack(gate, fix, hasPages))
	}
	return append(all, preflightAttack(gate, fix), readableAttack(gate))
}

// lastLabels returns the last two labels of a host: about what is registered.
func lastLabels(host string) string {
	last := strings.LastIndexByte(host, '.')
	if last < 0 {
		return host
	}
	return host[strings.LastIndexByte(host[:last], '.')+1:]
}

// hasPages leaves out what a page cannot call: it has no key to sign with.
func hasPages(_ *Suite, r *Route) bool { return r.Sign == nil || r.Browser }

func isGet(_ *Suite, r *Route) bool { method, _ := r.line(); return method == http.MethodGet }

// known is an origin that may call the route, or is the server's own.
func known(s *Suite, r *Route) string {
	if r.Browser {
		return s.Listed
	}
	return s.Own
}

func hasKnown(s *Suite, r *Route) bool { return known(s, r) != "" }

// isHTTPS leaves out loopback, where lists may be wide.
func isHTTPS(s *Suite, r *Route) bool { return strings.HasPrefix(known(s, r), "https://") }

// from makes the draft that of a page on another origin.
func from(origin string) func(*trial, *draft) {
	return func(_ *trial, d *draft) {
		d.Header.Set("Origin", origin)
		d.fetchSite("cross-site")
	}
}

// fromKnown makes the draft that of a page on an origin like a known one.
func fromKnown(change func(*url.URL)) func(*trial, *draft) {
	return func(t *trial, d *draft) {
		u, err := url.Parse(known(t.suite, t.route))
		if err != nil {
			t.tb.Fatalf("gatetest: %v", err)
		}
		change(u)
		from(u.String())(t, d)
	}
}

// preflightAttack asks on behalf of a page elsewhere. Whoever answers, and with
// whatever status, must not permit.
func preflightAttack(gate, fix string) attack {
	return attack{
		name: "preflight of another site", gate: gate, fix: fix, applies: hasPages,
		run: func(t *trial) []string {
			method, target := t.route.line()
			r := newRequest(http.MethodOptions, target)
			r.Host = t.draft().Host
			r.Header.Set("Origin", attacker)
			r.Header.Set("Access-Control-Request-Method", method)
			r.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
			got := t.send(r)
			allowed := got.header.Get("Access-Control-Allow-Origin")
			if got.panicked != nil || allowed == "*" || allowed == attacker {
				return []string{got.String() + ", Access-Control-Allow-Origin: " + allowed}
			}
			return nil
		},
	}
}

// readableAttack is about the page that may call: its answer has to say so, to it
// alone, and a cache must not give it to another.
func readableAttack(gate string) attack {
	return attack{
		name: "answer for one page only", gate: gate,
		fix:     "put the gate outermost, and let no handler set its headers or replace Vary",
		applies: func(_ *Suite, r *Route) bool { return r.Browser },
		run: func(t *trial) (wrong []string) {
			got := t.genuine(t.draft())
			allowed := got.header.Values("Access-Control-Allow-Origin")
			switch {
			case len(allowed) == 1 && allowed[0] == "*":
				return nil // public data
			case len(allowed) != 1 || allowed[0] != t.suite.Listed:
				wrong = append(wrong, "Access-Control-Allow-Origin: "+strings.Join(allowed, " and "))
			}
			vary := strings.ToLower(strings.Join(got.header.Values("Vary"), ","))
			if !strings.Contains(vary, "origin") && !strings.Contains(vary, "*") {
				wrong = append(wrong, "Vary without Origin: "+vary)
			}
			return wrong
		},
	}
}
