// Package flatjws reads compact HS256 tokens (RFC 7515) whose claims are one flat
// JSON object, or hold flat ones: strictly, without reflection, and nothing else.
//
// Why not a library: golang-jwt and go-jose read what many issuers write, in many
// algorithms, and encoding/json folds the case of names, takes the last of two equal
// ones and ignores bytes that are no UTF-8. Each of that is a second reading of what
// one signature covers. The two issuers here write one form, so there is one to
// read. golang-jwt is the oracle of the tests.
//
// Callers verify the signature over the encoded text first. Nothing here is reached
// by a forger.
package flatjws

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// UsualHeader is {"alg":"HS256","typ":"JWT"}, which nearly every token has.
const UsualHeader = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"

// strict is base64url without padding and with one spelling per value.
var strict = base64.RawURLEncoding.Strict()

// Decode decodes one canonical spelling into buf if it fits. A text of another
// spelling, such as one with padding, with a line break, or with other bits behind
// the last byte (RFC 4648 section 3.5), is refused: it would be a second name for
// the same token.
func Decode[T ~string | ~[]byte](buf []byte, text T) ([]byte, bool) {
	if strict.DecodedLen(len(text)) > len(buf) {
		return nil, false
	}
	n, err := strict.Decode(buf, []byte(text))
	// The decoder skips line breaks: then the text is longer than it need be.
	return buf[:n], err == nil && strict.EncodedLen(n) == len(text)
}

// IsHS256 reports whether the header says alg HS256 and typ JWT and
// nothing else. A header with "crit" or "kid" asks for something that this
// package does not do (RFC 7515 section 4.1.11).
func IsHS256(buf []byte, text string) bool {
	if text == UsualHeader {
		return true
	}
	raw, ok := Decode(buf, text)
	if !ok {
		return false
	}
	alg, typ := 0, 0
	ok = Members(raw, func(name, value []byte, kind byte) bool {
		switch {
		case kind != '"':
			return false
		case string(name) == "alg" && string(value) == "HS256":
			alg++
		case string(name) == "typ" && string(value) == "JWT":
			typ++
		default:
			return false
		}
		return true
	})
	return ok && alg == 1 && typ <= 1
}

// Seconds reads a NumericDate (RFC 7519 section 2), of which only whole seconds are
// in use: an integer of at most 11 digits, which is past the year 5000
// and far from overflow.
func Seconds(value []byte, kind byte) (int64, bool) {
	if kind != '0' || len(value) > 11 {
		return 0, false
	}
	var n int64
	for _, d := range value {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = n*10 + int64(d-'0')
	}
	return n, true
}

// Members scans one JSON object (RFC 8259) and hands over each member. Kind is
// '"' for a string, '0' for a number, 't', 'f' or 'n' for the literals, and '{'
// for a flat object, whose value is its text, for Members again. What is nested
// deeper is refused, and so are arrays: no claim has one, and depth is where
// parsers are attacked. It reports whether the text was such an object, whole.
//
//	{ "iss" : "api" , "cnf" : {"x5t#S256":"..."} , "exp" : 1 }
//	  name    value   name    one object deep      name    value
//
// Names are not compared: visit must notice one that comes twice.
func Members(s []byte, visit func(name, value []byte, kind byte) bool) bool {
	p := scanner{text: s}
	return p.members(visit, true) && p.atEnd()
}

// members reads an object from its opening brace to its closing one. Nest says
// whether its values may be objects.
func (p *scanner) members(visit func(name, value []byte, kind byte) bool, nest bool) bool {
	if !p.take('{') {
		return false
	}
	if p.take('}') {
		return true
	}
	for {
		name, ok := p.str()
		if !ok || !p.take(':') {
			return false
		}
		value, kind, ok := p.value(nest)
		if !ok || !visit(name, value, kind) {
			return false
		}
		if p.take(',') {
			continue
		}
		return p.take('}')
	}
}

// anyMember takes every member.
func anyMember(_, _ []byte, _ byte) bool { return true }

// scanner reads JSON from left to right. Each method reads one thing, leaves at
// behind it, and reports false when something else is there.
type scanner struct {
	text []byte
	at   int // the next byte
}

// space skips the four bytes that JSON has for white space (RFC 8259 section 2).
func (p *scanner) space() {
	for p.at < len(p.text) && p.text[p.at] <= ' ' &&
		strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// take reads one structural character, and white space in front of it.
func (p *scanner) take(c byte) bool {
	p.space()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

// atEnd reports whether nothing follows: a second value behind the first would be
// read by one program and not by the next.
func (p *scanner) atEnd() bool {
	p.space()
	return p.at == len(p.text)
}

// str reads a string. Without escapes, as nearly always, it is a view of the text.
// Control characters must be escaped (RFC 8259 section 7), and the bytes must be
// UTF-8 (section 8.1), or two readers could see two texts.
func (p *scanner) str() ([]byte, bool) {
	if !p.take('"') {
		return nil, false
	}
	start := p.at
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case c == '"':
			s := p.text[start:p.at]
			p.at++
			return s, utf8.Valid(s)
		case c == '\\':
			return p.escaped(start)
		case c < 0x20:
			return nil, false
		}
	}
	return nil, false
}

// escaped reads on from the first escape. An escaped name is the same name,
// so it cannot hide a double from the bit set.
func (p *scanner) escaped(start int) ([]byte, bool) {
	out := append([]byte(nil), p.text[start:p.at]...)
	for p.at < len(p.text) {
		c := p.text[p.at]
		p.at++
		switch {
		case c == '"':
			return out, utf8.Valid(out)
		case c < 0x20:
			return nil, false
		case c != '\\':
			out = append(out, c)
			continue
		}
		if p.at == len(p.text) {
			return nil, false
		}
		e := p.text[p.at]
		p.at++
		if e == 'u' {
			r, ok := p.unicode()
			if !ok {
				return nil, false
			}
			out = utf8.AppendRune(out, r)
			continue
		}
		i := strings.IndexByte(`"\/bfnrt`, e)
		if i < 0 {
			return nil, false
		}
		out = append(out, "\"\\/\b\f\n\r\t"[i])
	}
	return nil, false
}

// unicode reads the digits of \uXXXX, and a surrogate pair as one rune. A lone
// surrogate is refused.
func (p *scanner) unicode() (rune, bool) {
	r, ok := p.hex4()
	if !ok || !utf16.IsSurrogate(r) {
		return r, ok
	}
	if p.at+2 > len(p.text) || p.text[p.at] != '\\' || p.text[p.at+1] != 'u' {
		return 0, false
	}
	p.at += 2
	low, ok := p.hex4()
	r = utf16.DecodeRune(r, low)
	return r, ok && r != utf8.RuneError
}

// hex4 reads four hexadecimal digits, either case.
func (p *scanner) hex4() (rune, bool) {
	if p.at+4 > len(p.text) {
		return 0, false
	}
	var r rune
	for _, c := range p.text[p.at : p.at+4] {
		d := strings.IndexByte("0123456789abcdef", c|0x20)
		if d < 0 || c < '0' {
			return 0, false
		}
		r = r<<4 | rune(d) // #nosec G115 -- 0 to 15
	}
	p.at += 4
	return r, true
}

// value reads a string, a number or a literal, and where objects may nest, a flat
// object.
func (p *scanner) value(nest bool) (value []byte, kind byte, ok bool) {
	p.space()
	if p.at == len(p.text) {
		return nil, 0, false
	}
	start := p.at
	switch c := p.text[p.at]; {
	case c == '"':
		value, ok = p.str()
		return value, '"', ok
	case c == '-' || '0' <= c && c <= '9':
		p.at += digits(p.text[p.at:]) // most numbers have nothing else
		for p.at < len(p.text) && strings.IndexByte("0123456789+-.eE", p.text[p.at]) >= 0 {
			p.at++
		}
		value = p.text[start:p.at]
		return value, '0', isNumber(value)
	case c == '{' && nest:
		ok = p.members(anyMember, false)
		return p.text[start:p.at], '{', ok
	}
	for _, literal := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(string(p.text[start:min(start+5, len(p.text))]), literal) {
			p.at += len(literal)
			return p.text[start:p.at], literal[0], true
		}
	}
	return nil, 0, false
}

// isNumber checks the grammar of RFC 8259 section 6.
func isNumber(s []byte) bool {
	if len(s) > 0 && s[0] == '-' {
		s = s[1:]
	}
	whole := digits(s)
	if whole == 0 || whole > 1 && s[0] == '0' {
		return false
	}
	s = s[whole:]
	if len(s) > 0 && s[0] == '.' {
		n := digits(s[1:])
		if n == 0 {
			return false
		}
		s = s[1+n:]
	}
	if len(s) > 0 && s[0]|0x20 == 'e' {
		s = s[1:]
		if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		n := digits(s)
		return n > 0 && n == len(s)
	}
	return len(s) == 0
}

// digits counts the decimal digits that s begins with.
func digits(s []byte) int {
	for i, c := range s {
		if c < '0' || c > '9' {
			return i
		}
	}
	return len(s)
}
