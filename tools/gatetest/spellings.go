package gatetest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"unicode"
)

// spelling is one way to write an id. What a server decodes, folds, trims or
// splits after its gate has looked is another id to its store.
type spelling struct {
	name string
	// text writes the other's id, and may use one's own. It reports whether the
	// spelling is another one than the plain.
	text func(own, id string) (string, bool)
}

func always(f func(own, id string) string) func(own, id string) (string, bool) {
	return func(own, id string) (string, bool) {
		text := f(own, id)
		return text, text != id
	}
}

var plain = spelling{"plain", func(_, id string) (string, bool) { return id, true }}

// textSpellings are those of every place.
var textSpellings = []spelling{
	plain,
	{"upper case", always(func(_, id string) string { return strings.ToUpper(id) })},
	{"lower case", always(func(_, id string) string { return strings.ToLower(id) })},
	{"without dashes", always(func(_, id string) string { return strings.ReplaceAll(id, "-", "") })},
	{"with dashes", func(_, id string) (string, bool) { return dashed(id), len(id) == 32 && isHex(id) }},
	{"in braces", uuidOnly("{", "}")},
	{"as a URN", uuidOnly("urn:uuid:", "")},
	{"leading zeros", digitsOnly("000", "")},
	{"plus sign", digitsOnly("+", "")},
	{"decimals", digitsOnly("", ".0")},
	{"exponent", digitsOnly("", "e0")},
	{"full-width letters", always(func(_, id string) string { return strings.Map(wide, id) })},
	{"look-alike letters", always(func(_, id string) string {
		return strings.NewReplacer("k", "\u212a", "K", "\u212a", "s", "\u017f", "S", "\u017f").Replace(id)
	})},
	{"soft hyphen within", always(func(_, id string) string { return id[:1] + "\u00ad" + id[1:] })},
	{"trailing dot", always(func(_, id string) string { return id + "." })},
	{"trailing slash", always(func(_, id string) string { return id + "/" })},
	{"trailing space", always(func(_, id string) string { return id + " " })},
	{"leading space", always(func(_, id string) string { return " " + id })},
	{"trailing newline", always(func(_, id string) string { return id + "\n" })},
	{"null byte", always(func(_, id string) string { return id + "\x00" })},
	{"one's own after a null byte", always(func(own, id string) string { return id + "\x00" + own })},
	{"own first, in a list", always(func(own, id string) string { return own + "," + id })},
	{"own last, in a list", always(func(own, id string) string { return id + "," + own })},
	{"own first, after a semicolon", always(func(own, id string) string { return own + ";" + id })},
	{"dot segments", always(func(own, id string) string { return own + "/../" + id })},
	{"file name", always(func(_, id string) string { return id + ".json" })},
	{"percent-encoded", always(func(_, id string) string { return percent(id) })},
	{"LIKE pattern", always(func(_, id string) string { return id[:len(id)-1] + "%" })},
}

// rawSpellings are those of URLs, as they go over the wire.
var rawSpellings = []spelling{
	{"every byte percent-encoded", always(func(_, id string) string { return percent(id) })},
	{"trailing slash in the path", always(func(_, id string) string { return id + "/" })},
	{"dot segments in the path", always(func(own, id string) string { return own + "/../" + id })},
	{"matrix parameter in the path", always(func(_, id string) string { return id + ";v=1" })},
	{"encoded slash", always(func(_, id string) string { return id + "%2f" })},
	{"overlong dot", always(func(_, id string) string { return id + "%c0%ae" })},
}

// jsonSpellings are JSON values.
var jsonSpellings = []spelling{
	{"escaped in JSON", always(func(_, id string) string { return escaped(id) })},
	{"a number", func(_, id string) (string, bool) { return id, isDigits(id) }},
	{"a fraction", func(_, id string) (string, bool) { return id + ".0", isDigits(id) }},
	{"in an array", always(func(_, id string) string { return "[" + quote(id) + "]" })},
	{"in nested arrays", always(func(_, id string) string { return "[[" + quote(id) + "]]" })},
	{"own first, in an array", always(func(own, id string) string {
		return "[" + quote(own) + "," + quote(id) + "]"
	})},
	{"own last, in an array", always(func(own, id string) string {
		return "[" + quote(id) + "," + quote(own) + "]"
	})},
	{"in an object", always(func(_, id string) string { return `{"id":` + quote(id) + `}` })},
	{"as an operator", always(func(_, id string) string { return `{"$in":[` + quote(id) + `]}` })},
}

// selectors are no ids. What they select must be one's own.
var selectors = []string{"*", "%", "_", "all", "null", "undefined", "0", "-1", "", "[]", "{}", ".."}

func uuidOnly(before, after string) func(own, id string) (string, bool) {
	return func(_, id string) (string, bool) {
		bare := strings.ReplaceAll(id, "-", "")
		return before + id + after, len(bare) == 32 && isHex(bare)
	}
}

func digitsOnly(before, after string) func(own, id string) (string, bool) {
	return func(_, id string) (string, bool) { return before + id + after, isDigits(id) }
}

func isDigits(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

func isHex(text string) bool { return strings.Trim(text, "0123456789abcdefABCDEF") == "" }

// dashed writes 32 hexadecimal digits as RFC 9562 does.
func dashed(id string) string {
	if len(id) != 32 {
		return id
	}
	return strings.Join([]string{id[:8], id[8:12], id[12:16], id[16:20], id[20:]}, "-")
}

// wide is a letter as East Asian typography has it: NFKC folds it back.
func wide(r rune) rune {
	if r > ' ' && r <= unicode.MaxASCII {
		return r - '!' + '\uff01'
	}
	return r
}

func percent(id string) string {
	var b strings.Builder
	for i := range len(id) {
		fmt.Fprintf(&b, "%%%02x", id[i])
	}
	return b.String()
}

// escaped is a JSON string without a letter of its own.
func escaped(id string) string {
	var b strings.Builder
	for _, r := range id {
		fmt.Fprintf(&b, `\u%04x`, min(r, '\ufffd'))
	}
	return `"` + b.String() + `"`
}

func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic("gatetest: " + err.Error()) // a string is always JSON
	}
	return string(quoted)
}

// writings are the texts that a spelled id may come back as.
func writings(text string) []string {
	inQuotes := strings.Trim(quote(text), `"`)
	return []string{text, url.PathEscape(text), url.QueryEscape(text), inQuotes, strings.ToValidUTF8(text, "\ufffd")}
}
