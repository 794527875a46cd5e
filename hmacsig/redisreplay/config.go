package redisreplay

import (
	"regexp"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
	"github.com/opsmantik/sallyport/internal/redisconn"
)

const (
	gateName        = "hmacsig/redisreplay"
	defaultPrefix   = "hmacsig:"
	defaultTimeout  = 500 * time.Millisecond
	defaultSkew     = 10 * time.Second
	maxSkew         = time.Hour
	defaultPerKeyID = 100_000
	maxPerKeyID     = 1 << 30
)

// Config configures a Store. New copies it.
type Config struct {
	_ [0]func() // keyed literals only

	// Client talks to Redis: a *redis.Client, also of Sentinel, a
	// *redis.ClusterClient or a *redis.Ring. Required. The caller closes it,
	// after the store. MaxRetries must be -1 and ContextTimeoutEnabled true: a
	// claim that is sent twice finds its own first attempt in flight, and one
	// that waits 5 seconds keeps its sender waiting.
	Client redis.UniversalClient

	// Prefix of the keys, default "hmacsig:". Letters, digits and ".:_-", at most
	// 64. The instances of one service share it. Services do not, and neither do
	// verifiers of several senders that sign nonces under no key id: two accounts
	// of Standard Webhooks could use up each other's.
	//
	//	"shop:acme:", "shop:zeta:"   permitted: two stores on one client
	//	"shop{1}:"                   refused: braces choose the cluster's slot
	Prefix string

	// PerKeyID is how many live entries one key id may have, default 100,000: at
	// a window of 360 seconds, 270 requests a second. The key id "" of schemes
	// without one has no share.
	PerKeyID int

	// Timeout bounds each command, default 500 ms.
	Timeout time.Duration

	// ClockSkew is how far the clocks of the instances may be apart, default
	// 10 seconds, at most an hour. Entries live that much longer.
	ClockSkew time.Duration

	// DangerouslyAllowEviction permits a server that may drop keys when its
	// memory is full: what it dropped can be replayed.
	DangerouslyAllowEviction bool

	// DangerouslyAllowPlaintext permits a server elsewhere without TLS: who reads
	// along learns when messages arrive and no more, but who writes along can
	// have them replayed.
	DangerouslyAllowPlaintext bool
}

var validPrefix = regexp.MustCompile(`^[A-Za-z0-9.:_-]{1,64}$`)

func (c *Config) conn() redisconn.Config {
	return redisconn.Config{
		Client: c.Client, AllowEviction: c.DangerouslyAllowEviction,
		AllowPlaintext: c.DangerouslyAllowPlaintext,
	}
}

// setDefaults fills in what is not set.
func (c *Config) setDefaults() {
	if c.Prefix == "" {
		c.Prefix = defaultPrefix
	}
	if c.PerKeyID == 0 {
		c.PerKeyID = defaultPerKeyID
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.ClockSkew == 0 {
		c.ClockSkew = defaultSkew
	}
}

// problems returns everything that is wrong, of a Config with its defaults.
func (c *Config) problems() error {
	list := configerr.For(gateName)
	redisconn.Check(list, c.conn())
	if !validPrefix.MatchString(c.Prefix) {
		list.Add("Prefix", c.Prefix, sallyport.ConfigMalformed,
			`has other characters than letters, digits and ".:_-", or more than 64`)
	}
	if c.PerKeyID < 0 || c.PerKeyID > maxPerKeyID {
		list.Add("PerKeyID", strconv.Itoa(c.PerKeyID), sallyport.ConfigOutOfRange,
			"is not between 0 and "+strconv.Itoa(maxPerKeyID))
	}
	if c.Timeout < 0 {
		list.Add("Timeout", c.Timeout.String(), sallyport.ConfigOutOfRange, "is negative")
	}
	if c.ClockSkew < 0 || c.ClockSkew > maxSkew {
		list.Add("ClockSkew", c.ClockSkew.String(), sallyport.ConfigOutOfRange,
			"is not between 0 and 1h")
	}
	return list.Err()
}
