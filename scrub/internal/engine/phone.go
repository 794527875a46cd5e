package engine

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Telephone numbers, as people write them. How much a number must prove depends
// on how it is written:
//
//   - After + or 00 it has a calling code.
//   - With a trunk zero its groups must be those of a country that prints its
//     numbers so, and its beginning one of that country.
//   - North American 3-3-4 needs hyphens, dots or an area code in parentheses.
//   - Anything else needs a word such as phone before or after it.
//
// The tables in phonedata.go say what there is.

// phone returns the number that starts with the first group, with its sign, and
// the rule that found it. named says that the whole text is known to be a
// telephone number.
func (c *cluster) phone(s string, named bool) (start, end int, rule string) {
	if last := c.g[c.ng-1]; c.ng > 1 && beginsWord(s, last.end) {
		// The last group begins a word: +44 20 7946 0958 7ann@example.com.
		c.ng, c.follow = c.ng-1, last.sep
		defer func() { c.ng++ }()
	}
	start = c.start
	if start > 1 && (s[start-1] == ':' && digit.has(s[start-2]) || exponent(s, start)) {
		return 0, 0, "" // after 12:34:, and in 1.7e+09
	}
	sign, at := signBefore(s, start)
	k := -1
	switch {
	case sign == '+':
		k, rule = c.international(0), ruleInternational
	case c.d[0] == 0 && c.d[1] == 0 && c.g[0].n > 2:
		k, rule = c.fromZeros(), ruleInternational
	case start > 0 && (alnum.has(s[start-1]) || s[start-1] == '_') && !escapedBefore(s, start),
		glued(s, start) && !phoneLabel(s, start):
		return 0, 0, ""
	default:
		k, rule = c.national(s, sign == '('), ruleNational
	}
	if k < 0 && sign != '+' {
		if k, rule = c.plain(), ruleLabelled; k >= 0 && !named && !c.called(s, k) {
			k = -1
		}
	}
	if k < 0 || c.vetoed(s, k) {
		return 0, 0, ""
	}
	if sign == '+' || sign == '(' && k > 0 {
		start = at
	}
	end = c.extension(s, k)
	if end < len(s) && (letter.has(s[end]) || s[end] == '[' && s[end-1] != ' ') {
		return 0, 0, "" // a unit, or a hardware address: 0242.4030.94be
	}
	return start, end, rule
}

// beginsWord reports whether a letter stands at i that is no extension's x.
func beginsWord(s string, i int) bool {
	return i < len(s) && letter.has(s[i]) && lower(s[i]) != 'x'
}

// glued reports whether the number goes on a name: dsl-082-083-227, v_0711.
func glued(s string, i int) bool {
	return i > 1 && strings.IndexByte("-_.", s[i-1]) >= 0 && alnum.has(s[i-2])
}

func exponent(s string, i int) bool {
	return i > 2 && (s[i-1] == '+' || s[i-1] == '-') && lower(s[i-2]) == 'e' && digit.has(s[i-3])
}

// international returns the last group of the number whose calling code begins
// with the digit at from, or -1. In North America, whose code is short, the
// number must be one that there is.
func (c *cluster) international(from int) int {
	last := min(c.upTo(15+from), 7)
	if c.size(last)-from < 8 || c.d[from] == 0 {
		return -1
	}
	if c.d[from] != 1 && !hasCode(c.d[from:from+3]) {
		return -1
	}
	for k := last; k >= 0 && c.size(k)-from >= 8; k-- {
		if n := c.size(k); !c.moreAfter(k) && (c.d[from] != 1 ||
			n-from == 11 && phonePlans().has(planCode, 1, c.d[from+1:n])) {
			return k
		}
	}
	return -1
}

// hasCode reports whether d begins with a calling code (ITU-T E.164).
func hasCode(d []byte) bool {
	code := 0
	for _, v := range d {
		if code = code*10 + int(v); phonePlans().codes[code] {
			return true
		}
	}
	return false
}

// moreAfter is goesOn for telephone numbers, after which another number may
// stand, after a blank.
func (c *cluster) moreAfter(k int) bool {
	return c.goesOn(k) && k > 0 && c.g[k].sep != ' '
}

// fromZeros is international for numbers with 00 in front: the calling code must
// end with the first group.
func (c *cluster) fromZeros() int {
	code := 0
	for _, v := range c.d[2:min(c.g[0].n, 5)] {
		code = code*10 + int(v)
	}
	if c.ng < 2 || c.g[0].n > 5 || !phonePlans().codes[code] || c.g[1].sep == '.' && c.ng < 4 {
		return -1
	}
	return c.international(2)
}

// national returns the last group of a number without calling code that is
// printed as its country prints it, or -1.
func (c *cluster) national(s string, inParens bool) int {
	area := inParens && c.ng > 1 && (c.g[1].sep == ')' || c.g[1].sep == sepMixed)
	if k := c.northAmerican(area); k >= 0 {
		return k
	}
	if c.d[0] != 0 || c.d[1] == 0 && c.g[0].n > 1 {
		return -1
	}
	if c.ng == 1 || c.g[0].n >= 10 {
		if n := c.g[0].n; n >= 10 && n <= 12 && c.alone(s) && !c.assigned(s) && !c.counting() &&
			phonePlans().has(planMobile, 0, c.d[1:n]) {
			return 0
		}
		return -1
	}
	return c.trunk(area)
}

// assigned reports whether the number is the value of a name: logid="0100032002".
// A name of a telephone would say so.
func (c *cluster) assigned(s string) bool {
	i := c.start
	if i > 0 && isQuote(s[i-1]) {
		i--
	}
	return i > 0 && (s[i-1] == '=' || s[i-1] == ':')
}

// counting reports whether the digits are 0123456789.
func (c *cluster) counting() bool {
	return c.d[1] == 1 && c.d[2] == 2 && c.d[3] == 3 && c.d[4] == 4
}

// northAmerican accepts 3-3-4 under the rules of the numbering plan: neither the
// area nor the exchange begins with 0 or 1.
func (c *cluster) northAmerican(area bool) int {
	k := 0
	if c.g[0].n == 1 && c.d[0] == 1 {
		k = 1
	}
	if c.ng < k+3 || c.g[k].n != 3 || c.g[k+1].n != 3 || c.g[k+2].n != 4 || c.inRow ||
		c.d[c.g[k].first] < 2 || c.d[c.g[k+1].first] < 2 || c.moreAfter(k+2) {
		return -1
	}
	if last := c.g[k+2].sep; area && k == 0 && (last == '-' || last == ' ' || last == '.') {
		return k + 2
	}
	if c.uniform(k, k+2, "-.") || k == 1 && c.uniform(0, 3, " ") ||
		k == 1 && c.g[1].sep == sepMixed && c.g[3].sep == '-' {
		return k + 2
	}
	return -1
}

// trunk returns the last group of a number with a trunk zero, or -1. The zero
// may stand alone: 0 532 123 45 67.
func (c *cluster) trunk(area bool) int {
	sizes, n, first := [8]byte{}, 0, 0
	if c.g[0].n == 1 {
		first = 1
	}
	best := -1
	for k := first; k < c.ng && n < len(sizes); k++ {
		size := c.g[k].n
		if k == first {
			size += first
		}
		sizes[n] = byte(size)
		n++
		total := c.size(k)
		if n < 2 || total < 9 || total < 10 && n != 3 || size < 2 {
			continue
		}
		if total > 12 || !c.separated(first, k, area, n) {
			break
		}
		if !c.moreAfter(k) && phonePlans().printed(sizes[:n], c.d[1:total]) {
			best = k
		}
	}
	return best
}

// separated reports whether the groups up to the k-th are held together like a
// telephone number: by one separator, the first one aside. Dots are for four
// groups and more, because times and versions have them.
func (c *cluster) separated(first, k int, area bool, n int) bool {
	seps := " -"
	if n > 3 {
		seps = " -."
	}
	if !area && !c.inRow && c.uniform(first, k, seps) {
		return true
	}
	if c.inRow {
		return n > 2 && c.uniform(first, k, " ")
	}
	one := c.g[first+1].sep
	return (area || one == '-' || one == ' ') && (k == first+1 && area || c.uniform(first+1, k, " -"))
}

// plain returns the last group of what may be a number when a word says so: 7
// to 15 digits, in groups that are no decimal number and no list.
func (c *cluster) plain() int {
	k := c.upTo(15)
	decimal := k == 1 && c.g[1].sep == '.' && c.g[1].start == c.g[0].end+1
	if c.size(k) < 7 || decimal || k+1 == c.ng && c.follow != 0 {
		return -1
	}
	for i, g := range c.g[1 : k+1] {
		if g.n < 2 && g.sep != '(' && c.g[i].n > 1 {
			return -1 // 66.0.3359.158
		}
	}
	return k
}

// upTo returns the last group so that at most limit digits are taken, over
// the separators that telephone numbers have.
func (c *cluster) upTo(limit int) int {
	k := 0
	for k+1 < c.ng && c.size(k+1) <= limit {
		switch c.g[k+1].sep {
		case ' ', '-', '.', '(', ')', '/', sepMixed:
			k++
			continue
		}
		break
	}
	return k
}

func (c *cluster) size(k int) int { return c.g[k].first + c.g[k].n }

// alone reports whether the first group stands like a word of its own.
func (c *cluster) alone(s string) bool {
	free := func(r rune) bool { return r >= 0x80 || !alnum.has(byte(r)) && !glue.has(byte(r)) }
	if c.ng > 2 || c.ng > 1 && c.g[1].sep != ' ' && c.g[1].sep != ',' {
		return false
	}
	if c.start > 0 {
		if r, _ := unitBefore(s, c.start); !free(r) {
			return false
		}
	}
	end := c.g[0].end
	if end < len(s) {
		if r, _ := unit(s, end); !free(r) && r != '.' {
			return false
		}
	}
	return true
}

var glue = bytesOf("-_./#@$%+*&")

// extension returns the end of the number with its extension: x123, ext. 123.
func (c *cluster) extension(s string, k int) int {
	end := c.g[k].end
	i := end
	if i < len(s) && s[i] == ' ' {
		i++
	}
	switch {
	case foldAt(s, i, "ext"):
		i += len("ext")
	case hasAt(s, i, "x"):
		i++
	default:
		return end
	}
	for n := 0; n < 2 && i < len(s) && (s[i] == '.' || s[i] == ' '); n++ {
		i++
	}
	if stop := digitsEnd(s[:min(len(s), i+7)], i); stop > i && stop-i < 7 {
		return stop
	}
	return end
}

// signBefore returns the + or ( that stands before i and where it starts.
func signBefore(s string, i int) (rune, int) {
	if i == 0 {
		return 0, i
	}
	r, w := unitBefore(s, i)
	if r == '+' && w == 1 && sum(s, i) {
		return 0, i
	}
	if r == '+' || r == '(' {
		return r, i - w
	}
	return 0, i
}

// sum reports whether the + before i joins two terms, as in 1e+15 and x+1.
func sum(s string, i int) bool { return i >= 2 && alnum.has(s[i-2]) && !escapedBefore(s, i-1) }

// called reports whether a word before or after the number says that it is one
// of a telephone.
func (c *cluster) called(s string, k int) bool {
	if c.lineWord(s, k) {
		return true
	}
	return anyWord(s[max(0, c.start-maxKeyBytes/2):c.start]) &&
		(phoneLabel(s, c.start) || k > 0 && saidToCall(s, c.start))
}

// anyWord reports whether text has a letter of any script.
func anyWord(text string) bool {
	for _, r := range text {
		if r < utf8.RuneSelf && letter.has(byte(r)) || r >= utf8.RuneSelf && unicode.IsLetter(r) {
			return true
		}
	}
	return false
}

// lineWord reports whether the word after the number names a telephone line.
func (c *cluster) lineWord(s string, k int) bool {
	end := c.g[k].end
	rest := s[end:min(len(s), end+12)]
	if len(rest) > 2 && (rest[0] == '-' || rest[0] == ' ' && (rest[1] == '(' || letter.has(rest[1]))) {
		word := strings.TrimLeft(rest, " -(")
		for n := range len(word) + 1 {
			if n == len(word) || !letter.has(word[n]) {
				return lineWords.has(word[:n])
			}
		}
	}
	return false
}

// lineWords follow a number: 21 253 109-Office, 5551234 (fax).
var lineWords = wordsOf("office fax mobile cell home phone tel")

// saidToCall reports whether the sentence before i tells to call: have them
// call me at, send messages to.
func saidToCall(s string, i int) bool {
	start, end := wordBefore(s, i)
	if start == end || end+1 < i || !prepositions.has(s[start:end]) {
		return false
	}
	from := start
	for from > 0 && start-from < maxKeyBytes/2 && s[from-1] != '\n' && s[from-1] != ']' {
		from--
	}
	var words [maxKeyWords]string
	return slices.ContainsFunc(words[:min(splitBack(s[from:start], &words), 4)], callWords.has)
}

var (
	prepositions = wordsOf("at on to under by")
	callWords    = wordsOf("call calls calling called reach ring dial text texts message messages sms" +
		" answer answering contact phone")
	phoneWords = wordsOf("phone tel telephone mobile cell cellphone cellular fax gsm msisdn whatsapp" +
		" sms dial call desk landline hotline" +
		" telefoon telefonnummer rufnummer mobiltelefon puhelin celular movil" +
		" called calling caller callee telefon telefono telefonu telefone handy cep mobil phonenumber")
	ssnWords = wordsOf("ssn social security itin")
)

// phoneLabel reports whether what stands right before i says that a telephone
// number follows.
func phoneLabel(s string, i int) bool {
	if labelled(s, i, phoneWords) {
		return true
	}
	for n := 0; i > 0 && n < 8; n++ {
		r, w := unitBefore(s, i)
		if r != ' ' && r != ':' && r != '=' && r != '"' && r != '.' && r != '(' {
			break
		}
		i -= w
	}
	if i == 0 {
		return false
	}
	for _, label := range phoneLabels[s[i-1]] {
		if hasAt(s, i-len(label), label) {
			return true
		}
	}
	return false
}

// phoneLabels are ends of labels that wordBefore cannot read, because it takes
// ASCII letters for words; first letters are left out where case varies.
var phoneLabels = byLastByte(
	"hatsApp", "call me at", "call me on", "reach me at", "reach me on", "text me at",
	"my number is", "Tél", "tél", "éléphone", "eléfono", "óvil", "elefón", "omórka",
	"елефон", "елефона", "Тел", "тел", "обильный", "ηλέφωνο", "ινητό", "iện thoại",
	"電話", "電話番号", "携帯", "携帯番号", "电话", "电话号码", "手机", "手机号", "手机号码",
	"전화", "전화번호", "휴대폰", "फोन", "फ़ोन", "मोबाइल", "هاتف", "الهاتف", "جوال",
)

func byLastByte(labels ...string) (by [256][]string) {
	for _, label := range labels {
		last := label[len(label)-1]
		by[last] = append(by[last], label)
	}
	return by
}

// ssn recognises a US social security number by its rules: no area 000, 666
// or 9xx, no group 00, no serial 0000. It has hyphens, or its name before it.
func (c *cluster) ssn(s string) (int, bool) {
	if c.inRow || c.start > 1 && s[c.start-1] == '-' && alnum.has(s[c.start-2]) {
		return 0, false
	}
	k := c.match(&template{groups(3, 2, 4), "-"})
	if k < 0 {
		if k = c.match(&template{groups(3, 2, 4), " "}); k < 0 {
			k = c.match(&template{groups(9), ""})
		}
		if k < 0 || !labelled(s, c.start, ssnWords) {
			return 0, false
		}
	} else if c.goesOn(k) {
		return 0, false
	}
	end := c.g[k].end
	if c.fraction(s) || end < len(s) && letter.has(s[end]) {
		return 0, false
	}
	area := int(c.d[0])*100 + int(c.d[1])*10 + int(c.d[2])
	group := c.d[3] + c.d[4]
	serial := c.d[5] + c.d[6] + c.d[7] + c.d[8]
	return end, area != 0 && area != 666 && area < 900 && group != 0 && serial != 0
}
