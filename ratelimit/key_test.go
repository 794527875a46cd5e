package ratelimit_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/ratelimit"
)

// refused reports whether a policy with this key is.
func refused(t *testing.T, k ratelimit.Key) bool {
	t.Helper()
	d := newLimiter(t, ratelimit.Config{}).Decide(t.Context(), perHour("a", k, 1))
	return d.Code == ratelimit.CodeNoKey
}

func addrKey(s string) ratelimit.Key { return ratelimit.AddrKey(netip.MustParseAddr(s)) }

// One client, one key; two clients, two keys.
func TestAddrKey(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		a, b string
		same bool
	}{
		"IPv4 alone":            {"192.0.2.1", "192.0.2.2", false},
		"mapped is IPv4":        {"192.0.2.1", "::ffff:192.0.2.1", true},
		"mapped apart":          {"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
		"one /64":               {"2001:db8::1", "2001:db8::ffff:2", true},
		"two /64":               {"2001:db8:0:1::1", "2001:db8:0:2::1", false},
		"zones":                 {"fe80::1%eth0", "fe80::1%eth1", true},
		"NAT64 is IPv4":         {"64:ff9b::c000:201", "192.0.2.1", true},
		"NAT64 apart":           {"64:ff9b::c000:201", "64:ff9b::c000:202", false},
		"local NAT64 apart":     {"64:ff9b:1::1", "64:ff9b:1::2", false},
		"IPv4 is no IPv6":       {"0.0.0.1", "::1", false},
		"unspecified addresses": {"0.0.0.0", "::", false},
	} {
		require.Equal(t, tc.same, addrKey(tc.a) == addrKey(tc.b), name)
	}
	require.True(t, refused(t, ratelimit.AddrKey(netip.Addr{})))
	// What is added must not turn nobody into somebody whom all can be.
	require.True(t, refused(t, ratelimit.AddrKey(netip.Addr{}).With("site").In("tenant")))
}

func TestPrefixKey(t *testing.T) {
	t.Parallel()
	a, b := netip.MustParseAddr("2001:db8:1:100::1"), netip.MustParseAddr("2001:db8:1:1ff::1")
	require.NotEqual(t, ratelimit.PrefixKey(a, 64), ratelimit.PrefixKey(b, 64))
	require.Equal(t, ratelimit.PrefixKey(a, 56), ratelimit.PrefixKey(b, 56))
	require.NotEqual(t, ratelimit.PrefixKey(a, 56), ratelimit.PrefixKey(a, 48), "tiers are apart")
	for _, bits := range []int{-1, 0, 31, 129} {
		require.True(t, refused(t, ratelimit.PrefixKey(a, bits)), "%d bits", bits)
	}
	v4 := netip.MustParseAddr("192.0.2.1")
	require.Equal(t, ratelimit.AddrKey(v4), ratelimit.PrefixKey(v4, 48), "IPv4 is always whole")
}

// No choice of text builds the key of somebody else.
func TestKeysAreUnambiguous(t *testing.T) {
	t.Parallel()
	keys := []ratelimit.Key{
		{},
		ratelimit.TextKey("a"),
		ratelimit.TextKey("a", ""),
		ratelimit.TextKey("", "a"),
		ratelimit.TextKey("a", "b"),
		ratelimit.TextKey("ab"),
		ratelimit.TextKey("a", "b", "c"),
		ratelimit.TextKey("a", "bc"),
		ratelimit.TextKey("a", "b", "c", "d"),
		ratelimit.TextKey("a", "b", "cd"),
		ratelimit.TextKey("a", "\x01b\x01c"),
		ratelimit.TextKey("a", "\x01b\x01c", ""),
		ratelimit.TextKey("a").In("b"),
		ratelimit.TextKey("b").In("a"),
		addrKey("192.0.2.1"),
		addrKey("192.0.2.1").With("a"),
		addrKey("192.0.2.1").In("a"),
		ratelimit.TextKey("192.0.2.1"),
		ratelimit.PrefixKey(netip.MustParseAddr("2001:db8::"), 64),
		ratelimit.PrefixKey(netip.MustParseAddr("2001:db8::"), 56),
	}
	seen := map[string]int{}
	for i, k := range keys {
		b, err := k.AppendBinary(nil)
		require.NoError(t, err)
		j, again := seen[string(b)]
		require.False(t, again, "keys %d and %d encode alike", i, j)
		seen[string(b)] = i
		for j := range i {
			require.NotEqual(t, keys[j], k, "keys %d and %d", i, j)
		}
	}
	require.Equal(t, ratelimit.TextKey("a", "b", "c", "d"),
		ratelimit.TextKey("a").With("b", "c").With("d"))
	require.Equal(t, "t", ratelimit.TextKey("a").In("t").Tenant())
}

func TestKeysDoNotPrint(t *testing.T) {
	t.Parallel()
	k := ratelimit.TextKey("sk_live_secret").In("tenant")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		got := fmt.Sprintf(verb, k)
		require.NotContains(t, got, "sk_live", verb)
		require.NotContains(t, got, "tenant", verb)
	}
	p := ratelimit.Policy{Name: "a", Key: k}
	require.NotContains(t, fmt.Sprintf("%+v", p), "sk_live")
}
