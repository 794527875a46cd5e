package redissession

import (
	"regexp"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
	"github.com/opsmantik/sallyport/internal/redisconn"
)

const gate = "redissession"

// Config configures a [Store].
type Config struct {
	_ [0]func() // keyed literals only

	// Client is the client to use: a *redis.Client, also of Sentinel, or a
	// *redis.ClusterClient. Required. The caller closes it, after the store.
	// MaxRetries must be -1 and ContextTimeoutEnabled true, so that no command is
	// sent twice and none outlasts its deadline.
	Client redis.UniversalClient

	// Prefix begins every key. Default "sallyport:sessions". Stores that share
	// one share their sessions. Permitted: letters, digits and ".:_-", at most 64.
	Prefix string

	// Resolution is the shortest time between two recorded uses of a session, and
	// so how much too early it may end. Default a second; at most a minute. A
	// nanosecond records every use, at the price of two writes each.
	Resolution time.Duration

	// MaxSessions is the most sessions kept. Default 1,000,000. Each shard takes
	// its part; one that is full refuses with sessions.ErrFull.
	MaxSessions int

	// Shards is into how many parts the sessions are divided, by user: as many
	// slots of a Cluster hold them. Default 16; at most 1024. All stores of one
	// prefix must agree: another number is another store.
	Shards int

	// DangerouslyAllowEviction permits a server that may drop keys when its memory
	// is full: people are signed out at random, and ended sessions may come back
	// when an epoch is dropped.
	DangerouslyAllowEviction bool

	// DangerouslyAllowPlaintext permits a server elsewhere without TLS: who reads
	// along sees users and their data. Tokens are hashed.
	DangerouslyAllowPlaintext bool
}

var validPrefix = regexp.MustCompile(`^[A-Za-z0-9.:_-]{1,64}$`)

func (c Config) withDefaults() Config {
	if c.Prefix == "" {
		c.Prefix = "sallyport:sessions"
	}
	if c.Resolution == 0 {
		c.Resolution = time.Second
	}
	if c.MaxSessions == 0 {
		c.MaxSessions = 1_000_000
	}
	if c.Shards == 0 {
		c.Shards = 16
	}
	return c
}

func (c Config) conn() redisconn.Config {
	return redisconn.Config{
		Client: c.Client, AllowEviction: c.DangerouslyAllowEviction,
		AllowPlaintext: c.DangerouslyAllowPlaintext,
	}
}

func (c Config) validate() error {
	bad := configerr.For(gate)
	redisconn.Check(bad, c.conn())
	checkPrefix(bad, c.Prefix)
	if c.Resolution < time.Nanosecond || c.Resolution > time.Minute {
		bad.Add("Resolution", c.Resolution.String(), sallyport.ConfigOutOfRange,
			"want between a nanosecond and a minute")
	}
	if c.Shards < 1 || c.Shards > 1024 {
		bad.Add("Shards", strconv.Itoa(c.Shards), sallyport.ConfigOutOfRange,
			"want between 1 and 1024")
	}
	if c.MaxSessions < c.Shards {
		bad.Add("MaxSessions", strconv.Itoa(c.MaxSessions), sallyport.ConfigOutOfRange,
			"want at least one for each shard")
	}
	return bad.Err()
}

func checkPrefix(bad *configerr.List, prefix string) {
	if !validPrefix.MatchString(prefix) {
		bad.Add("Prefix", prefix, sallyport.ConfigMalformed,
			`want at most 64 letters, digits and ".:_-"`)
	}
}
