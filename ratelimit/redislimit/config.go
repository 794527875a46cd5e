package redislimit

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
	"github.com/opsmantik/sallyport/internal/redisconn"
)

const gate = "redislimit"

// Config configures a Store. New copies it.
type Config struct {
	_ [0]func() // keyed literals only

	// Client talks to Redis: a *redis.Client (Sentinel included) or a
	// *redis.ClusterClient. It stays the caller's to close, after the Store, and
	// may be shared with other stores. Required. New refuses a client that sends
	// commands again (MaxRetries must be -1), ignores the deadlines of contexts
	// (ContextTimeoutEnabled must be set), reads from replicas or accepts any
	// certificate; [NewClient] makes one that is right. Its DialTimeout bounds
	// connecting, which happens before a connection is needed.
	Client redis.UniversalClient
	// Secret keys the hashes under which buckets are stored. All instances
	// need the same; a new one starts all buckets afresh. Required, at least
	// 16 bytes.
	Secret []byte
	// Prefix of every key, for access control lists. Default "rl:", at most 32
	// bytes, without braces.
	Prefix string

	// Timeout bounds a decision. Default 50ms; 1ms to 5s.
	Timeout time.Duration
	// Batch is how many concurrent decisions may share one script call. 1
	// sends each alone. Default 64; at most 128.
	Batch int
	// Lease, if set, takes up to so many units of a busy key ahead and admits
	// from them without asking Redis. See the package documentation for what
	// that costs in precision. Default 0, none; at most 100,000.
	Lease int
	// LeaseTime is how long units taken ahead may be used. Default 1s; 10ms to
	// 1m.
	LeaseTime time.Duration

	// DangerouslyAllowPlaintext accepts a server on another machine without TLS:
	// whoever sees the network sees the password, and can change every answer.
	DangerouslyAllowPlaintext bool
	// DangerouslyAllowEviction accepts a server that drops keys when its
	// memory is full. Each dropped key is a bucket that starts full again.
	DangerouslyAllowEviction bool

	// OnState, if set, is called when the store goes out (err is the cause) and
	// when it comes back (err is nil). It must return quickly and not use the Store.
	OnState func(err error)
}

const (
	minSecret = 16
	maxPrefix = 32
	maxBatch  = 128
	maxLease  = 100_000
)

// NewClient makes a client for a URL, with the options that a Store needs:
//
//	redis://user:password@localhost:6379/0                  // a server on this machine
//	rediss://user:password@redis.example:6379/0             // with TLS
//	rediss://10.0.0.1:6379?addr=10.0.0.2:6379               // a Cluster: further nodes
//	rediss://10.0.0.1:26379?master_name=m&addr=10.0.0.2:26379 // Sentinel
//	unix:///run/redis.sock
//
// It does not connect. Close it when done.
func NewClient(url string) (redis.UniversalClient, error) {
	client, err := redisconn.Open(url)
	if err != nil {
		problems := configerr.For(gate)
		problems.Add("URL", "", sallyport.ConfigMalformed, err.Error()) // it may hold a password
		return nil, problems.Err()
	}
	return client, nil
}

// New connects and returns a Store, or every problem of the configuration at once,
// each a *[sallyport.ConfigError]. A server that cannot be reached is no problem:
// the store starts out, and connects as soon as it can. A server that says no is
// one: to the password, to a command that the store needs, or because it may evict
// keys; so is a certificate that does not verify. New takes two seconds at most.
//
// Close the store when done, before the client.
func New(cfg Config) (*Store, error) {
	problems := configerr.For(gate)
	cfg = cfg.withDefaults()
	cfg.check(problems)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	s := newStore(cfg)
	if err := s.start(); err != nil {
		problems.Add("Client", "", sallyport.ConfigUnavailable, err.Error())
		return nil, errors.Join(problems.Err(), s.Close())
	}
	return s, nil
}

func (cfg Config) check(problems *configerr.List) {
	redisconn.Check(problems, redisconn.Config{
		Client: cfg.Client, AllowPlaintext: cfg.DangerouslyAllowPlaintext,
	})
	if _, ring := cfg.Client.(*redis.Ring); ring {
		problems.Add("Client", "", sallyport.ConfigConflict, "is a *redis.Ring, which moves keys "+
			"when a server fails: each would be a bucket that starts full again")
	}
	if len(cfg.Secret) < minSecret {
		problems.Add("Secret", "", sallyport.ConfigInsecure, "want at least 16 bytes")
	}
	wrong := func(is bool, field, value, want string) {
		if is {
			problems.Add(field, value, sallyport.ConfigOutOfRange, want)
		}
	}
	wrong(len(cfg.Prefix) > maxPrefix || strings.ContainsAny(cfg.Prefix, "{}"), "Prefix", cfg.Prefix,
		"want at most 32 bytes, without braces")
	wrong(cfg.Timeout < time.Millisecond || cfg.Timeout > 5*time.Second, "Timeout",
		cfg.Timeout.String(), "want 1ms to 5s")
	wrong(cfg.Batch < 1 || cfg.Batch > maxBatch, "Batch", strconv.Itoa(cfg.Batch), "want 1 to 128")
	wrong(cfg.Lease < 0 || cfg.Lease > maxLease, "Lease", strconv.Itoa(cfg.Lease),
		"want 0 to 100,000")
	wrong(cfg.LeaseTime < 10*time.Millisecond || cfg.LeaseTime > time.Minute, "LeaseTime",
		cfg.LeaseTime.String(), "want 10ms to 1m")
}

func (cfg Config) withDefaults() Config {
	cfg.Secret = slices.Clone(cfg.Secret)
	if cfg.Prefix == "" {
		cfg.Prefix = "rl:"
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 50 * time.Millisecond
	}
	if cfg.Batch == 0 {
		cfg.Batch = 64
	}
	if cfg.LeaseTime == 0 {
		cfg.LeaseTime = time.Second
	}
	return cfg
}
