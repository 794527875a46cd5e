package engine

import (
	"slices"
	"strings"
)

// A denied key and its value in running text: password=x, "password":"x",
// \"password\":\"x\", Password:x in a Go dump, --password x, <password>x<,
// ["password","x"], [password] => x, password%3Dx.

const (
	maxKeyBytes   = 64  // of a key before and after its head
	maxValueBytes = 512 // that are looked at to judge a value
)

// key examines the word at i, which reads like the head h of a denied key.
func (sc *scanner) key(h *head, i int) int {
	s := sc.src
	end := i + len(h.word)
	start, ok := keyStart(s, i, h)
	if !ok {
		return i
	}
	if start > 0 {
		if end := sc.e.replacementEnd(s, start-1); end > 0 {
			return end // [token:...] is no key
		}
	}
	end, ok = keyEnd(s, end)
	if !ok {
		return i
	}
	v, ok := sc.findValue(start, end)
	if !ok {
		return i
	}
	v.header = h.rule == ruleHeader || h.rule == ruleCookies
	sc.measure(&v)
	if holdsKey(s, v.start, v.end) {
		return i // a private key goes on over many lines
	}
	if !sc.denies(h.rule, &v) {
		return i
	}
	sc.until = v.until
	return sc.foundRun(span{start: v.start, end: v.end, det: h.det, quote: v.wrap}, swallowValue)
}

// keyStart returns where the key that contains the head at i starts, and
// whether the words before the head let it stand.
func keyStart(s string, i int, h *head) (int, bool) {
	first, before := i, i
	for n := 0; ; n++ {
		word := wordBefore(s, before)
		if n == 0 && word.end == i && word.start < i && !camel(s, i) {
			// Letters touch the head: monkey, accesstoken.
			if !listed(gluedWords, s[word.start:i]) {
				if escapedBefore(s, i) {
					return i, h.after == ""
				}
				return 0, false
			}
		}
		if n == 0 && h.after != "" && !listed(h.after, s[word.start:word.end]) {
			return 0, false
		}
		if word.start == word.end || i-word.start > maxKeyBytes || n > 6 {
			return first, true
		}
		if listed(countWords, s[word.start:word.end]) && !blankBetween(s, word.end, before) {
			return 0, false
		}
		if n > 0 && blankBetween(s, word.end, before) {
			return first, true
		}
		first, before = word.start, word.start
	}
}

type wordSpan struct{ start, end int }

// wordBefore returns the word of a key that ends before i, across at most one
// of _ - . or a blank; camelCase humps are words.
func wordBefore(s string, i int) wordSpan {
	end := i
	if end > 0 && keyJoin.has(s[end-1]) {
		end--
	}
	start := end
	for start > 0 && alnum.has(s[start-1]) && end-start < maxKeyBytes {
		start--
		if s[start] >= 'A' && s[start] <= 'Z' && start > 0 && !(s[start-1] >= 'A' && s[start-1] <= 'Z') {
			break
		}
	}
	return wordSpan{start, end}
}

func blankBetween(s string, i, j int) bool { return i < j && s[i] == ' ' }

// camel reports whether a hump starts at i.
func camel(s string, i int) bool {
	return i > 0 && s[i] >= 'A' && s[i] <= 'Z' && !(s[i-1] >= 'A' && s[i-1] <= 'Z')
}

var keyJoin = bytesOf("_-. ")

// keyEnd returns where the key ends whose head ends at i, and whether only
// tail words follow the head.
func keyEnd(s string, i int) (int, bool) {
	for range 4 {
		if i >= len(s) || !wordChar.has(s[i]) && s[i] != '.' {
			return i, true
		}
		j := i
		if s[j] == '_' || s[j] == '-' || s[j] == '.' {
			j++
		} else if !camel(s, j) && !digit.has(s[j]) {
			return 0, false
		}
		end := j
		for end < len(s) && end-j < maxKeyBytes && alnum.has(s[end]) && (end == j || !camel(s, end)) {
			end++
		}
		if end == j {
			return i, s[i] != '_' // "--token-" in a row of dashes
		}
		if !listed(tailWords, s[j:end]) {
			return 0, false
		}
		i = end
	}
	return i, true
}

// Words splits a key into its words, in lower case.
func Words(key string) []string {
	var words []string
	for end := len(key); ; {
		w := wordBefore(key, end)
		if w.start == w.end {
			break
		}
		words = append(words, strings.ToLower(key[w.start:w.end]))
		end = w.start
	}
	slices.Reverse(words)
	return words
}
