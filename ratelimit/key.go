package ratelimit

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
)

// Key says whose bucket a policy draws from: a client address, an account, an
// API key, or several of them together. Parts are kept apart, so no choice of
// text lets one client build another's key. Keys are comparable. Printing one
// shows nothing of it, and stores keep only keyed hashes. The zero Key is no
// key, and is refused.
type Key struct {
	addr   [16]byte
	bits   uint8 // prefix length of addr; 0 when there is none, or noAddr
	parts  uint8
	tenant string
	part   [2]string
}

// noAddr marks a key whose address is invalid: whatever is added to it, it stays
// refused.
const noAddr = 255

// AddrKey is the key of a client address: an IPv4 address alone, an IPv6
// address by its /64, which is what one subscriber holds (RFC 6177 section 2).
// IPv4-mapped addresses and the well-known NAT64 prefix (RFC 6052 section 2.1)
// count as the IPv4 address inside; zones are dropped. An invalid address
// gives a key that is refused, whatever is added to it.
func AddrKey(addr netip.Addr) Key { return PrefixKey(addr, 64) }

// PrefixKey is AddrKey with another IPv6 prefix length: 56 or 48 for an outer
// tier against clients that own more than a /64. Lengths outside 32 to 128 are
// refused like invalid addresses.
func PrefixKey(addr netip.Addr, bits int) Key {
	addr = canonical(addr)
	if !addr.IsValid() || bits < 32 || bits > 128 {
		return Key{bits: noAddr}
	}
	if addr.Is4() {
		return Key{addr: addr.As16(), bits: 128}
	}
	if localNAT64.Contains(addr) {
		bits = 128 // the clients of a whole network share one /64 there
	}
	prefix, _ := addr.Prefix(bits)                            // fails above 128 only
	return Key{addr: prefix.Addr().As16(), bits: uint8(bits)} // #nosec G115 -- 32 to 128
}

// TextKey is a key made of texts: an account id, a site and a route. TextKey
// of nothing is the zero Key.
func TextKey(parts ...string) Key { return Key{}.With(parts...) }

// With returns the key extended by parts.
func (k Key) With(parts ...string) Key {
	for _, part := range parts {
		if int(k.parts) < len(k.part) {
			k.part[k.parts] = part
			k.parts++
			continue
		}
		// Beyond the array, the last place holds a list with lengths. The
		// count of parts keeps it apart from a text that looks like one.
		last := &k.part[len(k.part)-1]
		if int(k.parts) == len(k.part) {
			*last = string(appendText(nil, *last))
		}
		*last = string(appendText([]byte(*last), part))
		k.parts = min(k.parts, 254) + 1
	}
	return k
}

// In returns the key within a tenant. The tenant is part of the identity, and
// all keys of one tenant share one Redis Cluster slot, so that several
// policies of one tenant can be decided in one step there.
func (k Key) In(tenant string) Key {
	k.tenant = tenant
	return k
}

// Tenant returns what In set. Stores use it for placement only.
func (k Key) Tenant() string { return k.tenant }

// isZero reports whether k is no key, or one of an invalid address.
func (k *Key) isZero() bool {
	return k.bits == noAddr || k.bits == 0 && k.parts == 0 && k.tenant == ""
}

// AppendBinary appends an encoding that is equal for equal keys only. It holds
// the parts in the clear: hash it with a secret before it leaves the process.
func (k Key) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, k.bits, k.parts)
	b = append(b, k.addr[:]...)
	b = appendText(b, k.tenant)
	for _, part := range k.part {
		b = appendText(b, part)
	}
	return b, nil
}

// Format writes a placeholder for every verb: keys hold addresses and
// credentials.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[ratelimit key]") }

// appendText appends s after its length, so that neighbours cannot merge.
func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

var (
	wellKnownNAT64 = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052 section 2.1
	localNAT64     = netip.MustParsePrefix("64:ff9b:1::/48") // RFC 8215
)

// canonical returns the address that names the client: one client must not
// have several spellings, nor several clients one.
func canonical(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if wellKnownNAT64.Contains(addr) {
		b := addr.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return addr
}
