package ratelimit_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-chi/httprate"
	httprateredis "github.com/go-chi/httprate-redis"
	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	ulule "github.com/ulule/limiter/v3"
	ululeredis "github.com/ulule/limiter/v3/drivers/store/redis"

	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/redislimit"
)

const workers = 64

var secret = []byte("a secret that is only for tests!")

func openStore(t testing.TB, addr string, edit func(*redislimit.Config)) *redislimit.Store {
	t.Helper()
	cfg := redislimit.Config{
		Redis:  &redis.UniversalOptions{Addrs: []string{addr}, PoolSize: workers},
		Secret: secret, Timeout: 5 * time.Second,
	}
	if edit != nil {
		edit(&cfg)
	}
	s, err := redislimit.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// serverCPU returns the CPU microseconds that the server has used.
func serverCPU(t testing.TB, c *redis.Client) float64 {
	t.Helper()
	info, err := c.Info(context.Background(), "cpu").Result()
	require.NoError(t, err)
	var total float64
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_user" || name == "used_cpu_sys" {
			f, err := strconv.ParseFloat(value, 64)
			require.NoError(t, err)
			total += f * 1e6
		}
	}
	return total
}

type load struct{ wall, redis float64 } // microseconds per decision

// run spreads n decisions over the workers.
func run(t testing.TB, c *redis.Client, n int, f func(worker, i int)) load {
	t.Helper()
	f(0, 0)
	before, start := serverCPU(t, c), time.Now()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range n / workers {
				f(w, i)
			}
		})
	}
	wg.Wait()
	wall := time.Since(start)
	return load{
		wall:  float64(wall.Microseconds()) / float64(n),
		redis: (serverCPU(t, c) - before) / float64(n),
	}
}

func TestBarsRedis(t *testing.T) {
	bars(t)
	addr := loopback.Redis(t)
	c := redis.NewClient(&redis.Options{Addr: addr, PoolSize: workers})
	defer func() { _ = c.Close() }()
	ctx := t.Context()
	const n = 40_000
	var names [1000]string
	for i := range names {
		names[i] = fmt.Sprint("key-", i)
	}
	name := func(w, i int) string { return names[(w*131+i)%len(names)] }
	limit := ratelimit.PerSecond(1_000_000)

	one := redis.NewScript("return 1")
	floor := run(t, c, n, func(w, i int) { one.Run(ctx, c, []string{name(w, i)}) })
	rr := redis_rate.NewLimiter(c)
	rate := redis_rate.Limit{Rate: 1_000_000, Period: time.Second, Burst: 1_000_000}
	peer := run(t, c, n, func(w, i int) { _, _ = rr.Allow(ctx, name(w, i), rate) })
	peer3 := run(t, c, n/2, func(w, i int) {
		for _, kind := range [...]string{"a", "b", "c"} {
			_, _ = rr.Allow(ctx, kind+name(w, i), rate)
		}
	})
	t.Logf("| EVALSHA return 1 | wall 1.00 | redis %.2f us |", floor.redis)
	line := func(what string, l load) {
		t.Logf("| %s | wall %.2f | redis %.2f us | %.2f of redis_rate per CPU second |",
			what, l.wall/floor.wall, l.redis, peer.redis/l.redis)
	}
	line("redis_rate", peer)
	us, err := ululeredis.NewStore(c)
	require.NoError(t, err)
	ul := ulule.New(us, ulule.Rate{Period: time.Second, Limit: plenty})
	line("ulule", run(t, c, n, func(w, i int) { _, _ = ul.Get(ctx, name(w, i)) }))
	host, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	p, err := strconv.Atoi(port)
	require.NoError(t, err)
	counter := httprateredis.NewCounter(&httprateredis.Config{
		Host: host, Port: uint16(p), MaxIdle: workers, MaxActive: workers, //nolint:gosec // a port
		FallbackTimeout: 5 * time.Second,
	})
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	hr := httprate.NewRateLimiter(plenty, time.Second, httprate.WithLimitCounter(counter))
	line("httprate-redis", run(t, c, n/4, func(w, i int) {
		hr.OnLimit(httptest.NewRecorder(), request, name(w, i))
	}))

	decide := func(s *redislimit.Store) func(w, i int) {
		l, err := ratelimit.New(ratelimit.Config{Store: s})
		require.NoError(t, err)
		return func(w, i int) {
			l.Decide(ctx, ratelimit.Policy{
				Name: "a", Key: ratelimit.TextKey(name(w, i)), Limit: limit,
			})
		}
	}
	single := openStore(t, addr, func(c *redislimit.Config) { c.Batch = 1 })
	line("sallyport, unbatched", run(t, c, n, decide(single)))
	line("sallyport", run(t, c, n, decide(openStore(t, addr, nil))))
	line("sallyport, one key", run(t, c, n, func(f func(int, int)) func(int, int) {
		return func(int, int) { f(0, 0) }
	}(decide(openStore(t, addr, nil)))))
	leased := openStore(t, addr, func(c *redislimit.Config) { c.Lease = 1000 })
	line("sallyport, leased", run(t, c, 10*n, decide(leased)))

	three := func(s *redislimit.Store) load {
		l, err := ratelimit.New(ratelimit.Config{Store: s})
		require.NoError(t, err)
		return run(t, c, n/2, func(w, i int) {
			key := ratelimit.TextKey(name(w, i))
			l.Decide(ctx, ratelimit.Policy{Name: "a", Key: key, Limit: limit},
				ratelimit.Policy{Name: "b", Key: key, Limit: limit},
				ratelimit.Policy{Name: "c", Key: key, Limit: limit})
		})
	}
	t.Logf("| three policies, unbatched | %.2f of redis_rate three times |",
		three(single).redis/peer3.redis)
	t.Logf("| three policies | %.2f of redis_rate three times |",
		three(openStore(t, addr, nil)).redis/peer3.redis)

	f := decide(single)
	t.Logf("| sallyport, alone, unbatched | %.0f allocs |",
		testing.AllocsPerRun(500, func() { f(0, 0) }))
	f = decide(openStore(t, addr, nil))
	t.Logf("| sallyport, alone | %.0f allocs |", testing.AllocsPerRun(500, func() { f(0, 0) }))
	t.Logf("| redis_rate | %.0f allocs |", testing.AllocsPerRun(500, func() {
		_, _ = rr.Allow(ctx, "k", rate)
	}))
}

// Bytes per key, over all that 100,000 keys make Redis allocate.
func TestBarsRedisMemory(t *testing.T) {
	bars(t)
	const n = 100_000
	measure := func(f func(c *redis.Client, addr string)) float64 {
		addr := loopback.Redis(t)
		c := redis.NewClient(&redis.Options{Addr: addr, PoolSize: workers})
		defer func() { _ = c.Close() }()
		before := used(t, c)
		f(c, addr)
		require.Eventually(t, func() bool { // until the closed connections are gone
			n, err := c.Info(t.Context(), "clients").Result()
			return err == nil && strings.Contains(n, "connected_clients:1\r")
		}, 5*time.Second, 10*time.Millisecond)
		size, err := c.DBSize(t.Context()).Result()
		require.NoError(t, err)
		return float64(used(t, c)-before) / float64(size)
	}
	ours := measure(func(_ *redis.Client, addr string) {
		s := openStore(t, addr, nil)
		each(n, func(i int) {
			p := []ratelimit.Policy{{
				Name: "a", Key: ratelimit.TextKey(strconv.Itoa(i)), Cost: 1,
				Limit: ratelimit.PerHour(10),
			}}
			_ = s.Take(t.Context(), p, make([]ratelimit.Result, 1))
		})
		require.NoError(t, s.Close()) // and with it what Redis holds per connection
	})
	theirs := measure(func(_ *redis.Client, addr string) {
		c := redis.NewClient(&redis.Options{Addr: addr, PoolSize: workers})
		defer func() { _ = c.Close() }()
		rr := redis_rate.NewLimiter(c)
		each(n, func(i int) { _, _ = rr.Allow(t.Context(), strconv.Itoa(i), redis_rate.PerHour(10)) })
	})
	t.Logf("| sallyport %.0f bytes per key | redis_rate %.0f |", ours, theirs)
}

func used(t testing.TB, c *redis.Client) int64 {
	t.Helper()
	info, err := c.Info(context.Background(), "memory").Result()
	require.NoError(t, err)
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "used_memory:"); ok {
			n, err := strconv.ParseInt(v, 10, 64)
			require.NoError(t, err)
			return n
		}
	}
	t.Fatal("no used_memory")
	return 0
}

func each(n int, f func(i int)) {
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				f(i)
			}
		})
	}
	wg.Wait()
}
