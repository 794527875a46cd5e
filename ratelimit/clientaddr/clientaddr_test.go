package clientaddr_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
)

var proxies = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:ffff::/48"),
	netip.MustParsePrefix("::ffff:192.0.2.0/120"),
}

func newGate(t testing.TB, header string) *clientaddr.Gate {
	t.Helper()
	cfg := clientaddr.Config{Header: header}
	if header != "" {
		cfg.TrustedProxies = proxies
	}
	c, err := clientaddr.New(cfg)
	require.NoError(t, err)
	return c
}

func TestCheck(t *testing.T) {
	t.Parallel()
	const xff, fwd, real = "X-Forwarded-For", "Forwarded", "X-Real-IP"
	const (
		bad       = clientaddr.CodeForwardedMalformed
		unknown   = clientaddr.CodePeerUnknown
		rewritten = clientaddr.CodePeerRewritten
	)
	for name, tc := range map[string]struct {
		use, peer, header string
		lines             []string
		want              string
	}{
		"peer alone":        {"", "198.51.100.7:1", xff, []string{"1.1.1.1"}, "198.51.100.7"},
		"peer IPv6":         {"", "[2001:db8::1]:1", "", nil, "2001:db8::1"},
		"peer mapped":       {"", "[::ffff:198.51.100.7]:1", "", nil, "198.51.100.7"},
		"peer zoned":        {"", "[fe80::1%eth0]:1", "", nil, "fe80::1"},
		"peer without port": {"", "198.51.100.7", "", nil, rewritten},
		"peer unknown":      {"", "@", "", nil, unknown},
		"peer empty":        {"", "", "", nil, unknown},
		"untrusted peer lies": {
			xff, "198.51.100.7:1", xff,
			[]string{"1.1.1.1"},
			"198.51.100.7",
		},
		"trusted peer": {
			xff, "10.0.0.1:1", xff,
			[]string{"198.51.100.7"},
			"198.51.100.7",
		},
		// Split at the comma inside the quoted host, the client would choose.
		"escaped quote moves no cut": {
			fwd, "10.0.0.1:1", fwd,
			[]string{`for=198.51.100.7;host="x\", for=6.6.6.6;host=\"y"`},
			bad,
		},
		"trusted peer, no header": {xff, "10.0.0.1:1", xff, nil, "10.0.0.1"},
		"trusted as mapped": {
			xff, "192.0.2.9:1", xff,
			[]string{"198.51.100.7"},
			"198.51.100.7",
		},
		"client adds on the left": {
			xff, "10.0.0.1:1", xff,
			[]string{"1.1.1.1, 198.51.100.7"},
			"198.51.100.7",
		},
		"garbage on the left": {
			xff, "10.0.0.1:1", xff,
			[]string{"<script>,,, 198.51.100.7"},
			"198.51.100.7",
		},
		"through two proxies": {
			xff, "10.0.0.1:1", xff,
			[]string{"198.51.100.7, 10.9.9.9"},
			"198.51.100.7",
		},
		"two lines": {
			xff, "10.0.0.1:1", xff,
			[]string{"198.51.100.7", "10.9.9.9"},
			"198.51.100.7",
		},
		"last line counts": {
			xff, "10.0.0.1:1", xff,
			[]string{"1.1.1.1", "198.51.100.7"},
			"198.51.100.7",
		},
		"all trusted": {
			xff, "10.0.0.1:1", xff,
			[]string{"10.1.1.1, 10.2.2.2"},
			"10.1.1.1",
		},
		"with port": {
			xff, "10.0.0.1:1", xff,
			[]string{"198.51.100.7:4711"},
			"198.51.100.7",
		},
		"IPv6 with port": {
			xff, "10.0.0.1:1", xff,
			[]string{"[2001:db8::1]:4711"},
			"2001:db8::1",
		},
		"IPv6 in brackets": {
			xff, "10.0.0.1:1", xff,
			[]string{"[2001:db8::1]"},
			"2001:db8::1",
		},
		"spaces and tabs": {
			xff, "10.0.0.1:1", xff,
			[]string{" \t198.51.100.7\t "},
			"198.51.100.7",
		},
		"empty":                  {xff, "10.0.0.1:1", xff, []string{""}, bad},
		"empty elements":         {xff, "10.0.0.1:1", xff, []string{"198.51.100.7,, ,"}, "198.51.100.7"},
		"nobody's address":       {xff, "10.0.0.1:1", xff, []string{"0.0.0.0"}, bad},
		"nobody's address, IPv6": {xff, "10.0.0.1:1", xff, []string{"[::]:80"}, bad},
		"everybody's address":    {xff, "10.0.0.1:1", xff, []string{"224.0.0.1"}, bad},
		"mapped, nobody's":       {xff, "10.0.0.1:1", xff, []string{"::ffff:0.0.0.0"}, bad},
		"32 hops": {
			xff, "10.0.0.1:1", xff,
			[]string{"198.51.100.7" + strings.Repeat(",10.1.1.1", 31)},
			"198.51.100.7",
		},
		"33 hops": {
			xff, "10.0.0.1:1", xff, []string{"198.51.100.7" + strings.Repeat(",10.1.1.1", 32)}, bad,
		},
		"a comma first":          {xff, "10.0.0.1:1", xff, []string{",198.51.100.7"}, "198.51.100.7"},
		"half a bracket":         {xff, "10.0.0.1:1", xff, []string{"2001:db8::1]"}, bad},
		"the other half":         {xff, "10.0.0.1:1", xff, []string{"[2001:db8::1"}, bad},
		"nothing in brackets":    {xff, "10.0.0.1:1", xff, []string{"[]"}, bad},
		"no address in brackets": {xff, "10.0.0.1:1", xff, []string{"[x]"}, bad},
		"forwarded, comma first": {
			fwd, "10.0.0.1:1", fwd, []string{",for=198.51.100.7"}, "198.51.100.7",
		},
		"forwarded, one quote":    {fwd, "10.0.0.1:1", fwd, []string{`for="`}, bad},
		"forwarded, no node":      {fwd, "10.0.0.1:1", fwd, []string{`for=""`}, bad},
		"forwarded, quote before": {fwd, "10.0.0.1:1", fwd, []string{`for="198.51.100.7`}, bad},
		"forwarded, quote after":  {fwd, "10.0.0.1:1", fwd, []string{`for=198.51.100.7"`}, bad},
		"forwarded, quoted IPv4": {
			fwd, "10.0.0.1:1", fwd, []string{`for="198.51.100.7:80"`}, "198.51.100.7",
		},
		"peer is nobody":          {"", "0.0.0.0:80", "", nil, rewritten},
		"peer is everybody":       {"", "[ff02::1]:80", "", nil, rewritten},
		"nothing but commas":      {xff, "10.0.0.1:1", xff, []string{",,"}, bad},
		"not an address":          {xff, "10.0.0.1:1", xff, []string{"unknown"}, bad},
		"malformed after trusted": {xff, "10.0.0.1:1", xff, []string{"x, 10.2.2.2"}, bad},
		"leading zeros":           {xff, "10.0.0.1:1", xff, []string{"198.051.100.7"}, bad},
		"bracketed IPv4":          {xff, "10.0.0.1:1", xff, []string{"[198.51.100.7]"}, bad},
		"too many hops": {
			xff, "10.0.0.1:1", xff,
			[]string{strings.Repeat("10.1.1.1,", 40) + "10.1.1.1"},
			bad,
		},
		"other header ignored": {xff, "10.0.0.1:1", real, []string{"198.51.100.7"}, "10.0.0.1"},

		"forwarded": {
			fwd, "10.0.0.1:1", fwd,
			[]string{"for=198.51.100.7"},
			"198.51.100.7",
		},
		"forwarded full": {
			fwd, "10.0.0.1:1", fwd,
			[]string{`For="[2001:db8::1]:80";proto=https;by=_x`},
			"2001:db8::1",
		},
		"forwarded chain": {
			fwd, "10.0.0.1:1", fwd,
			[]string{`for=1.1.1.1, for=198.51.100.7;by=10.1.1.1 , for=10.2.2.2`},
			"198.51.100.7",
		},
		"forwarded comma quote": {
			fwd, "10.0.0.1:1", fwd,
			[]string{`for=1.1.1.1;x="a,b", for=10.2.2.2`},
			"1.1.1.1",
		},
		"forwarded unknown":     {fwd, "10.0.0.1:1", fwd, []string{"for=unknown"}, bad},
		"forwarded obfuscated":  {fwd, "10.0.0.1:1", fwd, []string{"for=_hidden"}, bad},
		"forwarded no for":      {fwd, "10.0.0.1:1", fwd, []string{"proto=https"}, bad},
		"forwarded two for":     {fwd, "10.0.0.1:1", fwd, []string{"for=1.1.1.1;for=2.2.2.2"}, bad},
		"forwarded unquoted v6": {fwd, "10.0.0.1:1", fwd, []string{"for=[2001:db8::1]"}, bad},
		"forwarded no pair":     {fwd, "10.0.0.1:1", fwd, []string{"198.51.100.7"}, bad},

		"named":           {real, "10.0.0.1:1", real, []string{"198.51.100.7"}, "198.51.100.7"},
		"named two lines": {real, "10.0.0.1:1", real, []string{"1.1.1.1", "198.51.100.7"}, bad},
		"named a list":    {real, "10.0.0.1:1", real, []string{"1.1.1.1, 198.51.100.7"}, bad},
		"named untrusted": {real, "198.51.100.7:1", real, []string{"1.1.1.1"}, "198.51.100.7"},
		"named lower case": {
			"x-real-ip", "10.0.0.1:1", real,
			[]string{"198.51.100.7"},
			"198.51.100.7",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = tc.peer
			if tc.header != "" {
				r.Header[http.CanonicalHeaderKey(tc.header)] = tc.lines
			}
			addr, err := newGate(t, tc.use).Check(r)
			require.Equal(t, tc.peer, r.RemoteAddr, "RemoteAddr is untouched")
			switch tc.want {
			case bad, unknown, rewritten:
				rejection, ok := errors.AsType[*sallyport.Refusal](err)
				require.True(t, ok)
				require.Equal(t, tc.want, rejection.Code)
				require.Error(t, rejection.Unwrap())
			default:
				require.NoError(t, err)
				require.Equal(t, tc.want, addr.String())
			}
		})
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg  clientaddr.Config
		want []string
	}{
		"header without proxies": {
			clientaddr.Config{Header: "X-Real-IP"},
			[]string{"TrustedProxies"},
		},
		"proxies without header": {
			clientaddr.Config{TrustedProxies: proxies},
			[]string{"Header"},
		},
		"two problems": {clientaddr.Config{
			Header: "X Real", TrustedProxies: []netip.Prefix{{}, netip.MustParsePrefix("0.0.0.0/0")},
		}, []string{"Header", "TrustedProxies", "0.0.0.0/0"}},
		"the whole internet, mapped": {clientaddr.Config{
			Header: "X-Real-IP", TrustedProxies: []netip.Prefix{netip.MustParsePrefix("::ffff:0:0/96")},
		}, []string{"TrustedProxies", "::ffff:0.0.0.0/96"}},
		"too many": {clientaddr.Config{
			Header: "X-Real-IP", TrustedProxies: make([]netip.Prefix, 1001),
		}, []string{"at most 1000"}},
	} {
		_, err := clientaddr.New(tc.cfg)
		for _, want := range tc.want {
			require.ErrorContains(t, err, want, name)
		}
		_, ok := errors.AsType[*sallyport.ConfigError](err)
		require.True(t, ok, name)
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	ran := false
	next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ran = true
		addr, ok := clientaddr.FromContext(r.Context())
		require.True(t, ok)
		require.Equal(t, "192.0.2.1", addr.String())
	})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	newGate(t, "").Wrap(next).ServeHTTP(httptest.NewRecorder(), r)
	require.True(t, ran)
	_, ok := clientaddr.FromContext(r.Context())
	require.False(t, ok)

	ran = false
	for _, c := range []*clientaddr.Gate{nil, {}} {
		w := httptest.NewRecorder()
		c.Wrap(next).ServeHTTP(w, r)
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.Contains(t, w.Body.String(), clientaddr.CodeNotConfigured)
	}
	w := httptest.NewRecorder()
	r.RemoteAddr = "nonsense"
	newGate(t, "").Wrap(next).ServeHTTP(w, r)
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.False(t, ran)

	var seen string
	c, err := clientaddr.New(clientaddr.Config{
		OnReject: func(w http.ResponseWriter, _ *http.Request, r *sallyport.Refusal) {
			seen = r.Code
			w.WriteHeader(http.StatusTeapot)
		},
	})
	require.NoError(t, err)
	w = httptest.NewRecorder()
	c.Wrap(next).ServeHTTP(w, r)
	require.Equal(t, http.StatusTeapot, w.Code)
	require.Equal(t, clientaddr.CodePeerRewritten, seen)
}
