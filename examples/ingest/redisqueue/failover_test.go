//go:build unix

package redisqueue_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/redisqueue"
	"github.com/opsmantik/sallyport/examples/ingest/servicetest"
	"github.com/opsmantik/sallyport/ratelimit/redislimit"
)

// at is a rig whose client was made from a URL.
func at(t *testing.T, redis *servicetest.Redis, url string) *rig {
	t.Helper()
	r := &rig{Redis: redis, log: &lockedBuffer{}}
	var err error
	r.client, err = redislimit.NewClient(url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.client.Close()) })
	return r
}

// The master dies, and Sentinel makes the replica the master: with Replicas, nothing
// that was acknowledged is lost.
func TestAFailoverLosesNothing(t *testing.T) {
	t.Parallel()
	master := servicetest.StartRedis(t, servicetest.Durable()...)
	replica := master.Replicate()
	sentinel := servicetest.StartSentinel(t, "queue", master)
	watcher := redis.NewSentinelClient(&redis.Options{Addr: sentinel})
	defer func() { require.NoError(t, watcher.Close()) }()
	require.Eventually(t, func() bool {
		replicas, err := watcher.Replicas(t.Context(), "queue").Result()
		return err == nil && len(replicas) == 1
	}, time.Minute, 50*time.Millisecond, "the sentinel does not see the replica")
	r := at(t, master, "redis://"+sentinel+"?master_name=queue")
	q := r.open(t, func(cfg *redisqueue.Config) { cfg.Replicas = 1 })
	a := enqueueing(t, q, 8)
	a.await(t, 200)
	began := time.Now()
	master.Kill()
	before := a.count()
	// The new master has no replica of its own: one that nobody watches is enough.
	require.Eventually(t, func() bool {
		_, ok := isMaster(t, replica)
		return ok
	}, time.Minute, 50*time.Millisecond, "no failover")
	replica.Replicate()
	a.await(t, before+100)
	t.Logf("events are taken again after %v", time.Since(began).Round(time.Millisecond))
	a.stop()
	require.Zero(t, a.lost(drain(t, q)), "of %d", a.count())
}

func isMaster(t *testing.T, r *servicetest.Redis) (info string, ok bool) {
	client := redis.NewClient(&redis.Options{Addr: r.Addr})
	defer func() { _ = client.Close() }()
	info, err := client.Info(t.Context(), "replication").Result()
	return info, err == nil && strings.Contains(info, "role:master")
}

// Without enough replicas nothing is acknowledged.
func TestTooFewReplicas(t *testing.T) {
	t.Parallel()
	r := start(t, servicetest.Durable()...)
	q := r.open(t, func(cfg *redisqueue.Config) { cfg.Replicas = 1 })
	require.ErrorContains(t, q.Enqueue(t.Context(), []event.Received{received("a")}), "replicas")
}

// In a Cluster the shards are on several masters. With one of them gone, events go to
// the others, and what it holds is there again when it is.
func TestACluster(t *testing.T) {
	t.Parallel()
	nodes := servicetest.StartRedisCluster(t, append(servicetest.Durable(),
		"--cluster-require-full-coverage", "no", "--cluster-node-timeout", "1000")...)
	r := at(t, nodes[0], "redis://"+nodes[0].Addr+"?addr="+nodes[1].Addr+"&addr="+nodes[2].Addr)
	q := r.open(t, func(cfg *redisqueue.Config) { cfg.Shards = 12 })
	a := enqueueing(t, q, 4)
	a.await(t, 200)
	for _, node := range nodes {
		client := redis.NewClient(&redis.Options{Addr: node.Addr})
		n, err := client.DBSize(t.Context()).Result()
		require.NoError(t, err)
		require.NoError(t, client.Close())
		require.Positive(t, n, "every master has shards")
	}
	nodes[1].Kill()
	a.await(t, a.count()+200)
	require.NoError(t, q.Ready(t.Context()))
	nodes[1].Restart()
	a.await(t, a.count()+200)
	a.stop()
	seen := map[string]bool{}
	require.Eventually(t, func() bool { // a master that is back is believed after a moment
		items, err := q.Take(t.Context(), 500, 1<<20)
		if err != nil {
			return false
		}
		for _, item := range items {
			labelsOf(item, seen)
		}
		return q.Delivered(t.Context(), items) == nil && a.lost(seen) == 0
	}, time.Minute, 10*time.Millisecond, "of %d", a.count())
}

// A Redis that is full refuses, and what it has acknowledged stays.
func TestAFullRedis(t *testing.T) {
	t.Parallel()
	r := start(t, append(servicetest.Durable(), "--maxmemory", "8mb")...)
	q := r.open(t)
	large := received("large")
	large.Event.Label = strings.Repeat("x", 100_000)
	n := 0
	for ; n < 200; n++ {
		if err := q.Enqueue(t.Context(), []event.Received{large}); err != nil {
			require.ErrorContains(t, err, "OOM")
			break
		}
	}
	require.Less(t, n, 200, "it is never full")
	got := 0
	for got < n {
		items, err := q.Take(t.Context(), 500, 1<<20)
		require.NoError(t, err)
		require.NotEmpty(t, items)
		require.NoError(t, q.Delivered(t.Context(), items))
		got += len(items)
	}
	require.NoError(t, q.Ready(t.Context()))
	require.NoError(t, q.Enqueue(t.Context(), []event.Received{large}))
}
