package ratelimit_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/ratelimit"
)

var proxies = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:ffff::/48"),
	netip.MustParsePrefix("::ffff:192.0.2.0/120"),
}

func clientAddr(t testing.TB, header string) *ratelimit.ClientAddr {
	t.Helper()
	cfg := ratelimit.ClientAddrConfig{Header: header}
	if header != "" {
		cfg.TrustedProxies = proxies
	}
	c, err := ratelimit.NewClientAddr(cfg)
	require.NoError(t, err)
	return c
}

func TestClientAddr(t *testing.T) {
	t.Parallel()
	const xff, fwd, real = "X-Forwarded-For", "Forwarded", "X-Real-IP"
	const bad = "bad"
	for name, tc := range map[string]struct {
		use, peer, header string
		lines             []string
		want              string
	}{
		"peer alone":        {"", "198.51.100.7:1", xff, []string{"1.1.1.1"}, "198.51.100.7"},
		"peer IPv6":         {"", "[2001:db8::1]:1", "", nil, "2001:db8::1"},
		"peer mapped":       {"", "[::ffff:198.51.100.7]:1", "", nil, "198.51.100.7"},
		"peer zoned":        {"", "[fe80::1%eth0]:1", "", nil, "fe80::1"},
		"peer without port": {"", "198.51.100.7", "", nil, "198.51.100.7"},
		"peer unknown":      {"", "@", "", nil, "peer"},
		"peer empty":        {"", "", "", nil, "peer"},
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
		"empty":                   {xff, "10.0.0.1:1", xff, []string{""}, bad},
		"empty element":           {xff, "10.0.0.1:1", xff, []string{"198.51.100.7,"}, bad},
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
			addr, err := clientAddr(t, tc.use).Check(r)
			require.Equal(t, tc.peer, r.RemoteAddr, "RemoteAddr is untouched")
			switch tc.want {
			case bad, "peer":
				rejection, ok := errors.AsType[*ratelimit.Rejection](err)
				require.True(t, ok)
				want := ratelimit.ReasonForwardedMalformed
				if tc.want == "peer" {
					want = ratelimit.ReasonPeerUnknown
				}
				require.Equal(t, want, rejection.Reason)
				require.Error(t, rejection.Unwrap())
			default:
				require.NoError(t, err)
				require.Equal(t, tc.want, addr.String())
			}
		})
	}
}

func TestClientAddrConfig(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg  ratelimit.ClientAddrConfig
		want []string
	}{
		"header without proxies": {
			ratelimit.ClientAddrConfig{Header: "X-Real-IP"},
			[]string{"TrustedProxies"},
		},
		"proxies without header": {
			ratelimit.ClientAddrConfig{TrustedProxies: proxies},
			[]string{"Header"},
		},
		"two problems": {ratelimit.ClientAddrConfig{
			Header: "X Real", TrustedProxies: []netip.Prefix{{}, netip.MustParsePrefix("0.0.0.0/0")},
		}, []string{"Header", "TrustedProxies", "0.0.0.0/0"}},
		"the whole internet, mapped": {ratelimit.ClientAddrConfig{
			Header: "X-Real-IP", TrustedProxies: []netip.Prefix{netip.MustParsePrefix("::ffff:0:0/96")},
		}, []string{"TrustedProxies", "::ffff:0.0.0.0/96"}},
		"too many": {ratelimit.ClientAddrConfig{
			Header: "X-Real-IP", TrustedProxies: make([]netip.Prefix, 1001),
		}, []string{"at most 1000"}},
	} {
		_, err := ratelimit.NewClientAddr(tc.cfg)
		for _, want := range tc.want {
			require.ErrorContains(t, err, want, name)
		}
		_, ok := errors.AsType[*ratelimit.ConfigError](err)
		require.True(t, ok, name)
	}
}

func TestClientAddrWrap(t *testing.T) {
	t.Parallel()
	ran := false
	next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ran = true
		addr, ok := ratelimit.FromContext(r.Context())
		require.True(t, ok)
		require.Equal(t, "192.0.2.1", addr.String())
	})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	clientAddr(t, "").Wrap(next).ServeHTTP(httptest.NewRecorder(), r)
	require.True(t, ran)
	_, ok := ratelimit.FromContext(r.Context())
	require.False(t, ok)

	ran = false
	for _, c := range []*ratelimit.ClientAddr{nil, {}} {
		w := httptest.NewRecorder()
		c.Wrap(next).ServeHTTP(w, r)
		require.Equal(t, http.StatusInternalServerError, w.Code)
		require.Contains(t, w.Body.String(), "not_configured")
	}
	w := httptest.NewRecorder()
	r.RemoteAddr = "nonsense"
	clientAddr(t, "").Wrap(next).ServeHTTP(w, r)
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.False(t, ran)

	var seen ratelimit.Reason
	c, err := ratelimit.NewClientAddr(ratelimit.ClientAddrConfig{
		OnReject: func(w http.ResponseWriter, _ *http.Request, r *ratelimit.Rejection) {
			seen = r.Reason
			w.WriteHeader(http.StatusTeapot)
		},
	})
	require.NoError(t, err)
	w = httptest.NewRecorder()
	c.Wrap(next).ServeHTTP(w, r)
	require.Equal(t, http.StatusTeapot, w.Code)
	require.Equal(t, ratelimit.ReasonPeerUnknown, seen)
}
