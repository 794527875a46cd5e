package engine

import (
	"unicode"
	"unicode/utf8"
)

// An email address is a local part, an at sign and a domain name with a top
// level of letters, in any spelling a unit may have. The precision rules:
// the top level is not a file extension (icon@2x.png), the domain does not
// begin like a version (pkg@v1.2.3), and git@host:path is a remote.

const (
	maxLocalBytes  = 512 // 64 characters (RFC 5321 section 4.5.3.1.1), encoded
	maxLocalUnits  = 80
	maxDomainBytes = 1024 // 255 characters, encoded
)

// domainLead are the bytes that the first two of a domain can be, whatever
// its spelling: no other at sign is worth a look.
var domainLead = alnum.or(bytesOf("-.:[\\%&#" + byteRange(0x80, 0xFF)))

// email examines the at sign of width w at i.
func (sc *scanner) email(i, w int) int {
	if i == 0 || i+w >= len(sc.src) {
		return i
	}
	end := emailDomain(sc.src, i+w)
	if end == 0 {
		return i
	}
	start := sc.emailLocal(i)
	if start == i || remote(sc.src, start, i, end) {
		return i
	}
	absorbs := sc.held && start == 0 // its beginning looked like another value
	if absorbs {
		start = sc.pend.start - sc.off
	}
	sp := span{start: start, end: end, det: Email, rule: Names[Email]}
	if sc.excepted(&sp) {
		return i
	}
	sc.held = sc.held && !absorbs
	return sc.accept(sp)
}

// emailLocal returns where the local part that ends at i starts, or i.
func (sc *scanner) emailLocal(i int) int {
	s, floor := sc.src, max(0, i-maxLocalBytes)
	r, w := unitBefore(s, i)
	if r == '"' {
		return quotedLocal(s, i, w, floor)
	}
	dense := unspaced(r)
	start, first := i, i
	for n := 0; start > floor && n < maxLocalUnits; n++ {
		r, w := unitBefore(s, start)
		if r == '=' && verp(s, start-w, i) {
			start -= w
			continue
		}
		if start-w < floor || !localRune(r) || (unspaced(r) && !dense) {
			break
		}
		start -= w
		if r != ignorable && !localEdge(r) {
			first = start
		}
	}
	// "\nann@..." in JSON: the n belongs to the escape, not to the name.
	if first > 0 && first < i && s[first-1] == '\\' && escapeLetter.has(s[first]) {
		first++
	}
	return first
}

// verp reports whether the = at eq is part of the local part that ends at at:
// a bounce address holds the recipient's own, bounces+17-ann=a.test@b.test
// (variable envelope return path). Elsewhere = ends a key.
func verp(s string, eq, at int) bool {
	dotted := false
	for i := eq + 1; i < at; i++ {
		dotted = dotted || s[i] == '.'
	}
	for i := eq - 1; dotted && i >= 0 && eq-i < maxKeyBytes && localChar.has(s[i]); i-- {
		if s[i] == '+' {
			return true
		}
	}
	return false
}

var escapeLetter = bytesOf("nrtbfv")

// quotedLocal returns the start of a quoted local part (RFC 5322 section
// 3.2.4) whose closing quote of width w ends at i.
func quotedLocal(s string, i, w, floor int) int {
	inner := i - w
	if inner <= floor || !quotable(s, inner) {
		return i
	}
	for j, n := inner, 0; j > floor && n < maxLocalUnits; n++ {
		r, step := unitBefore(s, j)
		if r == '\n' {
			return i
		}
		if r == '"' {
			if next, _ := unit(s, j); step != w || !localRune(next) || j == inner {
				return i
			}
			return j - step
		}
		j -= step
	}
	return i
}

// quotable reports whether the character before inner may end a quoted local
// part; after a comma, colon or space the quote opens a string instead.
func quotable(s string, inner int) bool {
	r, _ := unitBefore(s, inner)
	return localRune(r)
}

// emailDomain returns the end of the domain that starts at i, or 0. It needs
// two labels, the last of which begins with two letters.
func emailDomain(s string, i int) int {
	if s[i] == '[' {
		return addressLiteral(s, i)
	}
	limit := min(len(s), i+maxDomainBytes)
	first, j := readLabel(s, i, limit, false)
	if first.n == 0 || first.scale() {
		return 0
	}
	good, dense := 0, first.dense
	for depth := 1; j < limit; depth++ {
		r, w := unit(s, j)
		if r != '.' || j+w >= limit {
			break
		}
		// After an ideographic full stop a new sentence starts.
		if next, _ := unit(s, j+w); w > 1 && !dense && unspaced(next) {
			break
		}
		l, end := readLabel(s, j+w, limit, dense)
		if l.n == 0 || depth == 1 && first.version() && l.digits == l.n {
			break
		}
		if top := l.top(); top > 0 {
			good = top
		}
		dense, j = dense || l.dense, end
	}
	return good
}

// domainLabel is what must be known of one label of a domain name.
type domainLabel struct {
	n, digits int
	letters   int // letters before the first character that is none
	lettersTo int // where they end
	head      [8]byte
	dense     bool // contains a script that is written without spaces
}

// readLabel reads a label and returns where it ends. Unless dense is set or
// the label begins with one, a character of an unspaced script ends it: it
// belongs to the sentence around an ASCII address.
func readLabel(s string, i, limit int, dense bool) (domainLabel, int) {
	var l domainLabel
	for i < limit {
		r, w := unit(s, i)
		if r == ignorable && w > 1 {
			i += w
			continue
		}
		isLetter := r < utf8.RuneSelf && letter.has(byte(r)) || r >= utf8.RuneSelf && wordRune(r)
		isDigit := r >= '0' && r <= '9'
		if !isLetter && !isDigit && r != '-' {
			break
		}
		if unspaced(r) {
			if l.n > 0 && !dense && !l.dense {
				break
			}
			l.dense = true
		}
		if l.n < len(l.head) && r < utf8.RuneSelf {
			l.head[l.n] = lower(byte(r))
		}
		if isDigit {
			l.digits++
		}
		i += w
		if isLetter && l.letters == l.n {
			l.letters++
			l.lettersTo = i
		}
		l.n++
	}
	if string(l.head[:4]) == "xn--" {
		l.letters, l.lettersTo = l.n, i
	}
	return l, i
}

// top returns where l ends as a top-level domain, or 0.
//
// The extensions are those that follow an at sign in practice: scaled images
// (icon@2x.png), instances of systemd units (getty@tty1.service), hashed bundles.
// None of them is a delegated top-level domain, except zip and mov, which are
// therefore not here.
func (l *domainLabel) top() int {
	if l.letters < 2 && !(l.letters == 1 && l.dense) {
		return 0
	}
	if l.letters == l.n && l.n <= len(l.head) {
		switch string(l.head[:l.n]) {
		case "png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "js", "mjs", "cjs", "ts", "tsx",
			"jsx", "css", "scss", "json", "yaml", "yml", "toml", "html", "htm", "xml", "txt", "log",
			"service", "socket", "timer", "mount", "target", "scope", "slice", "device", "tgz",
			"gz", "tar", "exe", "dll", "pdf", "csv", "go", "java", "class", "jar", "lock", "conf":
			return 0
		}
	}
	return l.lettersTo
}

// version reports whether l looks like the start of a version: 1 or v1.
func (l *domainLabel) version() bool {
	return l.digits > 0 && (l.digits == l.n || l.head[0] == 'v' && l.digits == l.n-1)
}

// scale reports whether l is an image scale: 2x.
func (l *domainLabel) scale() bool {
	return l.n == 2 && l.digits == 1 && l.head[1] == 'x'
}

// addressLiteral returns the end of a [192.0.2.1] or [IPv6:...] domain.
func addressLiteral(s string, i int) int {
	digits := 0
	for j := i + 1; j < min(len(s), i+60); j++ {
		switch c := s[j]; {
		case c == ']':
			if digits == 0 {
				return 0
			}
			return j + 1
		case hexDigit.has(c), c == ':':
			digits++
		case c != '.' && !foldAt(s, j, "v") && !foldAt(s, j, "p") && !foldAt(s, j, "i"):
			return 0
		}
	}
	return 0
}

// remote reports whether the address is the user part of a source remote.
func remote(s string, start, at, end int) bool {
	switch s[start:at] {
	case "git", "hg", "svn":
		return end < len(s) && (s[end] == ':' || s[end] == '/') || hasAt(s, start-2, "//")
	}
	return false
}

// localRune reports whether r may stand in a local part. Of the characters
// RFC 5322 allows, those that delimit values in logs and URLs are left out:
// = / ? & { } | and the backquote.
func localRune(r rune) bool {
	if r >= utf8.RuneSelf {
		return wordRune(r)
	}
	return r == ignorable || localChar.has(byte(r))
}

// localEdge reports whether r is only accepted inside a local part.
func localEdge(r rune) bool { return r < utf8.RuneSelf && edgeChar.has(byte(r)) }

var (
	localChar = alnum.or(bytesOf("._%+-'!#$*^~"))
	edgeChar  = bytesOf(".%'!#$*^~-")
)

func wordRune(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsMark(r))
}

// unspaced reports whether r belongs to a script written without spaces
// (or, as Korean, with particles attached to the word).
func unspaced(r rune) bool {
	switch {
	case r < 0xE00:
		return false
	case r <= 0xEFF, r >= 0x1000 && r <= 0x109F, r >= 0x1780 && r <= 0x17FF,
		r >= 0x3005 && r <= 0x30FF, r >= 0x3400 && r <= 0x9FFF, r >= 0xAC00 && r <= 0xD7AF,
		r >= 0x20000 && r <= 0x3FFFF:
		return true
	}
	return false
}
