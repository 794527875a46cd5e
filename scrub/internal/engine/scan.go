package engine

import "unicode/utf8"

// The bounds of what a detector may look at around a candidate. See the package's
// documentation for why there must be bounds.
const (
	lookbehind = 1024
	lookahead  = 2048
)

// span is a detected value.
type span struct {
	start, end int
	det        int    // index into Engine.names
	rule       string // the name of what found it
	quote      string
}

// scanner is one pass over a text. It lives on the stack of its caller.
type scanner struct {
	e    *Engine
	text string // the whole input, as far as it is here
	// src is the view of the detectors: text from off on, where the span
	// before ends. What is replaced already must not decide about what
	// follows, or a second pass would decide otherwise.
	src    string
	off    int
	dst    []byte
	counts Counts
	done   int  // text[:done] is settled: written to dst or replaced
	pend   span // found, not yet written: an email may still absorb it
	held   bool // pend is set
	run    swallow
	until  until // what ends a run of swallowValue
	more   bool  // src continues in bytes that are not here yet
	// labels says that src is the value of a key that names a telephone.
	labels bool
	num    cluster
	noUser int // no @ stands between the last :// and here
	bare   bareRun
	tokens tokenRun
	trace  *[]Span // where removals are noted, or nil
	noJWT  int     // no JWT starts before: one attempt per run of characters
}

// scan examines candidates in [i, limit) and returns where it stopped.
func (sc *scanner) scan(i, limit int) int {
	sc.src, sc.off = sc.text, 0
	sc.num.ng, sc.bare, sc.tokens, sc.noUser = 0, bareRun{}, tokenRun{}, 0
	if sc.run != swallowNone {
		i = sc.swallowOn(i)
	}
	f := &sc.e.filter
	text := sc.text[:min(len(sc.text), limit+2)]
	for i < limit {
		at, m := f.next(text, i)
		if m == 0 {
			return max(i, limit)
		}
		i = at + 1
		if off := sc.floor(); off > sc.off {
			sc.src, sc.off = sc.text[off:], off
		}
		off := sc.off
		if at < off {
			continue
		}
		if m == digitBucket && f.digits {
			i = max(i, off+sc.digits(at-off)) // the common case on logs
			continue
		}
		lead := eight(sc.text, at)
		for m != 0 {
			var entries []entry
			entries, m = f.entriesOf(m)
			for k := range entries {
				e := &entries[k]
				if (lead^e.want)&e.mask != 0 || !e.matches(sc.text, at) {
					continue
				}
				if next := off + sc.examine(e, at-off); next > i {
					i, m = next, 0
					break
				}
			}
		}
	}
	return i
}

// examine runs the routine of e at i. It returns where to go on: past i+1
// when it found something or knows that nothing starts before.
func (sc *scanner) examine(e *entry, i int) int {
	switch e.kind {
	case kindUnit:
		return sc.encoded(i)
	case kindVendor:
		return sc.vendorToken(&vendors[e.arg], e.rule, e.text, i)
	case kindCustom:
		return sc.custom(e.arg, i)
	case kindScheme:
		return sc.scheme(e.text, i)
	case kindJWT:
		return sc.jwt(i)
	case kindPEM:
		return sc.pem(i)
	case kindURL:
		return sc.userinfo(i)
	case kindDSN:
		return sc.mysqlUser(i)
	case kindCurl:
		return max(i, sc.curlUser(i+len(e.text)))
	case kindJWTDot:
		return sc.jwtBefore(i)
	case kindKey:
		return sc.key(&sc.e.heads[e.arg], i)
	case kindMAC:
		return sc.mac(i)
	case kindWallet:
		return sc.wallet(i)
	case kindIBAN:
		return sc.iban(i)
	case kindColon:
		return sc.ipv6(i)
	case kindEmail:
		return sc.email(i, 1)
	case kindDigit:
		return sc.digits(i)
	}
	return i
}

// encoded examines a character that is not plain ASCII.
func (sc *scanner) encoded(i int) int {
	r, w := unit(sc.src, i)
	for n := 0; sc.src[i] == '\\' && i > 0 && sc.src[i-1] == '\\' && n < 7; n++ {
		i, w = i-1, w+1
	}
	switch {
	case w == 1:
		return i
	case sc.src[i] == '\\' && (r == '_' || r < utf8.RuneSelf && letter.has(byte(r))):
		return sc.escapedName(i)
	case r == '@' && sc.e.on(Email):
		return sc.email(i, w)
	case r >= '0' && r <= '9':
		return sc.digits(i)
	case r == ':' && sc.e.on(IP):
		return sc.ipv6(i)
	}
	return i
}

// floor is the first byte that a new span may take.
func (sc *scanner) floor() int {
	if sc.held {
		return sc.pend.end
	}
	return sc.done
}

// found records a span of the view and returns its end. A span that overlaps
// the pending one is merged with it and keeps its own detector.
func (sc *scanner) found(sp span) int {
	if sc.excepted(&sp) {
		return sp.start
	}
	return sc.accept(sp)
}

func (sc *scanner) accept(sp span) int {
	end := sp.end
	sp.start += sc.off
	sp.end += sc.off
	if sp.start < sc.done {
		sp.start = sc.done
	}
	if sc.held && sp.start < sc.pend.end {
		sp.start = min(sp.start, sc.pend.start)
		sp.end = max(sp.end, sc.pend.end)
		sc.held = false
	}
	sc.flush()
	sc.pend, sc.held = sp, true
	return end
}

// foundRun records a span that goes on for as long as class allows. It is
// settled at once, so that its length needs no memory.
func (sc *scanner) foundRun(sp span, class swallow) int {
	if sc.excepted(&sp) {
		return sp.start
	}
	sc.accept(sp)
	sc.flush()
	sc.run = class
	return sc.swallowOn(sp.end)
}

// flush writes the pending span's replacement.
func (sc *scanner) flush() {
	if !sc.held {
		return
	}
	sp := sc.pend
	sc.held = false
	sc.dst = append(sc.dst, sc.text[sc.done:sp.start]...)
	sc.dst = append(sc.dst, sp.quote...)
	sc.dst = sc.e.Replacement(sc.dst, sp.det, sc.text[sp.start:sp.end])
	sc.dst = append(sc.dst, sp.quote...)
	sc.done = sp.end
	sc.counts[sp.det]++
	if sc.trace != nil {
		*sc.trace = append(*sc.trace, Span{sp.start, sp.end, sp.det, sp.rule})
	}
}

// finish settles the whole text.
func (sc *scanner) finish() {
	sc.flush()
	sc.dst = append(sc.dst, sc.text[sc.done:]...)
	sc.done = len(sc.text)
}

// swallow says which bytes continue a span that was settled already.
type swallow uint8

const (
	swallowNone  swallow = iota
	swallowToken         // letters, digits and the punctuation of tokens
	swallowWord          // letters, digits, _ and -
	swallowPEM           // up to and with -----END ...-----
	swallowValue         // up to what ends the value of a key
)

// swallowOn continues the run at i and returns its end. At the end of the
// input the run stays open if more may follow.
func (sc *scanner) swallowOn(i int) int {
	end, open := i, false
	switch sc.run {
	case swallowPEM:
		end, open = sc.swallowKey(i)
	case swallowValue:
		limit := len(sc.src)
		if sc.more { // what ends a value may be told by what follows
			limit = max(i, limit-lookahead/8)
		}
		end, open = sc.until.stop(sc.e, sc.src, i, limit)
	default:
		set := swallowSets[sc.run]
		for end < len(sc.src) && set.has(sc.src[end]) {
			end++
		}
		open = end == len(sc.src)
	}
	sc.done = max(sc.done, sc.off+end)
	if sc.trace != nil {
		(*sc.trace)[len(*sc.trace)-1].End = sc.done
	}
	if !open || !sc.more {
		sc.run = swallowNone
	}
	return end
}

// swallowKey passes over the body of a PEM block and its last line. A block
// without one ends at the first character that PEM does not have.
func (sc *scanner) swallowKey(i int) (end int, open bool) {
	s := sc.src
	limit := len(s)
	if sc.more {
		limit -= maxPEMLine
	}
	for ; i < limit; i++ {
		if hasAt(s, i, "-----END") {
			j := i + len("-----END")
			for j < len(s) && j-i < maxPEMLine && s[j] != '-' {
				j++
			}
			for j < len(s) && j-i < maxPEMLine && s[j] == '-' {
				j++
			}
			return j, false
		}
		if !pemChar.has(s[i]) {
			return i, false
		}
	}
	return max(i, limit), true
}

const maxPEMLine = 80

var (
	tokenChar   = alnum.or(bytesOf("._~+/=-"))
	pemChar     = alnum.or(bytesOf("+/=-:,.% \t\r\n\\"))
	swallowSets = [...]*byteSet{
		swallowToken: &tokenChar, swallowWord: &wordChar,
	}
)
