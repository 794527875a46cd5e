package rls

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
)

// catalog is what the linter knows of a database: everything outside the system's
// own schemas, with the privileges of one role.
type catalog struct {
	relations map[uint32]*relation
	functions map[uint32]*function
	policies  []*policy
	uniques   []constraint
	foreign   []constraint
	parents   []string // roles the role can become that bypass row level security
	bypass    bool
}

type relation struct {
	oid           uint32
	name          string // schema.name, quoted where it has to be
	kind          string // r, p, v, m, f
	secured       bool   // row level security is on
	invoker       bool   // a view with security_invoker
	owned         bool   // by the role, or by one that it can become
	privileges    []string
	columns       []string // by position, "" for dropped ones
	types         []string
	editable      []string // columns that the role may update
	readable      []string // columns that it may read; all, when whole
	whole         bool
	reads         []uint32 // of a view: what it selects from
	policies      []*policy
	authority     bool            // other tables' policies decide by its rows
	authorityCols map[string]bool // and by these columns
}

// may reports whether the role has a privilege on the relation or on a column of it.
func (r *relation) may(privilege string) bool {
	return slices.Contains(r.privileges, privilege)
}

func (r *relation) reachable() bool {
	return r.may("SELECT") || r.may("INSERT") || r.may("UPDATE") || r.may("DELETE")
}

type policy struct {
	name         string
	relation     uint32
	command      string // r, a, w, d or *
	permissive   bool
	using, check string
	functions    []uint32
	columns      []reference // of other tables, in subqueries
}

type reference struct {
	relation uint32
	column   string
}

type function struct {
	oid        uint32
	name       string // schema.name(arguments)
	call       string // schema.name
	definer    bool
	fixedPath  bool
	volatility string
	executable bool
	source     string
	identity   bool // tells who asks, itself or by what it calls
}

type constraint struct {
	name              string
	relation, refers  uint32
	columns, referred []string
	random            bool // one column that nobody can guess
}

// reach is the set of roles that the role is or can become, as a CTE.
const reach = `with recursive reach as (
	select oid from pg_catalog.pg_roles where rolname = $1
	union
	select m.roleid from pg_catalog.pg_auth_members m join reach r on m.member = r.oid
)`

const ours = ` n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
	and n.nspname !~ '^pg_(toast_)?temp_'`

// load reads the catalogue in one read-only transaction, with an empty search path so
// that every name comes out with its schema.
func load(ctx context.Context, conn *pgx.Conn, role string) (*catalog, error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // it only read
	c := &catalog{relations: map[uint32]*relation{}, functions: map[uint32]*function{}}
	if _, err := tx.Exec(ctx, `select set_config('search_path', '', true)`,
		pgx.QueryExecModeExec); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context, pgx.Tx, string) error{
		c.loadRole, c.loadRelations, c.loadFunctions, c.loadPolicies, c.loadViews, c.loadConstraints,
	} {
		if err := step(ctx, tx, role); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *catalog) loadRole(ctx context.Context, tx pgx.Tx, role string) error {
	return tx.QueryRow(ctx, reach+`
		select coalesce((select rolsuper or rolbypassrls from pg_catalog.pg_roles where rolname = $1), true),
			array(select p.rolname::text from pg_catalog.pg_roles p join reach using (oid)
			where (p.rolsuper or p.rolbypassrls) and p.rolname <> $1 order by 1)`,
		pgx.QueryExecModeExec, role).Scan(&c.bypass, &c.parents)
}

func (c *catalog) loadRelations(ctx context.Context, tx pgx.Tx, role string) error {
	rows, err := tx.Query(ctx, reach+`
		select c.oid, c.oid::regclass::text, c.relkind::text, c.relrowsecurity,
			coalesce('security_invoker=true' = any(c.reloptions)
				or 'security_invoker=on' = any(c.reloptions)
				or 'security_invoker=1' = any(c.reloptions), false),
			c.relowner in (select oid from reach),
			array(select p from unnest('{SELECT,INSERT,UPDATE,REFERENCES,DELETE,TRUNCATE,TRIGGER}'::text[]) p
				where has_schema_privilege($1, n.oid, 'USAGE') and (has_table_privilege($1, c.oid, p)
				or p in ('SELECT','INSERT','UPDATE','REFERENCES') and has_any_column_privilege($1, c.oid, p))),
			array(select case when attisdropped then '' else attname::text end
				from pg_catalog.pg_attribute where attrelid = c.oid and attnum > 0 order by attnum),
			array(select pg_catalog.format_type(atttypid, null)
				from pg_catalog.pg_attribute where attrelid = c.oid and attnum > 0 order by attnum),
			array(select attname::text from pg_catalog.pg_attribute where attrelid = c.oid and attnum > 0
				and not attisdropped and has_column_privilege($1, c.oid, attnum, 'UPDATE') order by attnum),
			array(select attname::text from pg_catalog.pg_attribute where attrelid = c.oid and attnum > 0
				and not attisdropped and has_column_privilege($1, c.oid, attnum, 'SELECT') order by attnum),
			has_table_privilege($1, c.oid, 'SELECT')
		from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
		where c.relkind in ('r','p','v','m','f') and`+ours, pgx.QueryExecModeExec, role)
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*relation, error) {
		r := &relation{authorityCols: map[string]bool{}}
		err := row.Scan(&r.oid, &r.name, &r.kind, &r.secured, &r.invoker, &r.owned,
			&r.privileges, &r.columns, &r.types, &r.editable, &r.readable, &r.whole)
		return r, err
	})
	for _, r := range all {
		c.relations[r.oid] = r
	}
	return err
}

func (c *catalog) loadFunctions(ctx context.Context, tx pgx.Tx, role string) error {
	rows, err := tx.Query(ctx, `
		select p.oid, p.oid::regprocedure::text, quote_ident(n.nspname)||'.'||quote_ident(p.proname),
			p.prosecdef, exists (select from unnest(p.proconfig) s where s like 'search_path=%'),
			p.provolatile::text, has_schema_privilege($1, n.oid, 'USAGE')
				and has_function_privilege($1, p.oid, 'EXECUTE'),
			coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc, '')
		from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
		where p.prokind in ('f', 'p', 'w') and`+ours+`
			and not exists (select from pg_catalog.pg_depend d where d.objid = p.oid
				and d.classid = 'pg_catalog.pg_proc'::regclass and d.deptype = 'e')`,
		pgx.QueryExecModeExec, role)
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*function, error) {
		f := &function{}
		err := row.Scan(&f.oid, &f.name, &f.call, &f.definer, &f.fixedPath, &f.volatility,
			&f.executable, &f.source)
		return f, err
	})
	for _, f := range all {
		c.functions[f.oid] = f
	}
	return err
}

func (c *catalog) loadPolicies(ctx context.Context, tx pgx.Tx, role string) error {
	rows, err := tx.Query(ctx, reach+`
		select p.polname::text, p.polrelid, p.polcmd::text, p.polpermissive,
			coalesce(pg_get_expr(p.polqual, p.polrelid), ''),
			coalesce(pg_get_expr(p.polwithcheck, p.polrelid), ''),
			array(select d.refobjid from pg_catalog.pg_depend d where d.objid = p.oid
				and d.classid = 'pg_catalog.pg_policy'::regclass
				and d.refclassid = 'pg_catalog.pg_proc'::regclass),
			array(select d.refobjid from pg_catalog.pg_depend d where d.objid = p.oid
				and d.classid = 'pg_catalog.pg_policy'::regclass and d.refobjsubid > 0
				and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid <> p.polrelid
				order by d.refobjid, d.refobjsubid),
			array(select a.attname::text from pg_catalog.pg_depend d join pg_catalog.pg_attribute a
				on a.attrelid = d.refobjid and a.attnum = d.refobjsubid where d.objid = p.oid
				and d.classid = 'pg_catalog.pg_policy'::regclass and d.refobjsubid > 0
				and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid <> p.polrelid
				order by d.refobjid, d.refobjsubid)
		from pg_catalog.pg_policy p
		where 0 = any(p.polroles) or exists (select from reach where oid = any(p.polroles))
		order by p.polrelid, p.polname`, pgx.QueryExecModeExec, role)
	if err != nil {
		return err
	}
	var tables []uint32
	var columns []string
	c.policies, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*policy, error) {
		p := &policy{}
		err := row.Scan(&p.name, &p.relation, &p.command, &p.permissive, &p.using, &p.check,
			&p.functions, &tables, &columns)
		for i := range tables {
			p.columns = append(p.columns, reference{tables[i], columns[i]})
		}
		return p, err
	})
	for _, p := range c.policies {
		if r := c.relations[p.relation]; r != nil {
			r.policies = append(r.policies, p)
		}
	}
	return err
}

func (c *catalog) loadViews(ctx context.Context, tx pgx.Tx, _ string) error {
	rows, err := tx.Query(ctx, `
		select distinct w.ev_class, d.refobjid from pg_catalog.pg_rewrite w
		join pg_catalog.pg_depend d on d.objid = w.oid
			and d.classid = 'pg_catalog.pg_rewrite'::regclass
			and d.refclassid = 'pg_catalog.pg_class'::regclass
		where d.refobjid <> w.ev_class`, pgx.QueryExecModeExec)
	if err != nil {
		return err
	}
	var view, base uint32
	_, err = pgx.ForEachRow(rows, []any{&view, &base}, func() error {
		if r := c.relations[view]; r != nil {
			r.reads = append(r.reads, base)
		}
		return nil
	})
	return err
}

func (c *catalog) loadConstraints(ctx context.Context, tx pgx.Tx, _ string) error {
	rows, err := tx.Query(ctx, `
		select i.indexrelid::regclass::text, i.indrelid,
			array(select a.attname::text from unnest(i.indkey[0:i.indnkeyatts-1]) with ordinality k(n, o)
				join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.n order by o),
			i.indnkeyatts = 1 and exists (select from pg_catalog.pg_attribute a
				where a.attrelid = i.indrelid and a.attnum = i.indkey[0]
				and a.atttypid = 'pg_catalog.uuid'::regtype)
		from pg_catalog.pg_index i where i.indisunique`, pgx.QueryExecModeExec)
	if err != nil {
		return err
	}
	c.uniques, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (constraint, error) {
		var u constraint
		err := row.Scan(&u.name, &u.relation, &u.columns, &u.random)
		return u, err
	})
	if err != nil {
		return err
	}
	rows, err = tx.Query(ctx, `
		select f.conname::text, f.conrelid, f.confrelid,
			array(select a.attname::text from unnest(f.conkey) with ordinality k(n, o)
				join pg_catalog.pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.n order by o),
			array(select a.attname::text from unnest(f.confkey) with ordinality k(n, o)
				join pg_catalog.pg_attribute a on a.attrelid = f.confrelid and a.attnum = k.n order by o),
			array_length(f.conkey, 1) = 1 and exists (select from pg_catalog.pg_attribute a
				where a.attrelid = f.conrelid and a.attnum = f.conkey[1]
				and a.atttypid = 'pg_catalog.uuid'::regtype)
		from pg_catalog.pg_constraint f where f.contype = 'f'`, pgx.QueryExecModeExec)
	if err != nil {
		return err
	}
	c.foreign, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (constraint, error) {
		var f constraint
		err := row.Scan(&f.name, &f.relation, &f.refers, &f.columns, &f.referred, &f.random)
		return f, err
	})
	return err
}
