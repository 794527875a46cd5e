package engine

import (
	"math/bits"
	"unicode"
	"unicode/utf8"
)

// A unit is one character as a person reads it, however it is spelled: plain,
// percent-encoded (once or twice), \u- or \x-escaped (with any number of
// backslashes, as JSON inside JSON has them), an HTML entity, or full-width.
// Detectors compare units, so every spelling of a value is the same value.

// ignorable is the unit of characters that are invisible: zero-width spaces
// and joiners, the soft hyphen, the byte order mark.
const ignorable rune = 0

// unit decodes the unit at s[i] and returns its width in bytes. Invalid input
// is a unit of one byte with the rune utf8.RuneError.
func unit(s string, i int) (rune, int) {
	c := s[i]
	if c < utf8.RuneSelf {
		switch c {
		case '%':
			if r, w := percentUnit(s, i); w > 0 {
				return r, w
			}
		case '\\':
			if r, w := escapeUnit(s, i); w > 0 {
				return r, w
			}
		case '&':
			if r, w := entityUnit(s, i); w > 0 {
				return r, w
			}
		}
		return rune(c), 1
	}
	r, w := utf8.DecodeRuneInString(s[i:])
	return fold(r), w
}

// unitBefore decodes the unit that ends right before s[i], i > 0.
func unitBefore(s string, i int) (rune, int) {
	c := s[i-1]
	if c >= utf8.RuneSelf {
		r, w := utf8.DecodeLastRuneInString(s[:i])
		return fold(r), w
	}
	if c == '"' || c == '\'' {
		w := 1
		for w < i && w < 16 && s[i-1-w] == '\\' {
			w++
		}
		return rune(c), w
	}
	if c != ';' && !hexDigit.has(c) {
		return rune(c), 1
	}
	// The longest encoding that ends exactly here wins: 4 percent-encoded
	// bytes are 12 bytes, an escape with 6 backslashes 11.
	for w := 3; w <= min(i, 20); w++ {
		switch lead := s[i-w]; {
		case lead == '%' || lead == '\\' || lead == '&':
			if r, got := unit(s, i-w); got == w {
				return longer(s, i, w, r)
			}
		case !hexDigit.has(lead) && lead != '#' && lead != 'u' && lead != 'x' &&
			(c != ';' || !alnum.has(lead)):
			return rune(c), 1
		}
	}
	return rune(c), 1
}

// longer extends a unit of width w that ends at i over the bytes before it
// that belong to the same character: more backslashes, more encoded bytes.
func longer(s string, i, w int, r rune) (rune, int) {
	if s[i-w] == '%' && r < utf8.RuneSelf {
		return r, w
	}
	for k := w + 1; k <= min(i, 20); k++ {
		if lead := s[i-k]; lead == '%' || lead == '\\' {
			if other, got := unit(s, i-k); got == k {
				r, w = other, k
			}
		} else if !hexDigit.has(lead) {
			break
		}
	}
	return r, w
}

func percentUnit(s string, i int) (rune, int) {
	b, w := percentByte(s, i)
	if w == 0 {
		return 0, 0
	}
	if b < utf8.RuneSelf {
		return rune(b), w
	}
	var buf [utf8.UTFMax]byte
	buf[0] = b
	n, end := 1, i+w
	for n < len(buf) && !utf8.FullRune(buf[:n]) {
		next, w := percentByte(s, end)
		if w == 0 {
			return 0, 0
		}
		buf[n] = next
		n++
		end += w
	}
	r, w := utf8.DecodeRune(buf[:n])
	if r == utf8.RuneError || w != n {
		return 0, 0
	}
	return fold(r), end - i
}

// percentByte decodes %40 and %2540.
func percentByte(s string, i int) (byte, int) {
	if i >= len(s) || s[i] != '%' {
		return 0, 0
	}
	w := 1
	for w <= 5 && hasAt(s, i+w, "25") && i+w+3 < len(s) &&
		hexDigit.has(s[i+w+2]) && hexDigit.has(s[i+w+3]) {
		w += 2
	}
	v, ok := hexValue(s, i+w, 2)
	if !ok {
		return 0, 0
	}
	return byte(v), w + 2
}

func escapeUnit(s string, i int) (rune, int) {
	w := 1
	for w < 8 && i+w < len(s) && s[i+w] == '\\' {
		w++
	}
	if i+w >= len(s) {
		return 0, 0
	}
	switch s[i+w] {
	case 'u', 'U':
		if v, ok := hexValue(s, i+w+1, 4); ok {
			return fold(rune(v)), w + 5
		}
	case 'x':
		if v, ok := hexValue(s, i+w+1, 2); ok && v < utf8.RuneSelf {
			return rune(v), w + 3
		}
	case 't':
		return '\t', w + 1
	case 'n', 'r':
		return '\n', w + 1
	case '"', '\'', '/':
		return rune(s[i+w]), w + 1
	}
	return 0, 0
}

func entityUnit(s string, i int) (rune, int) {
	if i+3 >= len(s) {
		return 0, 0
	}
	if s[i+1] != '#' {
		for _, e := range entities {
			if s[i+1] == e.name[0] && hasAt(s, i+1, e.name) {
				return e.r, len(e.name) + 1
			}
		}
		return 0, 0
	}
	j, base := i+2, rune(10)
	if s[j] == 'x' || s[j] == 'X' {
		j, base = j+1, 16
	}
	r, start := rune(0), j
	for j < len(s) && j-start < 7 {
		d := rune(hexNibble[s[j]])
		if d >= base {
			break
		}
		r = r*base + d
		j++
	}
	if j == start || j >= len(s) || s[j] != ';' {
		return 0, 0
	}
	return fold(r), j + 1 - i
}

var entities = [...]struct {
	name string
	r    rune
}{
	{"commat;", '@'},
	{"period;", '.'},
	{"nbsp;", ' '},
	{"quot;", '"'},
	{"colon;", ':'},
	{"lt;", '<'},
	{"gt;", '>'},
	{"hyphen;", '-'},
	{"dash;", '-'},
	{"plus;", '+'},
	{"lowbar;", '_'},
	{"shy;", ignorable},
	{"zwj;", ignorable},
	{"equals;", '='},
}

// fold maps the characters that stand for an ASCII one to it: full-width
// forms, decimal digits of every script, the many spaces, dashes and dots.
func fold(r rune) rune {
	switch {
	case r < 0xA0:
		return r
	case r >= 0xFF01 && r <= 0xFF5E:
		return r - 0xFEE0
	case r == 0xA0, r == 0x3000, r == 0x202F, r == 0x205F, r == 0x1680, r >= 0x2000 && r <= 0x200A:
		return ' '
	case r == 0xAD, r >= 0x200B && r <= 0x200F, r == 0x2060, r == 0xFEFF, r == 0x180E,
		r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069:
		return ignorable
	case r >= 0x2010 && r <= 0x2015, r == 0x2212, r == 0xFE63, r == 0x2043:
		return '-'
	case r == 0x3002, r == 0xFF61, r == 0x2024, r == 0xFE52:
		return '.'
	case r == 0xB7, r == 0x2022:
		return '.'
	case r == 0xFE6B:
		return '@'
	case r > 0x660 && unicode.Is(unicode.Nd, r), r == 0x660:
		return '0' + digitOf(r)
	}
	return r
}

// digitOf relies on Unicode's promise that the decimal digits of a script
// are ten consecutive code points, zero first.
func digitOf(r rune) rune {
	for _, rng := range unicode.Nd.R16 {
		if r >= rune(rng.Lo) && r <= rune(rng.Hi) {
			return (r - rune(rng.Lo)) % 10
		}
	}
	for _, rng := range unicode.Nd.R32 {
		if r >= rune(rng.Lo) && r <= rune(rng.Hi) {
			return (r - rune(rng.Lo)) % 10
		}
	}
	return 0
}

func hexValue(s string, i, n int) (uint32, bool) {
	if i+n > len(s) {
		return 0, false
	}
	v := uint32(0)
	for _, c := range []byte(s[i : i+n]) {
		d := hexNibble[c]
		if d > 15 {
			return 0, false
		}
		v = v<<4 | uint32(d)
	}
	return v, true
}

func hasAt(s string, i int, want string) bool {
	return i >= 0 && i+len(want) <= len(s) && s[i:i+len(want)] == want
}

// byteSet is a set of bytes.
type byteSet [4]uint64

func bytesOf(chars string) byteSet {
	var b byteSet
	for i := range len(chars) {
		b[chars[i]>>6] |= 1 << (chars[i] & 63)
	}
	return b
}

func (b byteSet) or(other byteSet) byteSet {
	for i := range b {
		b[i] |= other[i]
	}
	return b
}

func (b *byteSet) has(c byte) bool { return b[c>>6]>>(c&63)&1 != 0 }

func (b byteSet) size() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

const (
	digitChars = "0123456789"
	lowerChars = "abcdefghijklmnopqrstuvwxyz"
	upperChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

var (
	digit    = bytesOf(digitChars)
	letter   = bytesOf(lowerChars + upperChars)
	alnum    = digit.or(letter)
	hexDigit = bytesOf(digitChars + "abcdefABCDEF")
	wordChar = alnum.or(bytesOf("_-"))

	hexNibble = func() (t [256]byte) {
		for i := range t {
			t[i] = 255
		}
		for i, c := range digitChars {
			t[c] = byte(i)
		}
		for i := range byte(6) {
			t['a'+i], t['A'+i] = 10+i, 10+i
		}
		return t
	}()
)
