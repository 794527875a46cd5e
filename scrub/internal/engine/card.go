package engine

import "slices"

import "strings"

// A payment card number: 12 to 19 digits of a known issuer with a valid
// Luhn check digit (ISO/IEC 7812-1), in one piece or as cards are printed.
// Luhn alone accepts every tenth number; with the issuer's range and length,
// 13-digit millisecond timestamps never pass.

// cardTemplates are the groups in which cards are printed, the longest first. A
// decimal point stands alone, so that dots between more groups are none.
var cardTemplates = [...]template{
	{groups(4, 4, 4, 4, 3), cardSeps},
	{groups(4, 4, 4, 4, 2), cardSeps},
	{groups(4, 4, 4, 4, 1), cardSeps},
	{groups(4, 4, 4, 4), cardSeps},
	{groups(4, 6, 5), cardSeps},
	{groups(4, 6, 4), cardSeps},
	{groups(4, 4, 4, 3), cardSeps},
	{groups(4, 4, 4, 2), cardSeps},
	{groups(4, 4, 4, 1), cardSeps},
	{groups(4, 4, 4), cardSeps},
	{groups(6, 13), " "},
	{groups(8, 8), " -"},
}

const cardSeps = " -._\t"

// card returns the end of the card that starts with the first group.
func (c *cluster) card(s string) (end int, ok bool) {
	if end, ok = c.floatCard(s); !ok {
		end, ok = c.cardDigits(s)
	}
	if !ok || c.fraction(s) || c.hexBlob(s) || c.cloudAccount(s) {
		return 0, false
	}
	return end, true
}

func (c *cluster) cardDigits(s string) (end int, ok bool) {
	first := c.g[0].n
	for i := 0; c.ng > 1 && (first == 4 || first == 6 || first == 8) && i < len(cardTemplates); i++ {
		k := c.match(&cardTemplates[i])
		if k < 0 {
			continue
		}
		n := c.size(k)
		if n == 16 && k == 3 && !luhn(c.d[:n]) {
			break // nothing shorter stands alone
		}
		// In a column of numbers four groups may still be a card, two not; and
		// what could be a part of a longer row must be 4-6-5 or 4-6-4.
		alone := k >= 3 || c.sizes&0xF0 == 0x60 || !c.goesOn(k)
		if isCard(c.d[:n]) && (!c.inRow || k >= 2) && alone && !c.dialled(s, n) {
			return c.g[k].end, true
		}
	}
	if k := c.singles(); k > 0 && isCard(c.d[:c.size(k)]) && !c.dialled(s, c.size(k)) {
		return c.g[k].end, true
	}
	n := c.g[0].n
	if n < 12 || n > 19 || !luhn(c.d[:n]) || c.dialled(s, n) ||
		!c.named(s) && (!issued(c.d[:n]) || c.looksLikeID(s)) {
		return 0, false
	}
	return c.g[0].end, true
}

// looksLikeID reports whether a number in one piece is an identifier, of which
// every tenth passes Luhn.
func (c *cluster) looksLikeID(s string) bool {
	return c.decimal(s, 0) || c.measured(s, 0) || c.numberedName(s) ||
		c.identified(s) && c.ends(s, 0)
}

// named reports whether the line says shortly before that a card follows. Then
// Luhn is enough.
func (c *cluster) named(s string) bool { return cardNear(s[max(0, c.start-cardReach):c.start]) }

// numberedName reports whether the number ends a name, as in blk_5701964561533648583
// and part-5701964561533648583.
func (c *cluster) numberedName(s string) bool {
	i := c.start
	for i > 0 && (s[i-1] == '-' || s[i-1] == '_') {
		i--
	}
	return i < c.start && i > 0 && alnum.has(s[i-1]) && c.g[0].n >= 17 && c.ends(s, 0)
}

const cardReach = 32

// cardNear reports whether the line of text says that a card follows.
func cardNear(text string) bool {
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] == '\n' || text[i] == ']' { // [card] is a replacement
			text = text[i+1:]
			break
		}
	}
	var words [maxKeyWords]string
	return slices.ContainsFunc(words[:splitBack(text, &words)], cardWords.has)
}

var cardWords = wordsOf("card cards pan cc creditcard cardnumber credit debit visa mastercard amex" +
	" maestro payment paid charge charged kredi kart karte carte tarjeta tarjetas")

// singles returns the last group of a number written digit by digit, or 0.
func (c *cluster) singles() int {
	k := c.ng - 1
	if c.inRow || k < 11 || k > 18 || !c.uniform(0, k, " -") {
		return 0
	}
	for _, g := range c.g[:k+1] {
		if g.n != 1 {
			return 0
		}
	}
	return k
}

// dialled reports whether the first n digits belong to a telephone number.
func (c *cluster) dialled(s string, n int) bool {
	before, plus := c.afterPlus(s)
	return plus && before+n <= 15
}

// afterPlus reports whether the cluster is, or goes on in, a number with a
// leading plus sign, and how many digits of it stand before the cluster. With
// at most 15 digits that is a telephone number (ITU-T E.164), whichever
// detectors are on: every tenth mobile number of 13 digits passes Luhn, and
// Maestro's ranges cover those of several countries. No card is written so.
func (c *cluster) afterPlus(s string) (before int, ok bool) {
	i := c.start
	for n := 0; n < 24 && i > 0; n++ {
		r, w := unitBefore(s, i)
		switch {
		case r == '+':
			sign, _ := signBefore(s, i)
			return before, sign == '+'
		case r >= '0' && r <= '9':
			before++
		case r != ' ' && r != '-' && r != '.' && r != '(' && r != ')' && r != '/' || w > i:
			return 0, false
		}
		i -= w
	}
	return 0, false
}

// cloudAccount reports whether the cluster is the account of an Amazon resource
// name or registry: 12 digits, which Maestro's cards may have too.
func (c *cluster) cloudAccount(s string) bool {
	if c.g[0].n != 12 {
		return false
	}
	return hasAt(s, c.g[0].end, ".dkr.") || hasAt(s, c.start-1, ":") &&
		strings.Contains(s[max(0, c.start-maxKeyBytes):c.start], "arn:aws")
}

// floatCard recognises a card that became a float64: 4.111222233334444e+15.
//
// encoding/json decodes numbers into any as float64, and fmt prints large ones
// with an exponent and without trailing zeros; the exponent gives the length.
func (c *cluster) floatCard(s string) (int, bool) {
	if c.ng < 2 || c.g[0].n != 1 || c.g[1].sep != '.' || c.g[1].n < 3 {
		return 0, false
	}
	j := c.g[1].end
	if j+2 >= len(s) || lower(s[j]) != 'e' {
		return 0, false
	}
	j++
	if s[j] == '+' {
		j++
	}
	if j+2 > len(s) || s[j] != '1' || !digit.has(s[j+1]) || j+2 < len(s) && digit.has(s[j+2]) {
		return 0, false
	}
	total := 11 + int(s[j+1]-'0')
	n := 1 + c.g[1].n
	if total < 12 || total > 19 || n > total {
		return 0, false
	}
	var d [19]byte
	copy(d[:], c.d[:n])
	return j + 2, isCard(d[:total])
}

// isCard checks digits (values, not characters) for issuer and check digit.
func isCard(d []byte) bool { return luhn(d) && issued(d) }

func luhn(d []byte) bool {
	sum := 0
	for i, v := range d {
		n := int(v)
		if (len(d)-i)%2 == 0 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	return sum%10 == 0
}

// issued reports whether the first six digits and the length belong to a
// card network.
func issued(d []byte) bool {
	bin := 0
	for _, v := range d[:6] {
		bin = bin*10 + int(v)
	}
	// 0000 0000 0000 0000 and 4444... are placeholders of forms and tests.
	same := true
	for _, v := range d[1:] {
		same = same && v == d[0]
	}
	if same {
		return false
	}
	for i := range issuers {
		r := &issuers[i]
		if bin >= r.low && bin <= r.high && r.lengths>>len(d)&1 != 0 {
			return true
		}
	}
	return false
}

func lengths(all ...int) (set uint32) {
	for _, n := range all {
		set |= 1 << n
	}
	return set
}

// issuers are the ranges of the first six digits that the networks publish
// (collected from their own documents and ISO/IEC 7812 listings).
var issuers = [...]struct {
	low, high int
	lengths   uint32
}{
	{400000, 499999, lengths(13, 16, 19)},                     // Visa
	{510000, 559999, lengths(16)},                             // Mastercard
	{222100, 272099, lengths(16)},                             // Mastercard
	{340000, 349999, lengths(15)},                             // American Express
	{370000, 379999, lengths(15)},                             // American Express
	{300000, 305999, lengths(14, 16, 19)},                     // Diners Club
	{309500, 309599, lengths(14, 16, 19)},                     // Diners Club
	{360000, 369999, lengths(14, 15, 16, 17, 18, 19)},         // Diners Club
	{380000, 399999, lengths(14, 16, 17, 18, 19)},             // Diners Club
	{601100, 601199, lengths(16, 17, 18, 19)},                 // Discover
	{644000, 659999, lengths(16, 17, 18, 19)},                 // Discover
	{350000, 359999, lengths(16, 17, 18, 19)},                 // JCB, and what generators give it
	{180000, 180099, lengths(15)},                             // JCB
	{213100, 213199, lengths(15)},                             // JCB
	{620000, 629999, lengths(16, 17, 18, 19)},                 // UnionPay
	{810000, 817199, lengths(16, 17, 18, 19)},                 // UnionPay
	{500000, 509999, lengths(12, 13, 14, 15, 16, 17, 18, 19)}, // Maestro, Elo, Verve, RuPay
	{560000, 589999, lengths(12, 13, 14, 15, 16, 17, 18, 19)}, // Maestro
	{630000, 639999, lengths(12, 13, 14, 15, 16, 17, 18, 19)}, // Maestro, InstaPayment
	{670000, 679999, lengths(12, 13, 14, 15, 16, 17, 18, 19)}, // Maestro
	{604000, 608999, lengths(16)},                             // RuPay, Hipercard
	{652000, 653999, lengths(16)},                             // RuPay
	{820000, 821999, lengths(16)},                             // RuPay
	{220000, 220599, lengths(16, 17, 18, 19)},                 // Mir, BORICA
	{979200, 979299, lengths(16)},                             // Troy
	{860000, 860099, lengths(16)},                             // Uzcard
	{986000, 986099, lengths(16)},                             // Humo
}
