// Package settings reads what the operator configured, from the environment
// and from flags of the same names, and reports every problem at once.
package settings

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Settings is a checked configuration. It is complete once Complete has returned,
// and never changes after that.
type Settings struct {
	ListenAddr     string
	DataDir        string
	AllowedOrigins []string
	Sites          []Site
	Users          []User
	Database       Database
	Queue          Queue
	RedisURL       string
	CurrentKey     string   // QSTASH_CURRENT_SIGNING_KEY
	NextKey        string   // QSTASH_NEXT_SIGNING_KEY, may be empty
	WorkerURL      string   // where deliveries go
	PublicOrigins  []string // where browsers reach this server itself
	TrustedProxies []netip.Prefix
	SentryDSN      string
	AuditKeyFile   string // empty: audit.key in DataDir
	TLSCertFile    string
	TLSKeyFile     string
	RatePerMinute  int
	FailMode       FailMode
	CORSReportOnly bool

	// SecurityKeyRoles are the roles that act with a security key alone (AAL3).
	SecurityKeyRoles []string

	Drain       time.Duration // how long to serve on when asked to stop
	MetricsAddr string        // empty: /metrics for loopback peers on ListenAddr

	// Demo is set in demo mode, and holds what was generated.
	Demo *Demo

	// PrintDemo asks for the demo's credentials, with a new password, and nothing
	// else.
	PrintDemo bool

	public []string // the environment's public variables
}

// maxRate bounds the limits per minute.
const maxRate = 1_000_000

// FailMode is what the rate limiter does while Redis cannot be reached.
type FailMode string

// The modes of FAIL_MODE.
const (
	FailClosed FailMode = "closed"
	FailLocal  FailMode = "local"
	FailOpen   FailMode = "open"
)

// Problem is one thing wrong with the settings.
type Problem struct {
	Setting string
	Reason  string // never holds a secret
}

func (p *Problem) Error() string { return p.Setting + ": " + p.Reason }

// setting is one row of the table of settings. Production settings turn demo
// mode off by being present, even when empty.
type setting struct {
	name, fallback, usage string
	production            bool
}

var table = []setting{
	{"LISTEN_ADDR", "127.0.0.1:8080", "host:port to serve on", false},
	{"DATA_DIR", "./ingest-data", "folder of the embedded database", false},
	{"ALLOWED_ORIGINS", "", "comma list of browser origins", true},
	{"SITES_FILE", "", "JSON array of sites", true},
	{"USERS_FILE", "", "JSON array of users", true},
	{"DATABASE_URL", "", "Postgres, as the application's login; unset means SQLite in DATA_DIR", true},
	{"SERVICE_DATABASE_URL", "", "Postgres, as the service's login; needed with DATABASE_URL", true},
	{"MIGRATE_DATABASE_URL", "", "Postgres, as the owner, not through a pooler; migrates at start", true},
	{"EVENTS_KEEP_MONTHS", "14", "full months for which Postgres keeps events; 0 means for ever", false},
	{"REDIS_URL", "", "Redis for limits, sessions, replays and, with Postgres, the queue", true},
	{"QUEUE", "", "none: events are stored before they are acknowledged; qstash: Upstash delivers them", false},
	{"QUEUE_REPLICAS", "0", "how many replicas of Redis have an event before it is acknowledged", false},
	{"DANGEROUSLY_LOSSY_QUEUE", "false", "true: take a Redis that loses acknowledged events", false},
	{"QSTASH_TOKEN", "", "publishes to QStash, with QUEUE=qstash", true},
	{"QSTASH_URL", "https://qstash.upstash.io", "where QStash is", false},
	{"QSTASH_CURRENT_SIGNING_KEY", "", "signs deliveries to the worker", true},
	{"QSTASH_NEXT_SIGNING_KEY", "", "accepted too, during rotation", true},
	{"PUBLIC_ORIGIN", "", "origin at which browsers reach this server, such as https://ingest.example.com", true},
	{"WORKER_URL", "", "public URL of /api/sync/worker; derived from LISTEN_ADDR", true},
	{"TRUSTED_PROXIES", "", "comma list of CIDRs whose forwarding headers count", true},
	{"SENTRY_DSN", "", "where errors are reported, scrubbed", true},
	{"AUDIT_KEY_FILE", "", "signs checkpoints of the audit log; made where it is missing", true},
	{"TLS_CERT_FILE", "", "certificate chain, PEM", true},
	{"TLS_KEY_FILE", "", "private key, PEM", true},
	{"RATE_PER_MINUTE", "2000", "/api/sync per client address and site", false},
	{"FAIL_MODE", "closed", "limiter without Redis: closed, local or open", false},
	{"SECURITY_KEY_ROLES", "superadmin", "comma list of roles that act with a security key alone, or none", false},
	{"METRICS_ADDR", "", "host:port of a listener for /metrics alone", false},
	{"DRAIN", "5s", "how long to serve on when asked to stop, so that balancers notice; not in demo mode", false},
	{"CORS_REPORT_ONLY", "false", "true: report origins that would be refused, refuse none", false},
}

// values holds the raw settings; present tells empty from unset.
type values struct {
	text     map[string]string
	present  map[string]bool
	problems []error

	printDemo bool
}

func (v *values) get(name string) string { return v.text[name] }

func (v *values) problem(name, format string, args ...any) {
	v.problems = append(v.problems, &Problem{name, fmt.Sprintf(format, args...)})
}

// Load reads args (without the program's name) over environ (as os.Environ
// returns it). The error joins every *Problem, or is flag.ErrHelp.
func Load(args, environ []string) (*Settings, error) {
	v, err := read(args, environ)
	if err != nil {
		return nil, err
	}
	s := &Settings{
		ListenAddr: v.get("LISTEN_ADDR"), DataDir: v.get("DATA_DIR"),
		RedisURL: v.get("REDIS_URL"), SentryDSN: v.get("SENTRY_DSN"),
		CurrentKey: v.get("QSTASH_CURRENT_SIGNING_KEY"), NextKey: v.get("QSTASH_NEXT_SIGNING_KEY"),
		WorkerURL: v.get("WORKER_URL"), FailMode: FailMode(v.get("FAIL_MODE")),
		TLSCertFile: v.get("TLS_CERT_FILE"), TLSKeyFile: v.get("TLS_KEY_FILE"),
		MetricsAddr: v.get("METRICS_ADDR"), AuditKeyFile: v.get("AUDIT_KEY_FILE"),
	}
	loopback := s.common(v)
	s.securityKeyRoles(v)
	if production := v.presentProduction(); len(production) == 0 && loopback {
		s.Demo = &Demo{File: filepath.Join(s.DataDir, "demo.json")}
		s.queue(v)
		s.Drain = 0 // nobody balances
	} else {
		s.production(v, loopback)
	}
	s.public = publicVariables(environ)
	s.refusePublicCopies(v)
	if s.PrintDemo = v.printDemo; s.PrintDemo && s.Demo == nil {
		v.problem("-print-demo", "is for demo mode; a production setting is present")
	}
	if err := errors.Join(v.problems...); err != nil {
		return nil, err
	}
	return s, nil
}

// Bound says which addresses the server listens on, as host:port.
type Bound struct {
	API  string
	Page string // the demo page; empty outside demo mode
}

// Complete fills in what depends on the bound addresses and, in demo mode,
// what the operator did not configure. Call it once, before anything reads the
// settings. The error joins every *Problem.
func (s *Settings) Complete(at Bound) error {
	if s.WorkerURL == "" {
		s.WorkerURL = "http://" + reachable(at.API) + "/api/sync/worker"
	}
	if s.Demo == nil {
		return nil
	}
	if err := s.completeDemo(at); err != nil {
		return err
	}
	v := &values{}
	s.refusePublicCopies(v)
	return errors.Join(v.problems...)
}

// reachable is the address at which this process reaches itself.
func reachable(api string) string {
	host, port, _ := net.SplitHostPort(api)
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// loopbackOrigins are the names that a browser on this machine may use for it.
func loopbackOrigins(api string) []string {
	_, port, _ := net.SplitHostPort(api)
	return []string{"http://127.0.0.1:" + port, "http://localhost:" + port}
}

// common checks what demo and production share, and reports whether the
// address is a loopback one.
func (s *Settings) common(v *values) (loopback bool) {
	host := checkAddr(v, "LISTEN_ADDR", s.ListenAddr)
	addr, err := netip.ParseAddr(host)
	loopback = host == "localhost" || err == nil && addr.IsLoopback()
	if s.MetricsAddr != "" {
		checkAddr(v, "METRICS_ADDR", s.MetricsAddr)
	}
	if s.DataDir == "" {
		v.problem("DATA_DIR", "is empty; name a folder")
	}
	s.RatePerMinute, err = strconv.Atoi(v.get("RATE_PER_MINUTE"))
	if err != nil || s.RatePerMinute < 1 || s.RatePerMinute > maxRate {
		v.problem("RATE_PER_MINUTE", "want a whole number from 1 to %d", maxRate)
	}
	s.Drain, err = time.ParseDuration(v.get("DRAIN"))
	if err != nil || s.Drain < 0 || s.Drain > 10*time.Minute {
		v.problem("DRAIN", "want a duration of at most 10m, such as 5s or 0s")
	}
	s.keepMonths(v)
	switch s.FailMode {
	case FailClosed, FailLocal, FailOpen:
	default:
		v.problem("FAIL_MODE", "want closed, local or open")
	}
	s.CORSReportOnly, err = strconv.ParseBool(v.get("CORS_REPORT_ONLY"))
	if err != nil {
		v.problem("CORS_REPORT_ONLY", "want true or false")
	}
	return loopback
}

func checkAddr(v *values, name, address string) (host string) {
	host, port, err := net.SplitHostPort(address)
	if n, portErr := strconv.Atoi(port); err != nil || portErr != nil || n < 0 || n > 65535 {
		v.problem(name, "want host:port, such as 127.0.0.1:8080")
	}
	return host
}

// presentProduction names the production settings that are set.
func (v *values) presentProduction() (names []string) {
	for _, row := range table {
		if row.production && v.present[row.name] {
			names = append(names, row.name)
		}
	}
	return names
}

// read collects the raw values: flags over environment over defaults.
func read(args, environ []string) (*values, error) {
	v := &values{text: map[string]string{}, present: map[string]bool{}}
	env := make(map[string]string, len(environ))
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	flags, err := parseFlags(args, &v.printDemo)
	if err != nil {
		return nil, err
	}
	for _, row := range table {
		v.text[row.name] = row.fallback
		if value, ok := env[row.name]; ok {
			v.text[row.name], v.present[row.name] = cmp.Or(value, emptyMeansDefault(row)), true
		}
		if value, ok := flags[row.name]; ok {
			v.text[row.name], v.present[row.name] = value, true
		}
	}
	return v, nil
}

// emptyMeansDefault: LISTEN_ADDR= in an environment file is the default; an
// empty production setting stays empty, and is reported.
func emptyMeansDefault(row setting) string {
	if row.production {
		return ""
	}
	return row.fallback
}
