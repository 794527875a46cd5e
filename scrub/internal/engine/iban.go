package engine

// iban examines two letters and a digit at i: an International Bank Account
// Number (ISO 13616) has its country's length and a remainder of 1 (ISO 7064
// MOD 97-10). Blanks or dashes may stand between its groups.
func (sc *scanner) iban(i int) int {
	s := sc.src
	if i > 0 && alnum.has(s[i-1]) && !escapedBefore(s, i) || i+14 > len(s) {
		return i
	}
	want := ibanLength(s[i : i+2])
	if want == 0 {
		return i
	}
	rem, n, end := 0, 0, i
	var head [4]byte
	for j := i; j < len(s) && n < want && j-i < 256; {
		c := upper(s[j])
		switch {
		case alnum.has(c):
			if n < 4 {
				head[n] = c
			} else {
				rem = mod97(rem, c)
			}
			n++
			j++
			end = j
		default:
			r, w := unit(s, j)
			if r != ' ' && r != '-' && r != '+' && (r != ignorable || w == 1) {
				return i
			}
			j += w
		}
	}
	if n < want || sc.wordAt(end) {
		return i
	}
	for _, c := range head {
		rem = mod97(rem, c)
	}
	if rem != 1 {
		return i
	}
	return sc.found(span{start: i, end: end, det: IBAN, rule: Names[IBAN]})
}

func mod97(rem int, c byte) int {
	if digit.has(c) {
		return (rem*10 + int(c-'0')) % 97
	}
	return (rem*100 + int(c-'A') + 10) % 97
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c &^ 0x20
	}
	return c
}

// ibanLength returns the length of a country's account numbers, or 0.
func ibanLength(country string) int {
	return int(ibanLengths[upper(country[0])-'A'][upper(country[1])-'A'])
}

var ibanLengths = func() (t [26][26]byte) {
	for i := 0; i+4 <= len(ibanCountries); i += 4 {
		length := (ibanCountries[i+2]-'0')*10 + ibanCountries[i+3] - '0'
		t[ibanCountries[i]-'A'][ibanCountries[i+1]-'A'] = length
	}
	return t
}()

// ibanCountries is the SWIFT registry: country and length, four bytes each.
const ibanCountries = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22" +
	"DJ27DK18DO28" +
	"EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20" +
	"LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25" +
	"QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30"
