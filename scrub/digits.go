package scrub

// cluster is a row of digit groups: "4111 1111", "192.0.2.1", "12-34". The
// digit detectors read it instead of the text, whatever its spelling.
type cluster struct {
	d     [maxDigits]byte
	g     [maxGroups]group
	ng    int
	start int
	inRow bool // a group and the same separator stand before it or after it
}

const (
	maxDigits = 32
	maxGroups = 20
	// maxGroupBytes bounds a group with its invisible characters.
	maxGroupBytes = 512
	sepMixed      = 'm'
)

// group is one run of digits, with the separator that stands before it.
type group struct {
	start, end int // in the text
	first, n   int // in cluster.d
	sep        byte
}

func (c *cluster) groups() int { return c.ng }

// digits examines the digit at i, the first of its group.
func (sc *scanner) digits(i int) int {
	s := sc.src
	if i > 0 && digit.has(s[i-1]) {
		return i
	}
	end := i
	for end < len(s) && digit.has(s[end]) {
		end++
	}
	if end-i < 8 && end < len(s) && end > i && !sepLead.has(s[end]) {
		return end
	}
	if skip := insideEscape(s, i); skip > i {
		if skip >= len(s) || !digit.has(s[skip]) {
			return skip
		}
		i = skip
	}
	if i > 0 && s[i-1] >= 0x80 || i > 0 && s[i-1] == ';' {
		if r, _ := unitBefore(s, i); r >= '0' && r <= '9' {
			return max(end, i)
		}
	}
	c := &sc.num
	c.read(s, i)
	if c.total() >= 4 {
		if sp, ok := sc.number(c); ok {
			return sc.found(sp)
		}
	}
	return max(end, c.g[0].end)
}

// number runs the digit detectors on the cluster.
func (sc *scanner) number(c *cluster) (span, bool) {
	s := sc.src
	if sc.s.on(detCard) && c.total() >= 12 {
		if end, ok := c.card(s); ok && !sc.taken(c.start) {
			return span{start: c.start, end: end, det: detCard, quote: jsonQuote(s, c.start)}, true
		}
	}
	if sc.s.on(detSSN) && c.total() >= 9 {
		if end, ok := c.ssn(); ok && !sc.taken(c.start) {
			return span{start: c.start, end: end, det: detSSN}, true
		}
	}
	if sc.s.on(detIP) {
		if end, ok := c.ipv4(s); ok && !sc.taken(c.start) && !sc.allowed(c.start, end) {
			return span{start: c.start, end: end, det: detIP}, true
		}
	}
	if sc.s.on(detPhone) {
		if start, end, ok := c.phone(s, sc.labels); ok && !sc.taken(start) && !sc.allowed(start, end) {
			return span{start: start, end: end, det: detPhone, quote: jsonQuote(s, start)}, true
		}
	}
	return span{}, false
}

func (sc *scanner) taken(start int) bool { return start < sc.floor() }

func (c *cluster) total() int {
	last := c.g[c.ng-1]
	return last.first + last.n
}

// read fills the cluster from the digits at i.
func (c *cluster) read(s string, i int) {
	c.ng, c.start, c.inRow = 0, i, false
	n, sep := 0, byte(0)
	for c.ng < maxGroups && n < maxDigits && i-c.start < 2*maxGroupBytes {
		g := group{start: i, end: i, first: n, sep: sep}
		i = c.readGroup(s, &g)
		n = g.first + g.n
		c.g[c.ng] = g
		c.ng++
		var next int
		if sep, next = readSeparator(s, g.end); sep == 0 {
			break
		}
		i = next
	}
	c.inRow = c.rowBefore(s)
}

func (c *cluster) readGroup(s string, g *group) int {
	i, n := g.start, g.first
	for i < len(s) && n < maxDigits && i-g.start < maxGroupBytes {
		if ch := s[i]; digit.has(ch) {
			c.d[n] = ch - '0'
			n++
			i++
			g.end = i
			continue
		} else if letter.has(ch) {
			break
		}
		r, w := unit(s, i)
		if r >= '0' && r <= '9' {
			c.d[n] = byte(r - '0')
			n++
			g.end = i + w
		} else if r != ignorable || w == 1 {
			break
		}
		i += w
	}
	g.n = n - g.first
	return g.end
}

// readSeparator reads up to three separators before another digit. It
// returns their common form and where the digit is, or 0.
func readSeparator(s string, i int) (byte, int) {
	var sep byte
	for k := 0; k < 4 && i < len(s); k++ {
		r, w := unit(s, i)
		if r >= '0' && r <= '9' {
			return sep, i
		}
		switch r {
		case '+':
			r = ' '
		case ' ', '\t', '-', '.', '/', '_', ',', '(', ')', '*':
		case ignorable:
			if w == 1 {
				return 0, 0
			}
			i += w
			continue
		default:
			return 0, 0
		}
		switch {
		case sep == 0 || sep == byte(r):
			sep = byte(r)
		default:
			sep = sepMixed
		}
		i += w
	}
	return 0, 0
}

// rowBefore reports whether the cluster continues a row of numbers.
func (c *cluster) rowBefore(s string) bool {
	i := c.start
	if i < 2 || c.ng < 2 {
		return false
	}
	r, w := unitBefore(s, i)
	if r == '+' {
		r = ' '
	}
	if r != rune(c.g[1].sep) || r == ',' || i-w == 0 {
		return false
	}
	r, _ = unitBefore(s, i-w)
	return r >= '0' && r <= '9'
}

// fraction reports whether the cluster is what follows a decimal point.
func (c *cluster) fraction(s string) bool {
	i := c.start
	return i >= 2 && s[i-1] == '.' && digit.has(s[i-2]) && (c.ng < 2 || c.g[1].sep != '.')
}

// hexBlob reports whether the cluster lies in a UUID, a hash or another long
// run of hexadecimal digits.
func (c *cluster) hexBlob(s string) bool {
	from, to := c.start, c.g[0].end
	if to-from != c.g[0].n {
		return false
	}
	for from > 0 && c.start-from < 64 && (hexDigit.has(s[from-1]) || s[from-1] == '-') {
		from--
	}
	for to < len(s) && to-c.start < 96 && (hexDigit.has(s[to]) || s[to] == '-') {
		to++
	}
	run := s[from:to]
	letters, dashes := 0, 0
	for i := range len(run) {
		switch {
		case run[i] == '-':
			dashes++
		case hexDigit.has(run[i]) && !digit.has(run[i]):
			letters++
		}
	}
	if isUUID(run) {
		return true
	}
	return letters >= 2 && len(run)-dashes >= 24
}

// isUUID reports whether run is 8-4-4-4-12 hexadecimal digits.
func isUUID(run string) bool {
	if len(run) != 36 {
		return false
	}
	for i := range len(run) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (run[i] == '-') {
			return false
		}
	}
	return true
}

// insideEscape returns the end of the \u0020 or %20 whose digits start at i,
// or i. A percent sign counts only if what it encodes cannot be a digit or a
// letter: in LIKE '%4111...' it stands for itself.
func insideEscape(s string, i int) int {
	for back := 1; back <= 5 && i-back >= 0; back++ {
		switch c := s[i-back]; {
		case c == '\\' && back >= 2:
			if _, w := unit(s, i-back); w > back {
				return i - back + w
			}
			return i
		case c == '%' && back <= 2:
			r, w := unit(s, i-back)
			if w > back && (r > '9' || r < '0') && (r >= 0x80 || !alnum.has(byte(r))) {
				return i - back + w
			}
			return i
		case c == '&' || c == '#':
			if r, w := unit(s, i-back); c == '&' && w > back && (r < '0' || r > '9') {
				return i - back + w
			}
		case !hexDigit.has(c) && c != 'u' && c != 'x' && c != 'U':
			return i
		}
	}
	return i
}

// sepLead is the first byte of anything that may separate digits.
var sepLead = bytesOf(" \t-./_,()+*%\\&\xc2\xe2\xe3\xef\xd9\xdb\xe0\xe1\xf0")
