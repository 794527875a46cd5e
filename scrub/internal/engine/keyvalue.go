package engine

// value is the value of a key in running text.
type value struct {
	start, end int
	until
	settled bool   // is a replacement already
	wrap    string // quotes to put around the replacement
	loose   bool   // after ": ": prose may have a colon too
	prose   bool   // after "is": only what looks like a credential
	flag    bool   // after --key and a blank: another flag is no value
	lineKey bool   // the key is the first thing on its line
}

// until says what ends a value.
type until struct {
	quote   byte // ' " ` or % (for %22), or 0
	slashes int  // backslashes before each quote
	bracket bool // unquoted, up to a closing bracket
	brace   bool // unquoted, up to a closing brace
	header  bool // unquoted, may go on after a comma, a semicolon or a scheme
}

// findValue finds the value that belongs to the key s[start:end].
func (sc *scanner) findValue(start, end int) (value, bool) {
	var v value
	s := sc.src
	i, quoted := skipQuote(s, end)
	if !quoted && i < len(s) && (s[i] == ']' || s[i] == ')') {
		i++
	}
	i = skipBlanks(s, i)
	if i >= len(s) {
		return v, false
	}
	r, w := unit(s, i)
	next := i + w
	switch {
	case r == ':' || r == '=':
		if next < len(s) && (s[next] == '=' || s[next] == '>') {
			next++
		}
		v.loose = r == ':' && !quoted
	case r == '-' && hasAt(s, i, "->"):
		next = i + 2
	case r == '>' && start > 0 && s[start-1] == '<':
	case quoted && (r == '\n' || r == '\r'):
		if next = formPart(s, start, i); next == 0 {
			return v, false
		}
	case quoted && i > end+1 && foldAt(s, i, "value=") && i+6 < len(s):
		next = i + len("value=") // <add key="password" value="x"/>
	case !quoted && i > end && s[i] == '\'' && foldAt(s, end-8, "password"):
		next, v.prose = i, true // ALTER USER app PASSWORD 'x'
	case r == ',' && quoted:
		next = skipValueKey(s, skipBlanks(s, next))
	case i > end && flagKey(s, start):
		next, v.flag = i, true
	case i > end && (hasAt(s, i, "is ") || hasAt(s, i, "was ")):
		next = i + 3
		v.prose = true
	default:
		return v, false
	}
	v.lineKey = lineStart(s, start, sc.off == 0)
	body := skipBlanks(s, next)
	v.loose = v.loose && body > next
	return v, sc.open(&v, body, quoted)
}

// flagKey reports whether the key is a command line flag: --password x.
func flagKey(s string, start int) bool { return hasAt(s, start-2, "--") }

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
	if j < len(s) && (s[j] == '"' || s[j] == '\'' || s[j] == '`') {
		return j + 1, true
	}
	if hasAt(s, i, "%22") || hasAt(s, i, "%27") {
		return i + 3, true
	}
	return i, false
}

// open reads what encloses the value at i and reports whether there is one.
func (sc *scanner) open(v *value, i int, quotedKey bool) bool {
	s := sc.src
	for i < len(s) && s[i] == '[' && v.start == 0 && sc.e.replacementEnd(s, i) == 0 {
		i, v.bracket, v.start = i+1, true, i+1
		if hasAt(s, i, "]string{") {
			i, v.bracket, v.brace = i+len("]string{"), false, true
		}
	}
	i = skipBlanks(s, i)
	v.start = i
	if i >= len(s) || s[i] == '{' && quotedKey {
		return false
	}
	if q := wrapped(s, i); q > 0 && !v.bracket && !v.brace {
		i, v.start = q, q
	}
	j, quoted := skipQuote(s, i)
	switch {
	case quoted && (v.bracket || v.brace):
		v.wrap = s[i:j]
	case quoted && s[i] == '%':
		v.quote, v.start = '%', j
	case quoted:
		v.quote, v.slashes, v.start = s[j-1], j-1-i, j
	default:
		v.wrap = jsonQuote(s, i)
	}
	return v.start < len(s)
}

// jsonQuote returns the quotes that a replacement needs where a bare JSON
// number stood after a quoted key; at another place it returns nothing.
func jsonQuote(s string, i int) string {
	for n := 0; i > 0 && s[i-1] == ' ' && n < 8; n++ {
		i--
	}
	if i < 2 || s[i-1] != ':' || s[i-2] != '"' {
		return ""
	}
	n := 0
	for n < i-2 && n < 15 && s[i-3-n] == '\\' {
		n++
	}
	// A constant, because the text may be gone when the span is written.
	const quotes = `\\\\\\\\\\\\\\\"`
	return quotes[len(quotes)-1-n:]
}

// measure finds the end of the value, as far as it is looked at.
func (sc *scanner) measure(v *value) {
	inner := v.start
	if v.bracket || v.brace {
		inner, _ = skipQuote(sc.src, inner)
	}
	end := sc.e.replacementEnd(sc.src, inner)
	if end > 0 && inner > v.start {
		end, _ = skipQuote(sc.src, end)
	}
	v.end, _ = v.stop(sc.src, max(v.start, end), min(len(sc.src), v.start+maxValueBytes))
	v.settled = end > 0 && v.end == end
}

// stop returns where the value at i ends, looking no further than limit, and
// whether it may go on there.
func (u *until) stop(s string, i, limit int) (end int, open bool) {
	for ; i < limit; i++ {
		c := s[i]
		switch {
		case c == '\n' || c == '\r':
			return i, false
		case u.quote == '%':
			if c == '&' || c == ' ' || hasAt(s, i, "%22") || hasAt(s, i, "%27") {
				return i, false
			}
		case u.quote != 0:
			if c == '\'' && u.quote == c && hasAt(s, i+1, "'") && i+1 < limit {
				i++ // doubled, as SQL has it
				continue
			}
			if c == u.quote {
				if n, ends := u.closing(s, i); ends {
					return i - n, false
				}
			}
		case u.bracket:
			if c == ']' {
				return i, false
			}
		case u.brace:
			if c == '}' {
				return i, false
			}
		case valueEnd.has(c) || c == '\\' && !plainEscape(s, i):
			if !u.header || !u.goesOn(s, i) {
				return i, false
			}
		}
	}
	return i, true
}

// closing reports whether the quote at i closes the value, and how many of
// the backslashes before it belong to the quote.
func (u *until) closing(s string, i int) (int, bool) {
	n := 0
	for n < i && n < 64 && s[i-1-n] == '\\' {
		n++
	}
	if u.slashes == 0 {
		return 0, n%2 == 0
	}
	return min(n, u.slashes), n <= u.slashes
}

// goesOn reports whether a header's value continues after the byte at i: a
// list after a comma or semicolon, credentials after their scheme.
func (u *until) goesOn(s string, i int) bool {
	switch s[i] {
	case ',', ';':
		return i+1 < len(s) && (s[i+1] == ' ' || s[i] == ';' && alnum.has(s[i+1]))
	case ' ':
		if s[i-1] == ',' || s[i-1] == ';' {
			return true
		}
		j := i
		for j > 0 && i-j < 24 && (alnum.has(s[j-1]) || s[j-1] == '-') {
			j--
		}
		if j == 0 || s[j-1] == ' ' && j > 1 && s[j-2] != ':' && s[j-2] != '=' {
			return false
		}
		return i-j < 20 && (s[j-1] == ':' || s[j-1] == '=' || s[j-1] == ' ') && i > j
	}
	return false
}

// plainEscape reports whether the backslash at i escapes no delimiter.
func plainEscape(s string, i int) bool {
	return i+1 < len(s) && s[i+1] != '"' && s[i+1] != '\'' && s[i+1] != 'n' && s[i+1] != '\\' &&
		s[i+1] != 'r' && s[i+1] != 't'
}

var valueEnd = bytesOf(" \t,;&|<>\"'`)]}")

// denies reports whether the value of a denied key must go.
func (sc *scanner) denies(rule valueRule, v *value) bool {
	s := sc.src
	text := s[v.start:v.end]
	if text == "" || v.settled || empty(text) {
		return false
	}
	switch {
	case rule == ruleText && shortNumber(text):
		return false
	case rule == ruleOpaque && !opaque(text), v.prose && (number(text) || !mixed(text)):
		return false
	case v.quote == 0 && v.wrap == "" && inert.has(text):
		return false
	case v.flag && hasAt(text, 0, "-"):
		return false
	case v.loose && v.quote == 0 && !v.bracket && !v.brace && letters(text):
		end := skipBlanks(s, v.end)
		return v.lineKey && (end >= len(s) || s[end] == '\n' || s[end] == '\r')
	}
	return true
}

// replacementEnd returns the end of the replacement at i: [name] or, with a
// pseudonym, [name:letters]. It returns 0 if there is none.
func (e *Engine) replacementEnd(text string, i int) int {
	if i >= len(text) || text[i] != '[' {
		return 0
	}
	for _, name := range e.names {
		if !hasAt(text, i+1, name) {
			continue
		}
		end := i + 1 + len(name)
		if end < len(text) && text[end] == ':' {
			end++
			for end < len(text) && end-i < 2*maxKeyBytes && pseudoChar.has(text[end]) {
				end++
			}
		}
		if end < len(text) && text[end] == ']' {
			return end + 1
		}
	}
	return 0
}

// pseudoChar is the alphabet of pseudonyms: no digits, no vowels, so that no
// detector can ever find something in one.
var pseudoChar = bytesOf(PseudonymLetters)

const PseudonymLetters = "bcdfghjklmnpqrst"

func empty(text string) bool {
	for _, w := range [...]string{"null", "true", "false", "nil", "none", "undefined", "<nil>"} {
		if equalFold(text, w) {
			return true
		}
	}
	for i := range len(text) {
		if text[i] != '*' {
			return false
		}
	}
	return true
}

func shortNumber(text string) bool { return len(text) <= 6 && number(text) }

func number(text string) bool {
	for i := range len(text) {
		if !digit.has(text[i]) && text[i] != '.' && text[i] != '-' {
			return false
		}
	}
	return true
}

// mixed reports whether text of six bytes or more has a digit and a letter.
func mixed(text string) bool {
	digits, others := 0, 0
	for i := range len(text) {
		if digit.has(text[i]) {
			digits++
		} else if letter.has(text[i]) {
			others++
		}
	}
	return digits > 0 && others > 0 && len(text) >= 6
}

// opaque reports whether text looks like a credential; a number alone is a
// count or an identifier.
func opaque(text string) bool { return credential(text) && !(len(text) <= 12 && number(text)) }

// inert are the words that say something about a secret in its place.
var inert = wordsOf("required optional missing invalid valid enabled disabled unchanged" +
	" changed yes no on off expired denied granted accepted rejected ok failed hidden protected" +
	" unknown empty set unset redacted masked" +
	" removed filtered default string text auto never always bearer basic digest")

func letters(text string) bool {
	for i := range len(text) {
		if !letter.has(text[i]) && text[i] != '.' && text[i] != '!' {
			return false
		}
	}
	return true
}
