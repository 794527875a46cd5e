package engine

import "strings"

// vendor is a token format that names its issuer by a mark. After the mark come
// at least min characters of body; the whole run of them is the token. The test
// of the table makes from each row a token that must go, and a cut and an
// altered one that must stay.
type vendor struct {
	marks string // one or several, separated by blanks
	mark  string // or one that holds a blank
	body  *byteSet
	min   int
	max   int  // refuses longer runs, if set
	loose bool // a word of other languages too: needs a boundary before and a digit after
	// before and back are for marks inside a token: at least back characters of
	// the set stand in front.
	before *byteSet
	back   int
	check  func(token string) bool
	// example is a body, or what a body repeats.
	example string
}

var (
	base32Upper = bytesOf(upperChars + "234567")
	upperDigit  = bytesOf(upperChars + digitChars)
	upperDash   = upperDigit.or(bytesOf("-"))
	dotted      = wordChar.or(bytesOf("."))
	dollarWord  = wordChar.or(bytesOf("$"))
	pctWord     = wordChar.or(bytesOf("%"))
	tokenBody   = wordChar.or(bytesOf(".=/+"))
	hexDash     = hexDigit.or(bytesOf("-"))
	hexPath     = hexDigit.or(bytesOf("/:"))
	azureChar   = wordChar.or(bytesOf("~."))
	hookChar    = wordChar.or(bytesOf("/@"))
	sqlText     = base64Char.or(bytesOf("!#$%*@.:~"))
	base64Char  = alnum.or(bytesOf("+/=_-"))
)

// each calls add for every mark of v.
func (v *vendor) each(add func(mark string)) {
	if v.mark != "" {
		add(v.mark)
	}
	for mark := range strings.FieldsSeq(v.marks) {
		add(mark)
	}
}

// tokenRun is a part of the text that has been found to hold nothing but
// characters of one set. Tokens that begin in it need not look for its end again.
type tokenRun struct {
	set      *byteSet
	from, to int
}

const maxTokenBytes = 256 // that are looked at to judge a token

// end returns the end of the run of set at i, looking no further than needed.
func (t *tokenRun) end(text string, set *byteSet, i int) int {
	if t.set != set || i < t.from || i > t.to {
		*t = tokenRun{set: set, from: i, to: i}
	}
	for t.to < len(text) && t.to < i+maxTokenBytes && set.has(text[t.to]) {
		t.to++
	}
	return min(t.to, i+maxTokenBytes)
}

// vendorToken examines the mark of v at i.
func (sc *scanner) vendorToken(v *vendor, rule, mark string, i int) int {
	s, body := sc.src, i+len(mark)
	start := i
	if i > 0 && v.before == nil {
		inWord := alnum.has(mark[0]) && alnum.has(s[i-1]) && !escapedBefore(s, i)
		if inWord || v.loose && (wordChar.has(s[i-1]) || s[i-1] == '.') && !escapedBefore(s, i) {
			return i
		}
	}
	end := body
	if v.body != nil {
		end = sc.tokens.end(sc.text, v.body, body+sc.off) - sc.off
	}
	n := end - body
	if n < v.min || v.max > 0 && n > v.max {
		return i
	}
	if digits, _ := mix(s[body:end]); v.loose && digits == 0 || masked(s[body:end]) {
		return i
	}
	if v.before != nil {
		for start > 0 && i-start < maxKeyBytes && v.before.has(s[start-1]) {
			start--
		}
		if i-start < v.back {
			return i
		}
	}
	if v.check != nil && !v.check(s[start:end]) {
		return i
	}
	class := swallowWord
	if v.body != nil && (v.body.has('.') || v.body.has('+')) {
		class = swallowToken
	}
	if v.max > 0 || v.body == nil {
		if sc.wordAt(end) {
			return i
		}
		return sc.found(span{start: start, end: end, det: Token, rule: rule})
	}
	return sc.foundRun(span{start: start, end: end, det: Token, rule: rule}, class)
}

// masked reports whether a body is a row of one such character: ghp_xxxxxxxxxxxxxxxxxxxx.
func masked(body string) bool {
	return len(body) > 4 && strings.IndexByte("xX*#", body[0]) >= 0 &&
		strings.Trim(body, body[:1]+"-_.") == ""
}

// discordToken reports whether text is the number of an account, a time and
// a signature: base64 texts that begin like a number are common, such dots
// are not.
func discordToken(text string) bool {
	first := strings.IndexByte(text, '.')
	if first < 20 || first > 30 || len(text) < first+8 || text[first+7] != '.' {
		return false
	}
	return !strings.Contains(strings.TrimRight(text[first+8:], "."), ".")
}

// jwt examines eyJ at i: the header of a JWS or JWE in compact form (RFC
// 7515 section 7.1). A lone base64 object, such as a page cursor, has no
// second part and stays.
func (sc *scanner) jwt(i int) int {
	s := sc.src
	if sc.off+i < sc.noJWT {
		return i
	}
	dot := tokenPart(s, i)
	r, w := rune(0), 0
	if dot < len(s) {
		r, w = unit(s, dot)
	}
	if dot-i < 12 || r != '.' || dot+w >= len(s) {
		sc.noJWT = sc.off + dot - (dot-i)/2
		return i
	}
	second := tokenPart(s, dot+w)
	if second-dot-w < 4 && !hasAt(s, second, ".") {
		return i
	}
	end := second
	if second < len(s) {
		if r, w := unit(s, second); r == '.' && w > 1 {
			end = tokenPart(s, second+w)
		}
	}
	return sc.foundRun(span{start: i, end: end, det: Token, rule: ruleJWT}, swallowToken)
}

// jwtBefore examines the dot between the two first parts of a JWT whose
// header does not begin with eyJ: with a line break after the brace, or made
// up for a test. Both parts begin like the base64 of a brace.
func (sc *scanner) jwtBefore(dot int) int {
	s, start := sc.src, dot
	for start > 0 && dot-start < lookbehind/2 && wordChar.has(s[start-1]) {
		start--
	}
	end := tokenPart(s, dot+1)
	if dot-start < 16 || !hasAt(s, start, "ey") || end-dot < 16 || !hasAt(s, end, ".") {
		return dot
	}
	return sc.foundRun(span{start: start, end: end, det: Token, rule: ruleJWT}, swallowToken)
}

// tokenPart returns the end of the run of token characters at i, looking at
// most a quarter of lookahead far.
func tokenPart(s string, i int) int {
	limit := min(len(s), i+lookahead/4)
	for i < limit && wordChar.has(s[i]) {
		i++
	}
	return i
}

// pem examines BEGIN at i: a private key (RFC 7468 section 10).
func (sc *scanner) pem(i int) int {
	end := keyHeader(sc.src, i-len("-----"))
	if end == 0 {
		return i
	}
	return sc.foundRun(span{start: i - len("-----"), end: end, det: Token, rule: ruleKey}, swallowPEM)
}

// keyHeader returns the end of the first line of a private key at i, or 0.
func keyHeader(s string, i int) int {
	const begin = "-----BEGIN"
	if !hasAt(s, i, begin) {
		return 0
	}
	label := i + len(begin)
	end := label
	for end < len(s) && end-label < 80 && s[end] != '-' && s[end] != '\n' {
		end++
	}
	if !hasWord(s[label:end], "PRIVATE") || !hasAt(s, end, "-----") {
		return 0
	}
	return end + len("-----")
}

// keyStart returns where a private key begins in s[i:end], or end.
func keyStart(s string, i, end int) int {
	if at := strings.Index(s[i:end], "-----BEGIN"); at >= 0 && keyHeader(s, i+at) > 0 {
		return i + at
	}
	return end
}

func hasWord(label, word string) bool {
	for i := range len(label) {
		if hasAt(label, i, word) {
			return true
		}
	}
	return false
}
