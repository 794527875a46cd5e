package engine

// Telephone numbers, as people write them: international with + or 00 and
// 8 to 15 digits (ITU-T E.164), North American 3-3-4, national with a trunk 0
// and 9 to 11 digits in groups, an area code in parentheses. Digits without
// any of that are a telephone number only after a word such as "phone".

// phone returns the number that starts with the first group, with its sign.
// named says that the whole text is known to be a telephone number.
func (c *cluster) phone(s string, named bool) (start, end int, ok bool) {
	start = c.start
	if c.fraction(s) || c.hexBlob(s) || start > 1 && s[start-1] == ':' && digit.has(s[start-2]) {
		return 0, 0, false // also not after 12:34:
	}
	if start > 2 && (s[start-1] == '+' || s[start-1] == '-') && lower(s[start-2]) == 'e' &&
		digit.has(s[start-3]) {
		return 0, 0, false // the exponent of 1.7e+09
	}
	sign, at := signBefore(s, start)
	switch {
	case sign == '+':
		if k := c.upTo(15); c.d[0] != 0 && c.size(k) >= 8 {
			return at, c.g[k].end, true
		}
		return 0, 0, false
	case c.inRow:
		k, ok := c.national()
		return start, c.g[k].end, ok && k >= 2 && c.size(k) >= 10 && c.g[k].sep == ' '
	case sign == '(' && c.ng >= 2 && (c.g[1].sep == ')' || c.g[1].sep == sepMixed):
		if k := c.upTo(12); c.g[0].n >= 2 && c.g[0].n <= 5 && c.size(k) >= 9 {
			return at, c.g[k].end, true
		}
	}
	if k, ok := c.northAmerican(); ok {
		return start, c.g[k].end, true
	}
	if k, ok := c.national(); ok && !hexLetter(s, c.g[k].end) {
		return start, c.g[k].end, true
	}
	if c.trunk(s) {
		return start, c.g[0].end, true
	}
	if k := c.upTo(15); c.size(k) >= 7 && (named || phoneLabel(s, start)) {
		return start, c.g[k].end, true
	}
	return 0, 0, false
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

// upTo returns the last group so that at most limit digits are taken, over
// the separators that telephone numbers have.
func (c *cluster) upTo(limit int) int {
	k := 0
	for k+1 < c.ng && c.size(k+1) <= limit {
		switch c.g[k+1].sep {
		case ' ', '-', '.', '(', ')', sepMixed:
			k++
			continue
		}
		break
	}
	return k
}

func (c *cluster) size(k int) int { return c.g[k].first + c.g[k].n }

// northAmerican accepts 3-3-4 under the rules of the numbering plan: neither the
// area nor the exchange begins with 0 or 1. Commas and slashes do not separate
// here, because lists of small numbers and fractions have them.
func (c *cluster) northAmerican() (int, bool) {
	k := 0
	if c.g[0].n == 1 && c.d[0] == 1 {
		k = 1
	}
	if c.ng < k+3 || c.g[k].n != 3 || c.g[k+1].n != 3 || c.g[k+2].n != 4 {
		return 0, false
	}
	if c.d[c.g[k].first] < 2 || c.d[c.g[k+1].first] < 2 {
		return 0, false
	}
	last := c.g[k+2].sep
	if last != '-' && last != '.' && last != ' ' || c.g[k+1].sep == ',' || c.g[k+1].sep == '/' {
		return 0, false
	}
	return k + 2, !c.goesOn(k + 2)
}

// national accepts a trunk zero, groups of at least two digits and one kind
// of separator after the first.
func (c *cluster) national() (int, bool) {
	if c.ng == 5 && c.d[0] == 0 && c.d[1] > 1 && c.g[0].n == 1 && c.g[1].n == 3 && c.g[2].n == 3 &&
		c.g[3].n == 2 && c.g[4].n == 2 {
		return 4, true // 0 532 123 45 67
	}
	if c.ng < 2 || c.d[0] != 0 || c.g[0].n < 2 || c.g[0].n > 5 && c.d[1] != 0 {
		return 0, false
	}
	k := 1
	for k+1 < c.ng && c.g[k+1].sep == c.g[min(2, k+1)].sep && c.size(k+1) <= 16 &&
		(c.g[k+1].sep == ' ' || c.g[k+1].sep == '-' || c.g[k+1].sep == '.') {
		k++
	}
	for i := 1; i <= k; i++ {
		sep := c.g[i].sep
		odd := sep == '\t' || sep == ',' || sep == '_' || i > 1 && sep != ' ' && sep != '-' && sep != '.'
		if c.g[i].n < 2 || odd {
			return 0, false
		}
	}
	total := c.size(k)
	if k == 1 && c.g[0].n == 5 && c.g[1].n == 4 && c.g[1].sep == '-' {
		return 0, false // 04086-1582 is a US postal code with its extension
	}
	if c.d[1] == 0 {
		return k, total >= 10 && total <= 16 && c.d[2] != 0 && c.g[0].n <= 5 && !c.goesOn(k)
	}
	longest := 11
	if c.d[1] == 1 && c.d[2] >= 5 && c.d[2] <= 7 {
		longest = 12 // German mobile numbers
	}
	return k, (total >= 10 || total == 9 && k == 1) && total <= longest && !c.goesOn(k)
}

// trunk accepts 10 or 11 digits in one piece with a trunk zero, standing
// alone like a word. 0123456789 is a row of digits.
func (c *cluster) trunk(s string) bool {
	n, end := c.g[0].n, c.g[0].end
	if c.ng > 2 || c.ng > 1 && c.g[1].sep != ' ' && c.g[1].sep != ',' || n < 10 || n > 11 ||
		c.d[0] != 0 || c.d[1] == 0 ||
		c.d[1] == 1 && c.d[2] == 2 && c.d[3] == 3 {
		return false
	}
	alone := func(r rune) bool {
		return r >= 0x80 || !alnum.has(byte(r)) && !glue.has(byte(r))
	}
	if c.start > 0 {
		if r, _ := unitBefore(s, c.start); !alone(r) {
			return false
		}
	}
	if end < len(s) {
		if r, _ := unit(s, end); !alone(r) && r != '.' {
			return false
		}
	}
	return true
}

var glue = bytesOf("-_./#@$%+*&")

// hexLetter reports whether a hexadecimal letter goes on at i: 0242.4030.94be
// is a hardware address.
func hexLetter(s string, i int) bool {
	return i < len(s) && hexDigit.has(s[i]) && !digit.has(s[i])
}

// goesOn reports whether more digits follow the k-th group in the same way.
func (c *cluster) goesOn(k int) bool {
	return k+1 < c.ng && k > 0 && c.g[k+1].sep == c.g[k].sep && c.g[k].sep != ' '
}

var (
	phoneWords = wordsOf("phone tel telephone mobile cell cellphone cellular fax gsm msisdn whatsapp" +
		" sms dial call" +
		" telefoon telefonnummer rufnummer mobiltelefon puhelin celular movil" +
		" called calling caller callee telefon telefono telefonu telefone handy cep mobil phonenumber")
	ssnWords   = wordsOf("ssn social security itin")
	labelTails = wordsOf("number numbers no nr num numero nummer primary home work office" +
		" e164 1 2 is")
	versionWords = wordsOf("version ver section sec build release rev chapter oid firmware")
)

// labelled reports whether one of the words of the name right before i is in
// list: "phone": ", mobile_no=, call .
func labelled(s string, i int, list words) bool {
	for n := 0; i > 0 && n < 6; n++ {
		if letter.has(s[i-1]) {
			break
		}
		if s[i-1] == ']' {
			return false // [phone] is a replacement, or an index
		}
		i--
	}
	for range 3 {
		w := wordBefore(s, i)
		if w.start == w.end {
			return false
		}
		if list.has(s[w.start:w.end]) {
			return true
		}
		if !labelTails.has(s[w.start:w.end]) {
			return false
		}
		if i = w.start; i > 0 && s[i-1] == ' ' {
			return false
		}
	}
	return false
}

// phoneLabel reports whether what stands right before i says that a telephone
// number follows.
func phoneLabel(s string, i int) bool {
	if labelled(s, i, phoneWords) {
		return true
	}
	for n := 0; i > 0 && n < 8; n++ {
		r, w := unitBefore(s, i)
		if r != ' ' && r != ':' && r != '=' && r != '"' && r != '.' {
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
// or 9xx, no group 00, no serial 0000. It has dashes, or its name before it.
func (c *cluster) ssn(s string) (int, bool) {
	k := 2
	dashed := c.ng > 2 && c.g[0].n == 3 && c.g[1].n == 2 && c.g[2].n == 4 && c.g[1].sep == c.g[2].sep
	switch {
	case c.inRow || c.fraction(s) || c.start > 1 && s[c.start-1] == '-' && alnum.has(s[c.start-2]):
		return 0, false
	case dashed && c.g[1].sep == '-' && !c.goesOn(2):
	case dashed && c.g[1].sep == ' ' && labelled(s, c.start, ssnWords):
	case c.g[0].n == 9 && labelled(s, c.start, ssnWords):
		k = 0
	default:
		return 0, false
	}
	if end := c.g[k].end; end < len(s) && letter.has(s[end]) {
		return 0, false
	}
	area := int(c.d[0])*100 + int(c.d[1])*10 + int(c.d[2])
	group := c.d[3] + c.d[4]
	serial := c.d[5] + c.d[6] + c.d[7] + c.d[8]
	return c.g[k].end, area != 0 && area != 666 && area < 900 && group != 0 && serial != 0
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

// camel reports whether a hump starts at i.
func camel(s string, i int) bool {
	return i > 0 && s[i] >= 'A' && s[i] <= 'Z' && !(s[i-1] >= 'A' && s[i-1] <= 'Z')
}

var keyJoin = bytesOf("_-. ")
