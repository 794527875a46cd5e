package rls

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// seed is what the prover put into one table.
type seed struct {
	columns []column
	rows    []row
	err     error // why there is nothing
}

// row is a seeded row: where it lies, and whose it is.
type row struct {
	table  uint32 // a partition, perhaps
	ctid   string
	tenant string // "a" or "b"
	values map[string]string
}

type column struct {
	name, typ  string
	hasDefault bool
	nullable   bool
	identity   string   // 'a' is generated always
	generated  bool     // computed from others
	literals   []string // that checks, enums and policies compare it with
	refers     *reference
	role       string // "tenant", "user" or ""
}

// marker is text that only the prover writes, so that it is found in whatever a view
// or a function makes of a row.
func marker(tenant string) string { return "sallyport-" + tenant + "-secret" }

var (
	tenantName = regexp.MustCompile(`^(site|tenant|org|organi[sz]ation|team|workspace|account|group|company|shop|store)(_?(id|uuid))$`)
	userName   = regexp.MustCompile(`^((user|owner|member|profile|author|creator)_?(id|uuid)|created_by|owner|uid)$`)
	literal    = regexp.MustCompile(`'([^']*)'::`)
)

// fill gives the plan its defaults, in the types that the schema uses for tenants.
func (p *prover) fill(ctx context.Context) error {
	rows, err := p.tx.Query(ctx, `
		select a.attrelid, a.attname::text, format_type(a.atttypid, a.atttypmod),
			a.atthasdef, not a.attnotnull, a.attidentity::text, a.attgenerated <> '',
			array(select e.enumlabel::text from pg_enum e where e.enumtypid = a.atttypid order by e.enumsortorder),
			coalesce((select string_agg(pg_get_constraintdef(k.oid), ' ') from pg_constraint k
				where k.conrelid = a.attrelid and k.contype = 'c' and a.attnum = any(k.conkey)), ''),
			coalesce((select f.confrelid from pg_constraint f where f.conrelid = a.attrelid
				and f.contype = 'f' and a.attnum = any(f.conkey) order by f.oid limit 1), 0),
			coalesce((select b.attname::text from pg_constraint f join pg_attribute b on b.attrelid = f.confrelid
				and b.attnum = f.confkey[array_position(f.conkey, a.attnum)] where f.conrelid = a.attrelid
				and f.contype = 'f' and a.attnum = any(f.conkey) order by f.oid limit 1), '')
		from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
		where c.relkind in ('r','p') and not c.relispartition and a.attnum > 0 and not a.attisdropped and`+ours+`
		order by a.attrelid, a.attnum`)
	if err != nil {
		return err
	}
	p.seeds = map[uint32]*seed{}
	var oid, refers uint32
	var labels []string
	var checks, referred string
	var c column
	_, err = pgx.ForEachRow(rows, []any{
		&oid, &c.name, &c.typ, &c.hasDefault, &c.nullable, &c.identity,
		&c.generated, &labels, &checks, &refers, &referred,
	}, func() error {
		r := p.relations[oid]
		if r == nil || strings.HasPrefix(r.name, "sallyport.") {
			return nil
		}
		add := c
		add.refers, add.literals = nil, slices.Clone(labels)
		if refers != 0 {
			add.refers = &reference{refers, referred}
		}
		for _, m := range literal.FindAllStringSubmatch(checks, -1) {
			add.literals = append(add.literals, m[1])
		}
		add.literals = append(add.literals, p.comparedWith(r, c.name)...)
		if p.seeds[oid] == nil {
			p.seeds[oid] = &seed{}
		}
		p.seeds[oid].columns = append(p.seeds[oid].columns, add)
		return nil
	})
	if err != nil {
		return err
	}
	p.assignRoles()
	return nil
}

// comparedWith returns the texts that policies compare a column with.
func (p *prover) comparedWith(r *relation, name string) []string {
	var found []string
	pattern := regexp.MustCompile(`\b` + regexp.QuoteMeta(ident(name)) +
		`\)?(?:::[a-z ]+)? (?:=|<>|= ANY|<> ALL) \(*(?:ARRAY\[)?((?:'[^']*'::[a-z_. "]+(?:, )?)+)`)
	for _, q := range r.policies {
		for _, m := range pattern.FindAllStringSubmatch(q.using+" "+q.check, -1) {
			for _, l := range literal.FindAllStringSubmatch(m[1], -1) {
				found = append(found, l[1])
			}
		}
	}
	return found
}

// assignRoles decides which columns hold the tenant and the user: what the plan says,
// then the usual names, then the keys that such columns refer to.
func (p *prover) assignRoles() {
	roots := map[reference]string{}
	types := map[string]string{}
	prefer := func(role, typ string) { // a UUID is a text too; a number is not
		if types[role] != "uuid" && (typ == "uuid" || types[role] == "") {
			types[role] = typ
		}
	}
	for oid, s := range p.seeds {
		name := p.relations[oid].name
		for i := range s.columns {
			c := &s.columns[i]
			switch {
			case p.plan.Tenant[name] == c.name, p.plan.Tenant[name] == "" && tenantName.MatchString(c.name):
				c.role = "tenant"
			case p.plan.User[name] == c.name, p.plan.User[name] == "" && userName.MatchString(c.name):
				c.role = "user"
			default:
				continue
			}
			prefer(c.role, c.typ)
			if c.refers != nil {
				roots[*c.refers] = c.role
			}
		}
	}
	for oid, s := range p.seeds {
		for i := range s.columns {
			if role, ok := roots[reference{oid, s.columns[i].name}]; ok && s.columns[i].role == "" {
				s.columns[i].role = role
				prefer(role, s.columns[i].typ)
			}
		}
	}
	p.plan.A.Site = cmp.Or(p.plan.A.Site, invent(types["tenant"], "a0"))
	p.plan.B.Site = cmp.Or(p.plan.B.Site, invent(types["tenant"], "b0"))
	p.plan.A.User = cmp.Or(p.plan.A.User, invent(types["user"], "a1"))
	p.plan.B.User = cmp.Or(p.plan.B.User, invent(types["user"], "b1"))
	p.plan.Mixed = cmp.Or(p.plan.Mixed, invent(types["user"], "c1"))
	p.plan.Nobody = cmp.Or(p.plan.Nobody, invent(types["user"], "d1"))
}

// invent makes an id of a type from two hexadecimal digits.
func invent(typ, digits string) string {
	switch {
	case typ == "uuid":
		return strings.ReplaceAll("xxxxxxxx-xxxx-4xxx-8xxx-xxxxxxxxxxxx", "xx", digits)[:14] +
			"4" + "000-8000-0000000000" + digits
	case isNumber(typ):
		var n int
		_, _ = fmt.Sscanf(digits, "%x", &n)
		return fmt.Sprint(900_000 + n)
	}
	return "sallyport-" + digits
}

// seedAll fills every table for both tenants: parents before children, with foreign
// keys and triggers off so that a circle does not matter.
func (p *prover) seedAll(ctx context.Context) error {
	if _, err := p.tx.Exec(ctx, "set local session_replication_role = replica"); err != nil {
		return fmt.Errorf("seeding needs a superuser: %w", err)
	}
	for _, oid := range p.order() {
		s := p.seeds[oid]
		s.err = p.seedTable(ctx, oid, s)
	}
	for _, r := range p.relations {
		if r.kind == "m" && r.reachable() {
			if _, err := p.tx.Exec(ctx, "refresh materialized view "+r.name); err != nil {
				return err
			}
		}
	}
	_, err := p.tx.Exec(ctx, "set local session_replication_role = origin")
	return err
}

// order returns the tables, those that others refer to first.
func (p *prover) order() []uint32 {
	var order []uint32
	seen := map[uint32]bool{}
	var visit func(oid uint32)
	visit = func(oid uint32) {
		if s := p.seeds[oid]; s != nil && !seen[oid] {
			seen[oid] = true
			for _, c := range s.columns {
				if c.refers != nil {
					visit(c.refers.relation)
				}
			}
			order = append(order, oid)
		}
	}
	oids := make([]uint32, 0, len(p.seeds))
	for oid := range p.seeds {
		oids = append(oids, oid)
	}
	slices.Sort(oids)
	for _, oid := range oids {
		visit(oid)
	}
	return order
}

// maxVariants bounds the rows of one tenant in one table.
const maxVariants = 12

// seedTable puts in, for each tenant, a row of defaults and one for each literal that a
// policy, a check or an enum knows: "public" rows leak where private ones do not.
func (p *prover) seedTable(ctx context.Context, oid uint32, s *seed) error {
	var first error
	for _, who := range p.holders(s) {
		variants := []map[string]string{nil}
		for _, c := range s.columns {
			for _, l := range c.literals {
				if len(variants) < maxVariants && c.role == "" {
					variants = append(variants, map[string]string{c.name: l})
				}
			}
			if c.typ == "boolean" {
				variants = append(variants, map[string]string{c.name: "true"}, map[string]string{c.name: "false"})
			}
		}
		for i, fixed := range variants {
			r, err := p.insert(ctx, p.tx, oid, s, who, fixed, i)
			if err != nil { // a narrow column or partition takes small numbers only
				r, err = p.insert(ctx, p.tx, oid, s, who, p.small(s, fixed, i), i)
			}
			if err != nil {
				first = cmp.Or(first, err)
				continue
			}
			s.rows = append(s.rows, r)
		}
	}
	for _, tenant := range []string{"a", "b"} {
		if !slices.ContainsFunc(s.rows, func(r row) bool { return r.tenant == tenant }) {
			return fmt.Errorf("no row could be seeded: %w", first)
		}
	}
	return nil
}

// small replaces invented numbers by small ones.
func (p *prover) small(s *seed, fixed map[string]string, n int) map[string]string {
	all := map[string]string{}
	for _, c := range s.columns {
		if c.role == "" && c.refers == nil && isNumber(c.typ) {
			all[c.name] = fmt.Sprint(n % 10)
		}
	}
	maps.Copy(all, fixed)
	return all
}

// holder is for whom a row is seeded.
type holder struct{ tenant, site, user string }

// holders are both tenants, and where a table says who belongs to what, the mixed user
// in both.
func (p *prover) holders(s *seed) []holder {
	list := []holder{
		{"a", p.plan.A.Site, p.plan.A.User}, {"b", p.plan.B.Site, p.plan.B.User},
	}
	tenant := slices.ContainsFunc(s.columns, func(c column) bool { return c.role == "tenant" })
	user := slices.ContainsFunc(s.columns, func(c column) bool { return c.role == "user" })
	if tenant && user {
		list = append(list, holder{"a", p.plan.A.Site, p.plan.Mixed},
			holder{"b", p.plan.B.Site, p.plan.Mixed}, holder{"a", p.plan.A.Site, p.boss()})
	}
	return list
}

// insert writes one row and returns where it lies. Columns that fail by their own
// invented value are left to their defaults in a second try.
func (p *prover) insert(
	ctx context.Context, tx pgx.Tx, oid uint32, s *seed, who holder, fixed map[string]string, n int,
) (row, error) {
	if who.user == p.boss() && p.relations[oid].authority {
		fixed = p.promoted(p.relations[oid], s, fixed)
	}
	values := p.values(p.relations[oid], s, who, fixed, n)
	r := row{tenant: who.tenant, values: values}
	err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, p.insertion(oid, s, values)+" returning tableoid, ctid::text",
			pgx.QueryExecModeExec).Scan(&r.table, &r.ctid)
	})
	return r, err
}

// promoted gives the columns that policies decide by the strongest text known.
func (p *prover) promoted(r *relation, s *seed, fixed map[string]string) map[string]string {
	all := map[string]string{}
	for _, c := range s.columns {
		if c.role != "" || !r.authorityCols[c.name] || c.typ == "uuid" || c.refers != nil {
			continue
		}
		switch {
		case c.typ == "boolean":
			all[c.name] = "true"
		case len(c.literals) == 0 && c.typ == "text":
			all[c.name] = "admin"
		}
		for _, l := range c.literals {
			if strings.Contains(l, "admin") || strings.Contains(l, "owner") {
				all[c.name] = l
			}
		}
	}
	maps.Copy(all, fixed)
	return all
}

// insertion writes the statement, values as literals of their columns' types.
func (p *prover) insertion(oid uint32, s *seed, values map[string]string) string {
	var names, texts []string
	for _, c := range s.columns {
		if v, ok := values[c.name]; ok {
			names = append(names, ident(c.name))
			texts = append(texts, quote(v)+"::"+c.typ)
		}
	}
	if len(names) == 0 {
		return "insert into " + p.relations[oid].name + " default values"
	}
	override := ""
	if slices.ContainsFunc(s.columns, func(c column) bool { return c.identity == "a" && values[c.name] != "" }) {
		override = " overriding system value"
	}
	return fmt.Sprintf("insert into %s (%s)%s values (%s)", p.relations[oid].name,
		strings.Join(names, ", "), override, strings.Join(texts, ", "))
}

// value invents one value; false leaves the column to its default.
func (p *prover) value(table string, c column, who holder, fixed map[string]string, n int) (string, bool) {
	if c.generated {
		return "", false
	}
	if v, ok := p.plan.Values[table+"."+c.name]; ok {
		return v, true
	}
	if v, ok := fixed[c.name]; ok {
		return v, true
	}
	switch {
	case c.role == "tenant":
		return who.site, true
	case c.role == "user":
		return who.user, true
	case c.refers != nil:
		if target := p.seeds[c.refers.relation]; target != nil {
			for _, r := range target.rows {
				if r.tenant == who.tenant {
					v, ok := r.values[c.refers.column]
					return v, ok
				}
			}
		}
	}
	base, _, _ := strings.Cut(c.typ, "(")
	textual := base == "text" || base == "character varying" || base == "character"
	if len(c.literals) > 0 && !c.hasDefault && !c.nullable {
		return c.literals[0], true
	}
	if textual && len(c.literals) == 0 && base != "character" {
		return fmt.Sprintf("%s-%d", marker(who.tenant), n), true
	}
	if c.hasDefault || c.identity != "" || c.nullable {
		return p.referable(c, who, n)
	}
	return inventValue(base, who, n)
}

// referable gives a key of its own to a column that has a default, because children
// must be able to name it.
func (p *prover) referable(c column, who holder, n int) (string, bool) {
	if !c.nullable && (c.typ == "uuid" || isNumber(c.typ)) {
		return inventValue(c.typ, who, n)
	}
	return "", false
}

func isNumber(typ string) bool {
	base, _, _ := strings.Cut(typ, "(")
	switch base {
	case "smallint", "integer", "bigint", "numeric", "real", "double precision":
		return true
	}
	return false
}

func inventValue(base string, who holder, n int) (string, bool) {
	// Unique over tenants, users and variants.
	serial := int(who.tenant[0])*10_000 + len(who.user)*100 + int(who.user[len(who.user)-1]) + 1000*n
	switch {
	case base == "uuid":
		return fmt.Sprintf("%08x-0000-4000-8000-%012x", serial, n+int(who.tenant[0])), true
	case isNumber(base):
		return fmt.Sprint(serial % 32_000), true
	case base == "boolean":
		return "false", true
	case strings.HasPrefix(base, "timestamp"), base == "date":
		return "now", true
	case base == "json", base == "jsonb":
		return fmt.Sprintf("{%q:%q}", "note", marker(who.tenant)), true
	case strings.HasPrefix(base, "time "):
		return "12:00", true
	case base == "interval":
		return "1 hour", true
	case base == "inet", base == "cidr":
		return "192.0.2.1", true
	case base == "bytea":
		return marker(who.tenant), true
	case strings.HasSuffix(base, "[]"):
		return "{}", true
	case base == "character", base == "char":
		return "x", true
	}
	return "", false
}
