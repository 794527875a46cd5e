package tenancy

import (
	"cmp"
	"encoding/csv"
	"io"
	"maps"
	"slices"
	"strings"
)

// Membership is one row of the caller's membership table.
type Membership struct {
	User, Site string
	Role       Role
}

// Review writes who can do what on which site, for the quarterly access review:
// CSV with a header row, sorted by site and user, one row per membership. A role
// that the table does not know is marked, because it can do nothing. A gate that New
// has not made returns a *[sallyport.Refusal].
func (g *Gate) Review(w io.Writer, members []Membership) error {
	if !g.configured() {
		return g.refuse(&outcome{})
	}
	rows := slices.SortedFunc(slices.Values(members), func(a, b Membership) int {
		return cmp.Or(
			cmp.Compare(a.Site, b.Site), cmp.Compare(a.User, b.User), cmp.Compare(a.Role, b.Role),
		)
	})
	out := csv.NewWriter(w)
	// Errors stay with the writer until Flush.
	_ = out.Write([]string{"site", "user", "role", "known_role", "permissions"})
	for _, m := range rows {
		state, list := "no", ""
		if row := g.roles[m.Role]; row != nil {
			state = "yes"
			list = strings.Join(slices.Sorted(maps.Keys(row.can)), " ")
		}
		_ = out.Write([]string{cell(m.Site), cell(m.User), cell(string(m.Role)), state, cell(list)})
	}
	out.Flush()
	return out.Error()
}

// cell keeps a spreadsheet from taking a name for a formula (CWE-1236).
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
