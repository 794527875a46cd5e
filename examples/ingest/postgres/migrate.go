package postgres

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"text/template"

	"github.com/jackc/pgx/v5"

	"github.com/opsmantik/sallyport/audit/pgaudit"
	"github.com/opsmantik/sallyport/tenancy/rls"
)

// Roles makes the three logins, for a superuser to run once in the server's database.
//
//go:embed roles.sql
var Roles string

//go:embed migrations/*.sql
var migrations embed.FS

// steps are the migrations, in order. The number of the last one is the schema's
// version.
func steps() ([]string, error) { return fs.Glob(migrations, "migrations/*.sql") }

const (
	// migrateLock names the advisory lock of whoever migrates ("migr" in ASCII).
	migrateLock = 0x6d696772
	// sealName names the key that scopes are sealed with.
	sealName = "ingest"
)

// Migrate brings the schema to what this program needs, as its owner. Any number of
// instances may call it at once: one does the work, in one transaction, and the others
// wait for it and find nothing left to do. The lock ends with the transaction, so it
// also holds behind a pooler; use a direct connection all the same, because a pooler's
// timeouts are made for requests.
func Migrate(ctx context.Context, cfg Config) error {
	app, service, err := cfg.logins()
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, cfg.MigrateURL)
	if err != nil {
		return fmt.Errorf("MIGRATE_DATABASE_URL: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		m := migration{tx: tx, app: app, service: service}
		return m.run(ctx)
	})
}

type migration struct {
	tx           pgx.Tx
	app, service string
}

func (m *migration) run(ctx context.Context) error {
	const lock = `SELECT pg_advisory_xact_lock($1)`
	if _, err := m.tx.Exec(ctx, lock, int64(migrateLock)); err != nil {
		return fmt.Errorf("postgres: migrate: %w", err)
	}
	names, err := steps()
	if err != nil {
		return err
	}
	version, err := schemaVersion(ctx, m.tx)
	if err != nil {
		return err
	}
	if version > len(names) {
		return newer(version, len(names))
	}
	if version == 0 {
		if err := m.first(ctx); err != nil {
			return err
		}
	}
	for step := version; step < len(names); step++ {
		if err := m.apply(ctx, names[step], step+1); err != nil {
			return fmt.Errorf("postgres: migration %d: %w", step+1, err)
		}
	}
	if version == 0 {
		return m.newKey(ctx)
	}
	return nil
}

// first makes the place of the version, before there is one.
func (m *migration) first(ctx context.Context) error {
	return m.exec(ctx, `CREATE SCHEMA ingest;
		CREATE TABLE ingest.schema_version (one boolean PRIMARY KEY CHECK (one), version integer NOT NULL);
		INSERT INTO ingest.schema_version VALUES (true, 0);
		ALTER TABLE ingest.schema_version ENABLE ROW LEVEL SECURITY;
		CREATE POLICY service ON ingest.schema_version FOR SELECT TO `+quoted(m.service)+` USING (true);
		GRANT SELECT ON ingest.schema_version TO `+quoted(m.service))
}

func (m *migration) apply(ctx context.Context, name string, version int) error {
	text, err := m.render(name)
	if err != nil {
		return err
	}
	if err := m.exec(ctx, text); err != nil {
		return err
	}
	_, err = m.tx.Exec(ctx, `UPDATE ingest.schema_version SET version = $1`, version)
	return err
}

// exec runs several statements. They hold no values from outside.
func (m *migration) exec(ctx context.Context, statements string) error {
	return m.tx.Conn().PgConn().Exec(ctx, statements).Close()
}

// newKey makes the key that scopes are sealed with, and gives it to both sides.
func (m *migration) newKey(ctx context.Context) error {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	const keep = `INSERT INTO ingest.seal_secret (name, key) VALUES ($1, $2)`
	if err := m.exec(ctx, `ALTER TABLE ingest.seal_secret NO FORCE ROW LEVEL SECURITY`); err != nil {
		return err
	}
	if _, err := m.tx.Exec(ctx, keep, sealName, key); err != nil {
		return err
	}
	return errors.Join(m.exec(ctx, `ALTER TABLE ingest.seal_secret FORCE ROW LEVEL SECURITY`),
		m.exec(ctx, rls.InstallKey(sealName, key)))
}

// render fills in what the migration takes from elsewhere: the names of the logins, and
// the statements that rls and pgaudit make.
func (m *migration) render(name string) (string, error) {
	table := func(schema, name, site string, readOnly bool) (string, error) {
		return rls.Policies(rls.Table{
			Schema: schema, Name: name, Site: site, ReadOnly: readOnly,
		}, m.app)
	}
	parsed, err := template.New("").Funcs(template.FuncMap{
		"app":         func() string { return quoted(m.app) },
		"service":     func() string { return quoted(m.service) },
		"install":     rls.Install,
		"policies":    func(name string) (string, error) { return table("ingest", name, "site_id", false) },
		"readable":    func(name string) (string, error) { return table("ingest", name, "site_id", true) },
		"readableLog": func() (string, error) { return table("audit", "log", "tenant", true) },
		"serviceMay":  m.serviceMay,
		"audit": func() (string, error) {
			return pgaudit.Schema(pgaudit.Roles{App: m.app, Sequencer: m.service, Auditor: m.service})
		},
	}).ParseFS(migrations, name)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	base := name[strings.LastIndexByte(name, '/')+1:]
	err = parsed.ExecuteTemplate(&text, base, nil)
	return text.String(), err
}

// serviceMay lets the service's login do some things with all rows of a table, and keeps
// everybody else out who has no policy.
func (m *migration) serviceMay(privileges, table string) string {
	name, to := quoted("ingest", table), quoted(m.service)
	return fmt.Sprintf("ALTER TABLE %[1]s ENABLE ROW LEVEL SECURITY;\n"+
		"ALTER TABLE %[1]s FORCE ROW LEVEL SECURITY;\n"+
		"CREATE POLICY service ON %[1]s TO %[2]s USING (true);\n"+
		"GRANT %[3]s ON %[1]s TO %[2]s;", name, to, privileges)
}

func quoted(name ...string) string { return pgx.Identifier(name).Sanitize() }

type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// schemaVersion is 0 for a database without the schema.
func schemaVersion(ctx context.Context, db querier) (version int, err error) {
	var exists bool
	const look = `SELECT to_regclass('ingest.schema_version') IS NOT NULL`
	if err := db.QueryRow(ctx, look).Scan(&exists); err != nil || !exists {
		return 0, err
	}
	err = db.QueryRow(ctx, `SELECT version FROM ingest.schema_version`).Scan(&version)
	return version, err
}

// checkSchema refuses a schema that this program was not made for.
func checkSchema(ctx context.Context, db querier) error {
	names, err := steps()
	if err != nil {
		return err
	}
	version, err := schemaVersion(ctx, db)
	switch {
	case err != nil:
		return fmt.Errorf("postgres: schema version: %w", err)
	case version > len(names):
		return newer(version, len(names))
	case version < len(names):
		return fmt.Errorf("postgres: the database has schema %d, this program needs %d: set "+
			"MIGRATE_DATABASE_URL to the owner's login, here or for \"ingest migrate\" before this start",
			version, len(names))
	}
	return nil
}

func newer(version, known int) error {
	return fmt.Errorf("postgres: the database has schema %d, this program knows %d; start the newer one",
		version, known)
}
