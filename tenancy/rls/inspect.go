package rls

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
)

// fixed are the first minor versions in which row level security has no known hole:
// CVE-2024-10976 (a cached plan ignores a changed role), CVE-2024-10978 (SET ROLE is
// undone wrongly) and CVE-2025-8713 (planner statistics reveal rows). Older majors are
// no longer mended.
var fixed = map[int]int{13: 22, 14: 19, 15: 14, 16: 10, 17: 6}

// mended reports whether a server_version_num has all the fixes.
func mended(version int) bool {
	major, minor := version/10000, version%10000
	needed, known := fixed[major]
	return major > 17 || known && minor >= needed
}

// facts is what one query tells about the login and the server.
type facts struct {
	version            int
	superuser, bypass  bool
	temporary, creates bool
	pid                uint32
	parents            []string // roles that the login can become and that are worse
	owned              []string // relations of it or of a role that it can become
	creatable          []string // schemas in which it may create
}

const factsQuery = `
with recursive me as (
	select oid, rolname, rolsuper, rolbypassrls from pg_roles where rolname = current_user
), reach as (
	select oid from me
	union
	select m.roleid from pg_auth_members m join reach r on m.member = r.oid
)
select current_setting('server_version_num')::int,
	(select rolsuper from me), (select rolbypassrls from me),
	has_database_privilege(current_user, current_database(), 'TEMPORARY'),
	has_database_privilege(current_user, current_database(), 'CREATE'),
	pg_backend_pid(),
	array(select p.rolname::text from pg_roles p join reach using (oid)
		where (p.rolsuper or p.rolbypassrls) and p.rolname <> current_user order by 1),
	array(select c.oid::regclass::text from pg_class c join reach r on c.relowner = r.oid
		where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relpersistence <> 't'
		order by 1 limit 20),
	array(select n.nspname::text from pg_namespace n
		where has_schema_privilege(current_user, n.oid, 'CREATE')
		and n.nspname !~ '^pg_(temp|toast_temp)_' order by 1)`

// inspectServer refuses a login and a server that row level security does not bind.
func inspectServer(
	ctx context.Context, conn *pgx.Conn, cfg *Config, errs *configerr.List,
) (version int, err error) {
	var f facts
	err = conn.QueryRow(ctx, factsQuery, pgx.QueryExecModeExec).Scan(&f.version, &f.superuser,
		&f.bypass, &f.temporary, &f.creates, &f.pid, &f.parents, &f.owned, &f.creatable)
	if err != nil {
		return 0, err
	}
	insecure := func(value, fix string) {
		errs.Add("Pool", value, sallyport.ConfigInsecure, fix)
	}
	if !mended(f.version) {
		insecure(strconv.Itoa(f.version), "this server has known holes in row level security "+
			"(CVE-2024-10976, CVE-2024-10978, CVE-2025-8713): upgrade to 13.22, 14.19, 15.14, "+
			"16.10, 17.6 or later")
	}
	if f.superuser || f.bypass {
		insecure(cfg.Pool.Config().ConnConfig.User,
			"the login is superuser or has BYPASSRLS, so no policy applies: use a role of its own")
	}
	for _, role := range f.parents {
		insecure(role, "the login is a member of this role, which bypasses policies: revoke it")
	}
	for _, relation := range f.owned {
		insecure(relation, "the login owns this, or is a member of its owner, and may switch "+
			"policies off: let another role own it")
	}
	if f.temporary {
		insecure("TEMPORARY", "the login may make temporary objects, which can shadow tables: "+
			"revoke temporary on database ... from public")
	}
	if f.creates {
		insecure("CREATE", "the login may create schemas: revoke create on database ...")
	}
	for _, schema := range f.creatable {
		insecure(schema, "the login may create objects in this schema: "+
			"revoke create on schema ... from public")
	}
	pooler(conn, f.pid, cfg, errs)
	return f.version, nil
}

// pooler finds out whether something stands between us and the server: it hands out
// process ids of its own.
func pooler(conn *pgx.Conn, pid uint32, cfg *Config, errs *configerr.List) {
	mode := conn.Config().DefaultQueryExecMode
	if mode == pgx.QueryExecModeSimpleProtocol {
		errs.Add("Pool", mode.String(), sallyport.ConfigInsecure, "the simple protocol shows the "+
			"seal in pg_stat_activity, and runs several statements at once: use "+
			"QueryExecModeCacheDescribe or QueryExecModeExec")
	}
	if conn.PgConn().PID() == pid {
		return
	}
	if cfg.BindPID {
		errs.Add("BindPID", "true", sallyport.ConfigConflict, fmt.Sprintf("a pooler stands in "+
			"between (process %d is %d to it), and lends one client many processes", pid,
			conn.PgConn().PID()))
	}
	if mode == pgx.QueryExecModeCacheStatement {
		errs.Add("Pool", mode.String(), sallyport.ConfigConflict, "a pooler stands in between, and "+
			"prepared statements stay behind on one of its connections: set DefaultQueryExecMode "+
			"to QueryExecModeCacheDescribe or QueryExecModeExec")
	}
}
