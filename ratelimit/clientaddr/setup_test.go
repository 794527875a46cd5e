package clientaddr_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
)

// Middleware that writes into RemoteAddr what a header claims voids every limit
// behind it: forty requests with forty claims were forty clients. It is refused.
func TestRewrittenRemoteAddrIsRefused(t *testing.T) {
	t.Parallel()
	rewrites := map[string]func(claim string) string{
		"chi RealIP":           func(claim string) string { return claim },
		"gorilla ProxyHeaders": func(claim string) string { return claim },
		"gorilla ProxyHeaders, IP6": func(claim string) string {
			return "2001:db8::" + claim[len(claim)-1:]
		},
		"with a port that is none": func(claim string) string { return claim + ":0" },
		"a name":                   func(string) string { return "client.example:80" },
		"a chain":                  func(claim string) string { return claim + ", 10.0.0.1" },
	}
	limiter, err := ratelimit.New(ratelimit.Config{Policies: []func(*http.Request) ratelimit.Policy{
		ratelimit.PerAddress("address", ratelimit.PerHour(5)),
	}})
	require.NoError(t, err)
	for _, header := range []string{"", "X-Forwarded-For"} {
		for name, rewrite := range rewrites {
			passed := 0
			h := newGate(t, header).Wrap(limiter.Wrap(http.HandlerFunc(
				func(http.ResponseWriter, *http.Request) { passed++ })))
			for i := range 40 {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.RemoteAddr = rewrite(fmt.Sprintf("203.0.113.%d", i))
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				require.Equal(t, http.StatusInternalServerError, w.Code, name)
				require.Contains(t, w.Body.String(), clientaddr.CodePeerRewritten)
			}
			require.Zero(t, passed, name)
		}
	}
}

// The client is as many addresses from the right as there are proxies.
func TestTrustedHops(t *testing.T) {
	t.Parallel()
	const short = clientaddr.CodeForwardedMalformed
	for name, tc := range map[string]struct {
		header string
		hops   int
		lines  []string
		want   string
	}{
		"one": {"X-Forwarded-For", 1, []string{"198.51.100.7"}, "198.51.100.7"},
		"one, and a lie": {
			"X-Forwarded-For", 1, []string{"1.1.1.1, 198.51.100.7"}, "198.51.100.7",
		},
		"two": {
			"X-Forwarded-For", 2, []string{"198.51.100.7, 34.1.1.1"}, "198.51.100.7",
		},
		"two, and a lie": {
			"X-Forwarded-For", 2, []string{"1.1.1.1,198.51.100.7,34.1.1.1"}, "198.51.100.7",
		},
		"two, over lines": {
			"X-Forwarded-For", 2, []string{"1.1.1.1", "198.51.100.7", "34.1.1.1"}, "198.51.100.7",
		},
		"empty elements": {
			"X-Forwarded-For", 2, []string{"198.51.100.7,, ,34.1.1.1,"}, "198.51.100.7",
		},
		"too short":           {"X-Forwarded-For", 2, []string{"198.51.100.7"}, short},
		"none":                {"X-Forwarded-For", 1, nil, short},
		"the client is no IP": {"X-Forwarded-For", 2, []string{"unknown, 34.1.1.1"}, short},
		"a proxy is no IP":    {"X-Forwarded-For", 2, []string{"198.51.100.7, x"}, short},
		"RFC 7239": {
			"Forwarded", 2, []string{"for=198.51.100.7, for=34.1.1.1;proto=https"}, "198.51.100.7",
		},
		"a lie that is no header": {"Forwarded", 1, []string{`for="x, for=198.51.100.7`}, "198.51.100.7"},
	} {
		g, err := clientaddr.New(clientaddr.Config{Header: tc.header, TrustedHops: tc.hops})
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if tc.lines != nil {
			r.Header[tc.header] = tc.lines
		}
		addr, err := g.Check(r)
		if tc.want == short {
			refused, ok := errors.AsType[*sallyport.Refusal](err)
			require.True(t, ok, name)
			require.Equal(t, short, refused.Code, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, tc.want, addr.String(), name)
	}
}

// A proxy on this host that speaks over a Unix socket has no address.
func TestUnixSocketPeer(t *testing.T) {
	t.Parallel()
	trusting, err := clientaddr.New(clientaddr.Config{
		Header: "X-Forwarded-For", TrustUnixSocket: true,
	})
	require.NoError(t, err)
	var found []string
	show := func(g *clientaddr.Gate) http.Handler {
		return g.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			addr, _ := clientaddr.FromContext(r.Context())
			found = append(found, addr.String())
		}))
	}
	mux := http.NewServeMux()
	mux.Handle("/trusting", show(trusting))
	mux.Handle("/not", show(newGate(t, "X-Forwarded-For")))
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(mux)
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
	get := func(path, chain string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x"+path, nil)
		require.NoError(t, err)
		if chain != "" {
			r.Header.Set("X-Forwarded-For", chain)
		}
		response, err := client.Do(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	require.Equal(t, 200, get("/trusting", "1.1.1.1, 198.51.100.7"))
	require.Equal(t, []string{"198.51.100.7"}, found)
	require.Equal(t, 400, get("/trusting", ""), "nobody says who the client is")
	require.Equal(t, 400, get("/not", "198.51.100.7"))
}

// Networks that are everybody, in whichever spelling, are not proxies.
func TestTrustedNetworks(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		proxies []string
		want    string // "": permitted
	}{
		"private": {
			[]string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"}, "",
		},
		"mapped":                 {[]string{"::ffff:10.0.0.0/104"}, ""},
		"one host":               {[]string{"192.0.2.7/32", "2001:db8::1/128"}, ""},
		"bits below the prefix":  {[]string{"10.1.2.3/8"}, ""},
		"everybody":              {[]string{"0.0.0.0/0"}, "more of the internet"},
		"everybody, IPv6":        {[]string{"::/0"}, "more of the internet"},
		"two halves":             {[]string{"0.0.0.0/1", "128.0.0.0/1"}, "more of the internet"},
		"global unicast":         {[]string{"2000::/3"}, "more of the internet"},
		"mapped, everybody":      {[]string{"::ffff:0:0/96"}, "more of the internet"},
		"mapped, with IPv4 bits": {[]string{"::ffff:10.0.0.0/8"}, "IPv4-mapped"},
		"an eighth of the whole": {parts(32), ""},
		"more than an eighth":    {parts(33), "together"},
		"a registry's IPv6":      {[]string{"2001::/16"}, ""},
		"more than a registry's": {[]string{"2000::/15"}, "more of the internet"},
		"as wide as local IPv6":  {[]string{"2000::/8"}, "more of the internet"},
		"wider than local IPv6":  {[]string{"fc00::/6"}, "more of the internet"},
		"half of local IPv6":     {[]string{"fd00::/8"}, ""},
	} {
		var all []netip.Prefix
		for _, p := range tc.proxies {
			all = append(all, netip.MustParsePrefix(p))
		}
		_, err := clientaddr.New(clientaddr.Config{Header: "X-Real-IP", TrustedProxies: all})
		if tc.want == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, tc.want, name)
	}
	_, err := clientaddr.New(clientaddr.Config{
		Header: "X-Real-IP", TrustedProxies: make([]netip.Prefix, 1000),
	})
	require.ErrorContains(t, err, "is not a network")
	require.NotContains(t, err.Error(), "at most 1000")
	_, err = clientaddr.New(clientaddr.Config{Header: "Forwarded", TrustedHops: 32})
	require.NoError(t, err)
	for _, header := range []string{"azAZ09-", "!#$%&'*+-.^_`|~"} {
		_, err = clientaddr.New(clientaddr.Config{Header: header, TrustUnixSocket: true})
		require.NoError(t, err)
	}
	for _, header := range []string{"a b", "a:", "ä", "a\n", "[a", "a@", "a{"} {
		_, err = clientaddr.New(clientaddr.Config{Header: header, TrustUnixSocket: true})
		require.ErrorContains(t, err, "header name", header)
	}
	for name, cfg := range map[string]clientaddr.Config{
		"hops without a chain":  {Header: "X-Real-IP", TrustedHops: 1},
		"hops and proxies":      {Header: "Forwarded", TrustedHops: 1, TrustedProxies: proxies},
		"too many hops":         {Header: "Forwarded", TrustedHops: 33},
		"fewer than no hops":    {Header: "Forwarded", TrustedHops: -1},
		"hops without a header": {TrustedHops: 1},
		"a socket, no header":   {TrustUnixSocket: true},
	} {
		_, err := clientaddr.New(cfg)
		_, ok := errors.AsType[*sallyport.ConfigError](err)
		require.True(t, ok, name)
	}
}

// One host is one host: its neighbours are not proxies.
func TestOneTrustedHost(t *testing.T) {
	t.Parallel()
	g, err := clientaddr.New(clientaddr.Config{
		Header: "X-Real-IP", TrustedProxies: []netip.Prefix{netip.MustParsePrefix("2001:db8::1/128")},
	})
	require.NoError(t, err)
	for peer, want := range map[string]string{
		"2001:db8::1": "198.51.100.7",
		"2001:db8::2": "2001:db8::2",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = "[" + peer + "]:1"
		r.Header.Set("X-Real-IP", "198.51.100.7")
		addr, err := g.Check(r)
		require.NoError(t, err)
		require.Equal(t, want, addr.String())
	}
}

// Every refusal has a cause for operators, and the context keeps what was in it.
func TestCausesAndContext(t *testing.T) {
	t.Parallel()
	hops, err := clientaddr.New(clientaddr.Config{Header: "Forwarded", TrustedHops: 1})
	require.NoError(t, err)
	unix, err := clientaddr.New(clientaddr.Config{Header: "Forwarded", TrustUnixSocket: true})
	require.NoError(t, err)
	for _, row := range []struct {
		gate   *clientaddr.Gate
		remote string
		cause  string
	}{
		{nil, "192.0.2.1:1", "New"},
		{&clientaddr.Gate{}, "192.0.2.1:1", "New"},
		{hops, "192.0.2.1:1", "TrustedHops"},
		{unix, "@", "Unix socket"},
		{hops, "@", "Unix socket"},
		{hops, "x", "RemoteAddr"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = row.remote
		addr, err := row.gate.Check(r)
		require.False(t, addr.IsValid())
		refused, ok := errors.AsType[*sallyport.Refusal](err)
		require.True(t, ok)
		require.ErrorContains(t, refused.Err, row.cause)
	}
	type key struct{}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r = r.WithContext(context.WithValue(r.Context(), key{}, "kept"))
	newGate(t, "").Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		require.Equal(t, "kept", r.Context().Value(key{}))
	})).ServeHTTP(httptest.NewRecorder(), r)
}

// parts are so many /8.
func parts(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%d.0.0.0/8", i+11)
	}
	return all
}

// Each decision is one event, Check included, with the address where there is one.
func TestEvents(t *testing.T) {
	t.Parallel()
	var events []sallyport.Event
	g, err := clientaddr.New(clientaddr.Config{
		OnEvent: func(_ context.Context, e sallyport.Event) { events = append(events, e) },
	})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	_, err = g.Check(r)
	require.NoError(t, err)
	bad := httptest.NewRequest(http.MethodGet, "/", nil)
	bad.RemoteAddr = "@"
	g.Wrap(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), bad)
	require.Equal(t, []sallyport.Event{
		{
			Gate: "clientaddr", Code: clientaddr.CodeFound, Allowed: true, Request: r,
			Detail: netip.MustParseAddr("192.0.2.1"),
		},
		{Gate: "clientaddr", Code: clientaddr.CodePeerUnknown, Request: bad, Err: events[1].Err},
	}, events)
	require.Error(t, events[1].Err)
}

func TestAllocations(t *testing.T) {
	g := newGate(t, "X-Forwarded-For")
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "10.0.0.1:1"
	r.Header.Set("X-Forwarded-For", "198.51.100.7, 10.1.1.1")
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = g.Check(r) }))
}
