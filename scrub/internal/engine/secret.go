package engine

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The judge of values: whether a text below a denied name must go is decided
// here and nowhere else.

// place says how a value stands below its name. The zero place is that of
// formats which have names and values: JSON, maps, headers, queries.
type place struct {
	bare  bool // in running text, without quotes
	loose bool // after ": ", which prose has too
	alone bool // all that its line has after the name
	prose bool // after "is": only what mixes letters and digits
	flag  bool // after --name and a blank: another flag is no value
	inner bool // the name and it stand alone in parentheses
	arrow bool // after ->, which leads to members too
}

// denies reports whether text must not stand below the name.
func (h *head) denies(text string, p place) bool {
	text = strings.Trim(text, "\"'`\\ ")
	if empty(text) || placeholder(text) {
		return false
	}
	tree := !p.bare && (text[0] == '{' || text[0] == '[')
	switch h.rule {
	case ruleText:
		if shortNumber(text) || isPath(text) || isAddress(text) {
			return false
		}
	case ruleOpaque:
		if tree && !opaqueLeaf(text) || !tree && !opaque(text) {
			return false
		}
	case rulePerson:
		if !tree && !person(text) {
			return false
		}
	}
	if p.prose {
		return mixed(text)
	}
	return !p.bare || h.deniesBare(text, p)
}

// deniesBare judges text that may be prose or code.
func (h *head) deniesBare(text string, p place) bool {
	switch {
	case inert.has(text), p.flag && text[0] == '-':
		return false
	case h.rule == ruleHeader:
	case h.rule == ruleCookies:
		return strings.Contains(text, "=")
	case h.rule != ruleAny && isCode(text), strings.HasSuffix(text, "("):
		return false
	case p.arrow && h.rule != ruleAny, p.inner && letters(text): // pam_unix(passwd:chauthtok)
		return false
	case h.word == "pwd" && isPath(text): // the working directory of a shell
		return false
	}
	return !p.loose || !letters(text) && text[len(text)-1] != ':' || p.alone
}

// empty reports whether text says that there is no value.
func empty(text string) bool {
	switch {
	case text == "", text == "{}", text == "[]":
		return true
	case len(text) > len("undefined"):
		return false
	}
	for _, w := range [...]string{"null", "true", "false", "nil", "none", "undefined", "<nil>"} {
		if equalFold(text, w) {
			return true
		}
	}
	return false
}

// placeholder reports whether text stands for a value: a row of one character
// (*** or xxxx), a variable of a shell or a template, a word in brackets, or
// the mark of another scrubber.
func placeholder(text string) bool {
	n := len(text)
	switch {
	case strings.Trim(text, text[:1]) == "" && strings.Contains("*.xX-_#?", text[:1]):
		return n > 2 || text[0] == '*' || text[0] == '-'
	case strings.HasPrefix(text, "${"), strings.HasPrefix(text, "{{"), strings.HasPrefix(text, "$("),
		strings.HasPrefix(text, "%("), n == 2 && text[0] == '%':
		return true
	case text[0] == '$' && n > 2 && strings.Trim(text[1:], upperChars+digitChars+"_") == "":
		return true
	}
	inner := strings.Trim(text, "[]<>(){}*")
	return marks.has(inner) || text[0] == '<' && text[n-1] == '>' &&
		strings.Trim(inner, lowerChars+upperChars+"_- ") == ""
}

var marks = wordsOf("redacted filtered masked hidden removed scrubbed")

func shortNumber(text string) bool { return len(text) <= 6 && number(text) }

func number(text string) bool { return strings.Trim(text, digitChars+".-") == "" }

// mixed reports whether text of six bytes or more has a digit and a letter.
func mixed(text string) bool {
	digits, letters := mix(text)
	return digits > 0 && letters > 0 && len(text) >= 6
}

func mix(text string) (digits, letters int) {
	for i := range len(text) {
		switch {
		case digit.has(text[i]):
			digits++
		case letter.has(text[i]):
			letters++
		}
	}
	return digits, letters
}

// opaque reports whether text looks like a credential. A number, the address
// of an object, a path and a Windows security identifier do not.
func opaque(text string) bool {
	switch {
	case !credential(text), isPath(text), isCode(text):
		return false
	case strings.Trim(text, digitChars+".:_-+") == "":
		return len(text) > 24
	case isAddress(text), isHost(text), strings.HasPrefix(text, "S-1-"), strings.Contains(text, "://"),
		strings.IndexByte(text, ' ') >= 0:
		return false
	}
	digits, _ := mix(text)
	return digits > 0 || len(text) >= 20
}

// opaqueLeaf reports whether some word of an object looks like a credential.
func opaqueLeaf(tree string) bool {
	for word := range strings.FieldsFuncSeq(tree, func(r rune) bool {
		return strings.ContainsRune(" \t\r\n\",:;{}[]()'=", r)
	}) {
		if opaque(word) {
			return true
		}
	}
	return tree == anyTree
}

// isHost reports whether text begins with the name of a host.
func isHost(text string) bool {
	end := 0
	for end < len(text) && hostByte.has(text[end]) {
		end++
	}
	if end < len(text) && strings.IndexByte("[:/(", text[end]) < 0 {
		return false
	}
	dot := strings.LastIndexByte(text[:end], '.')
	return dot > 0 && end-dot > 2 && end-dot < 8 && strings.Trim(text[dot+1:end], lowerChars) == ""
}

var hostByte = bytesOf(lowerChars + digitChars + "-.")

// isAddress reports whether text is a number of at most 64 bits, as in 0x14ede63a5a7003a.
func isAddress(text string) bool {
	return strings.HasPrefix(text, "0x") && len(text) <= 18 && !strings.ContainsFunc(text[2:], notHex)
}

func notHex(r rune) bool { return r >= utf8.RuneSelf || !hexDigit.has(byte(r)) }

// isPath reports whether text is the name of a file, in which no part looks
// like random characters.
func isPath(text string) bool {
	rest := strings.TrimLeft(text, ".~")
	if len(rest) > 2 && rest[1] == ':' && rest == text {
		rest = rest[2:]
	}
	if rest == "" || rest[0] != '/' && rest[0] != '\\' || strings.ContainsAny(rest, "+=") {
		return false
	}
	for part := range strings.FieldsFuncSeq(rest, func(r rune) bool { return r == '/' || r == '\\' }) {
		digits, _ := mix(part)
		if len(part) >= 20 && digits > 2 && strings.ToLower(part) != part {
			return false
		}
	}
	return true
}

// isCode reports whether text is a call, an object in a dump or a name with
// its namespace: getToken(x, Token{a64f992, Session@1f2e3d, http\Session.
func isCode(text string) bool {
	i := 0
	for i < len(text) && (letter.has(text[i]) || i > 0 && digit.has(text[i]) ||
		strings.IndexByte("_.$", text[i]) >= 0) {
		i++
	}
	if i == 0 || i == len(text) {
		return false
	}
	if digits, _ := mix(text[:i]); digits > 3 && i > 12 {
		return false
	}
	switch text[i] {
	case '(', '{', '\\':
		return true
	case ':', '-':
		return strings.HasPrefix(text[i:], "::") || strings.HasPrefix(text[i:], "->")
	case '@':
		return i >= 4 && len(text)-i > 4 && strings.Trim(text[i+1:], "0123456789abcdef") == ""
	}
	return false
}

// person reports whether text may be the name of a person, a company or a
// street: letters, with digits only between blanks.
func person(text string) bool {
	seen := false
	for _, r := range text {
		switch {
		case unicode.IsLetter(r):
			seen = true
		case r >= utf8.RuneSelf, strings.ContainsRune(" .,'`-&#", r):
		case r >= '0' && r <= '9' && strings.Contains(text, " "):
		default:
			return false
		}
	}
	return seen
}

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

// credential reports whether text is not a word of prose: it has a digit and
// eight characters, or mixes case inside, or is longer than words are.
func credential(text string) bool {
	for len(text) > 0 && !alnum.has(text[len(text)-1]) && text[len(text)-1] != '=' {
		text = text[:len(text)-1]
	}
	digits, uppers, lowers, others, dots := 0, 0, 0, 0, 0
	for i := range len(text) {
		switch c := text[i]; {
		case digit.has(c):
			digits++
		case isUpper(c):
			if i > 0 {
				uppers++
			}
		case isLower(c):
			lowers++
		default:
			others++
			if c == '.' {
				dots++
			}
		}
	}
	n := len(text)
	switch {
	case n < 6:
		return false
	case digits > 0 && n >= 8, uppers > 0 && lowers > 0 && n >= 8, dots == 2 && n >= 8:
		return true
	}
	return n >= 20 && others < n/4
}
