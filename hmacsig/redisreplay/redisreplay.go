// Package redisreplay is an hmacsig.ReplayStore on Redis, for several
// instances behind a balancer.
//
// # Guarantees
//
// A claim is one command, SET key token NX GET PX ttl, so it is atomic and
// tells in the same step whether somebody else is at it or was done. Only the
// token's holder can confirm or release it, however late that arrives. The time
// to live covers the whole remaining acceptance window and a margin for
// clocks that differ. With a single-node client nothing is ever sent twice (a
// cluster client resends after network errors, and a message whose claim was
// sent twice is refused as in flight): when an answer does not arrive, the
// outcome is unknown and the request is refused with
// hmacsig.CodeReplayUnavailable; the claim that may have been made is then
// given up by its token, so that the sender's retry is not stuck
// behind a claim that nobody holds. If that fails as well, the message stays
// in flight until it expires.
//
// # Not guaranteed
//
// Redis replicates asynchronously: a failover can forget claims of the last
// moments, and a message from that moment be accepted once more. A server that
// evicts keys (maxmemory with a policy other than noeviction) or loses them on
// restart forgets as well. Use noeviction, and appendfsync where a restart
// must not open the window. A redis.Ring forgets when one of its servers goes
// down or comes back, because keys move to another server. It needs Redis 7.0 or later, or Valkey, because
// NX and GET go together only since then.
//
// # Cost
//
// Two round trips per accepted request: the claim and its confirmation. About
// 160 bytes of Redis memory per live entry. Every entry is one key, so a
// cluster needs no hash tags.
package redisreplay

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/internal/configerr"
)

const (
	defaultPrefix  = "hmacsig:"
	defaultTimeout = 500 * time.Millisecond
	defaultSkew    = 10 * time.Second
	maxSkew        = time.Hour
	done           = "done"
)

// Config configures a Store. New copies it.
type Config struct {
	_ [0]func() // keyed literals only

	// Client talks to Redis: a *redis.Client, *redis.ClusterClient or
	// *redis.Ring. Required. Its MaxRetries must be negative: a claim that is
	// sent twice finds its own first attempt in flight.
	Client redis.UniversalClient
	// Prefix of the keys, default "hmacsig:". The instances of one service share
	// it. Services do not, and neither do verifiers of several senders that sign
	// nonces under no key id: two accounts of Standard Webhooks could use up
	// each other's.
	//
	//	"shop:webhooks:acme:"   and "shop:webhooks:zeta:": two stores, one client
	Prefix string
	// Timeout bounds each command, default 500 ms.
	Timeout time.Duration
	// ClockSkew is how far the clocks of the instances may be apart, default
	// 10 seconds, at most an hour. Entries live that much longer.
	ClockSkew time.Duration
}

// Store is an hmacsig.ReplayStore. It is safe for concurrent use. The client
// remains the caller's to close.
type Store struct {
	cfg      Config
	instance string // random, tells this process's claims from others'
}

var (
	_ hmacsig.ReplayStore = (*Store)(nil)

	errNotNew = errors.New("hmacsig/redisreplay: the Store was not made by New")
)

// New makes a Store. Every problem is reported at once, each a
// *sallyport.ConfigError. It does not connect.
func New(cfg Config) (*Store, error) {
	list := configerr.For("hmacsig/redisreplay")
	if problem := clientProblem(cfg.Client); problem != "" {
		list.Add("Client", "", sallyport.ConfigInsecure, problem)
	}
	if cfg.Timeout < 0 {
		list.Add("Timeout", cfg.Timeout.String(), sallyport.ConfigOutOfRange, "is negative")
	}
	if cfg.ClockSkew < 0 || cfg.ClockSkew > maxSkew {
		list.Add("ClockSkew", cfg.ClockSkew.String(), sallyport.ConfigOutOfRange, "is not between 0 and 1h")
	}
	if err := list.Err(); err != nil {
		return nil, err
	}
	if cfg.Prefix == "" {
		cfg.Prefix = defaultPrefix
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.ClockSkew == 0 {
		cfg.ClockSkew = defaultSkew
	}
	return &Store{cfg: cfg, instance: rand.Text() + ":"}, nil
}

// clientProblem says what is wrong with a client: that it is of a type whose
// options cannot be seen, or resends commands by itself. go-redis turns a
// negative MaxRetries into 0 when it makes the client. A cluster's client has
// MaxRedirects instead, which follows MOVED and never resends what was carried
// out, but also retries on network errors.
func clientProblem(client redis.UniversalClient) string {
	retries := 0
	switch c := client.(type) {
	case nil:
		return "is required"
	case *redis.Client:
		retries = c.Options().MaxRetries
	case *redis.ClusterClient:
		retries = c.Options().MaxRetries
	case *redis.Ring:
		retries = c.Options().MaxRetries
	default:
		return "is of an unknown type, which might retry commands"
	}
	if retries > 0 {
		return "retries commands; set MaxRetries to -1"
	}
	return ""
}

// Claim implements hmacsig.ReplayStore.
func (s *Store) Claim(ctx context.Context, e hmacsig.ReplayEntry) (hmacsig.ClaimState, error) {
	if s == nil || s.cfg.Client == nil {
		return 0, errNotNew
	}
	key, token := s.key(e), s.token(e)
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	held, err := s.cfg.Client.SetArgs(ctx, key, token, redis.SetArgs{
		Mode: "NX", Get: true, TTL: s.ttl(e),
	}).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return hmacsig.Claimed, nil
	case err != nil:
		// It may have been made: give it up, as well as that can be done.
		_ = s.settle(context.WithoutCancel(ctx), key, token, "")
		return 0, err
	case held == done:
		return hmacsig.Replayed, nil
	}
	return hmacsig.InFlight, nil
}

// settleScript ends the claim of a token: it becomes "done" for the rest of
// its time, or goes away. Whatever else is there stays.
var settleScript = redis.NewScript(`
if redis.call("GET", KEYS[1]) ~= ARGV[1] then
	return 0
end
if ARGV[2] == "" then
	return redis.call("DEL", KEYS[1])
end
redis.call("SET", KEYS[1], ARGV[2], "KEEPTTL")
return 1`)

// Confirm implements hmacsig.ReplayStore.
func (s *Store) Confirm(ctx context.Context, e hmacsig.ReplayEntry) error {
	if s == nil || s.cfg.Client == nil {
		return errNotNew
	}
	return s.settle(ctx, s.key(e), s.token(e), done)
}

// Release implements hmacsig.ReplayStore.
func (s *Store) Release(ctx context.Context, e hmacsig.ReplayEntry) error {
	if s == nil || s.cfg.Client == nil {
		return errNotNew
	}
	return s.settle(ctx, s.key(e), s.token(e), "")
}

func (s *Store) settle(ctx context.Context, key, token, state string) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	return settleScript.Run(ctx, s.cfg.Client, []string{key}, token, state).Err()
}

// token names one claim: this process and the nanosecond of its decision.
func (s *Store) token(e hmacsig.ReplayEntry) string {
	return s.instance + strconv.FormatInt(e.At.UnixNano(), 36)
}

// key is short, of one length, and shows neither the key id nor the MAC.
func (s *Store) key(e hmacsig.ReplayEntry) string {
	sum := sha256.New()
	sum.Write(e.ID[:])
	sum.Write([]byte(e.KeyID))
	return s.cfg.Prefix + base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:18])
}

func (s *Store) ttl(e hmacsig.ReplayEntry) time.Duration {
	return max(e.Until.Sub(e.At), 0) + s.cfg.ClockSkew
}
