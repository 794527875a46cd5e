package redislimit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/redislimit"
)

// Sentinel's master dies. What was denied stays denied at the new one, as far as it
// was replicated, and decisions come back without anybody's help.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	master := loopback.StartRedis(t, "--repl-diskless-sync-delay", "0")
	loopback.RedisReplica(t, master.Addr)
	sentinel := loopback.RedisSentinel(t, "limits", master.Addr)
	watched := client(t, sentinel)
	require.Eventually(t, func() bool {
		replicas, err := watched.Do(t.Context(), "sentinel", "replicas", "limits").Slice()
		return err == nil && len(replicas) == 1
	}, 30*time.Second, 100*time.Millisecond, "Sentinel finds the replica")

	url := "redis://" + sentinel + "?master_name=limits&addr=" + sentinel
	cfg := redislimit.Config{Client: dial(t, url), Secret: secret, Timeout: time.Second}
	_, err := redislimit.New(cfg)
	require.ErrorContains(t, err, "TLS", "nobody can see where Sentinel's master is")
	cfg.DangerouslyAllowPlaintext = true
	s, err := redislimit.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	p := perHour("a", "k", 3)
	for range 3 {
		require.True(t, take(t, s, p)[0].Fits)
	}
	at := client(t, master.Addr)
	require.Eventually(t, func() bool {
		conn := at.Conn()
		defer conn.Close()
		n, err := conn.Set(t.Context(), "written", 1, time.Minute).Result()
		if err != nil || n != "OK" {
			return false
		}
		replicas, err := conn.Do(t.Context(), "wait", 1, 500).Int()
		return err == nil && replicas == 1
	}, 30*time.Second, 50*time.Millisecond)

	master.Kill()
	_, err = attempt(s, "noticed")
	require.Error(t, err)
	require.Eventually(t, func() bool {
		_, err := attempt(s, "back")
		return err == nil
	}, 60*time.Second, 20*time.Millisecond)
	results := make([]ratelimit.Result, 1)
	require.Eventually(t, func() bool {
		return s.Take(t.Context(), []ratelimit.Policy{p}, results) == nil
	}, 30*time.Second, 20*time.Millisecond)
	require.False(t, results[0].Fits, "the denial was lost")
}
