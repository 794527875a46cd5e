package engine

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// scheme examines the name of an HTTP authentication scheme (RFC 9110
// section 11.4) and the credentials after it. "Bearer token required" and
// "basic authentication" are prose: without an Authorization header in front
// a credential must look like one.
func (sc *scanner) scheme(name string, i int) int {
	s := sc.src
	if i > 0 && (letter.has(s[i-1]) && !escapedBefore(s, i) || letterBefore(s, i)) {
		return i
	}
	start := schemeGap(s, i+len(name))
	if start == 0 {
		return i
	}
	end := start
	for end < len(s) && end-start < 512 && tokenChar.has(s[end]) {
		end++
	}
	if name == "basic" && !basicCredentials(s[start:end]) ||
		name != "basic" && !credential(s[start:end]) {
		return i
	}
	return sc.foundRun(span{start: start, end: end, det: Token, rule: ruleScheme}, swallowToken)
}

// letterBefore reports whether a letter outside ASCII stands before i. Quotes
// and dashes outside ASCII are no part of a word: «Bearer ...».
func letterBefore(s string, i int) bool {
	if s[i-1] < utf8.RuneSelf {
		return false
	}
	r, _ := utf8.DecodeLastRuneInString(s[:i])
	return unicode.IsLetter(r) && !unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana)
}

// escapedBefore reports whether the letter before i belongs to an escape.
func escapedBefore(s string, i int) bool {
	return i > 1 && s[i-2] == '\\' && escapeLetter.has(s[i-1]) || i > 2 && s[i-3] == '%'
}

// schemeGap returns where the credentials start after a scheme that ends at
// i: one to three spaces, in any encoding, a colon or an equals sign, and an
// opening quote are passed over. 0 means that nothing separates them.
func schemeGap(s string, i int) int {
	gap := 0
	for n := 0; n < 5 && i < len(s); n++ {
		r, w := unit(s, i)
		switch r {
		case ' ', '\t', ':', '=', '"', '\'', '\n', ',', '[', '<':
		case '+':
			if n > 0 {
				return i
			}
		default:
			if gap == 0 {
				return 0
			}
			return i
		}
		gap++
		i += w
	}
	if gap == 0 || i >= len(s) {
		return 0
	}
	return i
}

// basicCredentials reports whether text is base64 of "user:password" (RFC
// 7617 section 2).
//
// The look inside is what tells "Basic YW5uOnB3" from "basic authentication",
// whose second word is base64 too.
func basicCredentials(text string) bool {
	n := len(text)
	for n > 0 && text[n-1] == '=' {
		n--
	}
	if n < 4 || n%4 == 1 {
		return false
	}
	colon, plain := false, 0
	var acc, have uint
	for i := range n {
		v := base64Value(text[i])
		if v > 63 {
			return colon && plain > 3
		}
		acc, have = acc<<6|uint(v), have+6
		if have >= 8 {
			have -= 8
			c := byte(acc >> have)
			if c < 0x20 || c == 0x7f {
				return false
			}
			colon = colon || c == ':'
			plain++
		}
	}
	return colon
}

func base64Value(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return c - 'A'
	case c >= 'a' && c <= 'z':
		return c - 'a' + 26
	case c >= '0' && c <= '9':
		return c - '0' + 52
	case c == '+' || c == '-':
		return 62
	case c == '/' || c == '_':
		return 63
	}
	return 255
}

// userinfo examines "://": the user and password of a URL (RFC 3986 section
// 3.2.1). A user name alone, as in ssh://git@host, is no secret.
//
// Drivers print passwords as they were given, with / ? # and @ in them. What
// has a colon before the first slash, and no number between them, is no host
// with its port: there the last @ before a blank ends the password.
func (sc *scanner) userinfo(i int) int {
	s, start := sc.src, i+3
	colon, limit := 0, min(len(s), start+512)
	j := start
	for j < limit && !authorityEnd.has(s[j]) && s[j] != '@' {
		if s[j] == ':' && colon == 0 {
			colon = j
		}
		j++
	}
	if colon == 0 || j == limit || j == colon+1 && (colon == start || s[j] != '@') {
		return i
	}
	if s[j] != '@' && (number(s[colon+1:j]) || strings.IndexByte("/?#", s[j]) < 0) {
		return i
	}
	at := 0
	for j = max(j, sc.noUser-sc.off); j < limit && !urlEnd.has(s[j]); j++ {
		switch {
		case s[j] == '@':
			at = j
		case at > 0 && authorityEnd.has(s[j]):
			limit = j // the host ends here
		}
	}
	if at == 0 {
		sc.noUser = max(sc.noUser, sc.off+j)
		return i
	}
	return sc.found(span{start: start, end: at, det: Token, rule: ruleURL})
}

var (
	// authorityEnd ends the authority of a URL in running text, urlEnd the URL.
	authorityEnd = bytesOf(" \t\r\n\"'`<>/?#\\,;()[]{}|")
	urlEnd       = bytesOf(" \t\r\n\"'`<>")
	dsnStart     = urlEnd.or(bytesOf("=(,;[]"))
)

// mysqlUser examines "@tcp(" and "@unix(": the user and password before the
// address of a MySQL data source, user:password@tcp(host:3306)/name.
func (sc *scanner) mysqlUser(i int) int {
	s := sc.src
	start, colon := i, false
	for start > 0 && i-start < 128 && !dsnStart.has(s[start-1]) {
		start--
		colon = colon || s[start] == ':'
	}
	if !colon {
		return i
	}
	return sc.found(span{start: start, end: i, det: Token, rule: ruleDSN})
}

// curlUser examines what follows "-u " and "--user", whose value is user:password
// on the command line of curl.
func (sc *scanner) curlUser(i int) int {
	s, start := sc.src, i
	for start < len(s) && start-i < 4 && (s[start] == ' ' || s[start] == '=') {
		start++
	}
	if start == i && s[i-1] != ' ' {
		return i
	}
	end := shellWord(s, start)
	if end > start+1 && isQuote(s[start]) && s[end-1] == s[start] &&
		strings.Count(s[start:end], s[start:start+1]) == 2 {
		start, end = start+1, end-1
	}
	user, password, found := strings.Cut(s[start:end], ":")
	password = strings.TrimLeft(password, `"'`)
	if !found || len(user)+len(password) < 6 || strings.HasPrefix(password, "//") ||
		password != "" && (strings.IndexByte("$[<", password[0]) >= 0 || placeholder(password)) ||
		!strings.Contains(s[max(0, start-256):start], "curl") {
		return i
	}
	return sc.found(span{start: start, end: end, det: Token, rule: ruleCurl})
}

// shellWord returns the end of the word at i, with its quoted parts.
func shellWord(s string, i int) int {
	quote := byte(0)
	for end := i; end < len(s) && end-i < maxTokenBytes; end++ {
		switch c := s[end]; {
		case c == '\n', quote == 0 && (c == ' ' || c == '\r'):
			return end
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == quote:
			quote = 0
		}
	}
	return min(len(s), i+maxTokenBytes)
}
