package scrub

import (
	"strings"
	"unsafe"
)

// withheld replaces what an unusable Scrubber is given.
const withheld = "[withheld]"

// Append appends src to dst with every detected value replaced, and returns
// the extended slice and what was counted. Clean text is copied unchanged.
// It allocates only when dst lacks room. src and dst must not overlap.
func (s *Scrubber) Append(dst, src []byte) ([]byte, Report) {
	// The scanner reads a string; src is not retained and not modified while
	// the call lasts, which is all that a string promises.
	text := unsafe.String(unsafe.SliceData(src), len(src)) // #nosec G103 -- see above
	return s.appendText(dst, text)
}

// String returns text with every detected value replaced. Clean text is
// returned as it is, without an allocation.
func (s *Scrubber) String(text string) (string, Report) {
	if s == nil || !s.ready {
		return withheld, Report{}
	}
	sc := scanner{s: s, text: text, rep: Report{names: s.names}}
	sc.scan(0, len(text))
	if sc.done == 0 && !sc.held {
		return text, sc.rep
	}
	sc.finish()
	return string(sc.dst), sc.rep
}

func (s *Scrubber) appendText(dst []byte, src string) ([]byte, Report) {
	if s == nil || !s.ready {
		return append(dst, withheld...), Report{}
	}
	sc := scanner{s: s, text: src, dst: dst, rep: Report{names: s.names}}
	sc.scan(0, len(src))
	sc.finish()
	return sc.dst, sc.rep
}

// compile builds the filter from the enabled detectors.
func (s *Scrubber) compile() {
	f := &s.filter
	var all byteSet
	for i := range all {
		all[i] = ^uint64(0)
	}
	numbers := s.on(detCard) || s.on(detPhone) || s.on(detSSN) || s.on(detIP)
	if numbers {
		after := digit.or(sepLead)
		f.class(kindDigit, digit, after, after.or(bytesOf(byteRange(0x80, 0xBF)+"un#")))
	}
	if s.on(detIBAN) {
		f.class(kindIBAN, letter, letter, digit)
	}
	if s.on(detIP) {
		f.class(kindColon, bytesOf(":"), hexDigit.or(bytesOf(":")), hexDigit.or(bytesOf(":")))
	}
	if s.on(detEmail) {
		f.class(kindEmail, bytesOf("@"), domainLead, domainLead)
	}
	if numbers || s.on(detEmail) {
		s.compileUnits(all)
	}
	if s.on(detToken) {
		s.compileTokens()
	}
	for i := range s.heads {
		if s.on(s.heads[i].det) {
			f.literal(entry{text: s.heads[i].word, fold: true, kind: kindKey, arg: i}, byteSet{})
		}
	}
	for i := range s.custom {
		f.literal(entry{text: s.custom[i].Prefix, kind: kindCustom, arg: i}, byteSet{})
	}
	f.build()
}

// compileUnits makes candidates of the encoded and the non-ASCII spellings
// of digits and the at sign.
func (s *Scrubber) compileUnits(all byteSet) {
	f := &s.filter
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

func (s *Scrubber) compileTokens() {
	f := &s.filter
	for i := range vendors {
		f.literal(entry{text: vendors[i].prefix, kind: kindVendor, arg: i}, *vendors[i].body)
	}
	f.literal(entry{text: "eyJ", kind: kindJWT}, byteSet{})
	f.literal(entry{text: "BEGIN", kind: kindPEM}, byteSet{})
	f.literal(entry{text: "://", kind: kindURL}, byteSet{})
	for _, name := range [...]string{"bearer", "basic", "dpop"} {
		f.literal(entry{text: name, fold: true, kind: kindScheme}, byteSet{})
	}
}

// custom examines a prefix of Config.Custom at i.
func (sc *scanner) custom(c, i int) int {
	n := sc.s.custom[c].Match(sc.src[i:min(len(sc.src), i+maxCustomBytes)])
	if n <= 0 || n > maxCustomBytes || i+n > len(sc.src) {
		return i
	}
	return sc.found(span{start: i, end: i + n, det: builtin + c})
}

const maxCustomBytes = 1024

// allowed reports whether the detected text is one that Config.Allow keeps.
func (sc *scanner) allowed(start, end int) bool {
	if sc.s.allow == nil {
		return false
	}
	return sc.s.allow[strings.ToLower(sc.src[start:end])]
}
