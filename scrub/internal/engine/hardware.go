package engine

import (
	"crypto/sha256"
	"strings"
)

// The detectors that are off unless they are asked for: hardware addresses, the
// serial numbers of telephones, and the addresses of wallets.

// mac examines the first separator of a hardware address (IEEE 802): six pairs
// of hexadecimal digits, or three groups of four with dots.
func (sc *scanner) mac(i int) int {
	s, sep := sc.src, sc.src[i]
	size, groups := 2, 6
	if sep == '.' {
		size, groups = 4, 3
	}
	start := i - size
	end := start + groups*(size+1) - 1
	if start < 0 || end > len(s) || start > 0 && (wordChar.has(s[start-1]) || s[start-1] == ':') ||
		end < len(s) && (wordChar.has(s[end]) || s[end] == ':') {
		return i
	}
	for j := start; j < end; j++ {
		if (j-start)%(size+1) == size {
			if s[j] != sep {
				return i
			}
		} else if !hexDigit.has(s[j]) {
			return i
		}
	}
	return sc.found(span{start: start, end: end, det: MAC, rule: Names[MAC]})
}

// imei returns the last group of the serial number of a telephone (3GPP TS
// 23.003 section 6.2.1): 15 digits with a Luhn digit, after its name.
func (c *cluster) imei(s string) (int, bool) {
	for i := range imeiTemplates {
		k := c.match(&imeiTemplates[i])
		if k >= 0 && luhn(c.d[:15]) && labelled(s, c.start, imeiWords) {
			return c.g[k].end, true
		}
	}
	return 0, false
}

var (
	imeiTemplates = [...]template{
		{groups(15), ""},
		{groups(2, 6, 6, 1), " -"},
		{groups(8, 6, 1), " -"},
		{groups(6, 2, 6, 1), " -"},
	}
	imeiWords = wordsOf("imei imeisv")
)

// wallet examines the beginning of the address of a wallet at i: Ethereum's 0x
// and 40 hexadecimal digits, Bitcoin's bc1 (BIP 173) or base58 with a checksum.
func (sc *scanner) wallet(i int) int {
	s := sc.src
	if i > 0 && alnum.has(s[i-1]) {
		return i
	}
	end := i
	for end < len(s) && end-i < 91 && alnum.has(s[end]) {
		end++
	}
	text := s[i:end]
	known := false
	switch {
	case strings.HasPrefix(text, "0x"):
		known = len(text) == 42 && !strings.ContainsFunc(text[2:], notHex)
	case strings.HasPrefix(text, "bc1"):
		known = bech32(text)
	default:
		known = base58Check(text)
	}
	if !known {
		return i
	}
	return sc.found(span{start: i, end: end, det: Wallet, rule: Names[Wallet]})
}

// base58Check reports whether text is 21 bytes with the first four bytes of
// their double SHA-256, in base 58.
func base58Check(text string) bool {
	const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	if len(text) < 26 || len(text) > 35 {
		return false
	}
	var raw [25]byte
	for i := range len(text) {
		carry := strings.IndexByte(alphabet, text[i])
		if carry < 0 {
			return false
		}
		for j := len(raw) - 1; j >= 0; j-- {
			carry += 58 * int(raw[j])
			raw[j], carry = byte(carry), carry>>8 // #nosec G115 -- the low byte is meant
		}
		if carry != 0 {
			return false
		}
	}
	first := sha256.Sum256(raw[:21])
	second := sha256.Sum256(first[:])
	return string(second[:4]) == string(raw[21:])
}

// bech32 reports whether text is an address of bc1 with a valid checksum (BIP
// 173, BIP 350).
func bech32(text string) bool {
	const alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	if len(text) < 14 || len(text) > 90 {
		return false
	}
	sum := uint32(1)
	step := func(v uint32) {
		top := sum >> 25
		sum = (sum&0x1ffffff)<<5 ^ v
		for i, g := range [...]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 != 0 {
				sum ^= g
			}
		}
	}
	for _, v := range [...]uint32{'b' >> 5, 'c' >> 5, 0, 'b' & 31, 'c' & 31} {
		step(v)
	}
	for i := len("bc1"); i < len(text); i++ {
		v := strings.IndexByte(alphabet, text[i])
		if v < 0 {
			return false
		}
		step(uint32(v)) // #nosec G115 -- below 32
	}
	return sum == 1 || sum == 0x2bc830a3
}
