package engine

import (
	"net/netip"
	"strings"
)

// Normal returns the form in which all spellings of a value agree.
func Normal(det int, value string) string {
	var b strings.Builder
	for i := 0; i < len(value); {
		r, w := unit(value, i)
		i += w
		if r != ignorable {
			b.WriteRune(r)
		}
	}
	plain := b.String()
	switch det {
	case Email:
		return strings.ToLower(plain)
	case Card, SSN, IBAN, Phone:
		plain = strings.Map(func(r rune) rune {
			if r < 0x80 && alnum.has(byte(r)) {
				return r
			}
			return -1
		}, strings.ToUpper(plain))
		if det == Phone {
			plain = strings.TrimPrefix(plain, "00")
		}
		return plain
	case IP:
		if a, err := netip.ParseAddr(plain); err == nil {
			return a.Unmap().String()
		}
	}
	return plain
}
