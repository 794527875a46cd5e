package rls

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Finding is one weakness of a schema, as one role meets it.
type Finding struct {
	Code   string // what kind; the package documentation lists them
	Object string // "app.calls", "app.calls policy own", "app.import(text)"
	Reason string // what is wrong
	Attack string // what somebody who runs SQL as the role does with it
	Fix    string
}

func (f Finding) String() string {
	return f.Code + " " + f.Object + ": " + f.Reason + " Attack: " + f.Attack + " Fix: " + f.Fix
}

// Lint reports the weaknesses of a database's schema for a role that logs in as an
// application: every relation, policy, view and function that the role can reach is
// judged from the catalogue. It needs no more rights than to read that, and changes
// nothing. No finding is no proof: the prover attacks.
func Lint(ctx context.Context, conn *pgx.Conn, role string) ([]Finding, error) {
	c, err := load(ctx, conn, role)
	if err != nil {
		return nil, fmt.Errorf("rls: lint: %w", err)
	}
	l := &linter{catalog: c, role: role}
	l.markIdentity()
	l.markAuthority()
	l.judgeRole()
	for _, r := range c.relations {
		l.judgeRelation(r)
	}
	for _, f := range c.functions {
		l.judgeFunction(f)
	}
	l.judgeRecursion()
	l.judgeKeys()
	slices.SortFunc(l.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Code, b.Code))
	})
	return slices.CompactFunc(l.findings, func(a, b Finding) bool {
		return a.Code == b.Code && a.Object == b.Object
	}), nil
}

type linter struct {
	*catalog
	role     string
	findings []Finding
}

func (l *linter) report(code, object, reason, attack, fix string) {
	l.findings = append(l.findings, Finding{code, object, reason, attack, fix})
}

// asks are the ways in which SQL learns who asks, without our own functions.
var asks = regexp.MustCompile(`(?i)current_setting\s*\(|\bcurrent_user\b|\bsession_user\b|\bcurrent_role\b`)

// plainSetting is a setting that anybody may set: all but the sealed one.
var plainSetting = regexp.MustCompile(`(?i)current_setting\s*\(\s*(?:E?'([^']*)')?`)

// tellsIdentity reports whether an expression asks who is asking.
func (l *linter) tellsIdentity(text string) bool {
	if asks.MatchString(text) {
		return true
	}
	for _, f := range l.functions {
		if f.identity && calls(text, f) {
			return true
		}
	}
	return false
}

// calls reports whether a text calls a function, with or without its schema.
func calls(text string, f *function) bool {
	_, short, _ := strings.Cut(f.call, ".")
	for _, name := range []string{f.call, short} {
		at := strings.Index(text, name+"(")
		if at >= 0 && (at == 0 || !isWord(text[at-1])) {
			return true
		}
	}
	return false
}

func isWord(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'z'
}

// markIdentity finds the functions that tell who asks, through any number of calls.
func (l *linter) markIdentity() {
	for changed := true; changed; {
		changed = false
		for _, f := range l.functions {
			if !f.identity && l.tellsIdentity(f.source) {
				f.identity, changed = true, true
			}
		}
	}
}

// markAuthority finds the tables by whose rows policies decide: those that a policy of
// another table reads in a subquery or through a function.
func (l *linter) markAuthority() {
	for _, p := range l.policies {
		for _, ref := range p.columns {
			if r := l.relations[ref.relation]; r != nil {
				r.authority, r.authorityCols[ref.column] = true, true
			}
		}
		for _, oid := range p.functions {
			if f := l.functions[oid]; f != nil {
				l.markRead(f.source, map[uint32]bool{f.oid: true})
			}
		}
	}
}

// markRead notes what a function's text reads, and what the functions it calls do.
func (l *linter) markRead(source string, seen map[uint32]bool) {
	for _, r := range l.relations {
		if r.name == "sallyport.seal_key" || !reads(source, r) {
			continue
		}
		r.authority = true
		for _, column := range r.columns {
			if column != "" && strings.Contains(source, ident(column)) {
				r.authorityCols[column] = true
			}
		}
	}
	for _, f := range l.functions {
		if !seen[f.oid] && calls(source, f) {
			seen[f.oid] = true
			l.markRead(f.source, seen)
		}
	}
}

// reads reports whether SQL text reads a relation: its name behind FROM or JOIN.
func reads(source string, r *relation) bool {
	_, short, _ := strings.Cut(r.name, ".")
	return regexp.MustCompile(`(?i)\b(from|join)\s+\(*(only\s+)?("?[a-z0-9_]+"?\s*\.\s*)?` +
		regexp.QuoteMeta(short) + `\b`).MatchString(source)
}

func (l *linter) judgeRole() {
	if l.bypass {
		l.report("role_bypasses", l.role, "The role is superuser, has BYPASSRLS, or does not exist.",
			"select * from any table", "Create a role with nosuperuser nobypassrls.")
	}
	for _, parent := range l.parents {
		l.report("role_bypasses", l.role+" in "+parent, "The role is a member of one that bypasses.",
			"set role "+parent, "revoke "+parent+" from "+l.role)
	}
}

func (l *linter) judgeRelation(r *relation) {
	if r.owned {
		l.report("owner", r.name, "The role owns it, or is a member of its owner.",
			"alter table ... disable row level security", "Let a role own it that nobody logs in as.")
	}
	if !r.reachable() && !r.may("TRUNCATE") && !r.may("REFERENCES") && !r.may("TRIGGER") {
		return
	}
	switch r.kind {
	case "v":
		l.judgeView(r)
	case "m":
		if l.behind(r, map[uint32]bool{}) {
			l.report("materialized_view", r.name, "It keeps rows of secured tables, and policies do "+
				"not apply to it.", "select * from "+r.name, "Revoke it, or read it through a function "+
				"that filters by sallyport.site().")
		}
	case "f":
		l.report("foreign_table", r.name, "Policies do not apply to foreign tables.",
			"select * from "+r.name, "Revoke it.")
	default:
		l.judgeTable(r)
	}
}

// behind reports whether a view reads a secured table, through other views too.
func (l *linter) behind(r *relation, seen map[uint32]bool) bool {
	for _, oid := range r.reads {
		base := l.relations[oid]
		if base == nil || seen[oid] {
			continue
		}
		seen[oid] = true
		if base.secured || l.behind(base, seen) {
			return true
		}
	}
	return false
}

func (l *linter) judgeView(r *relation) {
	if !r.invoker && l.behind(r, map[uint32]bool{}) {
		l.report("definer_view", r.name, "It reads secured tables as its owner.",
			"select * from "+r.name, "alter view "+r.name+" set (security_invoker = true)")
	}
}

func (l *linter) judgeTable(r *relation) {
	for privilege, why := range map[string]string{
		"TRUNCATE":   "TRUNCATE is not subject to policies and removes everybody's rows.",
		"REFERENCES": "A foreign key to it tells whether a row exists, whoever owns it.",
		"TRIGGER":    "A trigger runs with the rights of whoever changes a row.",
	} {
		if r.may(privilege) {
			l.report(strings.ToLower(privilege)+"_granted", r.name, why,
				strings.ToLower(privilege)+" "+r.name,
				"revoke "+strings.ToLower(privilege)+" on "+r.name+" from "+l.role+", public")
		}
	}
	switch {
	case !r.reachable():
	case !r.secured && len(r.policies) > 0:
		l.report("policy_without_rls", r.name, "It has policies, and row level security is off.",
			"select * from "+r.name, "alter table "+r.name+" enable row level security")
	case !r.secured:
		l.report("rls_disabled", r.name, "Row level security is off.", "select * from "+r.name,
			"alter table "+r.name+" enable row level security, and a policy; a table that is the "+
				"same for everybody may be accepted with that reason.")
	default:
		l.judgePolicies(r)
	}
}

// commands are what a policy may be for, with the privilege it takes.
var commands = []struct {
	code, privilege string
	using, check    bool
}{
	{"r", "SELECT", true, false},
	{"a", "INSERT", false, true},
	{"w", "UPDATE", true, true},
	{"d", "DELETE", true, false},
}

func (l *linter) judgePolicies(r *relation) {
	c := condition{table: r, identity: l.tellsIdentity}
	for _, command := range commands {
		if !r.may(command.privilege) {
			continue
		}
		guarded := map[bool]bool{} // by a restrictive policy: USING, WITH CHECK
		for _, p := range r.policies {
			if !p.permissive && p.applies(command.code) {
				guarded[false] = guarded[false] || c.binds(p.using)
				guarded[true] = guarded[true] || c.binds(p.effectiveCheck())
			}
		}
		for _, p := range r.policies {
			if !p.permissive || !p.applies(command.code) {
				continue
			}
			if command.using && !guarded[false] {
				l.judgeCondition(c, p, command.privilege, "USING", p.using)
			}
			if command.check && !guarded[true] {
				l.judgeCondition(c, p, command.privilege, "WITH CHECK", p.effectiveCheck())
			}
		}
	}
	l.judgeAuthority(r)
	for _, p := range r.policies {
		l.judgePolicy(r, p)
	}
}

func (p *policy) applies(command string) bool { return p.command == "*" || p.command == command }

// effectiveCheck is USING where WITH CHECK is missing (PostgreSQL, CREATE POLICY).
func (p *policy) effectiveCheck() string {
	if p.check == "" && p.command != "a" {
		return p.using
	}
	return p.check
}

func (l *linter) judgeCondition(c condition, p *policy, privilege, clause, text string) {
	object := c.table.name + " policy " + p.name
	attack := map[string]string{
		"SELECT": "select * from " + c.table.name,
		"INSERT": "insert into " + c.table.name + " a row of another tenant",
		"UPDATE": "update " + c.table.name + " set ... without a condition",
		"DELETE": "delete from " + c.table.name,
	}[privilege]
	for _, part := range c.loose(text) {
		short := part
		if len(short) > 160 {
			short = short[:160] + "..."
		}
		switch {
		case !l.tellsIdentity(part):
			l.report("open_"+strings.ToLower(privilege), object, fmt.Sprintf(
				"%s passes rows by %q, which does not ask who is asking.", clause, short), attack,
				"Compare a column of the row with sallyport.site() or sallyport.member(), in every "+
					"alternative of an OR.")
		case opposite(part):
			l.report("opposite_"+strings.ToLower(privilege), object, fmt.Sprintf(
				"%s passes the rows of everybody else by %q.", clause, short), attack, "Compare by =.")
		default:
			l.report("rowless_"+strings.ToLower(privilege), object, fmt.Sprintf("%s asks who is "+
				"asking, and not whose row it is, in %q: a role in one tenant opens the rows of all.",
				clause, short), attack, "Compare a column of the row as well. In a subquery write it "+
				"with the table's name: a bare name means the subquery's own column.")
		}
	}
}

var (
	defaulted = regexp.MustCompile(`(?i)coalesce\s*\(`)
	claims    = regexp.MustCompile(`(?i)user_metadata`)
	itself    = regexp.MustCompile(`\(?\b([a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*) = ([a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*)\b`)
)

// judgePolicy looks for what no condition should have.
func (l *linter) judgePolicy(r *relation, p *policy) {
	object := r.name + " policy " + p.name
	both := p.using + " " + p.check
	for _, m := range itself.FindAllStringSubmatch(both, -1) {
		if m[1] == m[2] {
			l.report("self_comparison", object, m[1]+" is compared with itself: inside a subquery the "+
				"bare name means the subquery's own column.", "select * from "+r.name,
				"Write the outer table's name before the column.")
		}
	}
	if claims.MatchString(both) {
		l.report("user_editable_claim", object, "user_metadata is what users write about themselves.",
			"change one's own metadata, then select * from "+r.name, "Keep roles in app_metadata or a table.")
	}
	if at := defaulted.FindStringIndex(both); at != nil {
		inside := both[at[1] : closing(both, at[1]-1)+1]
		if parts := split(strings.TrimSuffix(inside, ")"), ", "); len(parts) > 1 &&
			l.tellsIdentity(parts[0]) && unwrap(parts[len(parts)-1]) != "NULL" {
			l.report("identity_default", object, "Who asks has a default: without a scope the policy "+
				"passes the rows of "+unwrap(parts[len(parts)-1])+".", "a connection that nobody scoped",
				"Compare without coalesce: null equals nothing.")
		}
	}
	for _, oid := range p.functions {
		f := l.functions[oid]
		if f != nil && f.volatility == "i" && (f.identity || strings.Contains(strings.ToLower(f.source), "select")) {
			l.report("immutable_helper", f.name, "It is IMMUTABLE and depends on who asks: a cached plan "+
				"keeps the answer that it gave to somebody else.", "a prepared statement, after another tenant",
				"alter function "+f.name+" stable")
		}
	}
	for _, m := range plainSetting.FindAllStringSubmatch(both, -1) {
		if m[1] != "" && m[1] != "sallyport.scope" {
			l.unsealed(m[1])
		}
	}
}

// plainSettings are the settings that policies, or functions for them, trust unsealed.
func (l *linter) plainSettings() []string {
	var texts strings.Builder
	for _, p := range l.policies {
		texts.WriteString(p.using + " " + p.check + " ")
	}
	for _, f := range l.functions {
		if !strings.HasPrefix(f.call, "sallyport.") {
			texts.WriteString(f.source + " ")
		}
	}
	var names []string
	for _, m := range plainSetting.FindAllStringSubmatch(texts.String(), -1) {
		if strings.Contains(m[1], ".") && m[1] != "sallyport.scope" {
			names = append(names, m[1])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// unsealed reports a setting once, whatever uses it.
func (l *linter) unsealed(setting string) {
	l.report("unsealed_setting", setting, "Policies trust a setting that any statement may set.",
		"one injected set_config('"+setting+"', ...) in a UNION, before the policy is evaluated",
		"Use sallyport.site() and sallyport.member(), whose setting is sealed.")
}

// judgeAuthority: whoever can write the rows that policies decide by, decides.
func (l *linter) judgeAuthority(r *relation) {
	if !r.authority {
		return
	}
	for _, p := range r.policies {
		if p.permissive && p.applies("a") && r.may("INSERT") && l.onlyUser(r, p.effectiveCheck()) {
			l.report("self_membership", r.name+" policy "+p.name, "Policies decide by its rows, and its "+
				"own check asks only for the user's name in a new row.",
				"insert into "+r.name+" a row that makes oneself a member of another tenant",
				"Let only a member with a right to invite insert, or no application role at all.")
		}
		if !p.permissive || !p.applies("w") || !r.may("UPDATE") {
			continue
		}
		for _, column := range r.editable {
			if r.authorityCols[column] && l.onlyUser(r, p.using) {
				l.report("editable_authority", r.name+"."+column, "Policies decide by this column, and "+
					"users may change it in their own row.", "update "+r.name+" set "+ident(column)+
					" = ..., then read again", "Grant update on the other columns only.")
			}
		}
	}
}

// onlyUser reports whether some alternative of a condition binds by the row alone: it
// asks no other table, and no function that does, whether the user may.
func (l *linter) onlyUser(r *relation, text string) bool {
	text = unwrap(text)
	if parts := split(text, " OR "); len(parts) > 1 {
		return slices.ContainsFunc(parts, func(p string) bool { return l.onlyUser(r, p) })
	}
	if strings.Contains(text, " FROM ") {
		return false
	}
	for _, f := range l.functions {
		if calls(text, f) && regexp.MustCompile(`(?i)\bfrom\b`).MatchString(f.source) &&
			!strings.HasPrefix(f.call, "sallyport.") {
			return false
		}
	}
	return text != "" && !(strings.Contains(text, "sallyport.site(") && r.secured)
}

func (l *linter) judgeFunction(f *function) {
	if strings.HasPrefix(f.call, "sallyport.") {
		return
	}
	for _, m := range plainSetting.FindAllStringSubmatch(f.source, -1) {
		if m[1] != "" && m[1] != "sallyport.scope" && l.usedByPolicy(f) {
			l.unsealed(m[1])
		}
	}
	if !f.definer || !f.executable {
		return
	}
	if !f.fixedPath {
		l.report("definer_search_path", f.name, "It runs as its owner and looks names up where the "+
			"caller says.", "set search_path to a schema with a table of the same name",
			"alter function "+f.name+" set search_path = pg_catalog, pg_temp")
	}
	for _, r := range l.relations {
		if r.secured && reads(f.source, r) && !l.tellsIdentity(f.source) {
			l.report("definer_function", f.name, "It reads "+r.name+" as its owner and does not ask who "+
				"is asking.", "select "+f.name, "Make it security invoker, or filter by sallyport.site().")
			return
		}
	}
}

func (l *linter) usedByPolicy(f *function) bool {
	return slices.ContainsFunc(l.policies, func(p *policy) bool {
		return slices.Contains(p.functions, f.oid) || slices.ContainsFunc(p.functions, func(oid uint32) bool {
			g := l.functions[oid]
			return g != nil && calls(g.source, f)
		})
	})
}
