package rls

import (
	"cmp"
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
)

// judgeCall calls a function as every subject, with the other tenant's ids wherever its
// arguments take them, and looks for their rows in what comes back.
func (p *prover) judgeCall(ctx context.Context, f *function) (Verdict, error) {
	t := &trial{object: f.name, seen: map[string]bool{}}
	var args []string
	var returns string
	err := p.tx.QueryRow(ctx, `select array(select format_type(a, null) from unnest(p.proargtypes) a),
		format_type(p.prorettype, null) from pg_proc p where p.oid = $1`, f.oid).Scan(&args, &returns)
	if err != nil {
		return Verdict{}, err
	}
	if returns == "trigger" || returns == "event_trigger" {
		return Verdict{Object: f.name, Outcome: Proven, Reason: "a trigger: it cannot be called"}, nil
	}
	ran := false
	for _, s := range p.subjects {
		for _, list := range p.arguments(args) {
			sql := "select x::text from " + f.call + "(" + strings.Join(list, ", ") + ") x"
			// A call that says back what it was given has shown nothing.
			attempt := &trial{object: f.name, seen: t.seen, markers: len(list) > 0}
			err := p.try(ctx, attempt, s, sql, func(tx pgx.Tx) error {
				return p.look(ctx, tx, attempt, s, sql)
			}, nil)
			if err != nil {
				return Verdict{}, err
			}
			ran = ran || len(attempt.failures) == 0
			t.leak = cmp.Or(t.leak, attempt.leak)
		}
	}
	v := t.verdict(p, nil)
	if !ran && v.Outcome == Proven {
		v.Outcome, v.Reason = Unverified, "no call succeeded"
	}
	return v, nil
}

// arguments returns the lists of arguments to try: the other tenant's ids, keys of the
// other tenant's rows, and nothing but nulls.
func (p *prover) arguments(types []string) [][]string {
	if len(types) == 0 {
		return [][]string{nil}
	}
	candidates := []string{p.plan.B.Site, p.plan.B.User}
	for _, s := range p.seeds {
		for _, r := range s.rows {
			if r.tenant == "b" && len(candidates) < 24 {
				for _, c := range s.columns {
					if v := r.values[c.name]; v != "" && (c.typ == "uuid" || isNumber(c.typ)) {
						candidates = append(candidates, v)
					}
				}
			}
		}
	}
	var lists [][]string
	for _, c := range candidates {
		var list []string
		for _, typ := range types {
			list = append(list, quote(c)+"::"+typ)
		}
		lists = append(lists, list)
	}
	nulls := make([]string, len(types))
	for i, typ := range types {
		nulls[i] = "null::" + typ
	}
	return append(lists, nulls)
}
