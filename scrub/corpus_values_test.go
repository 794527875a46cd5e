package scrub_test

import (
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
)

type kindSpec struct {
	name      string
	n         int
	make      func(gen) string
	templates []string
	own       bool // only its own templates
}

func kinds() []kindSpec {
	return []kindSpec{
		{"card", 800, cardValue, []string{
			`{"card_number": "{}", "exp": "12/28"}`, `pan={}`, `card {} exp 12/28`,
			`charged {} for 12.50 EUR`, `payment with {} declined`,
		}, false},
		{"card-number", 200, cardDigits, []string{
			`{"pan":{},"ok":true}`, `{"pan": {}}`, `[1,{},3]`, `{N:{} OK:true}`, `n={}&x=1`, `xx{}yy`,
			`id_{}_a`,
		}, true},
		{"email", 900, emailValue, []string{
			`From: Ann <{}>`, `mailto:{}`, `user {} signed in`, `to={};cc=`, `"email": "{json}"`,
			`login({})`, `sent to {}.`, `email:{}`,
		}, false},
		{"token", 900, tokenValue, []string{
			`Authorization: Bearer {}`, `curl -H "Authorization: Bearer {}"`, `token={}`,
			`export API_TOKEN={}`, `"access_token":"{}"`, `key {} leaked`,
		}, false},
		{"token-auth", 300, opaqueValue, []string{
			`Authorization: Bearer {}`, `authorization: bearer {}`, `{"Authorization":"Bearer {}"}`,
			`["authorization","Bearer {}"]`, `map[Authorization:[Bearer {}]]`, `X-Api-Key: {}`,
			`x-api-key={}`, `{"headers":{"x-api-key":"{}"}}`, `Authorization=Bearer%20{}`,
			`"Authorization: Token {}"`, `Cookie: session={}; theme=dark`, `Set-Cookie: sid={}; HttpOnly`,
			`{\"authorization\":\"Bearer {}\"}`, `https://app:{}@db.test/x`, `postgres://svc:{}@10.1.2.3:5432/db`,
		}, true},
		{"secret", 400, passwordValue, []string{
			`password={}`, `"password":"{}"`, `password: {}`, `{User:bob Password:{} Age:3}`,
			`T{Password:"{}", Age:3}`, `--password {} --verbose`, `db_password={} host=x`, `client_secret={}&x=1`,
			`{"secret":"{}"}`, `{\"password\":\"{}\"}`, `PASSWORD='{}'`, `apiKey: "{}"`, `passwd={}`,
			`{"user":{"newPassword":"{}"}}`, `access_token={}&x=1`, `?api_key={}&page=2`,
			`AWS_SECRET_ACCESS_KEY={}`, `"refresh_token": "{}"`, `<password>{}</password>`,
		}, true},
		{"phone", 400, phoneValue, []string{
			`tel:{}`, `Phone: {}`, `call {} now`, `"phone":"{}"`, `mobile {}`, `phone={}`,
		}, false},
		{"iban", 250, ibanValue, []string{`IBAN {}`, `"iban":"{}"`, `account {} bank`}, false},
		{"ip", 300, ipValue, []string{
			`client {} connected`, `remote_addr={}`, `"ip":"{}"`, `from {}: closed`, `X-Forwarded-For: {}`,
		}, false},
		{"ssn", 120, ssnValue, []string{`SSN {}`, `"ssn":"{}"`, `ssn={}`}, false},
	}
}

func luhnDigit(p string) string {
	for c := range 10 {
		s, sum := p+fmt.Sprint(c), 0
		for i := range len(s) {
			v := int(s[len(s)-1-i] - '0')
			if i%2 == 1 {
				if v *= 2; v > 9 {
					v -= 9
				}
			}
			sum += v
		}
		if sum%10 == 0 {
			return s
		}
	}
	return ""
}

func cardDigits(g gen) string {
	prefix := []struct {
		p string
		n int
	}{
		{"4", 16},
		{"4", 16},
		{"4", 13},
		{"4", 19},
		{"51", 16},
		{"53", 16},
		{"55", 16},
		{"2223", 16},
		{"2719", 16},
		{"34", 15},
		{"37", 15},
		{"36", 14},
		{"305", 14},
		{"6011", 16},
		{"645", 16},
		{"65", 16},
		{"3530", 16},
		{"3589", 16},
		{"62", 16},
		{"62", 17},
		{"62", 18},
		{"62", 19},
		{"50", 12},
		{"58", 18},
		{"6304", 19},
		{"67", 16},
		{"2202", 16},
		{"9792", 16},
		{"6062", 16},
		{"508", 16},
	}
	c := prefix[g.IntN(len(prefix))]
	return luhnDigit(c.p + g.chars(digitSet, c.n-len(c.p)-1))
}

func cardValue(g gen) string {
	d := cardDigits(g)
	sep := g.pick("", "", " ", "-", "\u00a0", ".")
	sizes := []int{4, 4, 4, 4, 4}
	if len(d) == 15 {
		sizes = []int{4, 6, 5}
	} else if len(d) == 14 {
		sizes = []int{4, 6, 4}
	}
	var parts []string
	for _, n := range sizes {
		n = min(n, len(d))
		if n > 0 {
			parts = append(parts, d[:n])
			d = d[n:]
		}
	}
	return strings.Join(parts, sep)
}

func emailValue(g gen) string {
	name := g.pick("anna", "li.wei", "o'brien", "j_smith", "maria-jose", "x", "mehmet.yilmaz", "Dr.Who",
		"müller", "иван", "first.last", "USER99", "a1b2c3", "no_reply99", "sales+eu")
	if g.IntN(4) == 0 {
		name += "+" + g.chars(lowerSet, 4)
	}
	if g.IntN(40) == 0 {
		name = `"` + name + ` smith"`
	}
	name += g.chars(lowerSet, 3)
	if strings.HasPrefix(name, `"`) {
		name = strings.Replace(name, `" `, " ", 1)
		name = strings.TrimRight(name, lowerSet)
	}
	host := g.chars(lowerSet, 3+g.IntN(8))
	tld := g.pick("com", "co.uk", "de", "io", "com.tr", "org", "museum", "photography", "xn--p1ai", "fr", "net",
		"gov.in", "com.br", "dev", "jp", "info", "ai")
	switch g.IntN(12) {
	case 0:
		host = "mail." + host
	case 1:
		host = host + "-" + g.chars(digitSet, 2)
	case 2:
		host = g.pick("bücher", "пример", "例子", "münchen", "xn--bcher-kva") + host
	}
	return name + "@" + host + "." + tld
}

func opaqueValue(g gen) string { return g.chars(alnumSet, 24+g.IntN(20)) }

func passwordValue(g gen) string {
	return g.pick("Tr0ub4dor", "s3cr3t", "hunter2x", "Pa55w0rd", "qX9-") + g.chars(alnumSet, 4+g.IntN(10))
}

func b64url(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func tokenValue(g gen) string {
	switch g.IntN(34) {
	case 0, 1, 2, 3:
		return b64url(`{"alg":"`+g.pick("HS256", "RS256", "ES256")+`","typ":"JWT"}`) + "." +
			b64url(`{"sub":"`+g.chars(alnumSet, 8)+`","iat":17`+g.chars(digitSet, 8)+`}`) + "." + g.chars(urlSet, 43)
	case 4, 5:
		return "AK" + "IA" + g.chars(b32Set, 16)
	case 6:
		return "AS" + "IA" + g.chars(b32Set, 16)
	case 7, 8:
		return g.pick("gh"+"p_", "gh"+"o_", "gh"+"s_", "gh"+"u_", "gh"+"r_") + g.chars(alnumSet, 36)
	case 9:
		return "github" + "_pat_" + g.chars(alnumSet, 22) + "_" + g.chars(alnumSet, 59)
	case 10:
		return "gl" + "pat-" + g.chars(urlSet, 20)
	case 11, 12:
		return g.pick("xo"+"xb-", "xo"+"xp-") + g.chars(digitSet, 12) + "-" + g.chars(digitSet, 12) + "-" + g.chars(alnumSet, 24)
	case 13, 14:
		return g.pick("sk"+"_live_", "rk"+"_live_", "sk"+"_test_") + g.chars(alnumSet, 24+g.IntN(70))
	case 15:
		return "AI" + "za" + g.chars(urlSet, 35)
	case 16:
		return "GOC" + "SPX-" + g.chars(urlSet, 28)
	case 17:
		return g.pick("S"+"K", "A"+"C") + g.chars(hexSet, 32)
	case 18:
		return "np" + "m_" + g.chars(alnumSet, 36)
	case 19:
		return "py" + "pi-AgEIcHlwaS5vcmc" + g.chars(urlSet, 80)
	case 20:
		return "S" + "G." + g.chars(urlSet, 22) + "." + g.chars(urlSet, 43)
	case 21:
		return "sb" + "p_" + g.chars(hexSet, 40)
	case 22:
		return "sk-" + "proj-" + g.chars(urlSet, 60) + "T3BlbkFJ" + g.chars(urlSet, 60)
	case 23:
		return "sk-" + g.chars(alnumSet, 20) + "T3BlbkFJ" + g.chars(alnumSet, 20)
	case 24:
		return "sk-" + "ant-api03-" + g.chars(urlSet, 93) + "AA"
	case 25:
		return "h" + "f_" + g.chars(lowerSet+upperSet, 34)
	case 26:
		return "dop" + "_v1_" + g.chars(hexSet, 64)
	case 27:
		return "shp" + "at_" + g.chars(hexSet, 32)
	case 28:
		return "ya" + "29." + g.chars(urlSet, 60)
	case 29:
		return "hv" + "s." + g.chars(alnumSet, 24)
	case 30:
		return "gls" + "a_" + g.chars(alnumSet, 32) + "_" + g.chars(hexSet, 8)
	case 31:
		return "AY" + g.chars(upperSet, 2) + "ASQg" + g.chars(alnumSet, 48) + "="
	case 32:
		return "-----BEGIN " + g.pick("RSA ", "EC ", "", "OPENSSH ") + "PRIVATE KEY-----\nMII" +
			g.chars(alnumSet, 60) + "\n" + g.chars(alnumSet, 40) + "=="
	}
	return "glp" + "tt-" + g.chars(hexSet, 40)
}

func phoneValue(g gen) string {
	d := func(n int) string { return g.chars(digitSet, n) }
	nxx := func() string { return g.chars("23456789", 1) + d(2) }
	switch g.IntN(16) {
	case 0:
		return "+1" + nxx() + nxx() + d(4)
	case 1:
		return "+1 (" + nxx() + ") " + nxx() + "-" + d(4)
	case 2:
		return "(" + nxx() + ") " + nxx() + "-" + d(4)
	case 3:
		return nxx() + "-" + nxx() + "-" + d(4)
	case 4:
		return "+44 20 7" + d(3) + " " + d(4)
	case 5:
		return "+49 30 " + d(6)
	case 6:
		return "+90 5" + d(2) + " " + d(3) + " " + d(2) + " " + d(2)
	case 7:
		return "05" + d(2) + " " + d(3) + " " + d(2) + " " + d(2)
	case 8:
		return "+33 6 " + d(2) + " " + d(2) + " " + d(2) + " " + d(2)
	case 9:
		return "06 " + d(2) + " " + d(2) + " " + d(2) + " " + d(2)
	case 10:
		return "+91 9" + d(4) + " " + d(5)
	case 11:
		return "+86 13" + d(1) + " " + d(4) + " " + d(4)
	case 12:
		return "+4479" + d(8)
	case 13:
		return "020 7" + d(3) + " " + d(4)
	case 14:
		return "0049 171 " + d(7)
	}
	return nxx() + "." + nxx() + "." + d(4)
}

func ibanValue(g gen) string {
	c := []struct {
		cc   string
		bban string
	}{
		{"DE", g.chars(digitSet, 18)},
		{"GB", g.chars(upperSet, 4) + g.chars(digitSet, 14)},
		{"FR", g.chars(digitSet, 20) + g.chars(upperSet, 1) + g.chars(digitSet, 2)},
		{"TR", g.chars(digitSet, 22)},
		{"NL", g.chars(upperSet, 4) + g.chars(digitSet, 10)},
		{"ES", g.chars(digitSet, 20)},
		{"IT", g.chars(upperSet, 1) + g.chars(digitSet, 22)},
		{"PL", g.chars(digitSet, 24)},
		{"CH", g.chars(digitSet, 17)},
		{"NO", g.chars(digitSet, 11)},
		{"AE", g.chars(digitSet, 19)},
		{"MT", g.chars(upperSet, 4) + g.chars(digitSet, 23)},
	}[g.IntN(12)]
	var num strings.Builder
	for _, r := range c.bban + c.cc + "00" {
		if r >= 'A' {
			num.WriteString(fmt.Sprint(r - 'A' + 10))
		} else {
			num.WriteString(string(r))
		}
	}
	n, _ := new(big.Int).SetString(num.String(), 10)
	check := 98 - new(big.Int).Mod(n, big.NewInt(97)).Int64()
	iban := fmt.Sprintf("%s%02d%s", c.cc, check, c.bban)
	if g.IntN(2) == 0 {
		return iban
	}
	var parts []string
	for len(iban) > 4 {
		parts, iban = append(parts, iban[:4]), iban[4:]
	}
	return strings.Join(append(parts, iban), " ")
}

func ipValue(g gen) string {
	h := func() string { return fmt.Sprintf("%x", g.IntN(65536)) }
	switch g.IntN(6) {
	case 0, 1, 2:
		return fmt.Sprintf("%d.%d.%d.%d", 1+g.IntN(223), g.IntN(256), g.IntN(256), 1+g.IntN(254))
	case 3:
		return fmt.Sprintf("2001:db8:%s:%s:%s:%s:%s:%s", h(), h(), h(), h(), h(), h())
	case 4:
		return fmt.Sprintf("fe80::%s:%s:%s:%s", h(), h(), h(), h())
	}
	return fmt.Sprintf("2a02:%s:%s::%s", h(), h(), h())
}

func ssnValue(g gen) string {
	return fmt.Sprintf("%03d-%02d-%04d", 1+g.IntN(664), 1+g.IntN(99), 1+g.IntN(9999))
}
