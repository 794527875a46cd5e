package redisreplay

import (
	"context"
	"crypto/rand"
	"crypto/sha1" // #nosec G505 -- how Redis names scripts
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/internal/configerr"
	"github.com/opsmantik/sallyport/internal/redisconn"
)

// What claimScript answers, beside the token of the holder.
const (
	claimed = ""
	done    = "done"
	full    = "full"
)

// Store is an hmacsig.ReplayStore. It is safe for concurrent use. The client
// remains the caller's to close. The zero Store and nil answer every call with an
// error.
type Store struct {
	cfg      Config
	conn     *redisconn.Conn // nil before New
	instance string          // random, tells this process's claims from others'
}

var (
	_ hmacsig.ReplayStore = (*Store)(nil)

	errNotNew = errors.New("hmacsig/redisreplay: the Store was not made by New")
)

// New makes a Store, or returns every problem of cfg at once, each a
// *sallyport.ConfigError. It connects: a server that says no is an error, and one
// that does not answer is an outage, during which requests are refused.
func New(cfg Config) (*Store, error) {
	cfg.setDefaults()
	if err := cfg.problems(); err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, instance: rand.Text() + ":"}
	conn := cfg.conn()
	conn.Probe = s.probe
	s.conn = redisconn.New(conn)
	if err := s.conn.Connect(context.Background()); err != nil && redisconn.Refused(err) {
		list := configerr.For(gateName)
		list.Add("Client", "", sallyport.ConfigUnavailable, err.Error())
		return nil, list.Err()
	}
	s.conn.Keep()
	return s, nil
}

// Close ends the goroutine that keeps connections ready. The client stays open.
func (s *Store) Close() {
	if s != nil && s.conn != nil {
		s.conn.Close()
	}
}

// probe does what the store will do, with a message that is nobody's.
func (s *Store) probe(ctx context.Context, _ redis.UniversalClient) error {
	now := time.Now()
	e := hmacsig.ReplayEntry{KeyID: "probe:" + s.instance, At: now, Until: now.Add(time.Second)}
	if _, err := s.Claim(ctx, e); err != nil {
		return err
	}
	return s.Release(ctx, e)
}

// script is a Lua script and the name that a server knows it by.
type script struct{ source, hash string }

func newScript(source string) script {
	sum := sha1.Sum([]byte(source)) // #nosec G401 -- a name, not a proof
	return script{source, hex.EncodeToString(sum[:])}
}

// claimScript takes an entry for a token, unless somebody has it or the share of
// its key id is full.
//
//	KEYS  the entry, the share
//	ARGV  the token, the time to live in ms, the share's size or 0, the entry's
//	      name in the share
var claimScript = newScript(`
local held = redis.call("GET", KEYS[1])
if held then
	return held
end
local share = tonumber(ARGV[3])
if share > 0 then
	local time = redis.call("TIME")
	local now = time[1] * 1000 + math.floor(time[2] / 1000)
	redis.call("ZREMRANGEBYSCORE", KEYS[2], "-inf", now)
	if redis.call("ZCARD", KEYS[2]) >= share then
		return "full"
	end
	redis.call("ZADD", KEYS[2], now + ARGV[2], ARGV[4])
	if redis.call("PTTL", KEYS[2]) < tonumber(ARGV[2]) then
		redis.call("PEXPIRE", KEYS[2], ARGV[2])
	end
end
redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
return ""`)

// settleScript ends the claim of a token: it becomes "done" for the rest of its
// time, or goes away. Whatever else is there stays.
//
//	KEYS  the entry, the share
//	ARGV  the token, "done" or "", the entry's name in the share
var settleScript = newScript(`
if redis.call("GET", KEYS[1]) ~= ARGV[1] then
	return 0
end
if ARGV[2] == "" then
	redis.call("ZREM", KEYS[2], ARGV[3])
	return redis.call("DEL", KEYS[1])
end
redis.call("SET", KEYS[1], ARGV[2], "KEEPTTL")
return 1`)

// Claim implements hmacsig.ReplayStore.
func (s *Store) Claim(ctx context.Context, e hmacsig.ReplayEntry) (hmacsig.ClaimState, error) {
	if s == nil || s.conn == nil {
		return 0, errNotNew
	}
	share := s.cfg.PerKeyID
	if e.KeyID == "" {
		share = 0
	}
	names := s.names(e)
	answer, err := s.run(ctx, claimScript, names,
		s.token(e), s.ttl(e).Milliseconds(), share, names.id)
	if err != nil {
		if !errors.Is(err, redisconn.ErrBusy) {
			// It may have been made: give it up, as well as that can be done.
			_ = s.settle(context.WithoutCancel(ctx), e, "")
		}
		return 0, err
	}
	switch answer {
	case claimed:
		return hmacsig.Claimed, nil
	case done:
		return hmacsig.Replayed, nil
	case full:
		return hmacsig.ShareFull, nil
	}
	return hmacsig.InFlight, nil
}

// Confirm implements hmacsig.ReplayStore.
func (s *Store) Confirm(ctx context.Context, e hmacsig.ReplayEntry) error {
	return s.settle(ctx, e, done)
}

// Release implements hmacsig.ReplayStore.
func (s *Store) Release(ctx context.Context, e hmacsig.ReplayEntry) error {
	return s.settle(ctx, e, "")
}

func (s *Store) settle(ctx context.Context, e hmacsig.ReplayEntry, state string) error {
	if s == nil || s.conn == nil {
		return errNotNew
	}
	names := s.names(e)
	_, err := s.run(ctx, settleScript, names, s.token(e), state, names.id)
	return err
}

// run sends a script by its hash. A server that does not know it has done
// nothing, so that alone is sent again, whole.
func (s *Store) run(ctx context.Context, sc script, n names, args ...any) (string, error) {
	deadline := time.Now().Add(s.cfg.Timeout)
	words := append([]any{"evalsha", sc.hash, 2, n.entry, n.share}, args...)
	cmd := redis.NewCmd(ctx, words...)
	err := s.conn.Process(ctx, deadline, cmd)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		words[0], words[1] = "eval", sc.source
		cmd = redis.NewCmd(ctx, words...)
		err = s.conn.Process(ctx, deadline, cmd)
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprint(cmd.Val()), nil
}

// token names one claim: this process and the nanosecond of its decision.
func (s *Store) token(e hmacsig.ReplayEntry) string {
	return s.instance + strconv.FormatInt(e.At.UnixNano(), 36)
}

// names are the keys of a message, and its name in the share of its key id.
type names struct{ entry, share, id string }

// names are short, of one length, and show neither the key id nor the MAC. The
// braces keep a key id's keys in one slot of a cluster.
func (s *Store) names(e hmacsig.ReplayEntry) names {
	tenant := sha256.Sum256([]byte(e.KeyID))
	share := s.cfg.Prefix + "{" + base64.RawURLEncoding.EncodeToString(tenant[:15]) + "}"
	message := sha256.Sum256(e.ID[:])
	id := base64.RawURLEncoding.EncodeToString(message[:18])
	return names{entry: share + id, share: share, id: id}
}

func (s *Store) ttl(e hmacsig.ReplayEntry) time.Duration {
	return max(e.Until.Sub(e.At), 0) + max(s.cfg.ClockSkew, time.Millisecond)
}
