package engine

import "strings"

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

// replacementIn returns where the first replacement in text is, or -1.
func (e *Engine) replacementIn(text string) int {
	for at := 0; ; at++ {
		next := strings.IndexByte(text[at:], '[')
		if next < 0 {
			return -1
		}
		if at += next; e.replacementEnd(text, at) > 0 {
			return at
		}
	}
}

// wordAt reports whether a letter, a digit or a replacement, which was some
// before, stands at i: what ends there does not end a word.
func (sc *scanner) wordAt(i int) bool {
	s := sc.src
	return i < len(s) && (alnum.has(s[i]) || s[i] == '[' && sc.e.replacementEnd(s, i) > 0)
}

// isReplacement reports whether text is a replacement already.
func (e *Engine) isReplacement(text string) bool {
	return text != "" && e.replacementEnd(text, 0) == len(text)
}
