package gatetest_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/tools/gatetest"
	"github.com/stretchr/testify/require"
)

// broken are servers with one mistake, and the attack that is meant for it.
var broken = []struct {
	mistake, attack string
	change          func(*parts)
}{
	{"no origin gate", "page of another site", func(p *parts) { p.pages = pass }},
	{"null is an origin like others", "opaque page", origins(func(o string, _ *http.Request) bool {
		return o == listed || o == own || o == "null"
	})},
	{
		"the forwarded host makes a page same-origin", "page of another site, forwarded host",
		origins(func(o string, r *http.Request) bool {
			return o == listed || o == own || o == "https://"+r.Header.Get("X-Forwarded-Host")
		}),
	},
	{"prefix of the origin", "host that begins like a known one", origins(byPrefix)},
	{"suffix of the host", "host that ends like a known one", origins(bySuffix("shop.example.com"))},
	{"suffix of the domain", "domain that ends like a known one", origins(bySuffix("example.com"))},
	{"pattern with a bare dot", "dot of a known host as any character", origins(byPattern)},
	{"hosts are compared, not origins", "known host without TLS", origins(byHost)},
	{"ports do not count", "known host on another port", origins(byHostname)},
	{"the host is searched for", "known host as userinfo", origins(byContent)},
	{"case does not count", "known origin in another case", origins(byFold)},
	{"the first of two origins", "two origins", origins(byFirst)},
	{
		"customers' pages on the server's own routes",
		"listed page on a route of the server's own", func(p *parts) { p.people = p.pages },
	},
	{"handshakes pass", "WebSocket of another site", func(p *parts) {
		p.people = unless(p.people, func(r *http.Request) bool {
			return r.Header.Get("Upgrade") == "websocket"
		})
	}},
	{"handshakes without fetch metadata pass", "WebSocket of another site", func(p *parts) {
		p.people = unless(p.people, func(r *http.Request) bool {
			return r.Header.Get("Upgrade") == "websocket" && r.Header.Get("Sec-Fetch-Site") == ""
		})
	}},
	{"customers' images may be anybody's", "image of another site", func(p *parts) {
		p.pages = unless(p.pages, func(r *http.Request) bool { return r.Header.Get("Origin") == "" })
	}},
	{"loads without Origin pass", "image of another site", func(p *parts) {
		p.people = unless(p.people, func(r *http.Request) bool { return r.Header.Get("Origin") == "" })
	}},
	{"preflights are answered for everybody", "preflight of another site", func(p *parts) {
		p.pages = permissive(p.pages)
	}},
	{"preflights say that all is public", "preflight of another site", func(p *parts) {
		p.pages = publicPreflights(p.pages)
	}},
	{"the handler replaces Vary", "answer for one page only", func(p *parts) {
		p.handler = withHeader("Vary", "Accept-Encoding")
	}},
	{"the handler allows everybody", "answer for one page only", func(p *parts) {
		p.handler = withHeader("Access-Control-Allow-Origin", own)
	}},
	{"no signature gate", "no signature", func(p *parts) { p.signature = pass }},
	{"a signature is optional", "no signature", func(p *parts) {
		p.signature = unless(p.signature, func(r *http.Request) bool {
			return r.Header.Get("X-Ops-Signature") == ""
		})
	}},
	{"the time is optional", "part of the signature missing", verifier(flaws{optionalTime: true})},
	{"the time is not signed", "part of the signature altered", verifier(flaws{looseTime: true})},
	{"the last of two headers", "part of the signature twice", verifier(flaws{twice: true})},
	{"the body is not signed", "altered body", verifier(flaws{looseBody: true})},
	{"signatures never expire", "signed an hour ago", verifier(flaws{forever: true})},
	{"signatures may be ahead", "signed an hour ahead", verifier(flaws{ahead: true})},
	{"no replay store", "replayed request", verifier(flaws{replayed: true})},
	{"the bound is an order off", "body one byte too long", func(p *parts) {
		p.bounded = pass
		p.handler = bounded(10*maxBody, p.handler)
	}},
	{"no bound at all", "endless body", func(p *parts) { p.bounded = pass }},
	{"everybody is signed in", "nobody", func(p *parts) {
		p.session, p.access = pass, direct
	}},
	{"any cookie is a session", "guessed credential", func(p *parts) {
		p.session = anyCookie
		p.access = direct
	}},
	{"the last of two cookies", "doubled cookie", func(p *parts) {
		p.session = lastCookie(p.session)
	}},
	{"the client chooses its token", "planted cookie", homemade(jar{adopts: true})},
	{
		"the token survives a new sign-in", "cookie from before the sign-in",
		homemade(jar{adopts: true}),
	},
	{"old tokens live on", "cookie from before the sign-in", homemade(jar{keeps: true})},
	{"a cookie without attributes", "cookie that others can read or set", homemade(jar{bare: true})},
	{
		"only the cookie is removed", "cookie after the sign-out",
		homemade(jar{forgetsToEnd: true}),
	},
	{"members are not asked for", "another's object", func(p *parts) { p.access = direct }},
	{"members are not asked for", "own object asked by another", func(p *parts) { p.access = direct }},
	{"private answers may be kept", "answer that a cache may keep", func(p *parts) {
		p.log = func(log io.Writer) middleware { return cacheable(accessLog(log)) }
	}},
	{"the log has whole URLs", "secrets in the access log", logging(func(r *http.Request) string {
		return r.URL.String()
	})},
	{
		"the log has an address of the query", "secrets in the access log",
		logging(func(r *http.Request) string { return r.URL.Query().Get("email") }),
	},
	{
		"the log has whole URLs of what is refused", "secrets in the access log",
		logging(func(r *http.Request) string {
			if r.Header.Get("Origin") == "https://attacker.example" {
				return r.URL.String()
			}
			return ""
		}),
	},
	{"the log has cookies", "secrets in the access log", logging(func(r *http.Request) string {
		return r.Header.Get("Cookie")
	})},
	{"the log has signatures", "secrets in the access log", logging(func(r *http.Request) string {
		return r.Header.Get("X-Ops-Signature")
	})},
	{"the log has the referrer", "secrets in the access log", logging(func(r *http.Request) string {
		return r.Referer()
	})},
	{"refusals repeat the request", "secrets in a refusal", func(p *parts) {
		p.pages = echoing(p.pages)
	}},
	{"no limit", "flood", func(p *parts) { p.rate = pass }},
	{"a page cannot read its 429", "flood", func(p *parts) { p.rateFirst = true }},
	{"a 429 does not say until when", "flood", func(p *parts) {
		p.rate = counting(func(r *http.Request) string { return hostOf(r.RemoteAddr) }, "")
	}},
	{"a limit lower than declared", "flood", func(p *parts) { p.rate = countingTo(5, address, "1") }},
	{
		"the limit believes X-Forwarded-For", "flood with forged forwarding headers",
		func(p *parts) { p.rate = counting(forwardedFor, "1") },
	},
	{
		"the limit believes Forwarded", "flood with forged forwarding headers",
		func(p *parts) {
			p.rate = counting(func(r *http.Request) string {
				return r.Header.Get("Forwarded") + address(r)
			}, "1")
		},
	},
	{"the limit counts connections", "flood from many ports", func(p *parts) {
		p.rate = counting(func(r *http.Request) string { return r.RemoteAddr }, "1")
	}},
	{"the limit counts IPv6 addresses", "flood from one IPv6 network", func(p *parts) {
		p.rate = counting(address, "1")
	}},
	{"a handler panics", "genuine request", func(p *parts) {
		p.handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") })
	}},
	{"a gate refuses everybody", "genuine request", func(p *parts) { p.session = refuseAll }},
}

// TestEachMistakeIsCaught by the attack that is meant for it, however many others
// catch it too.
func TestEachMistakeIsCaught(t *testing.T) {
	t.Parallel()
	require.GreaterOrEqual(t, len(broken), 40)
	for _, b := range broken {
		t.Run(b.mistake+"/"+b.attack, func(t *testing.T) {
			t.Parallel()
			found := gatetest.Check(t, suite(t, b.change))
			caught := slices.ContainsFunc(found, func(f gatetest.Finding) bool {
				return f.Attack == b.attack && f.Got != "" && f.Fix != ""
			})
			require.True(t, caught, "not caught; findings: %v", found)
		})
	}
}

// TestDeclarationsAreChecked: what nobody declared, or nobody serves, or nobody
// needs to excuse.
func TestDeclarationsAreChecked(t *testing.T) {
	t.Parallel()
	s := suite(t, func(*parts) {})
	s.Served = append(slices.Clone(s.Served)[1:], "DELETE /sites/{site_id}")
	s.Routes[1].Accept = gatetest.Accepted{"flood": "nobody floods us"}
	var got []string
	for _, f := range gatetest.Check(t, s) {
		got = append(got, f.Route+": "+f.Attack)
	}
	require.Equal(t, []string{
		"DELETE /sites/{site_id}: undeclared route", "GET /healthz: route that is not served",
		"POST /events: needless excuse",
	}, got)
}

// TestTheSecondUserHasAnObject: or nothing that is refused him proves anything.
func TestTheSecondUserHasAnObject(t *testing.T) {
	t.Parallel()
	s := suite(t, func(*parts) {})
	for i := range s.Routes {
		if s.Routes[i].Other != "" {
			s.Routes[i].Other = "/sites/nobodys/orders"
		}
	}
	found := gatetest.Check(t, s)
	require.Len(t, found, 2)
	for _, f := range found {
		require.Equal(t, "another's object, by its owner", f.Attack)
		require.Equal(t, "404 resource_not_found", f.Got)
	}
}

// TestFloodsSayWhichRequest: the limit is either too low or too high.
func TestFloodsSayWhichRequest(t *testing.T) {
	t.Parallel()
	got := func(change func(*parts)) (all []string) {
		for _, f := range gatetest.Check(t, suite(t, change)) {
			if f.Attack == "flood" && f.Route == "POST /events" {
				all = append(all, f.Got)
			}
		}
		return all
	}
	require.Equal(t, []string{"request 6 of 20: 429 rate_limited"}, got(func(p *parts) {
		p.rate = countingTo(5, address, "1")
	}))
	require.Equal(t, []string{"request 6: 429 too_many, not rate_limited or forwarded_malformed " +
		"or peer_unknown"}, got(func(p *parts) {
		sent := 0
		p.rate = unless(func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				refuse(w, http.StatusTooManyRequests, "too_many")
			})
		}, func(*http.Request) bool { sent++; return sent <= 5 })
	}))
	require.Equal(t, []string{"22 requests pass"}, got(func(p *parts) { p.rate = pass }))
	require.Equal(t, []string{"429 rate_limited without Retry-After"}, got(func(p *parts) {
		p.rate = countingTo(20, address, "")
	}))
}

// TestFloodsComeLast: what they leave in a store that servers share must not answer
// for another gate.
func TestFloodsComeLast(t *testing.T) {
	t.Parallel()
	found := gatetest.Check(t, suite(t, func(p *parts) {
		p.pages, p.rate, p.session, p.access = pass, pass, pass, direct
	}))
	first := slices.IndexFunc(found, func(f gatetest.Finding) bool { return f.Gate == "ratelimit" })
	require.Positive(t, first)
	for _, f := range found[first:] {
		require.Equal(t, "ratelimit", f.Gate, f)
	}
	require.Len(t, found[first:], 8, "four floods on two routes")
}

// TestOwnCodesAreTranslated: a server may speak a wire contract of its own, and
// answer a replay with 200.
func TestOwnCodesAreTranslated(t *testing.T) {
	t.Parallel()
	s := suite(t, func(p *parts) { p.signature = renamed(p.signature) })
	require.NotEmpty(t, gatetest.Check(t, s))
	s.Codes = map[string][]string{
		"SIGNATURE": {"signature_missing", "signature_malformed", "signature_invalid"},
		"TIME":      {"signature_expired", "signature_not_yet_valid"},
		"DONE":      {"request_replayed"},
	}
	require.Empty(t, gatetest.Check(t, s))
}

func direct(_ *sessions.Manager[struct{}], next http.Handler) http.Handler { return next }

func logging(field func(*http.Request) string) func(*parts) {
	return func(p *parts) {
		p.log = func(log io.Writer) middleware {
			return func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.WriteString(log, field(r)+"\n")
					next.ServeHTTP(w, r)
				})
			}
		}
	}
}

// TestOneShotRoutesAreFlooded: a route that works once is limited like any other, and its
// later answers are no finding.
func TestOneShotRoutesAreFlooded(t *testing.T) {
	t.Parallel()
	suite := func(limited bool) gatetest.Suite {
		return gatetest.Suite{
			New: func(testing.TB, io.Writer) http.Handler {
				seen := 0
				return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					seen++
					switch {
					case limited && seen > 10:
						w.Header().Set("Retry-After", "1")
						w.Header().Set("Content-Type", "application/problem+json")
						w.WriteHeader(http.StatusTooManyRequests)
						_, _ = io.WriteString(w, `{"code":"rate_limited"}`)
					case seen > 1:
						w.WriteHeader(http.StatusNotFound)
					}
				})
			},
			Served: []string{"DELETE /it"},
			Routes: []gatetest.Route{{Pattern: "DELETE /it", Public: true, Limit: 10}},
		}
	}
	floods := func(s gatetest.Suite) (n int) {
		for _, f := range gatetest.Check(t, s) {
			if strings.HasPrefix(f.Attack, "flood") && !strings.Contains(f.Attack, "forged") {
				n++
			}
		}
		return n
	}
	require.Zero(t, floods(suite(true)))
	require.NotZero(t, floods(suite(false)))
}
