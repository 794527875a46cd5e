package redislimit

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opsmantik/sallyport/ratelimit"
)

// Config configures a Store. New copies it.
type Config struct {
	_ [0]func() // keyed literals only

	// URL of the server: redis://user:password@host:6379/0, rediss:// for TLS,
	// and ?addr=host:port for each further node of a Cluster. Either URL or
	// Redis is required.
	URL string
	// Redis gives the connection in full: Sentinel, client certificates, pool
	// size. Its timeouts and retries are replaced: a decision must be made in
	// time, and an unknown outcome must not be charged twice.
	Redis *redis.UniversalOptions
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

	// DangerouslyAllowEviction accepts a server that drops keys when its
	// memory is full. Each dropped key is a bucket that starts full again.
	DangerouslyAllowEviction bool

	// OnState, if set, is called when the store goes out (err is the cause) and
	// when it comes back (err is nil). It must return quickly and not use the Store.
	OnState func(err error)
}

const clusterBreakers = 32

// New returns a Store, or every problem of the configuration at once. A server
// that cannot be reached is no problem: the store starts out and connects as
// soon as it can. A server that answers but may evict keys is one.
//
// Close the store when done.
func New(cfg Config) (*Store, error) {
	var errs []error
	bad := func(field, value, reason string) {
		errs = append(errs, &ratelimit.ConfigError{
			Field: "redislimit." + field, Value: value, Reason: reason,
		})
	}
	options, reason := cfg.options()
	if reason != "" {
		bad("URL", "", reason) // it may hold a password
	}
	if len(cfg.Secret) < 16 {
		bad("Secret", "", "want at least 16 bytes")
	}
	cfg = cfg.withDefaults()
	if len(cfg.Prefix) > 32 || slices.ContainsFunc([]byte(cfg.Prefix), isBrace) {
		bad("Prefix", cfg.Prefix, "want at most 32 bytes, without braces")
	}
	if cfg.Timeout < time.Millisecond || cfg.Timeout > 5*time.Second {
		bad("Timeout", cfg.Timeout.String(), "want 1ms to 5s")
	}
	if cfg.Batch < 1 || cfg.Batch > 128 {
		bad("Batch", strconv.Itoa(cfg.Batch), "want 1 to 128")
	}
	if cfg.Lease < 0 || cfg.Lease > 100_000 {
		bad("Lease", strconv.Itoa(cfg.Lease), "want 0 to 100,000")
	}
	if cfg.LeaseTime < 10*time.Millisecond || cfg.LeaseTime > time.Minute {
		bad("LeaseTime", cfg.LeaseTime.String(), "want 10ms to 1m")
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	s := newStore(cfg, harden(options, cfg.Timeout))
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func isBrace(c byte) bool { return c == '{' || c == '}' }

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

// options returns a copy of the connection options, or what is wrong.
func (cfg Config) options() (redis.UniversalOptions, string) {
	switch {
	case (cfg.URL == "") == (cfg.Redis == nil):
		return redis.UniversalOptions{}, "set either URL or Redis"
	case cfg.Redis != nil && len(cfg.Redis.Addrs) == 0:
		return redis.UniversalOptions{}, "Redis.Addrs is empty"
	case cfg.Redis != nil:
		return *cfg.Redis, ""
	}
	const reason = "is not a redis:// or rediss:// URL"
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return redis.UniversalOptions{}, reason
	}
	if u.Query().Has("addr") {
		o, err := redis.ParseClusterURL(cfg.URL)
		if err != nil {
			return redis.UniversalOptions{}, reason
		}
		return redis.UniversalOptions{
			Addrs: o.Addrs, Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig,
			PoolSize: o.PoolSize, IsClusterMode: true,
		}, ""
	}
	o, err := redis.ParseURL(cfg.URL)
	if err != nil {
		return redis.UniversalOptions{}, reason
	}
	return redis.UniversalOptions{
		Addrs: []string{o.Addr}, Username: o.Username, Password: o.Password, DB: o.DB,
		TLSConfig: o.TLSConfig, PoolSize: o.PoolSize,
	}, ""
}

// harden replaces what go-redis is generous with: it would wait 5 seconds per
// attempt, try four times, and dial five times.
func harden(o redis.UniversalOptions, timeout time.Duration) *redis.UniversalOptions {
	o.ContextTimeoutEnabled = true
	o.MaxRetries = -1
	o.DialTimeout = timeout
	o.DialerRetries = 1
	o.DialerRetryTimeout = time.Millisecond
	o.ReadTimeout = timeout
	o.WriteTimeout = timeout
	o.PoolTimeout = timeout
	// Reads from replicas would be stale, and every decision writes.
	o.ReadOnly, o.RouteByLatency, o.RouteRandomly = false, false, false
	return &o
}
