package engine

// compile builds the filter from the enabled detectors.
func (e *Engine) compile() {
	f := &e.filter
	var all byteSet
	for i := range all {
		all[i] = ^uint64(0)
	}
	numbers := e.on(Card) || e.on(Phone) || e.on(SSN) || e.on(IP) || e.on(IMEI)
	if numbers {
		after := digit.or(sepLead)
		f.class(kindDigit, digit, after, after.or(bytesOf(byteRange(0x80, 0xBF)+"un#")))
	}
	if e.on(IBAN) {
		f.class(kindIBAN, letter, letter, digit)
	}
	if e.on(IP) {
		f.class(kindColon, bytesOf(":"), hexDigit.or(bytesOf(":")), hexDigit.or(bytesOf(":")))
	}
	if e.on(MAC) {
		f.class(kindMAC, bytesOf(":-."), hexDigit, hexDigit)
	}
	if e.on(Wallet) {
		f.literal(entry{text: "0x", kind: kindWallet}, hexDigit)
		f.literal(entry{text: "bc1", kind: kindWallet}, byteSet{})
		f.class(kindWallet, bytesOf("13"), alnum, alnum)
	}
	if e.on(Email) {
		f.class(kindEmail, bytesOf("@"), domainLead, domainLead)
	}
	if numbers || e.on(Email) {
		e.compileUnits(all)
	}
	if e.on(Token) {
		e.compileTokens()
	}
	for i := range e.heads {
		if e.on(e.heads[i].det) && e.byWord[e.heads[i].word][0] == i {
			f.literal(entry{text: e.heads[i].word, fold: true, kind: kindKey, arg: i}, byteSet{})
		}
	}
	for i := range e.custom {
		f.literal(entry{text: e.custom[i].Prefix, kind: kindCustom, arg: i}, byteSet{})
	}
	f.build()
}

// compileUnits makes candidates of the encoded and the non-ASCII spellings
// of digits and the at sign.
func (e *Engine) compileUnits(all byteSet) {
	f := &e.filter
	f.class(kindUnit, bytesOf("%"), bytesOf("234eEdDfF"), hexDigit)
	f.class(kindUnit, bytesOf("\\"), bytesOf("uUx"), hexDigit)
	f.class(kindUnit, bytesOf("&"), bytesOf("#c"), all)
	f.class(kindUnit, bytesOf("\xef"), bytesOf("\xbc\xb9"), all) // full-width forms
	f.class(kindUnit, bytesOf("\xd9\xdb\xdf"), bytesOf(byteRange(0x80, 0xB9)),
		bytesOf("\xd9\xdb\xdf0123456789 -\xc2\xe2"))
	f.class(kindUnit, bytesOf("\xe0"), bytesOf("\xa5\xa7\xa9\xab\xad\xaf\xb1\xb3\xb5\xb9\xbb"),
		bytesOf(byteRange(0x90, 0x99)+byteRange(0xA6, 0xAF)))
	f.class(kindUnit, bytesOf("\xf0"), bytesOf("\x9d"), bytesOf("\x9f"))
}

func byteRange(from, to byte) string {
	b := make([]byte, 0, int(to-from)+1)
	for c := int(from); c <= int(to); c++ {
		b = append(b, byte(c))
	}
	return string(b)
}

func (e *Engine) compileTokens() {
	f := &e.filter
	for i := range vendors {
		var body byteSet
		if vendors[i].body != nil {
			body = *vendors[i].body
		}
		vendors[i].each(func(mark string) {
			f.literal(entry{text: mark, kind: kindVendor, arg: i, rule: "token." + mark}, body)
		})
	}
	f.literal(entry{text: "eyJ", kind: kindJWT}, byteSet{})
	f.literal(entry{text: "BEGIN", kind: kindPEM}, byteSet{})
	f.literal(entry{text: ".ey", kind: kindJWTDot}, byteSet{})
	f.literal(entry{text: "://", kind: kindURL}, byteSet{})
	f.literal(entry{text: "@tcp(", kind: kindDSN}, byteSet{})
	f.literal(entry{text: "@unix(", kind: kindDSN}, byteSet{})
	f.literal(entry{text: "-u ", kind: kindCurl}, byteSet{})
	f.literal(entry{text: "--user", kind: kindCurl}, byteSet{})
	for _, name := range [...]string{"bearer", "basic", "dpop"} {
		f.literal(entry{text: name, fold: true, kind: kindScheme}, byteSet{})
	}
}
