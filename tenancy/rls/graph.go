package rls

import (
	"slices"
	"strings"
)

// judgeRecursion follows the subqueries of policies. Postgres refuses to select where
// they come back to the same table, which hides that a blind write gets through.
func (l *linter) judgeRecursion() {
	next := map[uint32]map[uint32]bool{}
	for _, p := range l.policies {
		for _, r := range l.relations {
			if strings.Contains(p.using+" "+p.check, " FROM ") && reads(p.using+" "+p.check, r) && r.secured {
				if next[p.relation] == nil {
					next[p.relation] = map[uint32]bool{}
				}
				next[p.relation][r.oid] = true
			}
		}
	}
	for start := range next {
		if reachesItself(next, start, start, map[uint32]bool{}) && l.relations[start] != nil {
			l.report("policy_recursion", l.relations[start].name, "Its policies lead back to itself: "+
				"every SELECT fails with infinite recursion, and UPDATE or DELETE without a condition may "+
				"not.", "update "+l.relations[start].name+" set ... without a condition",
				"Ask a SECURITY DEFINER function with a fixed search_path instead of a subquery.")
		}
	}
}

func reachesItself(next map[uint32]map[uint32]bool, start, at uint32, seen map[uint32]bool) bool {
	for to := range next[at] {
		if to == start {
			return true
		}
		if !seen[to] {
			seen[to] = true
			if reachesItself(next, start, to, seen) {
				return true
			}
		}
	}
	return false
}

// judgeKeys: a unique constraint or a foreign key is checked past all policies. Without
// the tenant in it, it tells whether somebody else has such a row.
func (l *linter) judgeKeys() {
	tenant := func(r *relation) []string {
		c := condition{table: r, identity: l.tellsIdentity}
		var all []string
		for _, p := range r.policies {
			if c.binds(p.using) || c.binds(p.effectiveCheck()) {
				all = append(all, c.columns(p.using+" "+p.check)...)
			}
		}
		return all
	}
	shares := func(a, b []string) bool {
		return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
	}
	for _, u := range l.uniques {
		r := l.relations[u.relation]
		if r != nil && r.secured && !u.random && (r.may("INSERT") || r.may("UPDATE")) &&
			len(tenant(r)) > 0 && !shares(u.columns, tenant(r)) {
			l.report("unique_oracle", u.name, "It is unique over all tenants: an insert that fails "+
				"tells that another one has "+strings.Join(u.columns, ", ")+".",
				"insert into "+r.name+" a guessed value", "Put the tenant's column into it.")
		}
	}
	for _, f := range l.foreign {
		r, to := l.relations[f.relation], l.relations[f.refers]
		if r == nil || to == nil || !to.secured || f.random || !(r.may("INSERT") || r.may("UPDATE")) ||
			len(tenant(to)) == 0 || shares(f.referred, tenant(to)) {
			continue
		}
		l.report("foreign_key_oracle", r.name+" constraint "+f.name, "It refers to "+to.name+
			" without the tenant: a row may point to another tenant's, and an insert tells whether it exists.",
			"insert into "+r.name+" a reference to a guessed id", "Refer by (tenant, id).")
	}
}
