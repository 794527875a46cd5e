package engine

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

// isReplacement reports whether text is a replacement already.
func (e *Engine) isReplacement(text string) bool {
	return text != "" && e.replacementEnd(text, 0) == len(text)
}
