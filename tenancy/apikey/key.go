package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"
	"strings"
)

// The parts of a key after its prefix and "_".
const (
	randomLen   = 30 // base62: 178 bits
	checksumLen = 6  // base62: the CRC32 of the random part, padded with "0"
	bodyLen     = randomLen + checksumLen
)

const (
	alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	base     = uint32(len(alphabet))
)

// inAlphabet is true for the bytes of the alphabet.
var inAlphabet = func() (table [256]bool) {
	for _, c := range []byte(alphabet) {
		table[c] = true
	}
	return table
}()

// newKey makes a key of at least 178 random bits. The prefix is no secret and not part of
// the checksum, as with GitHub's own.
func newKey(prefix string) string {
	b := make([]byte, 0, len(prefix)+1+bodyLen)
	b = append(b, prefix...)
	b = append(b, '_')
	b = appendRandom(b, randomLen)
	sum := checksum(string(b[len(prefix)+1:]))
	return string(append(b, sum[:]...))
}

// appendRandom appends n characters of the alphabet, all equally likely: bytes that
// would favour the first ones are drawn again.
func appendRandom(b []byte, n int) []byte {
	const fair = 256 / len(alphabet) * len(alphabet)
	var pool [64]byte
	for {
		_, _ = rand.Read(pool[:]) // never fails: it ends the program instead
		for _, c := range pool {
			if int(c) >= fair {
				continue
			}
			b = append(b, alphabet[int(c)%len(alphabet)])
			if n--; n == 0 {
				return b
			}
		}
	}
}

// slices8 are CRC32's tables for eight bytes at a time, as in hash/crc32, whose functions
// take a slice and would have the key copied to the heap.
var slices8 = func() (tables [8][256]uint32) {
	tables[0] = *crc32.IEEETable
	for i, sum := range tables[0] {
		for j := 1; j < len(tables); j++ {
			sum = tables[0][byte(sum)] ^ sum>>8
			tables[j][i] = sum
		}
	}
	return tables
}()

// checksum is the CRC32 of the random part, in six digits of base 62.
func checksum(random string) (digits [checksumLen]byte) {
	sum := ^uint32(0)
	for len(random) >= 8 {
		sum ^= uint32(random[0]) | uint32(random[1])<<8 | uint32(random[2])<<16 | uint32(random[3])<<24
		sum = slices8[0][random[7]] ^ slices8[1][random[6]] ^ slices8[2][random[5]] ^
			slices8[3][random[4]] ^ slices8[4][sum>>24] ^ slices8[5][byte(sum>>16)] ^
			slices8[6][byte(sum>>8)] ^ slices8[7][byte(sum)]
		random = random[8:]
	}
	for i := range len(random) {
		sum = slices8[0][byte(sum)^random[i]] ^ sum>>8
	}
	sum = ^sum
	for i := checksumLen - 1; i >= 0; i-- {
		digits[i] = alphabet[sum%base]
		sum /= base
	}
	return digits
}

// wellFormed reports whether text is a key with this prefix. It needs no store: what
// is not a key costs nobody a lookup. A CRC notices every change of a single
// character, and every exchange of two neighbours.
func wellFormed(prefix, text string) bool {
	body, ok := strings.CutPrefix(text, prefix)
	if !ok || len(body) != 1+bodyLen || body[0] != '_' {
		return false
	}
	random, sum := body[1:1+randomLen], body[1+randomLen:]
	want := checksum(random)
	if string(want[:]) != sum {
		return false
	}
	for i := range len(random) {
		if !inAlphabet[random[i]] {
			return false
		}
	}
	return true
}

// Hash is what a store keeps of a key: its SHA-256. A key has 178 random bits, so
// nobody finds it from its hash, and a slow hash would protect nothing more.
func Hash(key string) [sha256.Size]byte {
	var b [64]byte // a key fits, so nothing is allocated
	if len(key) > len(b) {
		return sha256.Sum256([]byte(key))
	}
	return sha256.Sum256(b[:copy(b[:], key)])
}
