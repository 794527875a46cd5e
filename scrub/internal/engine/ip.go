package engine

// ipv4 returns the end of the dotted address that the cluster starts with.
// Four-part versions look the same: after "version", "v" or a product's name
// and a slash (Chrome/1.2.3.4) it stays, and so do the loopback and the
// unspecified address, which are nobody's.
func (c *cluster) ipv4(s string) (int, bool) {
	if c.ng < 4 || c.g[1].sep != '.' || c.ng > 4 && c.g[4].sep == '.' || c.ng == 4 && c.follow == '.' {
		return 0, false
	}
	var b [4]int
	for k := range b {
		g := c.g[k]
		if g.n > 3 || k > 0 && (g.sep != '.' || g.start != c.g[k-1].end+1) {
			return 0, false
		}
		for _, v := range c.d[g.first : g.first+g.n] {
			b[k] = b[k]*10 + int(v)
		}
		if b[k] > 255 || g.n > 1 && c.d[g.first] == 0 {
			return 0, false
		}
	}
	return c.g[3].end, somebodys(b) && !versioned(s, c.start)
}

// plainIPv4 is ipv4 for the address that is plain text at i, as most are. It only
// saves time.
func plainIPv4(s string, i int) (int, bool) {
	var b [4]int
	start := i
	for k := range b {
		from := i
		for i < len(s) && i-from < 3 && s[i]-'0' < 10 {
			b[k] = b[k]*10 + int(s[i]-'0')
			i++
		}
		if i == from || b[k] > 255 || i-from > 1 && s[from] == '0' {
			return 0, false
		}
		if k < 3 {
			if i >= len(s) || s[i] != '.' {
				return 0, false
			}
			i++
		}
	}
	if i < len(s) && (s[i] == '.' || s[i]-'0' < 10 || encodes.has(s[i])) {
		return 0, false
	}
	return i, somebodys(b) && !versioned(s, start)
}

// somebodys reports whether an address is neither the loopback, nor unspecified,
// nor everybody's.
func somebodys(b [4]int) bool {
	return !(b[0] == 127 && b[1] == 0) && b[0]|b[1]|b[2]|b[3] != 0 && b[0]&b[1]&b[2]&b[3] != 255
}

func versioned(s string, i int) bool {
	if i == 0 {
		return false
	}
	switch c := s[i-1]; {
	case c == '.' || c == '~' || c == '_' || letter.has(c) && !escapedBefore(s, i):
		return true
	case c == '-' && i > 1 && letter.has(s[i-2]):
		// /opt/app-1.2.3.4 is a release; few of them reach ten, and
		// few public addresses below that are glued to a name.
		return i+1 < len(s) && !digit.has(s[i+1])
	case c == '/':
		return i > 1 && alnum.has(s[i-2]) && !hasAt(s, i-2, "//")
	}
	return labelled(s, i, versionWords)
}

// ipv6 examines the first colon of an address (RFC 4291 section 2.2): eight
// groups, or fewer around one "::" with enough digits in them to tell it from
// the scope operator of a programming language. Colons may be %3A.
func (sc *scanner) ipv6(i int) int {
	s := sc.src
	if clock(s, i) {
		return i
	}
	start := i
	for start > 0 && i-start < 5 && hexDigit.has(s[start-1]) {
		start--
	}
	switch {
	case i-start == 5, start > 0 && s[start-1] == ':', hasAt(s, start-3, "%3"), hasAt(s, start-1, "%"):
		return i // not the first colon
	case start > 0 && wordChar.has(s[start-1]), start == i && colonAt(s, i+colonAt(s, i)) == 0:
		start = i + colonAt(s, i) // note:2001:db8::1
	}
	end, ok := addressEnd(s, start)
	if !ok {
		return i
	}
	return sc.found(span{start: start, end: end, det: IP, rule: ruleIPv6})
}

// clock reports whether :04:05 stands at i and ends there: two groups, which
// end no address without "::". It only saves time on logs.
func clock(s string, i int) bool {
	return i+6 < len(s) && s[i+3] == ':' && digit.has(s[i+1]) && digit.has(s[i+2]) &&
		digit.has(s[i+4]) && digit.has(s[i+5]) &&
		s[i+6] != ':' && s[i+6] != '%' && !hexDigit.has(s[i+6])
}

// colonAt returns the width of the colon at i, or 0.
func colonAt(s string, i int) int {
	switch {
	case i >= len(s):
		return 0
	case s[i] == ':':
		return 1
	case s[i] == '%' && foldAt(s, i, "%3a"):
		return 3
	}
	return 0
}

// addressEnd returns the end of the IPv6 address at i.
func addressEnd(s string, i int) (int, bool) {
	groups, longest, shortest, digits, double := 0, 0, 4, 0, false
	for i < len(s) && groups < 8 {
		n := 0
		for i < len(s) && n < 5 && hexDigit.has(s[i]) {
			if digit.has(s[i]) {
				digits++
			}
			i++
			n++
		}
		if n > 4 {
			return 0, false
		}
		if n > 0 {
			groups++
		}
		longest, shortest = max(longest, n), min(shortest, n)
		w := colonAt(s, i)
		next := i + w
		if w == 0 || n == 0 && groups > 0 {
			break
		}
		if w2 := colonAt(s, next); w2 > 0 && !double {
			double, i = true, next+w2
			continue
		}
		if next >= len(s) || !hexDigit.has(s[next]) || groups == 8 {
			break
		}
		i = next
	}
	full := groups == 8 && !double && (longest > 2 || shortest < 2) && (longest > 1 || digits < 8)
	short := double && groups >= 2 && groups < 8 && longest >= 3 && digits > 0
	goesOn := i < len(s) && (wordChar.has(s[i]) && s[i] != '-' || s[i] == '[' || hasAt(s, i, ":["))
	if !full && !short || goesOn {
		return 0, false
	}
	for i+1 < len(s) && s[i] == '.' && digit.has(s[i+1]) {
		i = digitsEnd(s, i+1) // an embedded IPv4 address
	}
	return i, true
}

var versionWords = wordsOf("version ver section sec build release rev chapter oid firmware")
