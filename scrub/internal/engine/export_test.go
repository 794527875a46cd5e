package engine

import "strings"

// VendorToken is a token of one row of the table of vendors, and what is none.
type VendorToken struct{ Mark, Token, Cut, Altered string }

// VendorTokens returns one example for each mark.
func VendorTokens() []VendorToken {
	var all []VendorToken
	for i := range vendors {
		v := &vendors[i]
		v.each(func(mark string) { all = append(all, v.tokens(mark)) })
	}
	return all
}

func (v *vendor) tokens(mark string) VendorToken {
	body := ""
	if v.min > 0 {
		body = strings.Repeat(v.example, v.min/len(v.example)+1)
		body = body[:max(v.min, min(len(v.example), max(v.max, v.min)))]
	}
	front := ""
	for len(front) < v.back {
		front += frontOf(v.before)
	}
	front = front[:v.back]
	x := VendorToken{Mark: mark, Token: front + mark + body}
	if v.min > 4 {
		x.Cut = front + mark + body[:v.min-1]
	}
	if len(mark) > 3 { // a short one becomes another's
		x.Altered = front + strings.ToUpper(mark[:1]) + "#" + mark[2:] + body
	}
	return x
}

// frontOf returns characters of the set, as they stand before a mark.
func frontOf(set *byteSet) string {
	if set == &digit {
		return "7"
	}
	return "a1"
}
