package sentryscrub

import (
	"net/http"
	"net/url"
	"strings"
)

// Transport returns a RoundTripper for the application's own requests that
// scrubs the baggage header on its way to next, or to http.DefaultTransport. The
// SDK writes the name of the transaction there, and so tells other companies
// what an address in it says. Put it below the SDK's:
//
//	client := &http.Client{Transport: sentryhttpclient.NewSentryRoundTripper(guard.Transport(nil))}
//
// The W3C Baggage format is list-member *( "," list-member ), each a key, an
// equals sign and a percent-encoded value (https://www.w3.org/TR/baggage/#header-content).
func (g *Guard) Transport(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &baggage{g: g, next: next}
}

type baggage struct {
	g    *Guard
	next http.RoundTripper
}

func (b *baggage) RoundTrip(r *http.Request) (*http.Response, error) {
	was := r.Header.Values("Baggage")
	clean := make([]string, 0, len(was))
	changed := false
	for _, header := range was {
		members := strings.Split(header, ",")
		for i, m := range members {
			if safe := b.member(m); safe != m {
				members[i], changed = safe, true
			}
		}
		clean = append(clean, strings.Join(members, ","))
	}
	if changed {
		r = r.Clone(r.Context()) // a RoundTripper must not change its request
		r.Header["Baggage"] = clean
	}
	return b.next.RoundTrip(r)
}

// member scrubs one member; properties after a semicolon count as its value.
func (b *baggage) member(m string) string {
	key, value, found := strings.Cut(m, "=")
	if !found {
		return m
	}
	plain, err := url.PathUnescape(value)
	if err != nil {
		plain = value
	}
	table, _ := b.g.s.Header(map[string][]string{strings.TrimSpace(key): {plain}})
	for safeKey, safe := range table {
		if len(safe) == 1 && (safe[0] != plain || safeKey != strings.TrimSpace(key)) {
			return safeKey + "=" + url.PathEscape(safe[0])
		}
	}
	return m
}
