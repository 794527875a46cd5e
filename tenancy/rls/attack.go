package rls

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// denied reports whether an error is the server saying no: a privilege or a policy.
func denied(err error) bool {
	failure, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (failure.Code == "42501" || failure.Code == "28000")
}

// judge attacks one relation as every subject.
func (p *prover) judge(ctx context.Context, r *relation) (Verdict, error) {
	t := &trial{object: r.name, seen: map[string]bool{}}
	if s := p.rowsOf(r); s != nil && s.err != nil {
		return Verdict{Object: r.name, Outcome: Unverified, Reason: s.err.Error()}, nil
	}
	for _, s := range p.subjects {
		for _, attack := range []func(context.Context, *trial, subject, *relation) error{
			p.read, p.update, p.remove, p.insertForeign, p.move, p.twoSteps, p.injected,
		} {
			if err := attack(ctx, t, s, r); err != nil {
				return Verdict{}, err
			}
		}
	}
	controls := []string{"a", "b"}
	if !r.may("SELECT") || r.kind == "v" && len(r.reads) == 0 {
		controls = nil
	}
	return t.verdict(p, controls), nil
}

// rowsOf returns the seed that a relation shows: its own, or its partitioned parent's.
func (p *prover) rowsOf(r *relation) *seed { return p.seeds[r.oid] }

// foreign reports whether a row of a tenant is not the subject's.
func (s subject) foreign(tenant string) bool { return !slices.Contains(s.sees, tenant) }

// try runs a statement as a subject, in a transaction that is undone, and hands the
// connection, the superuser again, to check. An error that is no denial is noted.
func (p *prover) try(
	ctx context.Context, t *trial, s subject, sql string,
	run func(pgx.Tx) error, check func(pgx.Tx) error,
) error {
	var ran error
	err := p.undone(ctx, func(tx pgx.Tx) error {
		if err := p.enter(ctx, tx, s); err != nil {
			return err
		}
		ran = pgx.BeginFunc(ctx, tx, run)
		if _, err := tx.Exec(ctx, "reset role"); err != nil {
			return err
		}
		if check == nil {
			return nil
		}
		return check(tx)
	})
	if ran != nil && !denied(ran) && s.scoped { // without a scope any error will do
		t.failed(s, sql, ran)
	}
	return err
}

// read selects everything and looks for rows of others: by where they lie in a table
// that was seeded, by the text that was put into them elsewhere.
func (p *prover) read(ctx context.Context, t *trial, s subject, r *relation) error {
	if !r.may("SELECT") {
		return nil
	}
	if p.rowsOf(r) != nil && r.whole {
		sql := "select tableoid, ctid::text from " + r.name
		return p.try(ctx, t, s, sql, func(tx pgx.Tx) error {
			return p.lookAt(ctx, tx, t, s, r, sql)
		}, nil)
	}
	sql := "select x::text from " + r.name + " x limit 20000"
	if !r.whole {
		var names []string
		for _, name := range r.readable {
			names = append(names, ident(name))
		}
		sql = "select row(" + strings.Join(names, ", ") + ")::text from " + r.name + " limit 20000"
	}
	return p.try(ctx, t, s, sql, func(tx pgx.Tx) error {
		return p.look(ctx, tx, t, s, sql)
	}, nil)
}

// lookAt compares where the visible rows lie with where the seeded ones do.
func (p *prover) lookAt(
	ctx context.Context, tx pgx.Tx, t *trial, s subject, r *relation, sql string,
) error {
	rows, err := tx.Query(ctx, sql, pgx.QueryExecModeExec)
	if err != nil {
		return err
	}
	var table uint32
	var ctid string
	_, err = pgx.ForEachRow(rows, []any{&table, &ctid}, func() error {
		for _, row := range p.rowsOf(r).rows {
			if row.table == table && row.ctid == ctid {
				p.saw(t, s, row.tenant, sql)
			}
		}
		return nil
	})
	return err
}

// saw notes a visible row.
func (p *prover) saw(t *trial, s subject, tenant, sql string) {
	switch {
	case tenant == "":
	case s.foreign(tenant):
		t.reached(s, sql, "sees a row of tenant "+tenant)
	default:
		t.seen[tenant] = true
	}
}

// look runs a query of one text column and searches it for markers and tenants' ids.
func (p *prover) look(ctx context.Context, tx pgx.Tx, t *trial, s subject, sql string) error {
	rows, err := tx.Query(ctx, sql, pgx.QueryExecModeExec)
	if err != nil {
		return err
	}
	texts, err := pgx.CollectRows(rows, pgx.RowTo[*string])
	if err != nil {
		return err
	}
	for _, text := range texts {
		if text != nil {
			p.saw(t, s, p.tenantOf(*text, t.markers), sql)
		}
	}
	return nil
}

// tenantOf tells whose row a text comes from: by what was written into it, or by its ids
// too where these cannot have come from the question.
func (p *prover) tenantOf(text string, markers bool) string {
	switch {
	case strings.Contains(text, marker("a")):
		return "a"
	case strings.Contains(text, marker("b")):
		return "b"
	case markers:
		return ""
	case strings.Contains(text, p.plan.A.Site),
		strings.Contains(text, p.plan.A.User):
		return "a"
	case strings.Contains(text, p.plan.B.Site),
		strings.Contains(text, p.plan.B.User):
		return "b"
	}
	return ""
}

// injected reads in the forms by which SQL in a parameter changes who asks before the
// policy is evaluated, and through a view of the attacker's own.
func (p *prover) injected(ctx context.Context, t *trial, s subject, r *relation) error {
	if !r.may("SELECT") || s.name != "A" {
		return nil
	}
	for _, forged := range p.forgeries() {
		if err := p.inject(ctx, t, s, r, forged); err != nil {
			return err
		}
	}
	return nil
}

// forgeries are the settings that an attacker would try: the scope of the other tenant
// as well as they can make it, and each plain setting that policies trust.
func (p *prover) forgeries() [][]Setting {
	all := [][]Setting{p.settings(p.plan.B.Site, p.plan.B.User, p.forged)}
	for _, name := range p.plainSettings() {
		all = append(all, []Setting{{name, p.plan.B.Site}}, []Setting{{name, p.plan.B.User}})
	}
	return all
}

func (p *prover) inject(ctx context.Context, t *trial, s subject, r *relation, forged []Setting) error {
	var set []string
	for _, setting := range forged {
		set = append(set, fmt.Sprintf("set_config(%s, %s, true)", quote(setting.Name), quote(setting.Value)))
	}
	config := strings.Join(set, " || ")
	rows := "select x::text from " + r.name + " x"
	for _, sql := range []string{
		"select " + config + " union all " + rows,
		"with s as materialized (select " + config + " as c) " + rows + ", s where s.c is not null",
		"select l.t from (select " + config + ") s(c), lateral (select x::text as t from " + r.name +
			" x where s.c is not null) l",
		"select query_to_xml(case when " + config + " is null then '' else " + quote(rows) +
			" end, true, true, '')::text",
	} {
		attempt := &trial{object: t.object, seen: map[string]bool{}, markers: true}
		if err := p.try(ctx, attempt, s, sql, func(tx pgx.Tx) error {
			return p.look(ctx, tx, attempt, s, sql)
		}, nil); err != nil {
			return err
		}
		// An error here is the scope, or its reader, refusing what was forged.
		t.injected = cmp.Or(t.injected, attempt.leak)
	}
	return nil
}

// touched counts the foreign rows that no longer lie where they did.
func (p *prover) touched(ctx context.Context, tx pgx.Tx, s subject, r *relation) (int, error) {
	seed := p.rowsOf(r)
	if seed == nil {
		return 0, nil
	}
	gone := 0
	for _, row := range seed.rows {
		if !s.foreign(row.tenant) {
			continue
		}
		var there bool
		err := tx.QueryRow(ctx, "select exists (select from "+r.name+" where tableoid = $1 and ctid = $2::text::tid)",
			row.table, row.ctid).Scan(&there)
		if err != nil {
			return 0, err
		}
		if !there {
			gone++
		}
	}
	return gone, nil
}

// blind runs a write without a condition, which needs no SELECT, and looks what it hit.
func (p *prover) blind(ctx context.Context, t *trial, s subject, r *relation, sql string) error {
	return p.try(ctx, t, s, sql, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sql, pgx.QueryExecModeExec)
		return err
	}, func(tx pgx.Tx) error {
		n, err := p.touched(ctx, tx, s, r)
		if n > 0 {
			t.reached(s, sql, fmt.Sprintf("changes %d rows of others", n))
		}
		return err
	})
}

func (p *prover) update(ctx context.Context, t *trial, s subject, r *relation) error {
	if !r.may("UPDATE") || len(r.editable) == 0 || p.rowsOf(r) == nil {
		return nil
	}
	// Each column may have another trigger or check; one that works is enough.
	var failures []string
	for _, name := range r.editable {
		i := slices.Index(r.columns, name)
		value := "default"
		if i >= 0 && (strings.HasPrefix(r.types[i], "text") || strings.HasPrefix(r.types[i], "character")) {
			value = quote(p.text(r, name))
		}
		again := &trial{object: t.object, seen: t.seen}
		if err := p.blind(ctx, again, s, r, "update "+r.name+" set "+ident(name)+" = "+value); err != nil {
			return err
		}
		if again.leak != "" {
			t.leak = again.leak
			return nil
		}
		if len(again.failures) == 0 {
			return nil
		}
		failures = again.failures
	}
	t.failures = append(t.failures, failures...)
	return nil
}

// text is what a column takes: what the plan says, what its checks compare it with, or
// anything.
func (p *prover) text(r *relation, column string) string {
	if value := p.plan.Values[r.name+"."+column]; value != "" {
		return value
	}
	for _, c := range p.rowsOf(r).columns {
		if c.name == column && len(c.literals) > 0 {
			return c.literals[0]
		}
	}
	return "x"
}

func (p *prover) remove(ctx context.Context, t *trial, s subject, r *relation) error {
	if !r.may("DELETE") || p.rowsOf(r) == nil {
		return nil
	}
	return p.blind(ctx, t, s, r, "delete from "+r.name)
}

// insertForeign writes a row in the other tenant's name.
func (p *prover) insertForeign(ctx context.Context, t *trial, s subject, r *relation) error {
	seed := p.rowsOf(r)
	if !r.may("INSERT") || seed == nil || !s.foreign("b") || seed.holds("") {
		return nil
	}
	names := []string{p.plan.B.User}
	if seed.holds("tenant") && s.user != "" {
		names = append(names, s.user) // in one's own name, but over there
	}
	for i, user := range names {
		values := p.values(r, seed, holder{"b", p.plan.B.Site, user}, nil, 7+i)
		if err := p.insertAs(ctx, t, s, p.insertion(r.oid, seed, values)); err != nil {
			return err
		}
	}
	return nil
}

// values invents a whole row.
func (p *prover) values(
	r *relation, seed *seed, who holder, fixed map[string]string, n int,
) map[string]string {
	values := map[string]string{}
	for _, c := range seed.columns {
		if v, ok := p.value(r.name, c, who, fixed, n); ok {
			values[c.name] = v
		}
	}
	return values
}

func (p *prover) insertAs(ctx context.Context, t *trial, s subject, sql string) error {
	return p.try(ctx, t, s, sql, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sql, pgx.QueryExecModeExec)
		if err == nil && tag.RowsAffected() > 0 {
			t.reached(s, sql, "writes in another's name")
		}
		return err
	}, nil)
}

// holds reports whether a column holds the tenant or the user; "" asks for neither.
func (s *seed) holds(role string) bool {
	if role == "" {
		return !s.holds("tenant") && !s.holds("user")
	}
	return slices.ContainsFunc(s.columns, func(c column) bool { return c.role == role })
}

// move gives the subject's own rows to the other tenant.
func (p *prover) move(ctx context.Context, t *trial, s subject, r *relation) error {
	seed := p.rowsOf(r)
	if seed == nil || s.name != "A" {
		return nil
	}
	for _, c := range seed.columns {
		if c.role == "" || !slices.Contains(r.editable, c.name) ||
			c.role == "user" && seed.holds("tenant") { // a colleague's: no other tenant
			continue
		}
		other := p.plan.B.Site
		if c.role == "user" {
			other = p.plan.B.User
		}
		sql := "update " + r.name + " set " + ident(c.name) + " = " + quote(other) + "::" + c.typ
		if err := p.give(ctx, t, s, sql, seed.rows); err != nil {
			return err
		}
	}
	return nil
}

// give moves all rows at once, which needs no SELECT, and where that collides with keys
// that are there, one row.
func (p *prover) give(ctx context.Context, t *trial, s subject, sql string, rows []row) error {
	statements := []string{sql}
	for _, r := range rows {
		if !s.foreign(r.tenant) && len(statements) < 4 {
			statements = append(statements, sql+" where ctid = "+quote(r.ctid)+"::tid")
		}
	}
	var last *trial
	for _, sql := range statements {
		last = &trial{object: t.object, seen: t.seen}
		err := p.try(ctx, last, s, sql, func(tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, sql, pgx.QueryExecModeExec)
			if err == nil && tag.RowsAffected() > 0 {
				last.reached(s, sql, "gives rows to another tenant")
			}
			return err
		}, nil)
		if err != nil {
			return err
		}
		if len(last.failures) == 0 {
			break
		}
	}
	t.add(last)
	return nil
}

// twoSteps changes what the subject may change in the tables that policies decide by,
// and reads again.
func (p *prover) twoSteps(ctx context.Context, t *trial, s subject, r *relation) error {
	if s.name != "A" || !r.authority || p.rowsOf(r) == nil {
		return nil
	}
	for _, first := range p.elevations(r) {
		for _, target := range p.relations {
			if !target.may("SELECT") || strings.HasPrefix(target.name, "sallyport.") {
				continue
			}
			sql := "select x::text from " + target.name + " x limit 20000"
			after := &trial{object: t.object, seen: map[string]bool{}}
			err := p.try(ctx, after, s, first, func(tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, first, pgx.QueryExecModeExec); err != nil {
					return err
				}
				return p.look(ctx, tx, after, s, sql)
			}, nil)
			if err != nil {
				return err
			}
			if after.leak != "" && !p.leaksAnyway(ctx, s, target, sql) {
				t.reached(s, first+"; "+sql, "sees rows of another tenant after a change of its own")
				return nil
			}
		}
	}
	return nil
}

// leaksAnyway reports whether a read leaks without the first step: that is another
// object's verdict.
func (p *prover) leaksAnyway(ctx context.Context, s subject, target *relation, sql string) bool {
	plain := &trial{object: target.name, seen: map[string]bool{}}
	_ = p.try(ctx, plain, s, sql, func(tx pgx.Tx) error {
		return p.look(ctx, tx, plain, s, sql)
	}, nil)
	return plain.leak != ""
}

// elevations are the changes that may turn a user into more than they are.
func (p *prover) elevations(r *relation) []string {
	seed := p.rowsOf(r)
	var all []string
	for _, c := range seed.columns {
		if !slices.Contains(r.editable, c.name) {
			continue
		}
		values := append(slices.Clone(c.literals), "admin", "owner", "superadmin")
		if c.role == "tenant" {
			values = []string{p.plan.B.Site}
		} else if c.role == "user" {
			values = []string{p.plan.B.User}
		} else if c.typ == "boolean" {
			values = []string{"true", "false"}
		}
		for _, v := range values {
			all = append(all, "update "+r.name+" set "+ident(c.name)+" = "+quote(v)+"::"+c.typ)
		}
	}
	if r.may("INSERT") {
		who := holder{"b", p.plan.B.Site, p.plan.A.User}
		for _, role := range append([]string{""}, p.literalsOf(seed)...) {
			fixed := map[string]string{}
			for _, c := range seed.columns {
				if role != "" && slices.Contains(c.literals, role) {
					fixed[c.name] = role
				}
			}
			all = append(all, p.insertion(r.oid, seed, p.values(r, seed, who, fixed, 9)))
		}
	}
	return all
}

func (p *prover) literalsOf(s *seed) []string {
	var all []string
	for _, c := range s.columns {
		all = append(all, c.literals...)
	}
	return all
}
