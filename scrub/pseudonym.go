package scrub

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
)

const (
	minPseudonymKey = 32
	pseudonymBytes  = 10 // 80 bits: no two of a billion values are likely to meet
)

// pseudonymKey is one generation of keys, with the two letters that tell it
// from the others.
type pseudonymKey struct {
	key []byte
	tag string
}

func (s *Scrubber) usePseudonyms(keys [][]byte, problems *configerr.List) {
	for i, k := range keys {
		if len(k) < minPseudonymKey {
			problems.Add(fmt.Sprintf("PseudonymKeys[%d]", i), "", sallyport.ConfigOutOfRange,
				"has less than 32 bytes")
			continue
		}
		sum := keyed(k, "key", "")
		s.keys = append(s.keys, pseudonymKey{slices.Clone(k), string(spell(nil, sum[:1]))})
	}
}

// Pseudonyms returns what stands in for value under each key, the current
// one first, so that a person's records can be found across a rotation. It
// returns nothing when no PseudonymKeys are set.
func (s *Scrubber) Pseudonyms(d Detector, value string) []string {
	det := slices.Index(s.names, d)
	if det < 0 {
		return nil
	}
	all := make([]string, len(s.keys))
	for i := range s.keys {
		all[i] = string(s.label(nil, det, &s.keys[i], value))
	}
	return all
}

// replacement appends what stands in for a value of detector det.
func (s *Scrubber) replacement(dst []byte, det int, value string) []byte {
	if len(s.keys) == 0 {
		return s.label(dst, det, nil, "")
	}
	return s.label(dst, det, &s.keys[0], value)
}

func (s *Scrubber) label(dst []byte, det int, k *pseudonymKey, value string) []byte {
	dst = append(dst, '[')
	dst = append(dst, s.names[det]...)
	if k != nil {
		sum := keyed(k.key, string(s.names[det]), normal(det, value))
		dst = append(append(dst, ':'), k.tag...)
		dst = spell(dst, sum[:pseudonymBytes])
	}
	return append(dst, ']')
}

// keyed hashes a value in the domain of one detector, so that equal texts
// found by different detectors cannot be linked.
func keyed(key []byte, domain, value string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("sallyport scrub 1\x00" + domain + "\x00" + value))
	return m.Sum(nil)
}

// spell writes bytes in letters that no detector recognises.
func spell(dst, b []byte) []byte {
	for _, c := range b {
		dst = append(dst, pseudoAlphabet[c>>4], pseudoAlphabet[c&15])
	}
	return dst
}

// normal returns the form in which all spellings of a value agree.
func normal(det int, value string) string {
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
	case detEmail:
		return strings.ToLower(plain)
	case detCard, detSSN, detIBAN, detPhone:
		plain = strings.Map(func(r rune) rune {
			if r < 0x80 && alnum.has(byte(r)) {
				return r
			}
			return -1
		}, strings.ToUpper(plain))
		if det == detPhone {
			plain = strings.TrimPrefix(plain, "00")
		}
		return plain
	case detIP:
		if a, err := netip.ParseAddr(plain); err == nil {
			return a.Unmap().String()
		}
	}
	return plain
}
