package rediswatch_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/audit/watch/rediswatch"
	"github.com/opsmantik/sallyport/internal/loopback"
)

func merger(t *testing.T, addr string) *rediswatch.Merger {
	t.Helper()
	client := redis.NewClient(&redis.Options{
		Addr: addr, MaxRetries: -1, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = client.Close() })
	m, err := rediswatch.New(rediswatch.Config{Client: client, Wait: 500 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(m.Close)
	return m
}

// TestInstancesSeeTheSum: three instances add more counts than one script takes.
func TestInstancesSeeTheSum(t *testing.T) {
	t.Parallel()
	addr := loopback.Redis(t)
	minute := time.Now().Truncate(time.Minute)
	const n = 5000
	var all sync.WaitGroup
	for i := range 3 {
		m := merger(t, addr)
		all.Go(func() {
			counts := make([]uint64, n)
			for k := range counts {
				counts[k] = uint64(k % 3 * (i + 1))
			}
			got, err := m.Sum(t.Context(), "a", minute, counts)
			if err != nil || len(got) != n {
				t.Errorf("%v, %d counts", err, len(got))
				return
			}
			for k, sum := range got {
				if sum != uint64(k%3*6) {
					t.Errorf("count %d: got %d", k, sum)
				}
			}
		})
	}
	all.Wait()
	other, err := merger(t, addr).Sum(t.Context(), "b", minute, []uint64{7})
	require.NoError(t, err)
	require.Equal(t, []uint64{7}, other, "of other rules")
}

func TestOneInstanceTells(t *testing.T) {
	t.Parallel()
	addr := loopback.Redis(t)
	told := 0
	for range 3 {
		mine, err := merger(t, addr).Claim(t.Context(), "traffic_rise:x", time.Minute)
		require.NoError(t, err)
		if mine {
			told++
		}
	}
	require.Equal(t, 1, told)
}

// TestOutage: nothing is counted that is not known, and nobody waits long.
func TestOutage(t *testing.T) {
	t.Parallel()
	server := loopback.StartRedis(t)
	m := merger(t, server.Addr)
	server.Kill()
	_, err := m.Sum(t.Context(), "a", time.Now(), []uint64{1})
	require.Error(t, err)
	_, err = m.Claim(t.Context(), "x", time.Minute)
	require.Error(t, err)
}

func TestForeignFieldsAreAnError(t *testing.T) {
	t.Parallel()
	addr := loopback.Redis(t)
	minute := time.Now().Truncate(time.Minute)
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { require.NoError(t, client.Close()) }()
	key := "watch:sum:a:" + strconv.FormatInt(minute.Unix()/60, 10)
	require.NoError(t, client.HSet(t.Context(), key, "9", "1").Err())
	_, err := merger(t, addr).Sum(t.Context(), "a", minute, []uint64{1})
	require.ErrorContains(t, err, "not ours")
}

func TestConfigProblems(t *testing.T) {
	t.Parallel()
	_, err := rediswatch.New(rediswatch.Config{Prefix: "a{b}", Wait: time.Hour, Timeout: -1})
	for _, field := range []string{"Client", "Prefix", "Wait", "Timeout"} {
		require.ErrorContains(t, err, "audit/watch/rediswatch: "+field)
	}
	var none *rediswatch.Merger
	_, err = none.Sum(t.Context(), "a", time.Now(), nil)
	require.Error(t, err)
	none.Close()
}
