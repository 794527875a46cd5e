package engine

import "strings"

// Where the value of a name begins and ends in running text.

// until says what ends a value.
type until struct {
	quote   byte // ' " ` or % (for %22), or 0
	slashes int  // backslashes before each quote
	bracket bool // unquoted, up to a closing bracket
	brace   bool // unquoted, up to a closing brace
	header  bool // unquoted, may go on after a comma, a semicolon or a scheme
	tree    int  // the end of an object, known already, or 0
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

// stop returns where the value at i ends, looking no further than limit, and
// whether it may go on there.
func (u *until) stop(e *Engine, s string, i, limit int) (end int, open bool) {
	if u.tree > 0 {
		return u.tree, false
	}
	switch {
	case u.bracket:
		return stopAt(s, i, limit, ']')
	case u.brace:
		return stopAt(s, i, limit, '}')
	case u.quote == 0:
		return u.stopBare(e, s, i, limit)
	}
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
		}
	}
	return i, true
}

// stopAt is stop for what a closing character ends.
func stopAt(s string, i, limit int, closing byte) (end int, open bool) {
	if i >= limit {
		return i, true
	}
	text := s[i:limit]
	for _, c := range [...]byte{closing, '\n', '\r'} {
		if at := strings.IndexByte(text, c); at >= 0 {
			text = text[:at]
		}
	}
	return i + len(text), i+len(text) == limit
}

// stopBare is stop for a value without quotes.
func (u *until) stopBare(e *Engine, s string, i, limit int) (end int, open bool) {
	for ; i < limit; i++ {
		if c := s[i]; bareStop.has(c) {
			if c == '[' && e.replacementEnd(s, i) > 0 {
				return i, false
			}
			ends := valueEnd.has(c) || c == '\\' && !plainEscape(s, i)
			if c == '\n' || c == '\r' || ends && (!u.header || !u.goesOn(s, i)) {
				return i, false
			}
		}
	}
	return i, true
}

var bareStop = valueEnd.or(bytesOf("\n\r\\["))

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

// open reads what encloses the value at i and reports whether there is one.
func (sc *scanner) open(v *value, i int) bool {
	s := sc.src
	if i < len(s) && s[i] == '{' && !hasAt(s, i, "{{") {
		return sc.openTree(v, i)
	}
	for i < len(s) && s[i] == '[' && v.start == 0 && sc.e.replacementEnd(s, i) == 0 {
		i, v.bracket, v.start = i+1, true, i+1
		if hasAt(s, i, "]string{") {
			i, v.bracket, v.brace = i+len("]string{"), false, true
		}
	}
	i = skipBlanks(s, i)
	v.start = i
	if i >= len(s) {
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

// openTree takes an object whole, if it closes within what is looked at.
func (sc *scanner) openTree(v *value, i int) bool {
	s := sc.src
	depth, inside := 0, false
	s = s[:min(len(s), i+maxTreeBytes)]
	if strings.IndexByte(s[i:], '}') < 0 {
		return false
	}
	for j := i; j < len(s); j++ {
		switch c := s[j]; {
		case c == '"' && (j == 0 || s[j-1] != '\\'):
			inside = !inside
		case inside:
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				v.start, v.tree, v.wrap = i, j+1, jsonQuote(s, i)
				return j > i+1
			}
		}
	}
	return false
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

// measure finds the end of the value below h, as far as it is looked at. What
// begins with the replacements of other detectors was judged before they were
// made, and stays.
func (sc *scanner) measure(h *head, v *value) {
	inner := v.start
	if v.bracket || v.brace {
		inner, _ = skipQuote(sc.src, inner)
	}
	own, end, many := false, 0, -1
	for at := inner; ; at = end {
		many++
		next := sc.e.replacementEnd(sc.src, at)
		if next == 0 {
			break
		}
		end, own = next, own || hasAt(sc.src, at+1, Names[h.det])
	}
	if end > 0 && inner > v.start {
		end, _ = skipQuote(sc.src, end)
	}
	if v.bare && !v.header && end == 0 {
		v.end = sc.bareEnd(&v.until, v.start)
		return
	}
	v.end, _ = v.stop(sc.e, sc.src, max(v.start, end), min(len(sc.src), v.start+maxValueBytes))
	v.settled = end > 0 && (v.end == end || !own || many > 1)
}

// bareRun is a part of the view that has no end of a bare value in it, so that
// names in it need not look for one each. After many names in one run that have
// no secret, none is expected in the rest of it: runs of names are no text.
type bareRun struct {
	from, to int // in the text
	refused  int
}

const maxRefused = 10

// refuse notes that a name before i has no secret, and returns where to go on.
func (sc *scanner) refuse(u *until, i int) int {
	b := &sc.bare
	if i+sc.off < b.from || i+sc.off > b.to {
		return i
	}
	if b.refused++; b.refused < maxRefused {
		return i
	}
	end, _ := u.stopBare(sc.e, sc.src, b.to-sc.off, min(len(sc.src), i+maxValueBytes))
	return max(end, b.to-sc.off)
}

// end returns the end of a bare value at i, as far as it is looked at.
func (sc *scanner) bareEnd(u *until, i int) int {
	b, from := &sc.bare, i
	if i+sc.off >= b.from && i+sc.off < b.to {
		from = b.to - sc.off
	} else {
		*b = bareRun{from: i + sc.off, to: i + sc.off}
	}
	limit := min(len(sc.src), i+maxBareBytes)
	if from < limit {
		end, _ := u.stopBare(sc.e, sc.src, from, limit)
		b.to = end + sc.off
		return end
	}
	return limit
}
