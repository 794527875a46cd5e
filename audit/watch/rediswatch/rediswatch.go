package rediswatch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit/watch"
	"github.com/opsmantik/sallyport/internal/configerr"
	"github.com/opsmantik/sallyport/internal/redisconn"
)

// Config configures a Merger. New copies it.
type Config struct {
	_ [0]func() // keyed literals only

	// Client talks to Redis. Required. The caller closes it, after the merger. MaxRetries
	// must be -1, or counts are added twice, and ContextTimeoutEnabled true.
	Client redis.UniversalClient
	// Prefix of the keys, default "watch:". The instances of one service share it.
	Prefix string
	// Wait is how long the others have to add their counts. Default 5 seconds, at most 30.
	Wait time.Duration
	// Timeout bounds each command, default 2 seconds.
	Timeout time.Duration
	// DangerouslyAllowPlaintext permits a server elsewhere without TLS.
	DangerouslyAllowPlaintext bool
}

const gate = "audit/watch/rediswatch"

var validPrefix = regexp.MustCompile(`^[A-Za-z0-9.:_-]{1,64}$`)

// Merger is a watch.Merger. It is safe for concurrent use.
type Merger struct {
	cfg  Config
	conn *redisconn.Conn
}

var _ watch.Merger = (*Merger)(nil)

// New makes a Merger. It connects: a server that says no is an error; one that does not
// answer is an outage, during which minutes are left out.
func New(cfg Config) (*Merger, error) {
	if cfg.Prefix == "" {
		cfg.Prefix = "watch:"
	}
	if cfg.Wait == 0 {
		cfg.Wait = 5 * time.Second
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 2 * time.Second
	}
	// What an eviction takes is gone in five minutes anyhow.
	conn := redisconn.Config{
		Client: cfg.Client, AllowEviction: true, AllowPlaintext: cfg.DangerouslyAllowPlaintext,
	}
	list := configerr.For(gate)
	redisconn.Check(list, conn)
	if !validPrefix.MatchString(cfg.Prefix) {
		list.Add("Prefix", cfg.Prefix, sallyport.ConfigMalformed,
			`has other characters than letters, digits and ".:_-", or more than 64`)
	}
	if cfg.Wait < 0 || cfg.Wait > 30*time.Second {
		list.Add("Wait", cfg.Wait.String(), sallyport.ConfigOutOfRange, "want up to 30 seconds")
	}
	if cfg.Timeout < 0 {
		list.Add("Timeout", cfg.Timeout.String(), sallyport.ConfigOutOfRange, "is negative")
	}
	if err := list.Err(); err != nil {
		return nil, err
	}
	m := &Merger{cfg, redisconn.New(conn)}
	if err := m.conn.Connect(context.Background()); err != nil && redisconn.Refused(err) {
		list.Add("Client", "", sallyport.ConfigUnavailable, err.Error())
		return nil, list.Err()
	}
	m.conn.Keep()
	return m, nil
}

// Close ends the goroutine that keeps connections ready. The client stays open.
func (m *Merger) Close() {
	if m != nil && m.conn != nil {
		m.conn.Close()
	}
}

const (
	// keep is how long the counts of a minute are kept.
	keep = 5 * time.Minute
	// chunk bounds the counts of one script.
	chunk = 2000
)

// addScript adds counts to those of a minute.
//
//	KEYS  the minute
//	ARGV  the time to live in ms, then an index and a count by turns
const addScript = `
for i = 2, #ARGV, 2 do
	redis.call("HINCRBY", KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call("PEXPIRE", KEYS[1], ARGV[1])
return ""`

var errNotNew = errors.New(gate + ": the Merger was not made by New")

// Sum implements watch.Merger.
func (m *Merger) Sum(
	ctx context.Context, layout string, minute time.Time, counts []uint64,
) ([]uint64, error) {
	if m == nil || m.conn == nil {
		return nil, errNotNew
	}
	name := m.cfg.Prefix + "sum:" + layout + ":" + strconv.FormatInt(minute.Unix()/60, 10)
	if err := m.add(ctx, name, counts); err != nil {
		return nil, err
	}
	wait := time.NewTimer(m.cfg.Wait)
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-wait.C:
	}
	cmd := redis.NewMapStringStringCmd(ctx, "hgetall", name)
	if err := m.conn.Process(ctx, time.Now().Add(m.cfg.Timeout), cmd); err != nil {
		return nil, err
	}
	return parse(cmd.Val(), len(counts))
}

func (m *Merger) add(ctx context.Context, name string, counts []uint64) error {
	var pairs []any
	send := func() error {
		words := append([]any{"eval", addScript, 1, name, keep.Milliseconds()}, pairs...)
		pairs = pairs[:0]
		return m.conn.Process(ctx, time.Now().Add(m.cfg.Timeout), redis.NewCmd(ctx, words...))
	}
	for i, n := range counts {
		if n > 0 {
			pairs = append(pairs, i, n)
		}
		if len(pairs) >= 2*chunk {
			if err := send(); err != nil {
				return err
			}
		}
	}
	return send()
}

// parse reads the sums. What is not ours is an error, and not a count.
func parse(fields map[string]string, n int) ([]uint64, error) {
	sums := make([]uint64, n)
	for field, value := range fields {
		i, err := strconv.Atoi(field)
		if err != nil || i < 0 || i >= n {
			return nil, fmt.Errorf("%s: the field %q is not ours", gate, field)
		}
		if sums[i], err = strconv.ParseUint(value, 10, 63); err != nil {
			return nil, fmt.Errorf("%s: the field %q is no count", gate, field)
		}
	}
	return sums, nil
}

// Claim implements watch.Merger.
func (m *Merger) Claim(ctx context.Context, id string, d time.Duration) (bool, error) {
	if m == nil || m.conn == nil {
		return false, errNotNew
	}
	sum := sha256.Sum256([]byte(id))
	cmd := redis.NewCmd(ctx, "set", m.cfg.Prefix+"told:"+hex.EncodeToString(sum[:]), "1",
		"nx", "px", d.Milliseconds())
	err := m.conn.Process(ctx, time.Now().Add(m.cfg.Timeout), cmd)
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return err == nil, err
}
