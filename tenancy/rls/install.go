package rls

import (
	"cmp"
	_ "embed"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

//go:embed install.sql
var install string

// Install returns the statements that make the schema "sallyport": the table of seal
// keys, which nobody but its owner may read, and the functions that policies call.
// Run them in a migration, as the owner of the tables. They may run again.
//
//	sallyport.scope()  text[]: {site, user} of the sealed scope; null without one
//	sallyport.site()   text
//	sallyport.member() text: the user
//
// Without a scope, or with an empty one, all are null, and null equals nothing. A scope
// that is forged, expired or of another process is an error (28000).
func Install() string { return install }

// InstallKey returns the statement that gives the database a seal key. Name tells the
// keys apart; during a rotation the database accepts all it has. It contains the key:
// keep it out of logs (log_statement = none, or psql's \set).
func InstallKey(name string, key []byte) string {
	inner, outer := pads(key)
	return fmt.Sprintf("insert into sallyport.seal_key (name, inner_pad, outer_pad)\n"+
		"values (%s, '\\x%s', '\\x%s')\n"+
		"on conflict (name) do update set inner_pad = excluded.inner_pad,\n"+
		"\touter_pad = excluded.outer_pad;\n", quote(name), inner, outer)
}

// Table describes a table for [Policies].
type Table struct {
	Schema, Name string
	// Site is the column that holds the site. Empty: the table has none.
	Site string
	// Owner is the column that holds the user whose row it is. Empty: none.
	Owner string
	// SiteType and OwnerType are the columns' types. Default "text"; "uuid" for one.
	SiteType, OwnerType string
	// ReadOnly leaves out the policies to insert, update and delete.
	ReadOnly bool
}

// Membership is where the database itself knows who belongs to which site, as in "a
// user reads the rows of every site whose group they are in".
type Membership struct {
	Schema, Table string
	Site, User    string // its columns
}

// Policies returns the statements that put a table behind row level security, for the
// role that the application logs in as.
//
//   - With Site: rows of the sealed scope's site, which tenancy has checked.
//   - With Owner as well: of these, the user's own rows.
//   - With Owner only: the user's own rows.
//
// There is one policy a command, FORCE is on, and WITH CHECK keeps an update from
// moving a row to somebody else. Each function is called inside (select ...), so that
// it runs once a statement and not once a row.
func Policies(t Table, role string) (string, error) {
	return policies(t, role, siteCondition(t))
}

// MemberPolicies is Policies with the second shape of condition: the rows of every
// site that the user belongs to, not only of the scope's site. It also makes the
// function that looks the sites up.
func MemberPolicies(t Table, m Membership, role string) (string, error) {
	if t.Site == "" || m.Table == "" || m.Site == "" || m.User == "" {
		return "", fmt.Errorf("rls: MemberPolicies needs Table.Site and every field of Membership")
	}
	function := pgx.Identifier{m.Schema, "sallyport_sites"}.Sanitize()
	table := pgx.Identifier{m.Schema, m.Table}.Sanitize()
	column := pgx.Identifier{m.Site}.Sanitize()
	text, err := policies(t, role, fmt.Sprintf("%s = any ((select %s()::%s[])::%[3]s[])",
		pgx.Identifier{t.Site}.Sanitize(), function, cmp.Or(t.SiteType, "text")))
	if err != nil {
		return "", err
	}
	helper := fmt.Sprintf(`create or replace function %[1]s() returns text[]
language sql stable parallel safe security definer set search_path = pg_catalog, pg_temp
as $$ select coalesce(array_agg(m.%[3]s::text), '{}') from %[2]s m
where m.%[4]s::text = (select sallyport.member()) $$;
revoke all on function %[1]s() from public;
grant execute on function %[1]s() to %[5]s;
alter table %[2]s no force row level security; -- the function reads it as its owner
`, function, table, column, pgx.Identifier{m.User}.Sanitize(), pgx.Identifier{role}.Sanitize())
	return helper + text, nil
}

func siteCondition(t Table) string {
	var parts []string
	if t.Site != "" {
		parts = append(parts, equals(t.Site, "site", t.SiteType))
	}
	if t.Owner != "" {
		parts = append(parts, equals(t.Owner, "member", t.OwnerType))
	}
	return strings.Join(parts, " and ")
}

// equals compares a column with a function, called once a statement.
func equals(column, function, typ string) string {
	return fmt.Sprintf("%s = (select sallyport.%s()::%s)",
		pgx.Identifier{column}.Sanitize(), function, cmp.Or(typ, "text"))
}

func policies(t Table, role, condition string) (string, error) {
	if t.Schema == "" || t.Name == "" || role == "" || condition == "" {
		return "", fmt.Errorf("rls: Policies needs Schema, Name, a role, and Site or Owner")
	}
	name := pgx.Identifier{t.Schema, t.Name}.Sanitize()
	to := pgx.Identifier{role}.Sanitize()
	var b strings.Builder
	fmt.Fprintf(&b, "alter table %[1]s enable row level security;\n"+
		"alter table %[1]s force row level security;\n"+
		"revoke all on %[1]s from public, %[2]s;\n", name, to)
	grants := "select, insert, update, delete"
	commands := []struct{ verb, clause string }{
		{"select", "using ([condition])"},
		{"insert", "with check ([condition])"},
		{"update", "using ([condition]) with check ([condition])"},
		{"delete", "using ([condition])"},
	}
	if t.ReadOnly {
		grants, commands = "select", commands[:1]
	}
	for _, c := range commands {
		policy := pgx.Identifier{"sallyport_" + c.verb}.Sanitize()
		fmt.Fprintf(&b, "drop policy if exists %[1]s on %[2]s;\n", policy, name)
		fmt.Fprintf(&b, "create policy %s on %s for %s to %s %s;\n",
			policy, name, c.verb, to, strings.ReplaceAll(c.clause, "[condition]", condition))
	}
	fmt.Fprintf(&b, "grant %s on %s to %s;\n", grants, name, to)
	return b.String(), nil
}
