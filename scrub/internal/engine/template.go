package engine

import "strings"

// What cards, telephone numbers, IBANs and social security numbers have in
// common: the groups in which they are printed, and one veto over what looks
// like them by chance.

// template is one way in which a number is printed.
type template struct {
	sizes string // of the groups, as in "4-4-4-4"
	seps  string // any one of which separates all groups
}

// match returns the last group of t, which begins with the first group of the
// cluster, or -1.
func (c *cluster) match(t *template) int {
	k := 0
	for i := 0; i < len(t.sizes); i++ {
		n := 0
		for ; i < len(t.sizes) && t.sizes[i] != '-'; i++ {
			n = n*10 + int(t.sizes[i]-'0')
		}
		if k >= c.ng || c.g[k].n != n || k > 0 && c.g[k].sep != c.g[1].sep {
			return -1
		}
		k++
	}
	if k > 1 && strings.IndexByte(t.seps, c.g[1].sep) < 0 {
		return -1
	}
	return k - 1
}

// uniform reports whether one separator of seps stands between the groups from
// the first to the k-th.
func (c *cluster) uniform(first, k int, seps string) bool {
	for i := first + 1; i <= k; i++ {
		if c.g[i].sep != c.g[first+1].sep || strings.IndexByte(seps, c.g[i].sep) < 0 {
			return false
		}
	}
	return true
}

// goesOn reports whether more digits follow the k-th group in the same way.
func (c *cluster) goesOn(k int) bool {
	return k+1 < c.ng && (k == 0 || c.g[k+1].sep == c.g[k].sep)
}

// vetoed reports whether what stands around the number from the first to the
// k-th group says that it is something else: a part of a decimal number, a
// hash or a word, a quantity with its unit, or the value of a name such as
// user_id.
func (c *cluster) vetoed(s string, k int) bool {
	return c.fraction(s) || c.hexBlob(s) || c.decimal(s, k) || c.measured(s, k) ||
		labelled(s, c.start, idWords) && c.ends(s, k)
}

// ends reports whether no letter, digit or underscore follows the k-th group.
func (c *cluster) ends(s string, k int) bool {
	end := c.g[k].end
	return end >= len(s) || !alnum.has(s[end]) && s[end] != '_'
}

// decimal reports whether a decimal point and more than two digits follow.
func (c *cluster) decimal(s string, k int) bool {
	end := c.g[k].end
	return k+1 < c.ng && c.g[k+1].sep == '.' && c.g[k+1].n > 2 && c.g[k+1].start == end+1
}

// measured reports whether a unit follows, right away or after a blank.
func (c *cluster) measured(s string, k int) bool {
	i := c.g[k].end
	if i < len(s) && s[i] == ' ' {
		i++
	}
	end := i
	for end < len(s) && end-i < 13 && letter.has(s[end]) {
		end++
	}
	return end > i && (end >= len(s) || !wordChar.has(s[end])) && units.has(s[i:end])
}

var units = wordsOf("ns us ms s sec secs seconds min mins minutes h hrs hours days b kb mb gb tb kib mib" +
	" gib bytes byte bits px pt em rpm hz khz mhz ghz v mv w kw km m cm mm kg g mg usd eur gbp try" +
	" rows lines items entries requests req times packets frames pages files objects records blocks")

// idWords name numbers that are no person's: the last word of user_id, blk_.
var idWords = wordsOf("id ids uid uuid guid oid pid tid txid rid cid xid ord seq sequence offset ts" +
	" time timestamp epoch nonce rand random hash crc checksum size length bytes count block blk" +
	" inode trace span request req version serial tracking isbn ean upc lat lon lng latitude" +
	" longitude port position pos index idx counter total latency duration elapsed")

// labelled reports whether one of the words of the name right before i is in
// list: "phone": ", mobile_no=, call .
func labelled(s string, i int, list words) bool {
	for n := 0; i > 0 && n < 6; n++ {
		if letter.has(s[i-1]) {
			break
		}
		if s[i-1] == ']' || digit.has(s[i-1]) {
			return false // [phone] is a replacement, or an index
		}
		i--
	}
	for range 3 {
		start, end := wordBefore(s, i)
		if start == end {
			return false
		}
		if list.has(s[start:end]) {
			return true
		}
		if !labelTails.has(s[start:end]) {
			return false
		}
		if i = start; i > 0 && s[i-1] == ' ' {
			return false
		}
	}
	return false
}

// wordBefore returns the word of a name that ends before i, across at most one
// of _ - . or a blank.
func wordBefore(s string, i int) (start, end int) {
	end = i
	if end > 0 && (nameByte.has(s[end-1]) && !alnum.has(s[end-1]) || s[end-1] == ' ') {
		end--
	}
	start = end
	for start > 0 && alnum.has(s[start-1]) && end-start < maxKeyBytes {
		start--
		if hump(s[:end], start) {
			break
		}
	}
	return start, end
}

var labelTails = wordsOf("number numbers no nr num numero nummer primary home work office e164 1 2 is")
