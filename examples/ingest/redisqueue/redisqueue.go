// Package redisqueue keeps the queue in Redis, for several instances of the server.
//
// # Guarantees
//
// An event is acknowledged once Redis has written it to its append-only file and
// synced that (appendfsync always), so that neither a crash of Redis nor a power cut
// loses it. [Open] refuses a Redis that is set up otherwise, or that may evict keys:
//
//	what Redis is set to       process killed        power cut           failover
//	appendfsync always         nothing               nothing             what no replica had
//	the same, and Replicas: 1  nothing               nothing             nothing
//	appendfsync everysec       2 s with a busy disk  a second and more   what no replica had
//	appendonly no              everything            everything          what no replica had
//	another maxmemory-policy   may drop the queue when the memory is full
//
// The last three need DangerouslyLossy. FLUSHALL loses everything in any of them: the
// queue goes on, empty, and says so.
//
// # Shape
//
// The queue is a few streams, each with its keys in one slot of a Cluster ("{q0}").
// What one request brought is one entry. A consumer group hands an entry to one
// instance, and what an instance holds that has died, another one claims. Every change is one script, so that none is ever half done. An entry leaves
// its stream once it and all before it are acknowledged: what is trimmed and what is
// pending are read by the script that trims.
//
// A command whose answer does not come has an unknown outcome. It is not sent again:
// the sender is told to come back, and the repeat is recognised by its identity when
// it is stored.
package redisqueue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/store"
)

const (
	// answerLimit is how long a command may take before its outcome is unknown.
	answerLimit = 2 * time.Second
	// loneHold is how long an event that travels alone is held: twice as long as a
	// delivery takes at most.
	loneHold = time.Minute
	// refresh is how often numbers are read that other instances change.
	refresh = 500 * time.Millisecond
	// fetch is how many entries are read at once. 256 KiB each, they fit in memory.
	fetch = 64
	// callDays is how long a call's event id stands for it. The store knows it longer.
	callDays = 30
	group    = "worker"
)

// MaxEntries bounds the queue. Redis reads 5 to 7 µs per entry when it starts, so that
// this many are back within five seconds.
const MaxEntries = 600_000

// Config says how to use a Redis.
type Config struct {
	// Client has MaxRetries -1 and ContextTimeoutEnabled. Its owner closes it, after
	// the queue.
	Client redis.UniversalClient
	// Name is the instance's own, and the same after a restart: what it held is then
	// found at once, and not only after Hold. Empty means a random one.
	Name string
	// Prefix begins every key. Default "ingest:queue:".
	Prefix string
	// Shards is the number of streams. All instances have the same; it may grow and
	// never shrink. Default 4.
	Shards int
	// Replicas is how many replicas have to have an event before it is acknowledged.
	// With Sentinel or replicas in a Cluster, 1 makes a failover lose nothing.
	Replicas int
	// DangerouslyLossy takes a Redis that loses acknowledged events (see the table).
	DangerouslyLossy bool
	// Hold is how long an instance is believed to be alive that says nothing: then
	// others claim what it has. It says something five times as often. Default 5 s.
	Hold time.Duration
	// Record appends to the audit log. Replaying dead letters is on record before it
	// is done.
	Record func(context.Context, audit.Record) error
	Log    *slog.Logger
}

// Queue is a store.Queue in Redis. It is safe for concurrent use.
type Queue struct {
	cfg    Config
	shards []*shard
	turn   atomic.Uint64
	gate   sync.RWMutex // held for reading by what sends something
	closed bool
	stop   context.CancelFunc
	done   chan struct{}
	unfit  atomic.Pointer[error] // why the server must not be used any more
}

var _ store.Queue = (*Queue)(nil)

// Open checks the server, and makes what is missing there. An unreachable server is an
// error: an instance that cannot keep events is better not started.
func Open(ctx context.Context, cfg Config) (*Queue, error) {
	if cfg.Prefix == "" {
		cfg.Prefix = "ingest:queue:"
	}
	if cfg.Shards == 0 {
		cfg.Shards = 4
	}
	if cfg.Hold == 0 {
		cfg.Hold = 5 * time.Second
	}
	if cfg.Name == "" {
		cfg.Name = rand.Text()
	}
	if cfg.Client == nil || cfg.Record == nil || cfg.Log == nil ||
		cfg.Shards < 1 || cfg.Shards > 1024 {
		return nil, errors.New("redisqueue: Config wants Client, Record, Log and 1 to 1024 Shards")
	}
	q := &Queue{cfg: cfg, done: make(chan struct{})}
	if err := q.fit(ctx); err != nil {
		return nil, err
	}
	if err := q.checkShards(ctx); err != nil {
		return nil, err
	}
	for i := range cfg.Shards {
		s := newShard(q, i)
		q.shards = append(q.shards, s)
		if err := s.open(ctx); err != nil {
			return nil, fmt.Errorf("redisqueue: %w", err)
		}
	}
	background, stop := context.WithCancel(context.Background())
	q.stop = stop
	go q.watch(background)
	return q, nil
}

// checkShards refuses fewer streams than there were: nobody would read the others.
func (q *Queue) checkShards(ctx context.Context) error {
	key := q.cfg.Prefix + "shards"
	was, err := q.cfg.Client.Get(ctx, key).Int()
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("redisqueue: %w", err)
	}
	if was > q.cfg.Shards {
		return fmt.Errorf("redisqueue: there are %d shards in Redis; with %d, events in the others "+
			"would be left behind", was, q.cfg.Shards)
	}
	return q.cfg.Client.Set(ctx, key, q.cfg.Shards, 0).Err()
}

// Close waits for what is under way. What was handed out and not settled is handed out
// again at the next start.
func (q *Queue) Close() error {
	q.gate.Lock()
	defer q.gate.Unlock()
	if !q.closed {
		q.closed = true
		q.stop()
		<-q.done
	}
	return nil
}

// enter begins something that Close waits for.
func (q *Queue) enter() error {
	q.gate.RLock()
	if q.closed {
		q.gate.RUnlock()
		return store.ErrClosed
	}
	return nil
}

func (q *Queue) leave() { q.gate.RUnlock() }

// Enqueue keeps events as one entry.
func (q *Queue) Enqueue(ctx context.Context, received []event.Received) error {
	if len(received) == 0 {
		return nil
	}
	payload, err := store.Encode(received)
	if err != nil {
		return err
	}
	if err := q.enter(); err != nil {
		return err
	}
	defer q.leave()
	if fault := q.unfit.Load(); fault != nil {
		return *fault
	}
	if q.total(func(n numbers) int64 { return n.entries }) >= MaxEntries {
		return store.ErrQueueFull
	}
	if len(received) == 1 && received[0].Call != nil {
		return q.shardOf(received[0].Site, received[0].Call.EventID).call(ctx, &received[0], payload)
	}
	return q.next().add(ctx, received, payload)
}

// next takes turns between the shards, and leaves out those that failed just now.
func (q *Queue) next() *shard {
	for range q.shards {
		s := q.shards[q.turn.Add(1)%uint64(len(q.shards))]
		if !s.failing() {
			return s
		}
	}
	return q.shards[q.turn.Add(1)%uint64(len(q.shards))]
}

// shardOf is where a call goes, so that its event id is compared where it is kept.
func (q *Queue) shardOf(site, id string) *shard {
	h := fnv.New64a()
	_, _ = h.Write([]byte(site + "\x00" + id))
	return q.shards[h.Sum64()%uint64(len(q.shards))]
}

// Take hands out entries, of one shard after the other.
func (q *Queue) Take(ctx context.Context, limit, maxBytes int) ([]store.Item, error) {
	if err := q.enter(); err != nil {
		return nil, err
	}
	defer q.leave()
	var items []store.Item
	var errs []error
	room := room{events: limit, bytes: maxBytes}
	first := q.turn.Add(1)
	for i := range q.shards {
		s := q.shards[(first+uint64(i))%uint64(len(q.shards))] // #nosec G115 -- not negative
		more, err := s.take(ctx, &room)
		items = append(items, more...)
		if err != nil {
			errs = append(errs, err)
		}
		if room.full() {
			break
		}
	}
	if len(items) > 0 {
		return items, nil // what failed will again, and be told then
	}
	return nil, errors.Join(errs...)
}

// room is what is left of a batch.
type room struct{ events, bytes int }

func (r *room) full() bool { return r.events <= 0 || r.bytes <= 0 }

func (r *room) add(item store.Item) {
	r.events -= item.Events
	r.bytes -= len(item.Payload)
}

// TakeLone hands out an event that travels alone and is due.
func (q *Queue) TakeLone(ctx context.Context) ([]store.Item, error) {
	if err := q.enter(); err != nil {
		return nil, err
	}
	defer q.leave()
	var errs []error
	for _, s := range q.shards {
		item, err := s.takeLone(ctx)
		if err != nil {
			errs = append(errs, err)
		}
		if item != nil {
			return []store.Item{*item}, nil
		}
	}
	return nil, errors.Join(errs...)
}

// by sorts items by their shard.
func (q *Queue) by(items []store.Item, do func(*shard, []store.Item) error) error {
	if err := q.enter(); err != nil {
		return err
	}
	defer q.leave()
	sorted := make([][]store.Item, len(q.shards))
	for _, item := range items {
		n, id, ok := cutID(item.ID)
		if !ok || n >= len(q.shards) {
			return errors.New("redisqueue: no item of this queue")
		}
		item.ID = id
		sorted[n] = append(sorted[n], item)
	}
	var errs []error
	for n, of := range sorted {
		if len(of) > 0 {
			errs = append(errs, do(q.shards[n], of))
		}
	}
	return errors.Join(errs...)
}

// Release gives items back.
func (q *Queue) Release(ctx context.Context, items []store.Item) error {
	return q.by(items, func(s *shard, items []store.Item) error { return s.release(ctx, items) })
}

// Delivered removes items.
func (q *Queue) Delivered(ctx context.Context, items []store.Item) error {
	return q.by(items, func(s *shard, items []store.Item) error { return s.delivered(ctx, items) })
}

// Refused lets every event of a batch travel alone, and one that did die.
func (q *Queue) Refused(ctx context.Context, items []store.Item) error {
	return q.by(items, func(s *shard, items []store.Item) error {
		var errs []error
		for _, item := range items {
			if item.Lone {
				errs = append(errs, s.bury(ctx, item))
			} else {
				errs = append(errs, s.apart(ctx, item, time.Now()))
			}
		}
		return errors.Join(errs...)
	})
}

// Postpone lets an event wait until due, alone.
func (q *Queue) Postpone(ctx context.Context, item store.Item, due time.Time) error {
	return q.by([]store.Item{item}, func(s *shard, items []store.Item) error {
		switch item := items[0]; {
		case item.Lone:
			return s.postpone(ctx, item, due)
		case item.Events > 1:
			return s.apart(ctx, item, time.Now())
		default:
			return s.apart(ctx, item, due)
		}
	})
}

// numbers are what is known of a shard.
type numbers struct{ events, entries, version int64 }

func (q *Queue) total(of func(numbers) int64) (n int64) {
	for _, s := range q.shards {
		n += of(s.known())
	}
	return n
}

// Waiting is the number of events, as of the last answer from Redis.
func (q *Queue) Waiting() int64 { return q.total(func(n numbers) int64 { return n.events }) }

// Oldest is how long the oldest event that is due has waited.
func (q *Queue) Oldest(ctx context.Context) (age time.Duration, err error) {
	if err := q.enter(); err != nil {
		return 0, err
	}
	defer q.leave()
	for _, s := range q.shards {
		at, err := s.oldest(ctx)
		if err != nil {
			return 0, err
		}
		if !at.IsZero() {
			age = max(age, time.Since(at))
		}
	}
	return age, nil
}

// itemID is the name of what a shard holds.
func itemID(shard int, id string) string { return strconv.Itoa(shard) + "/" + id }
