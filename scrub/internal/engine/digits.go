package engine

// cluster is a row of digit groups: "4111 1111", "192.0.2.1", "12-34". The
// digit detectors read it instead of the text, whatever its spelling.
type cluster struct {
	d     [maxDigits]byte
	g     [maxGroups]group
	ng    int
	start int
	inRow bool // a group and the same separator stand before it or after it
	off   int  // of the view that it was read from
	// follow is the separator before a replacement that follows, or 0.
	follow byte
	sizes  sizes
	same   int // the last of the first groups with the separator of the second
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

// digits examines the digit at i, in any spelling. It returns past the group,
// because no number starts inside one.
func (sc *scanner) digits(i int) int {
	s := sc.src
	end := digitsEnd(s, i)
	if end > i {
		if i > 0 && s[i-1]-'0' < 10 {
			return end
		}
		if i > 0 && s[i-1] == '%' && end-i > 1 && s[i] < '5' && s[i] != '3' {
			if end-i == 2 {
				return end // %20, %40: what they encode is no digit
			}
			if s[i] < '3' {
				i += 2
			}
		}
		if next := dull(s, i, end); next > 0 && !sc.e.stepwise {
			return next
		}
		if skip := insideEscape(s, i); skip > i {
			if i = skip; i >= len(s) || !digit.has(s[i]) {
				return skip
			}
		}
	}
	c := &sc.num
	if i > 0 && (s[i-1] >= 0x80 || s[i-1] == ';' || hexDigit.has(s[i-1])) {
		if r, _ := unitBefore(s, i); r >= '0' && r <= '9' {
			var d [maxDigits]byte
			g := group{start: i, end: i}
			return readGroup(s, &g, d[:])
		}
	}
	if end < len(s) && s[end] == '.' && sc.e.on(IP) {
		if stop, ok := plainIPv4(s, i); ok && !sc.wordAt(stop) {
			return sc.found(span{start: i, end: stop, det: IP, rule: ruleIPv4})
		}
	}
	c.read(s, i, sc.off)
	c.follow = 0
	if at := c.g[c.ng-1].end + 1; at < len(s) && s[at] == '[' && sc.e.replacementEnd(s, at) > 0 {
		c.follow = s[at-1]
	}
	table := c.inTable()
	if c.total() >= 4 {
		if sp, ok := sc.number(c, table); ok {
			return sc.found(sp)
		}
	}
	if table && !sc.e.stepwise {
		return max(end, c.skipTable())
	}
	return max(end, c.g[0].end)
}

// inTable reports whether the cluster is the middle of a long row of numbers, of
// which only a card in its printed form can be told.
func (c *cluster) inTable() bool {
	return c.inRow && (c.ng == maxGroups || c.total() >= maxDigits)
}

// skipTable returns the end of the last group before one that may begin a card.
// It only saves time.
func (c *cluster) skipTable() int {
	k := 0
	for k+6 < c.ng && c.g[k+1].n != 4 && c.g[k+1].n < 6 {
		k++
	}
	return c.g[k].end
}

func digitsEnd(s string, i int) int {
	for i < len(s) && s[i]-'0' < 10 {
		i++
	}
	return i
}

// dull looks at the digits s[i:end] and what is joined to them, and returns
// where to go on if they cannot be part of anything: too few, a date, or in
// the middle of a row of short numbers. It returns 0 if they may be. It only
// saves time; what it cannot judge it leaves to the detectors.
func dull(s string, i, end int) int {
	n := end - i
	if end == len(s) {
		if n < 7 && (i == 0 || !joins.has(s[i-1])) {
			return end
		}
		return 0
	}
	sep := s[end]
	inRow := i > 1 && s[i-1] == sep && s[i-2]-'0' < 10 && joins.has(sep) && sep != '+'
	if inRow && n != 4 && n < 12 && (s[i] != '0' || n < 3) {
		return end
	}
	if n == 4 && isDate(s, i) {
		return i + len("2006-01-02")
	}
	total := n
	for groups := 1; ; groups++ {
		j := end
		for j < len(s) && j-end < 4 && joins.has(s[j]) {
			j++
		}
		next := digitsEnd(s, j)
		if next == j || j == end {
			if j < len(s) && j-end < 4 && encodes.has(s[j]) || total >= 7 {
				return 0
			}
			return end
		}
		total += next - j
		if total >= 12 || groups >= 3 {
			return 0
		}
		end = next
	}
}

// isDate reports whether 2006-01-02 stands at i, with nothing joined to it.
func isDate(s string, i int) bool {
	if i+10 >= len(s) || s[i] != '2' && s[i] != '1' ||
		s[i+4] != '-' && s[i+4] != '/' || s[i+7] != s[i+4] {
		return false
	}
	return s[i+5] <= '1' && digit.has(s[i+5]) && digit.has(s[i+6]) &&
		s[i+8] <= '3' && digit.has(s[i+8]) &&
		digit.has(s[i+9]) && !digit.has(s[i+10]) && s[i+10] != s[i+4] && !encodes.has(s[i+10])
}

var (
	joins   = bytesOf(" \t-./_,()+*")                 // plain separators
	encodes = bytesOf("%\\&" + byteRange(0x80, 0xFF)) // may begin an encoded one
)

// number runs the digit detectors on the cluster.
func (sc *scanner) number(c *cluster, table bool) (span, bool) {
	s := sc.src
	if sc.e.on(IP) && c.ng > 3 && c.g[1].sep == '.' {
		if end, ok := c.ipv4(s); ok && !sc.wordAt(end) {
			return span{start: c.start, end: end, det: IP, rule: ruleIPv4}, true
		}
	}
	if first := c.g[0].n; sc.e.on(Card) && (first > 3 && c.total() >= 12 || first == 1) {
		if end, ok := c.card(s); ok {
			return span{
				start: c.start, end: end, det: Card, rule: Names[Card], quote: jsonQuote(s, c.start),
			}, true
		}
	}
	if table {
		return span{}, false
	}
	if sc.e.on(SSN) && c.total() >= 9 {
		if end, ok := c.ssn(s); ok {
			return span{start: c.start, end: end, det: SSN, rule: Names[SSN]}, true
		}
	}
	if sc.e.on(IMEI) && c.total() >= 15 {
		if end, ok := c.imei(s); ok {
			return span{start: c.start, end: end, det: IMEI, rule: Names[IMEI]}, true
		}
	}
	if sc.e.on(Phone) && c.total() >= 7 {
		if start, end, rule := c.phone(s, sc.labels); rule != "" {
			return span{start: start, end: end, det: Phone, rule: rule, quote: jsonQuote(s, start)}, true
		}
	}
	return span{}, false
}

func (c *cluster) total() int {
	last := c.g[c.ng-1]
	return last.first + last.n
}

// read fills the cluster from the digits at i of a view. Of a cluster that was
// read from the group before, it keeps what it can: each group is read once,
// however many clusters it belongs to.
func (c *cluster) read(s string, i, off int) {
	n, sep := 0, byte(0)
	if c.ng > 2 && c.off == off && c.g[1].start == i {
		n, sep, i = c.advance()
	} else {
		c.ng = 0
	}
	c.off = off
	start := i
	if c.ng > 0 {
		start = c.g[0].start
	}
	c.start = start
	for c.ng < maxGroups && n < maxDigits && i-start < 2*maxGroupBytes {
		g := group{start: i, end: i, first: n, sep: sep}
		readGroup(s, &g, c.d[:])
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
	c.measure()
}

// advance drops the first group, and the last one too, which may have been cut.
// It returns how many digits stay, and the separator and start of what is read
// again.
func (c *cluster) advance() (n int, sep byte, i int) {
	drop := c.g[1].first
	copy(c.d[:], c.d[drop:])
	copy(c.g[:], c.g[1:c.ng])
	c.ng -= 2
	for k := range c.g[:c.ng+1] {
		c.g[k].first -= drop
	}
	c.g[0].sep = 0
	last := &c.g[c.ng]
	return last.first, last.sep, last.start
}

// readGroup reads the digits at g.start into d from g.first on, and returns their
// end.
func readGroup(s string, g *group, d []byte) int {
	i, n := g.start, g.first
	for i < len(s) && n < maxDigits && i-g.start < maxGroupBytes {
		if ch := s[i]; ch-'0' < 10 {
			d[n] = ch - '0'
			n++
			i++
			g.end = i
			continue
		} else if letter.has(ch) {
			break
		}
		r, w := unit(s, i)
		if r >= '0' && r <= '9' {
			d[n] = byte(r - '0')
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
	if i+1 < len(s) && s[i+1]-'0' < 10 {
		switch s[i] {
		case ' ', '-', '.':
			return s[i], i + 1
		}
	}
	var sep byte
	for k := 0; k < 4 && i < len(s); k++ {
		r, w := unit(s, i)
		if r >= '0' && r <= '9' {
			return sep, i
		}
		switch r {
		case '+':
			// A form's blank; after a blank it is the sign of another
			// number, whose replacement must not change this one.
			if sep != 0 && s[i-1] == ' ' {
				return 0, 0
			}
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
		case sep == 0 || sep == ' ' || sep == byte(r):
			sep = byte(r)
		case r != ' ':
			sep = sepMixed
		}
		i += w
	}
	return 0, 0
}

// rowBefore reports whether the cluster continues a row of numbers.
// In a row every number has neighbours to be joined with by chance, so that the
// detectors want the clearest forms: hex dumps, histograms, %v of slices.
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
// Two letters and 24 characters are the least: MongoDB's identifiers are that
// long, and a card between two words of a sentence never gets there.
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
