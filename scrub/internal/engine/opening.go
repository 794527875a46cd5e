package engine

import "strings"

// What stands between a key and the quote of its value in forms, XML and the
// dumps of other languages.

// formPart returns where the body starts of the part of a multipart form that
// the quoted name at start names (RFC 7578 section 4.2), or 0. The line ends
// may be escaped.
func formPart(s string, start, i int) int {
	if !foldAt(s, start-len(`name="`), `name="`) && !foldAt(s, start-len(`name=\"`), `name=\"`) {
		return 0
	}
	lines := 0
	for n := 0; n < 4 && i < len(s); n++ {
		r, w := unit(s, i)
		if r != '\n' && r != '\r' {
			break
		}
		lines++
		i += w
	}
	if lines < 2 || i >= len(s) {
		return 0
	}
	return i
}

// wrapped returns where the quote is of a string with something in front of
// it, or 0: Some("x") of Rust, b'x' of Python, N'x' of SQL.
func wrapped(s string, i int) int {
	j := i
	for j < len(s) && j-i < 16 && letter.has(s[j]) {
		j++
	}
	if j == i || j >= len(s) {
		return 0
	}
	if s[j] == '(' {
		j++
	} else if j > i+1 || strings.IndexByte("bBuUrNE", s[i]) < 0 {
		return 0
	}
	if _, quoted := skipQuote(s, j); !quoted {
		return 0
	}
	return j
}

// skipValueKey passes over "value": in {"name":"password","value":"x"}.
func skipValueKey(s string, i int) int {
	j, quoted := skipQuote(s, i)
	if !quoted || !foldAt(s, j, "value") {
		return i
	}
	if j, quoted = skipQuote(s, j+5); quoted {
		if j = skipBlanks(s, j); j < len(s) && s[j] == ':' {
			return skipBlanks(s, j+1)
		}
	}
	return i
}
