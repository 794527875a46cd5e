package engine

// What ends the value of a name in running text.

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
func (u *until) stop(s string, i, limit int) (end int, open bool) {
	if u.tree > 0 {
		return u.tree, false
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
