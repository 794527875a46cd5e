package engine

import (
	"strings"
	"unicode/utf8"
)

// A denied name and its value in running text. The grammar, in which [] may be
// left out and every character may be encoded:
//
//	name ["] [] or )] [type] operator [opening] value
//	operator = : = := ::= :::= ?= .= += => -> == || >         password := x
//	type     = identifier, before = and a quote               var token string = "x"
//	opening  = " ' ` [ { b" Some("                            map[Cookie:[x]]
//
// and the forms in which the name is a value itself:
//
//	"name", "value" in brackets                               ["x-api-key", "v"]
//	{"name": "password", "value": "x"}
//	<add key="password" value="x"/>
//	--password x, PASSWORD 'x', password is x

const (
	maxValueBytes = 512 // that are looked at to judge a value in quotes
	maxBareBytes  = 64  // and one without
	maxTreeBytes  = 384 // within which an object must close to be taken whole
)

// value is the value of a name in running text.
type value struct {
	start, end int
	until
	place
	settled bool   // is a replacement already
	cut     bool   // ends where a private key begins
	wrap    string // quotes to put around the replacement
}

// key examines the word at i, which is the head of a denied name, and returns
// where to go on. If the name around it is not denied, or has no value, no
// other word of the name can be the head.
func (sc *scanner) key(head *head, i int) int {
	s := sc.src
	start, end := nameAround(s, i, i+len(head.word))
	if start > 0 && s[start-1] == '[' {
		if end := sc.e.replacementEnd(s, start-1); end > 0 {
			return end // [token:...] is no name
		}
	}
	v, ok := sc.findValue(start, end)
	if !ok {
		return end
	}
	h := head
	if start != i || end != i+len(head.word) || h.after != nil || h.not != nil || sc.e.except.Keys != nil {
		h = sc.e.judge(s[start:end])
	}
	if h == nil && start > 0 && s[start-1] == ' ' {
		more, _ := nameAround(s, start-1, start-1) // card number: x
		if h = sc.e.judge(s[more:end]); h != nil && h.after == nil {
			h = nil
		}
		if h != nil {
			start = more
			v.alone = v.alone || lineStart(s, start, sc.off == 0)
		}
	}
	if h == nil || !sc.e.on(h.det) {
		return end
	}
	if sp, ok := sc.valueSpan(h, &v); ok {
		return sc.foundValue(sp, &v)
	}
	return sc.refuse(&v.until, end)
}

// escapedName examines a letter of a name that is written as an escape, the
// first of them: "p\u0061ssword":"x".
func (sc *scanner) escapedName(i int) int {
	s := sc.src
	var name [maxKeyBytes]byte
	start := i
	for start > 0 && i-start < maxKeyBytes/2 && nameByte.has(s[start-1]) {
		start--
	}
	if start == 0 || !isQuote(s[start-1]) {
		return i // escapes stand in strings, and this is not the first of the name
	}
	n, end := copy(name[:], s[start:i]), i
	for end < len(s) && n+utf8.UTFMax <= len(name) {
		r, w := unit(s, end)
		if r < utf8.RuneSelf && !nameByte.has(byte(r)) || r >= utf8.RuneSelf && !wordRune(r) {
			break
		}
		n, end = n+utf8.EncodeRune(name[n:], r), end+w
	}
	h := sc.e.judge(string(name[:n]))
	if h == nil || !sc.e.on(h.det) {
		return end
	}
	v, ok := sc.findValue(start, end)
	if !ok {
		return end
	}
	if sp, ok := sc.valueSpan(h, &v); ok {
		return sc.foundValue(sp, &v)
	}
	return end
}

func (sc *scanner) foundValue(sp span, v *value) int {
	if v.cut {
		return sc.found(sp)
	}
	sc.until = v.until
	return sc.foundRun(sp, swallowValue)
}

// valueSpan returns what must go of the value of a denied name.
func (sc *scanner) valueSpan(h *head, v *value) (span, bool) {
	s := sc.src
	v.header = h.rule == ruleHeader || h.rule == ruleCookies
	v.bare = v.quote == 0 && v.wrap == "" && !v.bracket && !v.brace && v.tree == 0
	sc.measure(h, v)
	if key := keyStart(s, v.start, v.end); key < v.end {
		v.end, v.cut = key, true // a private key goes on over many lines
	}
	text := s[v.start:v.end]
	if text == "" || v.settled || v.bare && nextField(v, s) {
		return span{}, false
	}
	v.inner = v.inner && hasAt(s, v.end, ")")
	if v.alone {
		end := skipBlanks(s, v.end)
		v.alone = end >= len(s) || s[end] == '\n' || s[end] == '\r'
	}
	if at := sc.e.replacementIn(text); at > 0 {
		text = text[:at] // what was replaced did not decide before
	}
	if v.tree == 0 {
		text = text[:min(len(text), 2*maxBareBytes)]
	}
	if !h.denies(text, v.place) {
		return span{}, false
	}
	return span{start: v.start, end: v.end, det: h.det, rule: h.name, quote: v.wrap}, true
}

// nextField reports whether the value is missing and the next field stands in
// its place: {Password: Name:bob}, password= user=bob.
func nextField(v *value, s string) bool {
	if v.alone || v.header || v.start < 2 || s[v.start-1] != ' ' && s[v.start-1] != '\t' {
		return false
	}
	i := v.start
	for i < v.end && (alnum.has(s[i]) || s[i] == '_') {
		i++
	}
	if i == v.start || i == v.end || !letter.has(s[v.start]) {
		return false
	}
	return s[i] == ':' && v.loose || s[i] == '=' && s[v.start-2] == '='
}

// nameAround returns the bounds of the name that holds s[i:end].
func nameAround(s string, i, end int) (int, int) {
	start := i
	for start > 0 && i-start < maxKeyBytes && nameByte.has(s[start-1]) {
		start--
	}
	for start < i && !wordByte.has(s[start]) {
		start++
	}
	if start > 0 && start < i && s[start-1] == '\\' && escapeLetter.has(s[start]) {
		start++ // \npassword=x
	}
	limit := min(len(s), end+maxKeyBytes)
	for end < limit && nameByte.has(s[end]) {
		end++
	}
	for end > i && strings.IndexByte("-.:", s[end-1]) >= 0 {
		end-- // password->x, password.=x
	}
	return start, end
}

var nameByte = alnum.or(bytesOf("_-."))

// findValue finds the value that belongs to the name s[start:end].
func (sc *scanner) findValue(start, end int) (value, bool) {
	var v value
	s := sc.src
	i, quoted := skipQuote(s, end)
	if i < len(s) && (s[i] == ']' || s[i] == ')') {
		i++
	}
	i = skipBlanks(s, i)
	if i >= len(s) {
		return v, false
	}
	next, colon := operator(s, i)
	switch {
	case next > 0:
		v.loose = colon && !quoted
		v.arrow = hasAt(s, i, "->")
		if colon {
			if t := annotated(s, next); t > 0 {
				next, v.loose = t, false
			}
		}
	case start > 0 && s[start-1] == '<' && !quoted:
		if next = element(s, i); next == 0 {
			return v, false
		}
	case quoted:
		if next = sc.named(start, i); next == 0 {
			return v, false
		}
	case s[i] == '\'' && i > end && foldAt(s, end-8, "password"):
		next, v.prose = i, true // ALTER USER app PASSWORD 'x'
	case i > end && hasAt(s, start-2, "--"):
		next, v.flag = i, true
	case i > end && hasAt(s, i, "is ") || i > end && hasAt(s, i, "was "):
		next, v.prose = i+3, true
	default:
		if next = annotated(s, i); next == 0 {
			if i == end {
				return v, false
			}
			if next = sc.named(start, i); next == 0 {
				return v, false
			}
		}
	}
	v.alone, v.inner = lineStart(s, start, sc.off == 0), hasAt(s, start-1, "(")
	body := skipBlanks(s, next)
	if !quoted {
		body = blockScalar(s, body)
	}
	v.loose = v.loose && body > next
	ok := sc.open(&v, body)
	return v, ok
}

// operator returns where the operator at i ends, or 0, and whether it is a
// colon alone.
func operator(s string, i int) (next int, colon bool) {
	if i >= len(s) {
		return 0, false
	}
	r, w := unit(s, i)
	if w > 1 {
		if r == '=' || r == ':' {
			return i + w, r == ':'
		}
		return 0, false
	}
	j := i
	for j < len(s) && j-i < 3 && strings.IndexByte(":?.+|", s[j]) >= 0 {
		j++
	}
	switch {
	case hasAt(s, j, "==="):
		return j + 3, false
	case hasAt(s, j, "=>"), hasAt(s, j, "=="), j == i && hasAt(s, i, "->"):
		return j + 2, false
	case hasAt(s, j, "="):
		return j + 1, false
	case j == i+1 && s[i] == ':':
		return j, true
	case j == i+2 && s[i] == '|' && s[i+1] == '|':
		return j, false
	}
	return 0, false
}

// annotated returns where the value starts of a declaration whose type stands
// at i, or 0: var token string = "x", token: &str = "x".
func annotated(s string, i int) int {
	j := skipBlanks(s, i)
	from := j
	for j < len(s) && j-from < 32 && strings.IndexByte("*&[]", s[j]) >= 0 {
		j++
	}
	name := j
	for j < len(s) && j-from < 32 && nameByte.has(s[j]) {
		j++
	}
	k := skipBlanks(s, j)
	if j == name || !letter.has(s[name]) || k >= len(s) || s[k] != '=' {
		return 0
	}
	k = skipBlanks(s, k+1)
	if _, quoted := skipQuote(s, k); !quoted {
		return 0
	}
	return k
}

// element returns where the text starts of the XML element whose name ends at
// i, or 0. A text on a line of its own must be followed by the closing tag.
func element(s string, i int) int {
	for n := 0; n < 2*maxKeyBytes && i < len(s) && s[i] != '>'; n++ {
		if s[i] == '<' || s[i] == '/' || s[i] == '\n' {
			return 0
		}
		i++
	}
	if i >= len(s) || s[i] != '>' {
		return 0
	}
	i++
	j := skipSpace(s, i)
	if strings.IndexByte(s[i:j], '\n') < 0 {
		return i
	}
	end := j
	for end < len(s) && end-j < maxValueBytes && s[end] != '<' && s[end] != '\n' {
		end++
	}
	if hasAt(s, skipSpace(s, end), "</") {
		return j
	}
	return 0
}

// blockScalar returns where the text starts of a YAML block scalar at i.
func blockScalar(s string, i int) int {
	j := i
	if j >= len(s) || s[j] != '|' && s[j] != '>' {
		return i
	}
	if j++; j < len(s) && (s[j] == '-' || s[j] == '+') {
		j++
	}
	if hasAt(s, j, "\n ") {
		return skipSpace(s, j)
	}
	return i
}

func skipSpace(s string, i int) int {
	for n := 0; n < maxKeyBytes && i < len(s) && strings.IndexByte(" \t\r\n", s[i]) >= 0; n++ {
		i++
	}
	return i
}

// named returns where the value is said whose name is the text from start to
// i, as in {"name":"password","value":"x"}, <add key="password" value="x"/>,
// ["password","x"] and a part of a multipart form; or 0.
func (sc *scanner) named(start, i int) int {
	s := sc.src
	if next := formPart(s, start, i); next > 0 {
		return next
	}
	j := i
	for j < len(s) && j-i < maxKeyBytes && between.has(s[j]) {
		j++
	}
	if foldAt(s, j, "name>") || foldAt(s, j, "key>") { // </name><value>
		j = skipSpace(s, j+strings.IndexByte(s[j:], '>')+1)
		j += len(s[j:min(len(s), j+1)]) - len(strings.TrimPrefix(s[j:min(len(s), j+1)], "<"))
	}
	if foldAt(s, j, "value") {
		k, _ := skipQuote(s, j+len("value"))
		k = skipBlanks(s, k)
		if next, _ := operator(s, k); k < len(s) && next > 0 {
			return skipBlanks(s, next)
		} else if hasAt(s, k, ">") {
			return k + 1
		}
	}
	return pair(s, start, i)
}

// between may stand between a name that is a value, and the word value.
var between = bytesOf(" \t\r\n,;{}<>/\"'\\-")

// pair returns where the second of two texts in brackets starts, or 0, if the
// text from start to i is the first of them.
func pair(s string, start, i int) int {
	before := start - 1
	for before > 0 && (s[before] == '_' || s[before] == '-' || s[before] == '.') {
		before--
	}
	for before > 0 && (s[before] == '\\' || s[before] == ' ') || before > 0 && isQuote(s[before]) {
		before--
	}
	if before < 0 || s[before] != '[' && s[before] != '(' || !hasAt(s, i, ",") {
		return 0
	}
	j := skipBlanks(s, i+1)
	if _, quoted := skipQuote(s, j); !quoted {
		return 0
	}
	return j
}

func isQuote(c byte) bool { return c == '"' || c == '\'' || c == '`' }

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

func lineStart(s string, i int, first bool) bool {
	for n := 0; i > 0 && n < 16; n++ {
		switch s[i-1] {
		case '\n':
			return true
		case ' ', '\t', '"', '\'', '-':
			i--
		default:
			return false
		}
	}
	return i == 0 && first
}

func skipBlanks(s string, i int) int {
	for n := 0; n < 8 && i < len(s); n++ {
		r, w := unit(s, i)
		if r != ' ' && r != '\t' {
			break
		}
		i += w
	}
	return i
}

// skipQuote passes over an optional quote with its backslashes.
func skipQuote(s string, i int) (int, bool) {
	j := i
	for j < len(s) && s[j] == '\\' && j-i < 16 {
		j++
	}
	if j < len(s) && isQuote(s[j]) {
		return j + 1, true
	}
	if hasAt(s, i, "%22") || hasAt(s, i, "%27") {
		return i + 3, true
	}
	return i, false
}
