package engine

import "slices"

import "strings"

// The judge of names. Whether a key is denied is decided here and nowhere
// else: for keys in running text, in JSON, of maps and structs, of headers and
// queries.
//
// A key is read as words, from its end: words that may follow without changing
// what is named are passed over (password_hash, token2), and the next one must
// be the head of a denied name. DB_PASSWORD, dbPassword, db-password and
// JWTSecret are denied; password_length, has_password and monkey are not.

// rule says how much the value of a denied name must look like a secret.
type rule uint8

const (
	ruleAny     rule = iota // any value that is not empty, null or a boolean
	ruleText                // nor a short number or a path: token=17 is a count
	ruleOpaque              // only what looks like a credential, and no number
	rulePerson              // words: the name of a person or a street
	ruleHeader              // an Authorization header: a scheme and its credentials
	ruleCookies             // name=value pairs separated by semicolons
)

// head is the last word of a denied name.
type head struct {
	word  string
	after *words // one of which must stand before it, or nil
	not   *words // none of which may stand before it, and some word must; or nil
	rule  rule
	det   int
	name  string // of the rule, as in "secret.password"
}

const (
	// minGlued is the shortest head that counts wherever a word ends in it.
	minGlued     = 8
	longestGlued = len("cleartext") // of gluedWords
	// maxKeyBytes bounds a key in running text, before and after its head.
	maxKeyBytes = 64
	maxKeyWords = 12
)

// judge returns the head that denies the key, or nil.
func (e *Engine) judge(key string) *head {
	if len(key) < 3 || len(key) > 4*maxKeyBytes {
		return nil
	}
	var words [maxKeyWords]string
	n := splitBack(key, &words)
	for k := 0; k < n && k < 5; k++ {
		before := ""
		if k+1 < n {
			before = words[k+1]
		}
		if h := e.headOf(words[k], before); h != nil {
			if slices.ContainsFunc(words[k+1:n], countWords.has) {
				return nil
			}
			if e.except.Keys != nil && e.except.Keys[strings.Join(Words(key), " ")] {
				return nil
			}
			return h
		}
		if !tailWords.has(words[k]) && !isNumber(words[k]) {
			return nil
		}
	}
	return nil
}

// headOf returns the head that word is, after the word before.
func (e *Engine) headOf(word, before string) *head {
	plain := strings.TrimRight(word, digitChars) // password1
	if !e.endings.has(ending(word)) && !e.endings.has(ending(plain)) {
		return nil
	}
	if h := e.lookup(word, before); h != nil {
		return h
	}
	if plain != word {
		if h := e.lookup(plain, before); h != nil {
			return h
		}
	}
	for i := 2; i+3 <= len(plain) && i <= longestGlued; i++ {
		if gluedWords.has(plain[:i]) { // accesstoken, PGPASSWORD
			if h := e.lookup(plain[i:], plain[:i]); h != nil {
				return h
			}
		}
	}
	for _, i := range e.long { // userpassword, azurestorageaccountkey
		h := &e.heads[i]
		if at := len(plain) - len(h.word); at > 0 && foldAt(plain, at, h.word) {
			return h
		}
	}
	return nil
}

// ending is a hash of how a word ends, by which most words are told at once to
// be no head.
func ending(word string) byte {
	if len(word) < 2 {
		return 0
	}
	return lower(word[len(word)-1])*31 + lower(word[len(word)-2])
}

func (e *Engine) lookup(word, before string) *head {
	var buf [maxKeyBytes]byte
	lower, ok := lowerWord(&buf, word)
	if !ok {
		return nil
	}
	for _, i := range e.byWord[string(lower)] {
		h := &e.heads[i]
		if (h.after == nil || h.after.has(before)) && (h.not == nil || before != "" && !h.not.has(before)) {
			return h
		}
	}
	return nil
}

// Words splits a key into its words, in lower case.
func Words(key string) []string {
	var back [maxKeyWords]string
	n := splitBack(key, &back)
	words := make([]string, n)
	for i, w := range back[:n] {
		words[n-1-i] = strings.ToLower(w)
	}
	return words
}

// splitBack splits key into words, the last one first, and returns their
// number. Words end where another character stands, and at the humps of
// camelCase, of which an initialism is one: JWTSecret is JWT and Secret.
func splitBack(key string, words *[maxKeyWords]string) int {
	n := 0
	for end := len(key); end > 0 && n < maxKeyWords; {
		if !wordByte.has(key[end-1]) {
			end--
			continue
		}
		start := end - 1
		for start > 0 && wordByte.has(key[start-1]) && !hump(key, start) {
			start--
		}
		words[n] = key[start:end]
		n, end = n+1, start
	}
	return n
}

// hump reports whether a word of camelCase begins at key[i].
func hump(key string, i int) bool {
	if i == 0 || i >= len(key) {
		return false
	}
	if digit.has(key[i-1]) {
		return letter.has(key[i]) // base64String, 1password
	}
	if !isUpper(key[i]) {
		return false
	}
	if !isUpper(key[i-1]) {
		return true
	}
	return i+1 < len(key) && isLower(key[i+1]) && !(i+2 == len(key) && key[i+1] == 's')
}

func isUpper(c byte) bool { return c-'A' < 26 }
func isLower(c byte) bool { return c-'a' < 26 }

// wordByte holds the bytes of words: those of other scripts count as letters.
var wordByte = alnum.or(bytesOf(byteRange(0x80, 0xFF)))

func isNumber(word string) bool { return strings.Trim(word, digitChars) == "" }
