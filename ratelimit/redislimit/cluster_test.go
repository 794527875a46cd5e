package redislimit_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/redislimit"
	"github.com/opsmantik/sallyport/ratelimit/storetest"
)

var context0 = context.Background()

func clusterClient(t testing.TB, o *redis.ClusterOptions) *redis.ClusterClient {
	t.Helper()
	o.ContextTimeoutEnabled = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	c := redis.NewClusterClient(o)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func openCluster(t testing.TB, addrs []string) *redislimit.Store {
	t.Helper()
	url := "redis://" + addrs[0] + "?addr=" + strings.Join(addrs[1:], "&addr=")
	s, err := redislimit.New(redislimit.Config{
		Client: dial(t, url), Secret: secret, Timeout: 2 * time.Second,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestCluster(t *testing.T) {
	addrs := loopback.RedisCluster(t)
	s := openCluster(t, addrs)
	t.Run("conforms", func(t *testing.T) {
		storetest.Run(t, func(testing.TB) ratelimit.Store { return s })
	})
	t.Run("policies of one tenant are decided together", func(t *testing.T) {
		for i := range 50 {
			tenant := fmt.Sprint("tenant", i)
			a, b, c := perHour("a", "x", 10), perHour("b", "y", 10), perHour("c", "z", 1)
			for _, p := range []*ratelimit.Policy{&a, &b, &c} {
				p.Key = p.Key.In(tenant)
			}
			require.Equal(t, 9, take(t, s, a, b, c)[0].Remaining)
			require.Equal(t, 9, take(t, s, a, b, c)[1].Remaining, "c refused, so b was not charged")
		}
	})
	t.Run("policies of different slots are refused, not split", func(t *testing.T) {
		p := []ratelimit.Policy{perHour("a", "x", 10), perHour("b", "y", 10)}
		err := s.Take(t.Context(), p, make([]ratelimit.Result, 2))
		require.ErrorContains(t, err, "tenant")
		p[0].Cost = 0
		require.Equal(t, 10, take(t, s, p[0])[0].Remaining)
	})
	t.Run("keys spread over all masters", func(t *testing.T) {
		var wg sync.WaitGroup
		for i := range 300 {
			wg.Go(func() { take(t, s, perHour("spread", fmt.Sprint(i), 10)) })
		}
		wg.Wait()
		for _, addr := range addrs {
			n, err := client(t, addr).DBSize(t.Context()).Result()
			require.NoError(t, err)
			require.Greater(t, n, int64(50), addr)
		}
	})
	t.Run("redirections are followed", func(t *testing.T) {
		c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
		defer func() { _ = c.Close() }()
		before := s.Stats().Failures
		key := perHour("moved", "slot", 10)
		require.Equal(t, 9, take(t, s, key)[0].Remaining)
		require.Equal(t, before, s.Stats().Failures)
	})
}

// One master that is out must not close the others.
func TestClusterLosesOneMaster(t *testing.T) {
	addrs := loopback.RedisCluster(t)
	s, err := redislimit.New(redislimit.Config{
		Client: clusterClient(t, &redis.ClusterOptions{Addrs: addrs}),
		Secret: secret, Timeout: 100 * time.Millisecond,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	losesOneMaster(t, s, addrs)
}

// Nor must it when the Store starts out: every part has to be asked for itself.
func TestClusterLosesOneMasterAfterStartingOut(t *testing.T) {
	addrs := loopback.RedisCluster(t)
	var dead atomic.Bool
	dead.Store(true)
	s, err := redislimit.New(redislimit.Config{
		Client: clusterClient(t, &redis.ClusterOptions{
			Addrs: addrs,
			Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
				if dead.Load() {
					return nil, errors.New("no route")
				}
				return new(net.Dialer).DialContext(ctx, network, addr)
			},
		}),
		Secret: secret, Timeout: 100 * time.Millisecond,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.EqualValues(t, 32, s.Stats().Outages)
	dead.Store(false)
	losesOneMaster(t, s, addrs)
}

func losesOneMaster(t *testing.T, s *redislimit.Store, addrs []string) {
	t.Helper()
	ask := func(i int) error {
		p := []ratelimit.Policy{perHour("a", fmt.Sprint(i), 100)}
		return s.Take(t.Context(), p, make([]ratelimit.Result, 1))
	}
	// CLIENT PAUSE stops this node's answers for a while, as a hang would. On a
	// busy machine one while may be too short, and a store that starts out has to find
	// the other parts again first.
	const hang = 4 * time.Second
	ok, failed := 0, 0
	for try := 0; ok < 10 || failed < 5; try++ {
		require.Less(t, try, 4*tries, "%d answered, %d failed", ok, failed)
		ok, failed = 0, 0
		start := time.Now()
		require.NoError(t, client(t, addrs[0]).
			Do(t.Context(), "client", "pause", hang.Milliseconds(), "ALL").Err())
		for i := 0; (ok < 10 || failed < 5) && time.Since(start) < hang; i++ {
			if ask(i) == nil {
				ok++
			} else {
				failed++
			}
		}
	}
	require.Eventually(t, func() bool {
		for i := range 50 {
			if ask(i) != nil {
				return false
			}
		}
		return true
	}, hang+10*time.Second, 50*time.Millisecond)
}
