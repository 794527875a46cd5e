package redissession_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/sessions/redissession"
	"github.com/opsmantik/sallyport/sessions/storetest"
)

func newClient(t testing.TB, addr string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func newStore(t testing.TB, cfg redissession.Config) *redissession.Store {
	t.Helper()
	s, err := redissession.New(cfg)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// pass lets time pass on a server: for the scripts, and for every key's expiry.
func pass(t *testing.T, c *redis.Client, d time.Duration) {
	t.Helper()
	ctx := context.Background()
	require.NoError(t, c.IncrBy(ctx, "skew", d.Microseconds()).Err())
	keys, err := c.Keys(ctx, "{*").Result()
	require.NoError(t, err)
	for _, key := range keys {
		left, err := c.PTTL(ctx, key).Result()
		require.NoError(t, err)
		if left > 0 { // a key without an expiry stays for ever
			require.NoError(t, c.PExpire(ctx, key, left-d).Err())
		}
	}
}

func TestConformance(t *testing.T) {
	for name, resolution := range map[string]time.Duration{
		"default": time.Second, "every use": time.Nanosecond,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, loopback.Redis(t))
			storetest.Run(t, storetest.Harness{
				Resolution: max(resolution, 100*time.Millisecond), // the test itself takes time
				Advance:    func(d time.Duration) { pass(t, c, d) },
				New: func(t *testing.T, room int) sessions.Store {
					require.NoError(t, c.FlushAll(t.Context()).Err())
					s, err := redissession.NewSkewed(redissession.Config{
						Client: c, MaxSessions: room, Shards: 1, Resolution: resolution,
					})
					require.NoError(t, err)
					return s
				},
				Held: func(sessions.Store) int {
					keys, err := c.Keys(context.Background(), "{*").Result()
					require.NoError(t, err)
					return len(keys)
				},
			})
		})
	}
}
