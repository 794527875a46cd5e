package scrub

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
	"github.com/opsmantik/sallyport/scrub/internal/engine"
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
	if s.unusable() {
		return nil
	}
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

// current appends what stands in for a value under the current key.
func (s *Scrubber) current(dst []byte, det int, value string) []byte {
	return s.label(dst, det, &s.keys[0], value)
}

func (s *Scrubber) label(dst []byte, det int, k *pseudonymKey, value string) []byte {
	sum := keyed(k.key, string(s.names[det]), engine.Normal(det, value))
	dst = append(append(append(dst, '['), s.names[det]...), ':')
	dst = append(dst, k.tag...)
	return append(spell(dst, sum[:pseudonymBytes]), ']')
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
		dst = append(dst, engine.PseudonymLetters[c>>4], engine.PseudonymLetters[c&15])
	}
	return dst
}
