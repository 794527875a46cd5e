package redissession

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/opsmantik/sallyport/internal/redisconn"
	"github.com/opsmantik/sallyport/sessions"
)

var (
	//go:embed load.lua
	loadSource string
	//go:embed create.lua
	createSource string
	//go:embed replace.lua
	replaceSource string
	//go:embed user.lua
	userSource string
	//go:embed everyone.lua
	everyoneSource string
)

// Store is a [sessions.Store] in Redis. It is safe for concurrent use. The zero
// value and nil answer every call with an error.
type Store struct {
	commands
	cfg        Config
	resolution string // in microseconds
	grace      string
	perShard   string
	shards     []string // "{prefix:0}:", ...

	load, create, replace, user, everyone script
}

// New returns a store, or every problem of cfg at once. It connects; a server that
// says no is an error, and one that does not answer is an outage, during which
// every method fails.
func New(cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := newStore(cfg, "")
	if err := s.connect(); err != nil {
		return nil, err
	}
	return s, nil
}

// newStore makes a store whose scripts add an expression to the server's clock.
func newStore(cfg Config, skew string) *Store {
	s := &Store{
		cfg:        cfg,
		resolution: strconv.FormatInt(max(cfg.Resolution.Microseconds(), 1), 10),
		grace:      strconv.FormatInt(sessions.Grace.Microseconds(), 10),
		perShard:   strconv.Itoa((cfg.MaxSessions + cfg.Shards - 1) / cfg.Shards),
		shards:     make([]string, cfg.Shards),
	}
	for i := range s.shards {
		s.shards[i] = fmt.Sprintf("{%s:%d}:", cfg.Prefix, i)
	}
	for into, source := range map[*script]string{
		&s.load: loadSource, &s.create: createSource, &s.replace: replaceSource,
		&s.user: userSource, &s.everyone: everyoneSource,
	} {
		*into = newScript(strings.Replace(source, "+ time[2]", "+ time[2]"+skew, 1))
	}
	conn := cfg.conn()
	conn.Probe = s.probe
	s.conn = redisconn.New(conn)
	return s
}

// Close ends the goroutine that keeps connections ready. The client stays open.
func (s *Store) Close() {
	if s != nil {
		s.close()
	}
}

// probe does what the store will do, on a session that is nobody's.
func (s *Store) probe(ctx context.Context, _ redis.UniversalClient) error {
	_, err := s.Load(ctx, sessions.Key{}, sessions.Peek)
	if errors.Is(err, sessions.ErrNoSession) {
		return nil
	}
	return err
}

// shard returns what the keys of a tag's shard begin with.
func (s *Store) shard(tag uint16) string { return s.shards[int(tag)%len(s.shards)] }

// userKey is the index of a user's sessions: of bounded length, and no name.
func userKey(shard, user string) string {
	sum := sha256.Sum256([]byte(user))
	return shard + "u:" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// Load implements [sessions.Store].
func (s *Store) Load(
	ctx context.Context, key sessions.Key, access sessions.Access,
) (sessions.Record, error) {
	if s == nil || s.conn == nil {
		return sessions.Record{}, errZero
	}
	shard, resolution := s.shard(key.Tag), s.resolution
	if access == sessions.Peek {
		resolution = ""
	}
	keys := []string{shard + "s:" + name(key), shard + "e", shard + "a"}
	got, err := s.run(ctx, &s.load, keys, resolution, s.grace)
	if errors.Is(err, redis.Nil) {
		return sessions.Record{}, sessions.ErrNoSession
	}
	if err != nil {
		return sessions.Record{}, err
	}
	text, _ := got.(string)
	rec := sessions.Record{Key: key}
	err = decode(text, &rec) // before rec is read: within one return, the order is not defined
	return rec, err
}

// Create implements [sessions.Store].
func (s *Store) Create(ctx context.Context, rec *sessions.Record) (sessions.Record, error) {
	if s == nil || s.conn == nil {
		return sessions.Record{}, errZero
	}
	shard := s.shard(rec.Key.Tag)
	keys := []string{
		shard + "s:" + name(rec.Key), shard + "e", shard + "a", userKey(shard, rec.User),
	}
	got, err := s.run(ctx, &s.create, keys, rec.Idle.Microseconds(), rec.Lifetime.Microseconds(),
		rec.ID, rec.PerUser, s.perShard, payload(rec))
	return stored(rec, got, err)
}

// Replace implements [sessions.Store].
func (s *Store) Replace(
	ctx context.Context, old sessions.Key, next *sessions.Record,
) (sessions.Record, error) {
	if s == nil || s.conn == nil {
		return sessions.Record{}, errZero
	}
	shard := s.shard(old.Tag)
	if next.Key.Tag != old.Tag {
		// No user's sessions have different tags; one script could not reach both.
		return sessions.Record{}, sessions.ErrNoSession
	}
	keys := []string{
		shard + "s:" + name(old), shard + "e", shard + "a", userKey(shard, next.User),
		shard + "s:" + name(next.Key),
	}
	got, err := s.run(ctx, &s.replace, keys, next.Idle.Microseconds(),
		next.Lifetime.Microseconds(), next.ID, next.Version, s.grace, payload(next))
	return stored(next, got, err)
}

// stored turns the answer to a write into the record as it is now.
func stored(rec *sessions.Record, got any, err error) (sessions.Record, error) {
	if err != nil {
		return sessions.Record{}, err
	}
	now := *rec
	now.Replaced = false
	switch text, _ := got.(string); {
	case text == "NONE":
		return sessions.Record{}, sessions.ErrNoSession
	case text == "CONFLICT":
		return sessions.Record{}, sessions.ErrConflict
	case text == "FULL":
		return sessions.Record{}, sessions.ErrFull
	case len(text) != headerLen:
		return sessions.Record{}, errCorrupt
	default:
		decodeHeader(text, &now)
		return now, nil
	}
}

// List implements [sessions.Store].
func (s *Store) List(ctx context.Context, user string) ([]sessions.Record, error) {
	got, err := s.ofUser(ctx, user, "list", "", "")
	if err != nil {
		return nil, err
	}
	pairs, _ := got.([]any)
	list := make([]sessions.Record, 0, len(pairs)/2)
	for ; len(pairs) >= 2; pairs = pairs[2:] {
		var rec sessions.Record
		label, _ := pairs[0].(string)
		text, _ := pairs[1].(string)
		key, ok := keyOf(label)
		if err := decode(text, &rec); err != nil || !ok {
			return nil, errCorrupt
		}
		rec.Key = key
		list = append(list, rec)
	}
	return list, nil
}

// End implements [sessions.Store].
func (s *Store) End(ctx context.Context, which sessions.Selection) (int, error) {
	if which.Everyone {
		return s.endEveryone(ctx)
	}
	got, err := s.ofUser(ctx, which.User, "end", which.Only, which.Except)
	if err != nil {
		return 0, err
	}
	if got == "NONE" {
		return 0, sessions.ErrNoSession
	}
	ended, ok := got.(int64)
	if !ok {
		return 0, errCorrupt
	}
	return int(ended), nil
}

// ofUser runs the script over a user's sessions.
func (s *Store) ofUser(ctx context.Context, user string, args ...any) (any, error) {
	if s == nil || s.conn == nil {
		return nil, errZero
	}
	shard := s.shard(sessions.Tag(user))
	keys := []string{shard + "e", shard + "a", userKey(shard, user), shard + "s:"}
	return s.run(ctx, &s.user, keys, args...)
}

// endEveryone raises the epoch of every shard, with one round trip to each server.
// It goes on after an error, so that as few sessions as possible are left.
func (s *Store) endEveryone(ctx context.Context) (int, error) {
	if s == nil || s.conn == nil {
		return 0, errZero
	}
	pipe := s.conn.Client().Pipeline()
	cmds := make([]*redis.Cmd, len(s.shards))
	for i, shard := range s.shards {
		cmds[i] = pipe.EvalSha(ctx, s.everyone.sha, []string{shard + "e", shard + "a"})
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	ended := 0
	var errs []error
	for i, cmd := range cmds {
		got, err := cmd.Result()
		if notDone(err) {
			keys := []string{s.shards[i] + "e", s.shards[i] + "a"}
			got, err = s.run(ctx, &s.everyone, keys)
		}
		n, _ := got.(int64)
		ended += int(n)
		errs = append(errs, err)
	}
	return ended, errors.Join(errs...)
}

// notDone reports whether a server has refused a command without having done anything:
// it has no such script, or the slot is elsewhere or on its way.
func notDone(err error) bool {
	return slices.ContainsFunc([]string{"NOSCRIPT", "MOVED", "ASK", "TRYAGAIN"}, func(prefix string) bool {
		return err != nil && redis.HasErrorPrefix(err, prefix)
	})
}
