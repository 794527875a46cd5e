package redislimit

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"hash/maphash"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opsmantik/sallyport/internal/redisconn"
	"github.com/opsmantik/sallyport/ratelimit"
)

//go:embed take.lua
var takeSource string

//go:embed enter.lua
var enterSource string

// Store keeps buckets in Redis. It implements ratelimit.Store. The zero value
// answers nothing, which refuses. It is safe for concurrent use.
type Store struct {
	cfg      Config
	conn     *redisconn.Conn
	cluster  bool
	names    *namer
	seed     maphash.Seed
	take     *redis.Script
	enter    *redis.Script
	lanes    lanes
	memo     *memo
	breakers []breaker
	counters counters
	calls    sync.Pool
}

// Stats are counts since the start.
type Stats struct {
	Decisions uint64 // asked of this store
	Local     uint64 // of these, answered without Redis: denials and leases
	Calls     uint64 // script calls sent
	Failures  uint64 // of these, failed
	// Unknown bounds the decisions whose script call was sent and not answered
	// in time. Each may still have been charged, late and at most once.
	Unknown uint64
	Outages uint64 // times a breaker opened
}

type counters struct {
	decisions, local, calls, failures, unknown, outages atomic.Uint64
}

var (
	errNotConfigured = errors.New("redislimit: zero value used; call New")
	errCrossSlot     = errors.New(
		"redislimit: policies decided together are in different Cluster slots; put them in one tenant")
	errReply = errors.New("redislimit: unexpected reply")
)

const clusterBreakers = 32

func newStore(cfg Config) *Store {
	s := &Store{
		cfg:   cfg,
		names: newNamer(cfg.Prefix, cfg.Secret),
		seed:  maphash.MakeSeed(),
		take:  redis.NewScript(takeSource),
		enter: redis.NewScript(enterSource),
		memo:  newMemo(cfg),
	}
	s.conn = redisconn.New(redisconn.Config{
		Client: cfg.Client, AllowEviction: cfg.DangerouslyAllowEviction,
		Probe: func(ctx context.Context, _ redis.UniversalClient) error {
			return s.probe(ctx, "start")
		},
	})
	s.conn.Keep()
	_, s.cluster = cfg.Client.(*redis.ClusterClient)
	s.breakers = make([]breaker, 1)
	if s.cluster {
		s.breakers = make([]breaker, clusterBreakers)
	}
	s.calls.New = func() any { return newCall() }
	return s
}

// start connects. Only a server that says no is an error.
func (s *Store) start() error {
	err := s.conn.Connect(context.Background())
	if redisconn.Refused(err) {
		return err
	}
	if err != nil {
		for i := range s.breakers {
			s.breakers[i].fail(s, s.tagFor(i), err, maxFailures)
		}
	}
	return nil
}

// tagFor returns a hash tag in the part of the slots that a breaker answers
// for: probing another part would tell of another node.
func (s *Store) tagFor(i int) string {
	for n := 0; ; n++ {
		if tag := strconv.Itoa(n); s.breaker(tag) == &s.breakers[i] {
			return tag
		}
	}
}

// Close ends what the store does in the background. The client stays open. It
// never fails.
func (s *Store) Close() error {
	if s == nil || s.conn == nil {
		return nil
	}
	for i := range s.breakers {
		s.breakers[i].close()
	}
	s.conn.Close()
	return nil
}

// Stats returns the counts so far.
func (s *Store) Stats() Stats {
	c := &s.counters
	return Stats{
		Decisions: c.decisions.Load(), Local: c.local.Load(), Calls: c.calls.Load(),
		Failures: c.failures.Load(), Unknown: c.unknown.Load(), Outages: c.outages.Load(),
	}
}

func (s *Store) changed(err error) {
	if s.cfg.OnState != nil {
		s.cfg.OnState(err)
	}
}

// Take implements ratelimit.Store: one script call, shared with concurrent
// decisions, or none if the answer is already known.
func (s *Store) Take(
	ctx context.Context, policies []ratelimit.Policy, results []ratelimit.Result,
) error {
	if s == nil || s.conn == nil {
		return errNotConfigured
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.counters.decisions.Add(1)
	id := s.id(policies)
	if id != 0 && s.memo.answer(id, policies, results) {
		s.counters.local.Add(1)
		return nil
	}
	// Standalone, one breaker stands for the server: no key is needed to ask it.
	if !s.cluster {
		if out := s.breakers[0].outage(); out != nil {
			return out
		}
	}
	c := s.calls.Get().(*call)
	if err := c.fill(s, id, policies); err != nil {
		return err
	}
	if out := c.breaker.outage(); out != nil {
		s.calls.Put(c)
		return out
	}
	if err := s.lanes.do(s, c); err != nil {
		return err // c may still be on its way
	}
	for i := range policies {
		results[i] = c.result(&policies[i], i)
	}
	s.calls.Put(c)
	return nil
}

// Forget implements ratelimit.Store.
func (s *Store) Forget(ctx context.Context, policies []ratelimit.Policy) error {
	if s == nil || s.conn == nil {
		return errNotConfigured
	}
	var errs []error
	ctx = context.WithoutCancel(ctx)
	var marks uint64
	for i := range policies {
		key := s.names.name(domainBucket, &policies[i])
		cmd := redis.NewIntCmd(ctx, "del", key)
		errs = append(errs, s.ask(ctx, key, cmd))
		marks |= mark(key)
	}
	s.memo.clear(marks)
	return errors.Join(errs...)
}

// Enter implements ratelimit.Store.
func (s *Store) Enter(
	ctx context.Context, p ratelimit.Policy, token string, limit int, lease time.Duration,
) (bool, error) {
	if s == nil || s.conn == nil {
		return false, errNotConfigured
	}
	ctx = context.WithoutCancel(ctx)
	key := s.names.name(domainFlight, &p)
	cmd, err := s.eval(ctx, s.enter, nil, []string{key}, token, limit, lease.Milliseconds())
	if err != nil {
		return false, err
	}
	n, err := cmd.Int()
	return n == 1, err
}

// Leave implements ratelimit.Store.
func (s *Store) Leave(ctx context.Context, p ratelimit.Policy, token string) error {
	if s == nil || s.conn == nil {
		return errNotConfigured
	}
	ctx = context.WithoutCancel(ctx)
	key := s.names.name(domainFlight, &p)
	return s.ask(ctx, key, redis.NewIntCmd(ctx, "zrem", key, token))
}

// eval runs a script by hash and, if the server does not know it, by source:
// NOSCRIPT says that nothing ran, so this is no blind retry. Args is room to
// build the command in.
func (s *Store) eval(
	ctx context.Context, sc *redis.Script, args []any, keys []string, argv ...any,
) (*redis.Cmd, error) {
	args = append(args, "evalsha", sc.Hash(), len(keys))
	for _, key := range keys {
		args = append(args, key)
	}
	args = append(args, argv...)
	cmd := redis.NewCmd(ctx, args...)
	err := s.ask(ctx, keys[0], once{cmd})
	if err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") {
		args = append([]any{"eval", s.source(sc)}, args[2:]...)
		cmd = redis.NewCmd(ctx, args...)
		err = s.ask(ctx, keys[0], once{cmd})
	}
	return cmd, err
}

func (s *Store) source(sc *redis.Script) string {
	if sc == s.take {
		return takeSource
	}
	return enterSource
}

// once forbids the Cluster client to send a command again whose outcome is not
// known. Redirections (MOVED, ASK) are known not to have run, and are followed.
type once struct{ *redis.Cmd }

// NoRetry overrides redis.Cmd.
func (once) NoRetry() bool { return true }

// ask sends a command under the store's deadline and tells the breaker. Callers
// detach ctx from the request: its cancellation would cost a connection and
// leave the outcome unknown, to save at most the timeout.
func (s *Store) ask(ctx context.Context, key string, cmd redis.Cmder) error {
	tag := s.names.tag(key)
	b := s.breaker(tag)
	if out := b.outage(); out != nil {
		return out
	}
	s.counters.calls.Add(1)
	err := s.conn.Process(ctx, time.Now().Add(s.cfg.Timeout), cmd)
	switch {
	case errors.Is(err, redisconn.ErrBusy): // says nothing about the server
		s.counters.failures.Add(1)
	case err == nil, errors.Is(err, redis.Nil), redis.HasErrorPrefix(err, "NOSCRIPT"):
		b.succeed()
	default:
		s.counters.failures.Add(1)
		b.fail(s, tag, err, 1)
	}
	return err
}

// breaker returns the breaker that answers for a tag's part of the Cluster.
func (s *Store) breaker(tag string) *breaker {
	if !s.cluster {
		return &s.breakers[0]
	}
	return &s.breakers[slot(tag)*clusterBreakers/slots]
}

// probe does what decisions do, on keys of its own.
func (s *Store) probe(ctx context.Context, tag string) error {
	client := s.conn.Client()
	key := s.cfg.Prefix + "{" + tag + "}probe"
	p := ratelimit.Policy{Limit: ratelimit.Limit{Count: 1, Window: time.Millisecond}, Cost: 1}
	one := &call{n: 1}
	one.terms[0] = termOf(&p)
	_, err := s.take.Run(ctx, client, []string{key}, one.pack(nil, 1)).Result()
	if err == nil {
		err = s.enter.Run(ctx, client, []string{key + "s"}, "t", 1, 1000).Err()
	}
	if err == nil {
		err = client.ZRem(ctx, key+"s", "t").Err()
	}
	if err == nil {
		err = client.Del(ctx, key, key+"s").Err()
	}
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	return nil
}
