package engine

import (
	"math/bits"
	"strings"
)

// What cards, telephone numbers, IBANs and social security numbers have in
// common: the groups in which they are printed, and one veto over what looks
// like them by chance.

// template is one way in which a number is printed: the sizes of its groups, and
// the separators any one of which stands between all of them.
type template struct {
	sizes sizes
	seps  string
}

// sizes are those of up to five groups, in four bits each, the first one lowest.
type sizes uint32

const maxSizes = 5

func groups(all ...uint32) (s sizes) {
	for k, n := range all {
		s |= sizes(min(n, 15)) << (4 * k)
	}
	return s
}

// measure notes the sizes of the first groups, and how many have one separator.
func (c *cluster) measure() {
	c.sizes, c.same = 0, 0
	for k := range min(c.ng, maxSizes) {
		c.sizes |= sizes(min(c.g[k].n, 15)) << (4 * k) // #nosec G115 -- below 16
		if k > 0 && c.g[k].sep == c.g[1].sep && c.same == k-1 {
			c.same = k
		}
	}
}

// match returns the last group of t, which begins with the first group of the
// cluster, or -1.
func (c *cluster) match(t *template) int {
	k := (bits.Len32(uint32(t.sizes)) - 1) / 4
	if k > c.same || c.sizes&(1<<(4*k+4)-1) != t.sizes ||
		k > 0 && strings.IndexByte(t.seps, c.g[1].sep) < 0 {
		return -1
	}
	return k
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

// goesOn reports whether more digits follow the k-th group in the same way, or
// did before they were replaced.
func (c *cluster) goesOn(k int) bool {
	if k+1 == c.ng {
		return c.follow != 0 && (k == 0 || c.follow == c.g[k].sep)
	}
	return k+1 < c.ng && (k == 0 || c.g[k+1].sep == c.g[k].sep)
}

// vetoed reports whether what stands around the number from the first to the
// k-th group says that it is something else: a part of a decimal number, a
// hash or a word, a quantity with its unit, or the value of a name such as
// user_id.
func (c *cluster) vetoed(s string, k int) bool {
	return c.fraction(s) || c.hexBlob(s) || c.decimal(s, k) || c.measured(s, k) ||
		c.identified(s) && c.ends(s, k)
}

// identified reports whether the name before the number is one of idWords, or
// ends in id without a hump, as logid does.
func (c *cluster) identified(s string) bool {
	if labelled(s, c.start, idWords) {
		return true
	}
	i := c.start
	for i > 0 && c.start-i < 4 && strings.IndexByte(` "'=:`, s[i-1]) >= 0 {
		i--
	}
	return i < c.start && i > 3 && foldAt(s, i-2, "id") && letter.has(s[i-3])
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
func labelled(s string, i int, list *words) bool {
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
