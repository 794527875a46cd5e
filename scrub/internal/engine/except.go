package engine

import (
	"net/netip"
	"strings"
)

// Exceptions are what stays although a rule found it. Values, networks and
// domains never excuse a card, a token or what stands below a denied name.
type Exceptions struct {
	Values   map[string]bool // emails, phones and addresses, in lower case
	Networks []netip.Prefix  // of IP addresses
	Domains  []string        // of emails, in lower case; theirs below too
	Keys     map[string]bool // names, as words in lower case with blanks between
	Rules    map[string]bool
}

// Span is one removal: text[Start:End], and which rule of which detector
// removed it.
type Span struct {
	Start, End int
	Detector   int
	Rule       string
}

// The rules that are not named after their detector, their mark or their word.
const (
	ruleScheme = "token.authorization_scheme"
	ruleURL    = "token.url_password"
	ruleDSN    = "token.mysql_password"
	ruleCurl   = "token.curl_user"
	ruleJWT    = "token.jwt"
	ruleKey    = "token.private_key"
	ruleIPv4   = "ip.v4"
	ruleIPv6   = "ip.v6"

	ruleInternational = "phone.international"
	ruleNational      = "phone.national"
	ruleLabelled      = "phone.labelled"
)

// Rules returns the names of all rules that e has.
func (e *Engine) Rules() map[string]bool {
	all := map[string]bool{}
	for _, rule := range [...]string{
		ruleScheme, ruleURL, ruleDSN, ruleCurl, ruleJWT, ruleKey, ruleIPv4, ruleIPv6,
		ruleInternational, ruleNational, ruleLabelled,
	} {
		all[rule] = true
	}
	for i := range vendors {
		vendors[i].each(func(mark string) { all["token."+mark] = true })
	}
	for i := range e.heads {
		all[e.heads[i].name] = true
	}
	for _, name := range e.names {
		all[name] = true
	}
	return all
}

// Spans returns what String would remove from text.
func (e *Engine) Spans(text string) []Span {
	var spans []Span
	sc := scanner{e: e, text: text, trace: &spans}
	sc.scan(0, len(text))
	sc.finish()
	return spans
}

// excepted reports whether a span of the view stays.
func (sc *scanner) excepted(sp *span) bool {
	x := &sc.e.except
	if x.Rules != nil && x.Rules[sp.rule] {
		return true
	}
	switch sp.det {
	case Email, Phone, IP:
	default:
		return false
	}
	value := sc.text[sc.off+sp.start : sc.off+sp.end]
	if x.Values != nil && x.Values[strings.ToLower(value)] {
		return true
	}
	switch {
	case sp.det == IP && len(x.Networks) > 0:
		a, err := netip.ParseAddr(Normal(IP, value))
		for _, n := range x.Networks {
			if err == nil && n.Contains(a) {
				return true
			}
		}
	case sp.det == Email && len(x.Domains) > 0:
		plain := Normal(Email, value)
		host := plain[strings.LastIndexByte(plain, '@')+1:]
		for _, d := range x.Domains {
			if host == d || strings.HasSuffix(host, "."+d) {
				return true
			}
		}
	}
	return false
}
