// Package postgres keeps everything that is kept for good in Postgres, for any number of
// instances.
//
// Two logins, two pools. People's requests run as the application, within the scope of
// their grant, and row level security binds them (package tenancy/rls). What no person
// asks for runs as the service: intake, deliveries, second factors, API keys, the audit
// log. Neither login owns a table or bypasses a policy; migrations log in as a third,
// which the running server does not need.
//
// A pooler in transaction mode may stand before both: no statement needs what an earlier
// one left on its connection. See docs/scale.md for the set-up.
package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit/pgaudit"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy/rls"
)

// Config says where the database is.
type Config struct {
	// URL is the application's login, ServiceURL the service's. Required. Unless they
	// say otherwise, they hold appConns and serviceConns connections at most
	// (pool_max_conns), and describe statements instead of preparing them
	// (default_query_exec_mode=cache_describe), which is what a pooler needs.
	URL, ServiceURL string
	// MigrateURL is the owner's login. With it, Open migrates first; without it, Open
	// refuses a schema that is behind.
	MigrateURL string
	// KeepMonths is for how many months events are kept beside the current one. 0 keeps
	// them for ever.
	KeepMonths int
	// OnEvent is told of scopes that are refused before they reach the database.
	OnEvent func(context.Context, sallyport.Event)
	// Log is required.
	Log *slog.Logger
}

const (
	appConns     = 8
	serviceConns = writers + 4

	connectLimit = 5 * time.Second
	startLimit   = 2 * time.Minute // others may be migrating
	// callLimit is how long a call may take, the wait for a connection included.
	callLimit = 5 * time.Second
)

// DB is an open database. It is safe for concurrent use.
type DB struct {
	cfg     Config
	app     *rls.DB
	people  *pgxpool.Pool // of app
	service *pgxpool.Pool
	log     *pgaudit.Log

	jobs     chan *job
	waiting  atomic.Int64 // events that no writer has taken yet
	months   sync.Map     // "2026-11" of the months that have a table
	sequence chan struct{}
	ordering sync.Mutex    // held by whoever orders the audit log, in this instance
	oldest   atomic.Int64  // nanoseconds; of open transactions
	long     time.Duration // from when on one is worth a warning

	quit       chan struct{}
	closing    sync.Once
	background sync.WaitGroup
}

var (
	_ store.Store   = (*DB)(nil)
	_ store.Watched = (*DB)(nil)
)

// Open connects, migrates where it may, and refuses a database in which row level
// security does not hold: see rls.Open for what that asks.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if _, _, err := cfg.logins(); err != nil {
		return nil, err
	}
	if cfg.MigrateURL != "" {
		if err := Migrate(ctx, cfg); err != nil {
			return nil, err
		}
	}
	db := &DB{
		cfg: cfg, jobs: make(chan *job), sequence: make(chan struct{}, 1), quit: make(chan struct{}),
		long: longTransaction,
	}
	if err := db.open(ctx); err != nil {
		db.closePools()
		return nil, err
	}
	for range writers {
		db.background.Go(db.write)
	}
	db.background.Go(db.order)
	db.background.Go(db.maintain)
	return db, nil
}

// accepted are the findings of rls.Lint about this schema that are none here.
var accepted = map[string]string{
	"unique_oracle audit.pending_pkey": "the key is generated always, and the application may " +
		"insert the entry alone: it cannot choose an id and see it refused",
}

func (db *DB) open(ctx context.Context) (err error) {
	if db.service, err = pool(ctx, "SERVICE_DATABASE_URL", db.cfg.ServiceURL, serviceConns); err != nil {
		return err
	}
	if err := errors.Join(db.checkService(ctx), checkSchema(ctx, db.service)); err != nil {
		return err
	}
	var key []byte
	const find = `SELECT key FROM ingest.seal_secret WHERE name = $1`
	if err := db.service.QueryRow(ctx, find, sealName).Scan(&key); err != nil {
		return fmt.Errorf("postgres: the seal key cannot be read: %w", err)
	}
	if db.people, err = pool(ctx, "DATABASE_URL", db.cfg.URL, appConns); err != nil {
		return err
	}
	db.app, err = rls.Open(ctx, rls.Config{
		Pool: db.people, Key: key, SearchPath: []string{"ingest"}, OnEvent: db.cfg.OnEvent,
		DangerouslyAccept: accepted,
	})
	if err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	if db.log, err = pgaudit.New(ctx, pgaudit.Config{Pool: db.service}); err != nil {
		return err
	}
	return db.ensureMonths(ctx, time.Now())
}

// Parse reads a connection URL, and refuses one that would send a password or people's
// data over a network in the clear. The error never quotes it.
func Parse(url string) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("want a URL such as postgres://login:password@host:5432/database")
	}
	at := cfg.ConnConfig
	if at.User == "" || at.Database == "" {
		return nil, errors.New("name the login and the database: postgres://login:password@host/database")
	}
	hosts := []hostTLS{{at.Host, at.TLSConfig != nil}}
	for _, other := range at.Fallbacks {
		hosts = append(hosts, hostTLS{other.Host, other.TLSConfig != nil})
	}
	for _, h := range hosts {
		if !h.encrypted && !local(h.host) {
			return nil, errors.New("beyond this machine it needs sslmode=verify-full (or verify-ca, " +
				"require), so that nothing is sent in the clear")
		}
	}
	return cfg, nil
}

type hostTLS struct {
	host      string
	encrypted bool
}

func local(host string) bool {
	return strings.HasPrefix(host, "/") || host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// logins returns who logs in, and refuses one login for two roles.
func (c Config) logins() (app, service string, err error) {
	var users [3]string
	for i, one := range []struct{ name, url string }{
		{"DATABASE_URL", c.URL},
		{"SERVICE_DATABASE_URL", c.ServiceURL},
		{"MIGRATE_DATABASE_URL", c.MigrateURL},
	} {
		if one.url == "" && i == 2 {
			break
		}
		parsed, problem := Parse(one.url)
		if problem != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", one.name, problem))
			continue
		}
		users[i] = parsed.ConnConfig.User
	}
	if err != nil {
		return "", "", err
	}
	if users[0] == users[1] || users[0] == users[2] || users[1] == users[2] {
		return "", "", errors.New("postgres: the application, the service and the owner log in " +
			"as three roles: whoever gets SQL into a request must not be another one of them")
	}
	return users[0], users[1], nil
}

// pool opens a bounded pool.
func pool(ctx context.Context, setting, url string, conns int32) (*pgxpool.Pool, error) {
	cfg, err := Parse(url)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	if !strings.Contains(url, "pool_max_conns") {
		cfg.MaxConns = conns
	}
	if !strings.Contains(url, "default_query_exec_mode") {
		cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	cfg.ConnConfig.ConnectTimeout = cmp.Or(cfg.ConnConfig.ConnectTimeout, connectLimit)
	p, err := pgxpool.NewWithConfig(ctx, cfg)
	if err == nil {
		err = p.Ping(ctx)
	}
	if err != nil {
		if p != nil {
			p.Close()
		}
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	return p, nil
}

// call bounds one call, and refuses it once the database is closed.
func (db *DB) call(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if err := db.closed(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	return ctx, cancel, nil
}

func (db *DB) closed() error {
	select {
	case <-db.quit:
		return store.ErrClosed
	default:
		return nil
	}
}

// exec runs one statement as the service, and returns how many rows it touched.
func (db *DB) exec(ctx context.Context, statement string, args ...any) (int64, error) {
	ctx, cancel, err := db.call(ctx)
	if err != nil {
		return 0, err
	}
	defer cancel()
	tag, err := db.service.Exec(ctx, statement, args...)
	return tag.RowsAffected(), err
}

// tx runs fn in a transaction of the service.
func (db *DB) tx(ctx context.Context, fn func(context.Context, pgx.Tx) error) error {
	ctx, cancel, err := db.call(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	return pgx.BeginFunc(ctx, db.service, func(tx pgx.Tx) error { return fn(ctx, tx) })
}

// Close finishes the work already accepted, then disconnects.
func (db *DB) Close() error {
	db.closing.Do(func() { close(db.quit) })
	db.background.Wait()
	db.closePools()
	return nil
}

func (db *DB) closePools() {
	for _, p := range []*pgxpool.Pool{db.people, db.service} {
		if p != nil {
			p.Close()
		}
	}
}
