package rls

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
)

const gate = "rls"

// Config configures a [DB]. Open copies it.
type Config struct {
	_ [0]func() // keyed literals only

	// Pool connects as the application's role: a login that owns nothing and
	// bypasses nothing. Required. The DB does not close it. Its
	// DefaultQueryExecMode decides what works through a pooler; see the package
	// documentation.
	Pool *pgxpool.Pool

	// Key seals the scope that every statement carries. Required: at least 32
	// random bytes, the same that [InstallKey] has put into the database. During a
	// rotation the database holds both keys and this is the newer one.
	Key []byte

	// SearchPath are the schemas in which unqualified names are looked up, such as
	// "app". Required. It is set with every scope, and pg_temp comes last, so that a
	// temporary view cannot stand in for a table.
	//
	// In every query mode but exec, pgx prepares the queries of a Read before it sets
	// the scope. For those the role needs the same path, or names have to be qualified:
	//
	//	alter role app_login set search_path = app
	SearchPath []string

	// SealTTL bounds how long a sealed scope is good in the database, should it be
	// read out and replayed. Default 30 s; at most an hour. A statement that runs
	// longer is not cut off.
	SealTTL time.Duration

	// BindPID ties each seal to its backend process: replayed on another connection
	// it is refused. It cannot work through a pooler, which lends one client many
	// backends; Open refuses the two together.
	BindPID bool

	// Application is the role that Lint judges privileges for. Default: the role
	// that Pool logs in as.
	Application string

	// DangerouslyAccept are the findings of Lint that Open lets pass, each with the
	// reason. The key is the finding's code, a space and the object:
	// "definer_function app.import(text)". A key that no finding has is an error:
	// what was mended must not stay excused.
	DangerouslyAccept map[string]string

	// OnEvent, if set, is called once for every Read and Tx that was refused before
	// it reached the database, and for every statement of a service scope.
	OnEvent func(context.Context, sallyport.Event)
}

// The limits of a Config.
const (
	minKey         = 32
	defaultSealTTL = 30 * time.Second
	maxSealTTL     = time.Hour
)

// validate returns every problem at once, of what can be told without a server.
func (c *Config) validate() error {
	errs := configerr.For(gate)
	if c.Pool == nil {
		errs.Add("Pool", "", sallyport.ConfigRequired,
			"set a pgxpool.Pool that logs in as the application's role")
	}
	if len(c.Key) < minKey {
		errs.Add("Key", "", sallyport.ConfigOutOfRange,
			"at least 32 random bytes, the same that InstallKey gave to the database")
	}
	if len(c.SearchPath) == 0 {
		errs.Add("SearchPath", "", sallyport.ConfigRequired, `name the schemas, such as "app"`)
	}
	for i, schema := range c.SearchPath {
		field := fmt.Sprintf("SearchPath[%d]", i)
		if schema == "" || strings.ContainsRune(schema, 0) {
			errs.Add(field, schema, sallyport.ConfigMalformed, "the name of a schema")
		}
		if schema == "pg_temp" || strings.HasPrefix(schema, "pg_temp_") {
			errs.Add(field, schema, sallyport.ConfigInsecure,
				"leave it out: it is put last, where it shadows nothing")
		}
	}
	if c.SealTTL < 0 || c.SealTTL > maxSealTTL {
		errs.Add("SealTTL", c.SealTTL.String(), sallyport.ConfigOutOfRange,
			"more than 0 and at most an hour; 0 means 30 s")
	}
	for key, reason := range c.DangerouslyAccept {
		if strings.TrimSpace(reason) == "" {
			errs.Add("DangerouslyAccept", key, sallyport.ConfigRequired, "give the reason")
		}
	}
	return errs.Err()
}

// Open returns a DB, after it has made sure that row level security holds for the
// pool's login. The error joins a *sallyport.ConfigError for every problem:
//
//   - a login that is superuser, has BYPASSRLS, owns what it queries, or can become
//     a role that does;
//   - a login that may create objects, or temporary ones, which can shadow tables;
//   - a server older than the fixes of CVE-2024-10976, CVE-2024-10978 and
//     CVE-2025-8713;
//   - a query mode that the pooler in between breaks, or a seal bound to a process
//     behind one;
//   - a database that does not know Key;
//   - every finding of [Lint] that DangerouslyAccept does not name.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.SealTTL == 0 {
		cfg.SealTTL = defaultSealTTL
	}
	cfg.SearchPath = slices.Clone(cfg.SearchPath)
	db := &DB{
		pool: cfg.Pool, sealer: newSealer(cfg.Key), ttl: cfg.SealTTL, bindPID: cfg.BindPID,
		path: searchPath(cfg.SearchPath), onEvent: cfg.OnEvent,
	}
	errs := configerr.For(gate)
	err := cfg.Pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		return db.inspect(ctx, conn.Conn(), &cfg, errs)
	})
	if err != nil {
		errs.Add("Pool", "", sallyport.ConfigUnavailable, "the database did not answer: "+err.Error())
	}
	if err := errs.Err(); err != nil {
		return nil, err
	}
	return db, nil
}

// searchPath quotes the schemas and puts pg_temp last. Left out, it would come
// first (PostgreSQL, "Schemas", search_path).
func searchPath(schemas []string) string {
	quoted := make([]string, 0, len(schemas)+1)
	for _, s := range schemas {
		quoted = append(quoted, pgx.Identifier{s}.Sanitize())
	}
	return strings.Join(append(quoted, "pg_temp"), ", ")
}

// inspect asks the server all that Open promises to refuse.
func (db *DB) inspect(ctx context.Context, conn *pgx.Conn, cfg *Config, errs *configerr.List) error {
	if cfg.Application == "" {
		cfg.Application = conn.Config().User
	}
	version, err := inspectServer(ctx, conn, cfg, errs)
	if err != nil {
		return err
	}
	if version < 140000 {
		return nil // what follows uses newer catalogues; the refusal is noted
	}
	if err := db.inspectKey(ctx, conn, errs); err != nil {
		return err
	}
	findings, err := Lint(ctx, conn, cfg.Application)
	if err != nil {
		return err
	}
	accept(findings, cfg.DangerouslyAccept, errs)
	return nil
}

// accept notes every finding that is not excused, and every excuse without one.
func accept(findings []Finding, excused map[string]string, errs *configerr.List) {
	used := map[string]bool{}
	for _, f := range findings {
		key := f.Code + " " + f.Object
		if _, ok := excused[key]; ok {
			used[key] = true
			continue
		}
		errs.Add("Pool", key, sallyport.ConfigInsecure, f.Reason+" "+f.Fix)
	}
	for key := range excused {
		if !used[key] {
			errs.Add("DangerouslyAccept", key, sallyport.ConfigUnknown,
				"no such finding: remove the entry")
		}
	}
}

// inspectKey proves that the database accepts this DB's seal, and no other.
func (db *DB) inspectKey(ctx context.Context, conn *pgx.Conn, errs *configerr.List) error {
	var installed bool
	err := conn.QueryRow(ctx, `select to_regprocedure('sallyport.scope()') is not null`,
		db.exec()...).Scan(&installed)
	if err != nil {
		return err
	}
	if !installed {
		errs.Add("Pool", "", sallyport.ConfigRequired,
			"the database has no sallyport.scope(): run the statements of rls.Install as its owner")
		return nil
	}
	sealed := db.sealer.seal("rls-open-check", "rls-open-check", time.Now().Add(time.Minute), 0)
	var site *string
	batch := &pgx.Batch{}
	batch.Queue(`select set_config('sallyport.scope', $1, true)`, sealed)
	batch.Queue(`select (sallyport.scope())[1]`).QueryRow(func(row pgx.Row) error {
		return row.Scan(&site)
	})
	if err := conn.SendBatch(ctx, batch).Close(); err != nil || site == nil {
		errs.Add("Key", "", sallyport.ConfigConflict,
			"the database does not accept it: install the same key by rls.InstallKey")
	}
	return nil
}

// exec returns the options of a catalogue query: they work in every exec mode.
func (db *DB) exec() []any { return []any{pgx.QueryExecModeExec} }

// errNotOpened is what a zero DB is.
var errNotOpened = errors.New("rls: DB not made by Open")
