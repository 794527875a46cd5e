package gatetest

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// imprint is an answer in a form that is compared with that of another answer: cut
// into words, and without the id that was asked for.
type imprint struct {
	status int
	failed bool
	header map[string][]string
	body   []string
	asked  []string // the ways in which the id may come back
}

// masked stands where an answer repeats the id.
const masked = "\x00"

// sayNothing are headers that differ between any two answers: the time, the length, which
// the body says, and what is left of the asker's own budget.
var sayNothing = map[string]bool{
	"Date": true, "Content-Length": true, "Ratelimit": true, "Retry-After": true,
	"X-Ratelimit-Remaining": true, "X-Ratelimit-Reset": true,
}

// imprintOf reads an answer to a request for an id.
func imprintOf(got answer, asked ...string) imprint {
	p := imprint{status: got.status, failed: got.panicked != nil, header: map[string][]string{}}
	for _, text := range asked {
		for _, text := range writings(text) {
			p.asked = append(p.asked, strings.ToLower(strings.TrimFunc(text, isPunctuation)))
		}
	}
	slices.SortFunc(p.asked, func(a, b string) int { return len(b) - len(a) })
	p.asked = slices.Compact(p.asked)
	for name, values := range got.header {
		if !sayNothing[name] {
			p.header[name] = p.words(strings.Join(values, "\n"))
		}
	}
	p.body = p.words(string(got.body))
	return p
}

// timeForm is a time of RFC 3339, in lower case: two answers of the same second have the
// same, and a third has another.
var timeForm = regexp.MustCompile(
	`\d{4}-\d\d-\d\d[t ]\d\d:\d\d:\d\d(\.\d+)?(z|[+-]\d\d:?\d\d)?`)

// isPunctuation reports what may stand around an id and is not part of it.
func isPunctuation(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// inWord reports whether a byte of a text in lower case belongs to a word. Tokens are
// words whatever they are made of, or two of them would not have as many words.
func inWord(c byte) bool {
	return c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c == '-' || c == '_'
}

// words cuts a text into words, and what is between them.
func (p imprint) words(text string) (all []string) {
	text = timeForm.ReplaceAllString(strings.ToLower(text), "TIME")
	for _, id := range p.asked {
		if len(id) >= minCanary {
			text = strings.ReplaceAll(text, id, masked)
		}
	}
	begin := 0
	for i := range len(text) {
		if inWord(text[i]) {
			continue
		}
		if i > begin {
			all = append(all, text[begin:i])
		}
		all, begin = append(all, text[i:i+1]), i+1
	}
	if begin < len(text) {
		all = append(all, text[begin:])
	}
	return all
}

// same reports whether two words say the same: equal, or each the id that was asked.
func (p imprint) same(word string, q imprint, other string) bool {
	return word == other || p.asks(word) && q.asks(other)
}

// asks reports whether a word is the id. A short one is not masked: it may be a part of
// something else.
func (p imprint) asks(word string) bool { return word == masked || slices.Contains(p.asked, word) }

// twins are two answers to requests for ids that exist nowhere. Where they differ
// from each other, as the id of a request does, a third may differ too.
type twins [2]imprint

// unlike says in what an answer differs from both, or nothing.
func (t twins) unlike(p imprint) string {
	if p.failed != t[0].failed || p.status != t[0].status {
		if t[0].status != t[1].status || t[0].failed != t[1].failed {
			return ""
		}
		return fmt.Sprintf("%s, not %s", p.statusText(), t[0].statusText())
	}
	names := map[string]bool{}
	for _, header := range []map[string][]string{p.header, t[0].header, t[1].header} {
		for name := range maps.Keys(header) {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		at := func(p imprint) []string { return p.header[name] }
		if text := t.unlikeWords(p, at); text != "" {
			return fmt.Sprintf("header %s: %s", name, text)
		}
	}
	if text := t.unlikeWords(p, func(p imprint) []string { return p.body }); text != "" {
		return "body: " + text
	}
	return ""
}

func (t twins) unlikeWords(p imprint, of func(imprint) []string) string {
	got, a, b := of(p), of(t[0]), of(t[1])
	if len(a) != len(b) {
		return "" // of any length: nothing is known of it
	}
	for i := range min(len(got), len(a)) {
		if t[0].same(a[i], t[1], b[i]) && !p.same(got[i], t[0], a[i]) {
			return fmt.Sprintf("%s, not %s", excerpt(got, i), excerpt(a, i))
		}
	}
	if len(got) != len(a) {
		return fmt.Sprintf("%d words, not %d", len(got), len(a))
	}
	return ""
}

// excerpt is what stands around a word.
func excerpt(words []string, at int) string {
	text := strings.Join(words[max(0, at-6):min(len(words), at+20)], "")
	return fmt.Sprintf("%.60q", strings.ReplaceAll(text, masked, "ID"))
}

func (p imprint) statusText() string {
	if p.failed {
		return "no answer"
	}
	return fmt.Sprintf("%d", p.status)
}

// nowhere is an id of a kind that no tenant owns, of the same form.
func (a asker) nowhere(kind string) string {
	like := ""
	for _, t := range a.tenants {
		if id := t.Nowhere[kind]; id != "" {
			return id
		}
		if t.Name != a.tenant.Name && like == "" {
			like = t.IDs[kind][0]
		}
	}
	for {
		id := stranger(like)
		if _, owned := a.ownerOf(kind, id); !owned {
			return id
		}
	}
}

// ownerOf returns the tenant that owns an id.
func (a asker) ownerOf(kind, id string) (Tenant, bool) {
	for _, t := range a.tenants {
		if slices.Contains(t.IDs[kind], id) {
			return t, true
		}
	}
	return Tenant{}, false
}

// stranger returns a random id of the form of another: digits for digits, letters
// for letters, what is before the last underscore as it is, and so are the version
// and the variant of a UUID.
func stranger(like string) string {
	const digits, letters = "0123456789", "abcdefghijklmnopqrstuvwxyz"
	keep := strings.LastIndexByte(like, '_') + 1
	bare := strings.ReplaceAll(like, "-", "")
	hex, uuid := isHex(bare) && len(bare) >= 8, len(like) == 36 && len(bare) == 32
	if isDigits(like) && len(like) < 9 {
		like = like[:1] + "99999999" // short numbers are all taken
	}
	id := []byte(like)
	for i := keep; i < len(id); i++ {
		c := id[i]
		switch {
		case uuid && (i == 14 || i == 19) || i == 0 && isDigits(like):
			// A parser that complains of the first digit complains of the same one.
		case hex && c >= 'A' && c <= 'F':
			id[i] = pick("ABCDEF")
		case hex && c >= 'a' && c <= 'f':
			id[i] = pick("abcdef")
		case c >= '0' && c <= '9':
			id[i] = pick(digits)
		case c >= 'a' && c <= 'z':
			id[i] = pick(letters)
		case c >= 'A' && c <= 'Z':
			id[i] = pick(strings.ToUpper(letters))
		}
	}
	return string(id)
}

// pick returns a random byte of an alphabet. That some are likelier does not matter.
func pick(alphabet string) byte {
	var b [1]byte
	_, _ = rand.Read(b[:]) // never fails
	return alphabet[int(b[0])%len(alphabet)]
}

// requestText is all of a request that an answer may repeat.
func (d *draft) requestText() string {
	var b strings.Builder
	b.WriteString(d.RequestURI + "\n")
	_ = d.Header.Write(&b)
	b.Write(d.body)
	return b.String()
}

// isSafe reports whether a method changes nothing (RFC 9110 section 9.2.1).
func isSafe(method string) bool {
	return slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions, "QUERY"}, method)
}
