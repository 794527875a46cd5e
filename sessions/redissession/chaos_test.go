//go:build unix

package redissession_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/sessions/redissession"
)

// load keeps a number of sessions in use. No answer may ever be "no session", which
// would sign somebody out: all of them live, until finish says otherwise.
type load struct {
	t       *testing.T
	m       *manager
	cookies []string
	stop    chan struct{}
	done    sync.WaitGroup
	good    atomic.Int64
	away    atomic.Int64
	lost    atomic.Int64
}

func newLoad(t *testing.T, m *manager, count int) *load {
	t.Helper()
	l := &load{t: t, m: m, stop: make(chan struct{})}
	for i := range count {
		l.cookies = append(l.cookies, signIn(t, m, fmt.Sprint("user", i)))
	}
	for w := range 4 {
		l.done.Go(func() {
			for i := w; ; i++ {
				select {
				case <-l.stop:
					return
				default:
				}
				cookie := l.cookies[i%count]
				within(m, &cookie, func(r *http.Request) { l.note(r, i) })
			}
		})
	}
	return l
}

func (l *load) note(r *http.Request, i int) {
	_, err := l.m.Check(r)
	if err == nil && i%3 == 0 {
		err = l.m.Update(r.Context(), increment)
	}
	switch {
	case err == nil:
		l.good.Add(1)
	case errors.Is(err, sessions.ErrUnavailable):
		l.away.Add(1)
		<-time.After(5 * time.Millisecond)
	default:
		l.lost.Add(1)
	}
}

// works waits until requests succeed again.
func (l *load) works() {
	l.t.Helper()
	before := l.good.Load()
	require.Eventually(l.t, func() bool { return l.good.Load() > before+50 },
		30*time.Second, 20*time.Millisecond)
}

func (l *load) finish() {
	l.t.Helper()
	close(l.stop)
	l.done.Wait()
	l.t.Logf("%d answered, %d unavailable", l.good.Load(), l.away.Load())
	require.Zero(l.t, l.lost.Load(), "sessions that an outage ended")
}

// TestFailover kills the master that Sentinel watches. What it had replicated lives on
// at the new one, ends included.
func TestFailover(t *testing.T) {
	t.Parallel()
	master := loopback.StartRedis(t, "--repl-diskless-sync-delay", "0")
	loopback.RedisReplica(t, master.Addr)
	sentinel := loopback.RedisSentinel(t, "sessions", master.Addr)
	watched := newClient(t, sentinel)
	require.Eventually(t, func() bool {
		replicas, err := watched.Do(t.Context(), "sentinel", "replicas", "sessions").Slice()
		return err == nil && len(replicas) == 1
	}, 30*time.Second, 100*time.Millisecond, "Sentinel finds the replica")
	client := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: "sessions", SentinelAddrs: []string{sentinel},
		MaxRetries: -1, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = client.Close() })
	// go-redis does not tell where Sentinel's master is, so nobody can see that it
	// is on this machine.
	store := newStore(t, redissession.Config{Client: client, DangerouslyAllowPlaintext: true})
	m := newManager(t, store, 300*time.Millisecond)
	ended := signIn(t, m, "ended")
	within(m, &ended, func(r *http.Request) { require.NoError(t, m.Logout(r.Context())) })
	l := newLoad(t, m, 30)
	l.works()
	replicated(t, client)
	master.Kill()
	l.works()
	l.finish()
	require.Positive(t, l.away.Load(), "the outage was noticed")
	_, err := check(m, ended)
	require.ErrorIs(t, err, sessions.ErrNoSession)
}

// replicated waits until the replica has all that was written until now.
func replicated(t *testing.T, client *redis.Client) {
	t.Helper()
	conn := client.Conn() // WAIT is about its connection's own last write
	defer conn.Close()
	require.Eventually(t, func() bool {
		if conn.Set(t.Context(), "written", 1, time.Minute).Err() != nil {
			return false
		}
		replicas, err := conn.Do(t.Context(), "wait", 1, 500).Int()
		return err == nil && replicas == 1
	}, 30*time.Second, 50*time.Millisecond)
}

// TestResharding moves every slot that holds sessions to another server, under load.
func TestResharding(t *testing.T) {
	t.Parallel()
	addrs := loopback.RedisCluster(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{
		// go-redis races with itself over these on the first connections of a cluster.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		Addrs:                    addrs, MaxRetries: -1, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = client.Close() })
	m := newManager(t, newStore(t, redissession.Config{Client: client}), 2*time.Second)
	l := newLoad(t, m, 40)
	l.works()
	nodes := map[string]*redis.Client{}
	ids := map[string]string{}
	for _, addr := range addrs {
		nodes[addr] = newClient(t, addr)
		id, err := nodes[addr].Do(t.Context(), "cluster", "myid").Text()
		require.NoError(t, err)
		ids[addr] = id
	}
	moved := 0
	for from := range addrs {
		to := addrs[(from+1)%len(addrs)]
		for _, slot := range slotsOf(t, nodes[addrs[from]]) {
			if moved++; moved > 24 {
				break
			}
			move(t, nodes, ids, addrs[from], to, slot)
		}
	}
	l.works()
	l.finish()
	require.Positive(t, moved)
	n, err := m.EndEveryone(context.Background())
	require.NoError(t, err)
	require.Equal(t, 40, n, "nobody was lost on the way")
}

// slotsOf returns the slots of a server that hold keys.
func slotsOf(t *testing.T, c *redis.Client) []int64 {
	t.Helper()
	keys, err := c.Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	seen := map[int64]bool{}
	var slots []int64
	for _, key := range keys {
		slot, err := c.ClusterKeySlot(t.Context(), key).Result()
		require.NoError(t, err)
		if !seen[slot] {
			seen[slot] = true
			slots = append(slots, slot)
		}
	}
	return slots
}

// move does what redis-cli --cluster reshard does with one slot, a key at a time.
func move(t *testing.T, nodes map[string]*redis.Client, ids map[string]string, from, to string, slot int64) {
	t.Helper()
	ctx := t.Context()
	do := func(addr string, args ...any) {
		require.NoError(t, nodes[addr].Do(ctx, args...).Err(), "%v", args)
	}
	do(to, "cluster", "setslot", slot, "importing", ids[from])
	do(from, "cluster", "setslot", slot, "migrating", ids[to])
	host, port, _ := strings.Cut(to, ":")
	for {
		keys, err := nodes[from].ClusterGetKeysInSlot(ctx, int(slot), 1).Result()
		require.NoError(t, err)
		if len(keys) == 0 {
			break
		}
		do(from, "migrate", host, port, keys[0], 0, 5000)
	}
	for _, addr := range []string{to, from} {
		do(addr, "cluster", "setslot", slot, "node", ids[to])
	}
}
