package engine

import "math/bits"

// kind names the routine that examines a candidate.
type kind uint8

const (
	kindUnit   kind = iota // an encoded or non-ASCII character: '@' or a digit
	kindVendor             // a prefixed token of a known issuer
	kindCustom             // a prefix of Config.Custom
	kindScheme             // Bearer, Basic and the other HTTP authentication schemes
	kindJWT                // eyJ...
	kindPEM                // -----BEGIN
	kindURL                // ://user:password@
	kindDSN                // user:password@tcp(
	kindCurl               // curl -u user:password
	kindJWTDot             // .ey, between the header and the payload of a JWT
	kindKey                // a word of a denied key
	kindIBAN               // two letters and a digit
	kindMAC                // a separator of a hardware address
	kindWallet             // 0x, bc1, 1 or 3
	kindColon              // an IPv6 address
	kindPhone              // +, ( or tel:
	kindEmail              // @
	kindDigit              // a run of digits; last, because it skips the run
)

// entry is one literal that may start a detection. Text is compared whole,
// ASCII case aside when fold is set; an empty text accepts every candidate.
type entry struct {
	// want is the first eight bytes of text, mask those bits that count:
	// most candidates are refused by one comparison.
	want, mask uint64
	text       string
	fold       bool
	kind       kind
	arg        int
	rule       string // of a vendor's token
}

// leading fills want and mask.
func (e *entry) leading() {
	for i := range min(len(e.text), 8) {
		bits := uint64(0xFF)
		if e.fold && letter.has(e.text[i]) {
			bits = 0xDF // without the bit of the case
		}
		e.mask |= bits << (8 * i)
		e.want |= (uint64(e.text[i]) & bits) << (8 * i)
	}
}

// eight returns the eight bytes at i, or what there is of them.
func eight(s string, i int) uint64 {
	if i+8 <= len(s) {
		s = s[i : i+8]
		return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	}
	var v uint64
	for k := i; k < len(s); k++ {
		v |= uint64(s[k]) << (8 * (k - i))
	}
	return v
}

// filter finds, at about one table row per byte, the few positions where a
// detection can start: those whose next three bytes fit one of 64 buckets.
// (The scalar form of the Teddy multi-literal matcher.)
type filter struct {
	rows    [256][3]uint64
	buckets [64]bucket
	used    int // literals fill the buckets from the first
	classes int // classes fill them from the last
	digits  bool
}

// digitBucket is the bucket of kindDigit, whose class is added first.
const digitBucket = 1 << 63

type bucket struct {
	sets    [3]byteSet
	entries []entry
}

// class gives a bucket to a whole class of candidates. Classes come before
// all literals; the first one added is the last one tried.
func (f *filter) class(k kind, a, b, c byteSet) {
	f.classes++
	f.digits = f.digits || k == kindDigit
	f.buckets[len(f.buckets)-f.classes] = bucket{
		sets: [3]byteSet{a, b, c}, entries: []entry{{kind: k}},
	}
}

// literal adds a literal to the bucket in which it causes the fewest false
// candidates. After one of less than three bytes comes one of next.
func (f *filter) literal(e entry, next byteSet) {
	e.leading()
	var sets [3]byteSet
	for i := range sets {
		sets[i] = next
	}
	for i := range min(len(e.text), len(sets)) {
		sets[i] = bytesOf(e.text[i : i+1])
		if e.fold && letter.has(e.text[i]) {
			sets[i] = bytesOf(string([]byte{e.text[i], e.text[i] ^ 0x20}))
		}
	}
	best, cost := -1, 0
	for i := range f.used {
		b := &f.buckets[i]
		before, after := product(b.sets), product(union(b.sets, sets))
		if best < 0 || after-before < cost {
			best, cost = i, after-before
		}
	}
	if f.used+f.classes < len(f.buckets) && (best < 0 || cost > 0) {
		best = f.used
		f.used++
	}
	b := &f.buckets[best]
	b.sets = union(b.sets, sets)
	b.entries = append(b.entries, e)
}

func union(a, b [3]byteSet) [3]byteSet {
	for i := range a {
		a[i] = a[i].or(b[i])
	}
	return a
}

func product(s [3]byteSet) int { return s[0].size() * s[1].size() * s[2].size() }

// build fills the table from the buckets.
func (f *filter) build() {
	for i := range f.buckets {
		for j, set := range f.buckets[i].sets {
			for c := range f.rows {
				if set.has(byte(c)) {
					f.rows[c][j] |= 1 << i
				}
			}
		}
	}
}

// next returns the first candidate at or after i and the set of its buckets,
// or len(s) and none.
func (f *filter) next(s string, i int) (int, uint64) {
	if i+2 >= len(s) {
		return len(s), 0
	}
	first := f.rows[s[i]][0]
	row := &f.rows[s[i+1]]
	both, first := first&row[1], row[0]
	for j := i + 2; j < len(s); j++ {
		row = &f.rows[s[j]]
		if m := both & row[2]; m != 0 {
			return j - 2, m
		}
		both, first = first&row[1], row[0]
	}
	return len(s), 0
}

// entriesOf returns the entries of the lowest bucket in m, and m without it.
func (f *filter) entriesOf(m uint64) ([]entry, uint64) {
	return f.buckets[bits.TrailingZeros64(m)].entries, m & (m - 1)
}

// matches reports whether e's text is at s[i:].
func (e *entry) matches(s string, i int) bool {
	if e.text == "" {
		return true
	}
	if !e.fold {
		return hasAt(s, i, e.text)
	}
	return foldAt(s, i, e.text)
}

// foldAt is hasAt without regard to ASCII case; want is lower case.
func foldAt(s string, i int, want string) bool {
	if i < 0 || i+len(want) > len(s) {
		return false
	}
	for j := range len(want) {
		if lower(s[i+j]) != want[j] {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}
