package engine

import (
	"slices"
	"strconv"
	"strings"
	"sync"
)

// plans answers what the tables in phonedata.go hold: sorted ranges of first
// three digits, low and high in turn. It takes about 60 KiB, once per process
// and only after something looked like a telephone number.
type plans struct {
	codes  [1000]bool // calling codes
	ranges map[planKey][]uint16
	groups map[string][]uint16
}

type planKey struct{ kind, code, length int }

const (
	planCode   = iota // national numbers of a calling code
	planMobile        // mobile numbers with a trunk zero
)

var phonePlans = sync.OnceValue(func() *plans {
	p := &plans{ranges: map[planKey][]uint16{}, groups: map[string][]uint16{}}
	read := func(rows []string, add func(name string, length int, r []uint16)) {
		for _, row := range rows {
			name, rest, _ := strings.Cut(row, " ")
			for part := range strings.FieldsSeq(rest) {
				length, list, _ := strings.Cut(part, ":")
				n, _ := strconv.Atoi(length)
				add(name, n, rangesOf(list))
			}
		}
	}
	read(callingCodes[:], func(name string, n int, r []uint16) {
		code, _ := strconv.Atoi(name)
		p.codes[code] = true
		p.ranges[planKey{planCode, code, n}] = r
	})
	read(trunkMobiles[:], func(_ string, n int, r []uint16) {
		p.ranges[planKey{planMobile, 0, n - 1}] = r
	})
	read(trunkGroups[:], func(name string, _ int, r []uint16) {
		var sizes []byte
		for part := range strings.SplitSeq(name, "-") {
			n, _ := strconv.Atoi(part)
			sizes = append(sizes, byte(n)) // #nosec G115 -- one digit
		}
		p.groups[string(sizes)] = r
	})
	return p
})

func rangesOf(list string) (ranges []uint16) {
	for part := range strings.SplitSeq(list, ",") {
		low, high, both := strings.Cut(part, "-")
		if !both {
			high = low
		}
		a, _ := strconv.ParseUint(low, 10, 16)
		b, _ := strconv.ParseUint(high, 10, 16)
		ranges = append(ranges, uint16(a), uint16(b))
	}
	return ranges
}

// has reports whether the number d, without code and trunk zero, has a length
// and a beginning that there are.
func (p *plans) has(kind, code int, d []byte) bool {
	return len(d) >= 6 && within(p.ranges[planKey{kind, code, len(d)}], d)
}

// printed reports whether a number with a trunk zero is printed in groups of
// such sizes; d is the number after the zero. Four groups and more are no
// accident, so that the first digit is enough there. Mobile numbers are printed
// in all kinds of groups.
func (p *plans) printed(sizes, d []byte) bool {
	r, ok := p.groups[string(sizes)]
	if ok && within(r, d) {
		return true
	}
	if ok && len(sizes) > 3 {
		low := uint16(d[0]) * 100
		for i := 0; i < len(r); i += 2 {
			if r[i] < low+100 && r[i+1] >= low {
				return true
			}
		}
	}
	return sizes[0] > 2 && sizes[0] < 6 && len(sizes) < 5 && p.has(planMobile, 0, d)
}

func within(r []uint16, d []byte) bool {
	v := uint16(d[0])*100 + uint16(d[1])*10 + uint16(d[2])
	i, found := slices.BinarySearch(r, v)
	return found || i%2 == 1
}
