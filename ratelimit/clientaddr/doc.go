// Package clientaddr finds the address of the client behind a request, from the
// connection or from the one header that a trusted peer wrote.
//
// # Threat
//
// A header such as X-Forwarded-For is text that anybody can send. Believed from
// the wrong peer, or from the wrong end, it lets a client choose its own address:
// every limit by address, every allow list and every log line is then worth
// nothing. Ignored behind a proxy, it makes one client of all.
//
// # Guarantees
//
//   - A header counts only from a peer that the configuration trusts, only one
//     header does, and a chain is read from the right, where the nearest proxy
//     wrote, no further than the first address that is not trusted. What stands
//     left of that is not even parsed.
//   - A header that cannot be read is a refusal, not a guess.
//   - One client has one spelling: IPv4-mapped addresses become IPv4, zones go.
//   - RemoteAddr is never altered. One that net/http did not write, because
//     middleware in front has replaced it by what a header claims, is a refusal.
//   - Networks that are everybody (0.0.0.0/0, its halves, ::ffff:10.0.0.0/8 read as
//     ::/8) are errors of the configuration.
//
// # Not guaranteed
//
// An address is not a person: people behind one NAT share it, and who owns a
// network has many. With TrustedHops every peer is believed: nothing but the
// balancer may be able to connect. A proxy that passes on what clients send
// instead of writing the header itself cannot be told from one that does not.
//
// # Your set-up, and what to use
//
//	nothing in front                    Config{}
//	nginx, Caddy, HAProxy on this host  Header "X-Forwarded-For", TrustedProxies 127.0.0.1/32
//	the same, over a Unix socket        Header "X-Forwarded-For", TrustUnixSocket
//	the same, in a private network      Header "X-Forwarded-For", TrustedProxies its subnet
//	AWS ALB, Kubernetes ingress         Header "X-Forwarded-For", TrustedProxies subnet, pods
//	Google Cloud load balancer          Header "X-Forwarded-For", TrustedHops 2 (it appends two)
//	Heroku, Render, Cloud Run           Header "X-Forwarded-For", TrustedHops 1
//	Cloudflare                          Header "CF-Connecting-IP", TrustedProxies their list
//	Cloudflare, then nginx              Header "X-Forwarded-For", TrustedProxies their list and nginx
//	Fastly                              Header "Fastly-Client-IP", TrustedProxies their list
//	Akamai                              Header "True-Client-IP", TrustedProxies their list
//	an RFC 7239 proxy (Envoy, Apache)   Header "Forwarded", TrustedProxies its addresses
//	PROXY protocol                      Config{}, behind a net.Listener that speaks it
//
// A header of one address counts as long as the proxy replaces what the client
// sends: nginx with `proxy_set_header X-Real-IP $remote_addr`, not with
// `$http_x_real_ip`. Middleware that rewrites RemoteAddr (chi's RealIP, gorilla's
// ProxyHeaders) must go: this package replaces it.
//
// # Before going live
//
// Ask from outside, through everything that stands in front, and compare with the
// address that you have there (a "what is my address" page tells):
//
//	curl https://app.example/whoami
//	curl -H 'X-Forwarded-For: 203.0.113.99' https://app.example/whoami
//	curl -H 'X-Real-IP: 203.0.113.99' -H 'CF-Connecting-IP: 203.0.113.99' \
//	     -H 'Forwarded: for=203.0.113.99' https://app.example/whoami
//	curl --connect-to ::origin.example: \
//	     -H 'X-Forwarded-For: 203.0.113.99' https://app.example/whoami
//
// with a handler that shows what was found, behind authentication or for an hour:
//
//	addr, _ := clientaddr.FromContext(r.Context())
//	fmt.Fprintln(w, addr, r.RemoteAddr, r.Header)
//
// The first three must answer your own address, and the last, past the proxies,
// must not connect or answer your own address as well. An answer of 203.0.113.99
// means that clients choose their address; one that is a proxy's means that the
// header or a network is missing. ExampleGate_verify is the same as a test.
//
// # Place among the gates
//
// After the origin gate and before every limit: what counts by address needs it.
//
// # Memory
//
// None, but the configuration.
//
// # Example
//
//	address, err := clientaddr.New(clientaddr.Config{
//		Header:         "X-Forwarded-For",
//		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
//	})
//	...
//	http.Handle("/", address.Wrap(limiter.Wrap(app)))
//
// Sources: RFC 7239, RFC 9110 section 5.6.1.2, RFC 6890, and the survey at
// https://adam-p.ca/blog/2022/03/x-forwarded-for/.
package clientaddr
