package redislimit

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

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
	client   redis.UniversalClient
	cluster  bool
	names    *namer
	seed     maphash.Seed
	take     script
	enter    script
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

func newStore(cfg Config, o *redis.UniversalOptions) *Store {
	s := &Store{
		cfg:    cfg,
		client: redis.NewUniversalClient(o),
		names:  newNamer(cfg.Prefix, cfg.Secret),
		seed:   maphash.MakeSeed(),
		take:   newScript(takeSource),
		enter:  newScript(enterSource),
		memo:   newMemo(cfg),
	}
	_, s.cluster = s.client.(*redis.ClusterClient)
	s.breakers = make([]breaker, 1)
	if s.cluster {
		s.breakers = make([]breaker, clusterBreakers)
	}
	s.calls.New = func() any { return newCall() }
	return s
}

// start connects. Only a server that answers, and may evict, is an error.
func (s *Store) start() error {
	err := s.probe(context.Background(), "start")
	if errors.Is(err, errEviction) {
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

// Close ends the connections. Decisions fail afterwards.
func (s *Store) Close() error {
	if s == nil || s.client == nil {
		return nil
	}
	for i := range s.breakers {
		s.breakers[i].close()
	}
	return s.client.Close()
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
	if s == nil || s.client == nil {
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
	if !s.cluster && s.breakers[0].open.Load() {
		return errOut
	}
	c := s.calls.Get().(*call)
	if err := c.fill(s, id, policies); err != nil {
		return err
	}
	if c.breaker.open.Load() {
		s.calls.Put(c)
		return errOut
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
	if s == nil || s.client == nil {
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
	if s == nil || s.client == nil {
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
	if s == nil || s.client == nil {
		return errNotConfigured
	}
	ctx = context.WithoutCancel(ctx)
	key := s.names.name(domainFlight, &p)
	return s.ask(ctx, key, redis.NewIntCmd(ctx, "zrem", key, token))
}

// script is a Lua script and its SHA-1, by which Redis caches it.
type script struct{ source, sha string }

func newScript(source string) script {
	return script{source: source, sha: redis.NewScript(source).Hash()}
}

// eval runs a script by hash and, if the server does not know it, by source:
// NOSCRIPT says that nothing ran, so this is no blind retry. Args is room to
// build the command in.
func (s *Store) eval(
	ctx context.Context, sc script, args []any, keys []string, argv ...any,
) (*redis.Cmd, error) {
	args = append(args, "evalsha", sc.sha, len(keys))
	for _, key := range keys {
		args = append(args, key)
	}
	args = append(args, argv...)
	cmd := redis.NewCmd(ctx, args...)
	err := s.ask(ctx, keys[0], once{cmd})
	if err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") {
		args = append([]any{"eval", sc.source}, args[2:]...)
		cmd = redis.NewCmd(ctx, args...)
		err = s.ask(ctx, keys[0], once{cmd})
	}
	return cmd, err
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
	if b.open.Load() {
		return errOut
	}
	s.counters.calls.Add(1)
	err := s.client.Process(deadline{ctx, time.Now().Add(s.cfg.Timeout)}, cmd)
	switch {
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

// deadline is a context with a deadline and no timer: go-redis sets it on the
// socket.
type deadline struct {
	context.Context
	at time.Time
}

// Deadline implements context.Context.
func (d deadline) Deadline() (time.Time, bool) { return d.at, true }

var errEviction = errors.New("redislimit: the server may evict keys, each a bucket that starts " +
	"full again: set maxmemory-policy to noeviction")

// probe reports whether the server can be written to, and may be trusted to
// keep what was written.
func (s *Store) probe(ctx context.Context, tag string) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	key := s.cfg.Prefix + "{" + tag + "}probe"
	if err := s.client.Set(ctx, key, 1, time.Second).Err(); err != nil {
		return fmt.Errorf("redislimit: probe: %w", err)
	}
	if s.cfg.DangerouslyAllowEviction {
		return nil
	}
	if c, ok := s.client.(*redis.ClusterClient); ok {
		return c.ForEachMaster(ctx, func(ctx context.Context, n *redis.Client) error {
			return keeps(ctx, n)
		})
	}
	return keeps(ctx, s.client)
}

// keeps checks the eviction policy. Every policy but noeviction may drop our
// keys, since all of them expire. Servers that do not tell are believed.
func keeps(ctx context.Context, c redis.Cmdable) error {
	info, err := c.Info(ctx, "memory").Result()
	if err != nil {
		return nil //nolint:nilerr // forbidden by an access control list
	}
	if strings.Contains(info, "\r\nmaxmemory:0\r\n") || !strings.Contains(info, "maxmemory_policy:") ||
		strings.Contains(info, "maxmemory_policy:noeviction") {
		return nil
	}
	return errEviction
}
