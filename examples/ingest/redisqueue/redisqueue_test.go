//go:build unix

package redisqueue_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/redisqueue"
	"github.com/opsmantik/sallyport/examples/ingest/servicetest"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/examples/ingest/store/storetest"
	"github.com/opsmantik/sallyport/ratelimit/redislimit"
)

const site = "0123456789abcdef0123456789abcdef"

// rig is a Redis and a client of it.
type rig struct {
	*servicetest.Redis
	client redis.UniversalClient
	log    *lockedBuffer
}

func start(t *testing.T, args ...string) *rig {
	t.Helper()
	r := &rig{Redis: servicetest.StartRedis(t, args...), log: &lockedBuffer{}}
	var err error
	r.client, err = redislimit.NewClient("redis://" + r.Addr)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.client.Close()) })
	return r
}

func (r *rig) config(change ...func(*redisqueue.Config)) redisqueue.Config {
	cfg := redisqueue.Config{
		Client: r.client, Name: "one", Log: slog.New(slog.NewTextHandler(r.log, nil)),
		Record: func(context.Context, audit.Record) error { return nil },
	}
	for _, change := range change {
		change(&cfg)
	}
	return cfg
}

func (r *rig) open(t testing.TB, change ...func(*redisqueue.Config)) *redisqueue.Queue {
	t.Helper()
	var q *redisqueue.Queue
	require.Eventually(t, func() (ok bool) { // it starts as soon as Redis answers
		var err error
		q, err = redisqueue.Open(t.Context(), r.config(change...))
		return err == nil
	}, 30*time.Second, 50*time.Millisecond)
	t.Cleanup(func() { require.NoError(t, q.Close()) })
	return q
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func received(id string) event.Received {
	return event.Received{ID: id, Site: site, At: time.Now(), Event: &event.Event{
		Site: site, URL: "https://shop.example/", Category: "system", Action: "heartbeat", Label: id,
	}}
}

func TestQueue(t *testing.T) {
	t.Parallel()
	r := start(t, servicetest.Durable()...)
	storetest.RunQueue(t, func(t testing.TB, dir string) store.Queue {
		q, err := redisqueue.Open(t.Context(), r.config(func(cfg *redisqueue.Config) {
			cfg.Prefix, cfg.Shards = dir+":", 1 // one, for an order that can be foretold
		}))
		require.NoError(t, err)
		return q
	})
}

// A Redis that would lose acknowledged events is refused, and says with what.
func TestAnUnfitRedisIsRefused(t *testing.T) {
	t.Parallel()
	r := start(t, servicetest.Durable()...)
	for _, row := range []struct{ name, value, good string }{
		{"appendonly", "no", "yes"},
		{"appendfsync", "everysec", "always"},
		{"maxmemory-policy", "allkeys-lru", "noeviction"},
	} {
		require.NoError(t, r.client.ConfigSet(t.Context(), row.name, row.value).Err())
		_, err := redisqueue.Open(t.Context(), r.config())
		var unfit *redisqueue.Unfit
		require.ErrorAs(t, err, &unfit)
		require.Equal(t, row.name, unfit.Setting)
		require.ErrorContains(t, err, row.good)
		lossy, err := redisqueue.Open(t.Context(), r.config(func(cfg *redisqueue.Config) {
			cfg.DangerouslyLossy = true
		}))
		require.NoError(t, err)
		require.NoError(t, lossy.Close())
		require.NoError(t, r.client.ConfigSet(t.Context(), row.name, row.good).Err())
	}
	require.NoError(t, r.client.Do(t.Context(), "ACL", "SETUSER", "default", "-config").Err())
	_, err := redisqueue.Open(t.Context(), r.config())
	require.ErrorContains(t, err, "CONFIG GET", "what does not tell is not believed")
}

func TestFewerShardsAreRefused(t *testing.T) {
	t.Parallel()
	r := start(t, servicetest.Durable()...)
	shards := func(n int) func(*redisqueue.Config) {
		return func(cfg *redisqueue.Config) { cfg.Shards = n }
	}
	r.open(t, shards(4))
	r.open(t, shards(6))
	_, err := redisqueue.Open(t.Context(), r.config(shards(4)))
	require.ErrorContains(t, err, "left behind")
}

// acked enqueues until told to stop, and remembers what was acknowledged.
type acked struct {
	mu  sync.Mutex
	ids map[string]bool
	all sync.WaitGroup
	end context.CancelFunc
}

func enqueueing(t *testing.T, q *redisqueue.Queue, senders int) *acked {
	a := &acked{ids: map[string]bool{}}
	ctx, cancel := context.WithCancel(t.Context())
	a.end = cancel
	for i := range senders {
		a.all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				id := fmt.Sprintf("%d-%d", i, n)
				// A context of its own: an answer is waited for even at the end.
				if q.Enqueue(context.WithoutCancel(ctx), []event.Received{received(id)}) == nil {
					a.mu.Lock()
					a.ids[id] = true
					a.mu.Unlock()
				}
			}
		})
	}
	t.Cleanup(a.stop)
	return a
}

func (a *acked) stop() { a.end(); a.all.Wait() }

func (a *acked) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.ids)
}

func (a *acked) await(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return a.count() >= n }, time.Minute, time.Millisecond)
}

// drain takes everything, and returns the labels.
func drain(t *testing.T, q *redisqueue.Queue) map[string]bool {
	t.Helper()
	labels := map[string]bool{}
	for {
		items, err := q.Take(t.Context(), 500, 1<<20)
		require.NoError(t, err)
		if len(items) == 0 {
			return labels
		}
		for _, item := range items {
			labelsOf(item, labels)
		}
		require.NoError(t, q.Delivered(t.Context(), items))
	}
}

func labelsOf(item store.Item, labels map[string]bool) {
	for part := range strings.SplitSeq(string(item.Payload), `"el":"`) {
		label, _, _ := strings.Cut(part, `"`)
		labels[label] = true
	}
}

func (a *acked) lost(in map[string]bool) (n int) {
	for id := range a.ids {
		if !in[id] {
			n++
		}
	}
	return n
}

// Redis is killed under load and started again: all that was acknowledged is there.
func TestKilledRedisLosesNothing(t *testing.T) {
	t.Parallel()
	r := start(t, servicetest.Durable()...)
	q := r.open(t)
	a := enqueueing(t, q, 8)
	for round := range 3 {
		a.await(t, 200*(round+1))
		r.Restart()
	}
	a.await(t, a.count()+100)
	a.stop()
	require.Zero(t, a.lost(drain(t, q)), "of %d", a.count())
	require.Zero(t, q.Waiting())
}

// A paused Redis answers nobody: the sender is told so in time, and what the server
// did without saying so is there once, or not at all.
func TestPausedRedis(t *testing.T) {
	t.Parallel()
	r := start(t, servicetest.Durable()...)
	q := r.open(t)
	a := enqueueing(t, q, 4)
	a.await(t, 50)
	r.Pause()
	began := time.Now()
	require.Error(t, q.Enqueue(t.Context(), []event.Received{received("in vain")}))
	require.Less(t, time.Since(began), 10*time.Second)
	require.Error(t, q.Ready(t.Context()))
	r.Resume()
	a.await(t, a.count()+50)
	a.stop()
	require.NoError(t, q.Ready(t.Context()))
	require.Zero(t, a.lost(drain(t, q)))
}

// FLUSHALL takes the queue with it. It goes on, and says so.
func TestFlushedRedisIsAnAlarm(t *testing.T) {
	t.Parallel()
	r := start(t, servicetest.Durable()...)
	q := r.open(t)
	require.NoError(t, q.Enqueue(t.Context(), []event.Received{received("a"), received("b")}))
	held, err := q.Take(t.Context(), 10, 1<<20)
	require.NoError(t, err)
	require.Len(t, held, 1)
	require.NoError(t, q.Enqueue(t.Context(), []event.Received{received("c")}))
	require.NoError(t, r.client.FlushAll(t.Context()).Err())
	require.NoError(t, q.Enqueue(t.Context(), []event.Received{received("d")}))
	require.NoError(t, q.Delivered(t.Context(), held), "what was delivered stays so")
	require.Equal(t, map[string]bool{"d": true}, labels(drain(t, q)))
	require.Contains(t, r.log.String(), "deleted from Redis")
	require.Zero(t, q.Waiting())
	require.NoError(t, q.Enqueue(t.Context(), []event.Received{received("e")}))
	require.EqualValues(t, 1, q.Waiting())
}

// labels leaves out what stands before the first label.
func labels(all map[string]bool) map[string]bool {
	for name := range all {
		if strings.HasPrefix(name, "{") {
			delete(all, name)
		}
	}
	return all
}

// What an instance held when it died is another's soon; what it acknowledges
// afterwards takes nothing away.
func TestStuckEntriesAreClaimed(t *testing.T) {
	t.Parallel()
	r := start(t, servicetest.Durable()...)
	as := func(name string, hold time.Duration) func(*redisqueue.Config) {
		return func(cfg *redisqueue.Config) { cfg.Name, cfg.Hold, cfg.Shards = name, hold, 1 }
	}
	one := r.open(t, as("one", time.Hour)) // and so silent, as if it were dead
	two := r.open(t, as("two", 500*time.Millisecond))
	for _, id := range []string{"a", "b", "c"} {
		require.NoError(t, one.Enqueue(t.Context(), []event.Received{received(id)}))
	}
	stuck, err := one.Take(t.Context(), 2, 1<<20)
	require.NoError(t, err)
	require.Len(t, stuck, 2) // and the third is in its hands, too
	var claimed []store.Item
	require.Eventually(t, func() bool {
		items, err := two.Take(t.Context(), 10, 1<<20)
		claimed = append(claimed, items...)
		return err == nil && len(claimed) == 3
	}, 20*time.Second, 20*time.Millisecond)
	require.NoError(t, one.Refused(t.Context(), stuck[:1]), "it is not one's to take apart any more")
	require.NoError(t, one.Delivered(t.Context(), stuck[1:]))
	lone, err := two.TakeLone(t.Context())
	require.NoError(t, err)
	require.Empty(t, lone)
	require.NoError(t, two.Delivered(t.Context(), claimed))
	require.Zero(t, two.Waiting())
	require.NotContains(t, drain(t, two), "a", "and it is settled")
}

// While entries are delivered in any order and others are taken, nothing that is
// pending leaves the stream, and what is settled does.
func TestTrimmingKeepsWhatIsPending(t *testing.T) {
	t.Parallel()
	r := start(t, servicetest.Durable()...)
	one := func(cfg *redisqueue.Config) { cfg.Shards = 1 }
	q := r.open(t, one)
	a := enqueueing(t, q, 4)
	var held []store.Item
	for range 60 {
		items, err := q.Take(t.Context(), 10, 1<<20)
		require.NoError(t, err)
		if len(items) > 0 {
			held = append(held, items[0])
			require.NoError(t, q.Delivered(t.Context(), items[1:]))
		}
	}
	a.stop()
	require.NotEmpty(t, held)
	pending, err := r.client.XPending(t.Context(), "ingest:queue:{q0}:stream", "worker").Result()
	require.NoError(t, err)
	require.GreaterOrEqual(t, pending.Count, int64(len(held)))
	for _, item := range held {
		_, id, _ := strings.Cut(item.ID, "/")
		found, err := r.client.XRange(t.Context(), "ingest:queue:{q0}:stream", id, id).Result()
		require.NoError(t, err)
		require.Len(t, found, 1, "%s is pending and gone", id)
	}
	require.NoError(t, q.Delivered(t.Context(), held))
	drain(t, q)
	length, err := r.client.XLen(t.Context(), "ingest:queue:{q0}:stream").Result()
	require.NoError(t, err)
	require.Zero(t, length)
	require.Zero(t, q.Waiting())
}

// Replaying is on record before it happens, or it does not.
func TestReplayIsOnRecordFirst(t *testing.T) {
	t.Parallel()
	r := start(t, servicetest.Durable()...)
	var records []audit.Record
	fails := true
	q := r.open(t, func(cfg *redisqueue.Config) {
		cfg.Record = func(_ context.Context, r audit.Record) error {
			if fails {
				return context.DeadlineExceeded
			}
			records = append(records, r)
			return nil
		}
	})
	require.NoError(t, q.Enqueue(t.Context(), []event.Received{received("a")}))
	for range 2 {
		items, err := q.Take(t.Context(), 10, 1<<20)
		require.NoError(t, err)
		if len(items) == 0 {
			items, err = q.TakeLone(t.Context())
			require.NoError(t, err)
		}
		require.NoError(t, q.Refused(t.Context(), items))
	}
	scope := storetest.Scope(t, "admin", site)
	_, err := q.Replay(t.Context(), scope)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	dead, err := q.Dead(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, dead)
	fails = false
	n, err := q.Replay(t.Context(), scope)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	require.Len(t, records, 1)
	require.Equal(t, "queue.replay", records[0].Action)
}

// An instance that is alive keeps what it holds, however long that takes.
func TestWhatIsHeldByTheLivingIsNotClaimed(t *testing.T) {
	t.Parallel()
	r := start(t, servicetest.Durable()...)
	as := func(name string) func(*redisqueue.Config) {
		return func(cfg *redisqueue.Config) { cfg.Name, cfg.Hold, cfg.Shards = name, 2*time.Second, 1 }
	}
	one, two := r.open(t, as("one")), r.open(t, as("two"))
	require.NoError(t, one.Enqueue(t.Context(), []event.Received{received("a")}))
	held, err := one.Take(t.Context(), 10, 1<<20)
	require.NoError(t, err)
	require.Len(t, held, 1)
	require.Never(t, func() bool {
		items, err := two.Take(t.Context(), 10, 1<<20)
		return err == nil && len(items) > 0
	}, 4*time.Second, 100*time.Millisecond)
	require.NoError(t, one.Delivered(t.Context(), held))
}

// What Redis has handed out and nobody has heard of is not held for ever by an
// instance that is alive.
func TestEntriesOfLostAnswersComeBack(t *testing.T) {
	t.Parallel()
	r := start(t, servicetest.Durable()...)
	q := r.open(t, func(cfg *redisqueue.Config) { cfg.Hold, cfg.Shards = time.Second, 1 })
	require.NoError(t, q.Enqueue(t.Context(), []event.Received{received("a")}))
	// As if the answer to the queue's own command were lost.
	require.NoError(t, r.client.XReadGroup(t.Context(), &redis.XReadGroupArgs{
		Group: "worker", Consumer: "one", Streams: []string{"ingest:queue:{q0}:stream", ">"},
	}).Err())
	require.Eventually(t, func() bool {
		items, err := q.Take(t.Context(), 10, 1<<20)
		return err == nil && len(items) == 1
	}, 20*time.Second, 50*time.Millisecond)
}

// A delivery whose acknowledgement is lost is handed out again, and counted once.
func TestALostAcknowledgementIsRepeated(t *testing.T) {
	t.Parallel()
	r := start(t, servicetest.Durable()...)
	q := r.open(t, func(cfg *redisqueue.Config) { cfg.Shards = 1 })
	require.NoError(t, q.Enqueue(t.Context(), []event.Received{received("a"), received("b")}))
	items, err := q.Take(t.Context(), 10, 1<<20)
	require.NoError(t, err)
	r.Pause()
	require.Error(t, q.Delivered(t.Context(), items))
	r.Resume()
	again, err := q.Take(t.Context(), 10, 1<<20)
	require.NoError(t, err)
	require.Len(t, again, 1)
	require.Equal(t, items[0].ID, again[0].ID)
	require.NoError(t, q.Delivered(t.Context(), again))
	require.Zero(t, q.Waiting())
}
