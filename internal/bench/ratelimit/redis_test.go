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
	client := redis.NewClient(&redis.Options{
		Addr: addr, PoolSize: workers, MaxRetries: -1, ContextTimeoutEnabled: true,
	})
	cfg := redislimit.Config{Client: client, Secret: secret, Timeout: 5 * time.Second}
	if edit != nil {
		edit(&cfg)
	}
	s, err := redislimit.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = s.Close(), client.Close() })
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
	const n = 20_000
	var names [1000]string
	for i := range names {
		names[i] = fmt.Sprint("key-", i)
	}
	name := func(w, i int) string { return names[(w*131+i)%len(names)] }
	limit := ratelimit.PerSecond(1_000_000)

	one := redis.NewScript("return 1")
	rr := redis_rate.NewLimiter(c)
	rate := redis_rate.Limit{Rate: 1_000_000, Period: time.Second, Burst: 1_000_000}
	us, err := ululeredis.NewStore(c)
	require.NoError(t, err)
	ul := ulule.New(us, ulule.Rate{Period: time.Second, Limit: plenty})
	hr := httprateRedis(t, addr)
	request := httptest.NewRequest(http.MethodGet, "/", nil)

	decide := func(s *redislimit.Store) func(w, i int) {
		l, err := ratelimit.New(ratelimit.Config{Store: s})
		require.NoError(t, err)
		return func(w, i int) {
			l.Decide(ctx, ratelimit.Policy{
				Name: "a", Key: ratelimit.TextKey(name(w, i)), Limit: limit,
			})
		}
	}
	three := func(s *redislimit.Store) func(w, i int) {
		l, err := ratelimit.New(ratelimit.Config{Store: s})
		require.NoError(t, err)
		return func(w, i int) {
			key := ratelimit.TextKey(name(w, i))
			l.Decide(ctx, ratelimit.Policy{Name: "a", Key: key, Limit: limit},
				ratelimit.Policy{Name: "b", Key: key, Limit: limit},
				ratelimit.Policy{Name: "c", Key: key, Limit: limit})
		}
	}
	single := openStore(t, addr, func(c *redislimit.Config) { c.Batch = 1 })
	batched := openStore(t, addr, nil)
	leased := openStore(t, addr, func(c *redislimit.Config) { c.Lease = 1000 })
	contenders := []struct {
		name string
		f    func(w, i int)
		best load
	}{
		{name: "EVALSHA return 1", f: func(w, i int) { one.Run(ctx, c, []string{name(w, i)}) }},
		{name: "redis_rate", f: func(w, i int) { _, _ = rr.Allow(ctx, name(w, i), rate) }},
		{name: "ulule", f: func(w, i int) { _, _ = ul.Get(ctx, name(w, i)) }},
		{name: "httprate-redis", f: func(w, i int) {
			hr.OnLimit(httptest.NewRecorder(), request, name(w, i))
		}},
		{name: "sallyport, unbatched", f: decide(single)},
		{name: "sallyport", f: decide(batched)},
		{name: "sallyport, leased", f: decide(leased)},
		{name: "redis_rate, three times", f: func(w, i int) {
			for _, kind := range [...]string{"a", "b", "c"} {
				_, _ = rr.Allow(ctx, kind+name(w, i), rate)
			}
		}},
		{name: "sallyport, three policies, unbatched", f: three(single)},
		{name: "sallyport, three policies", f: three(batched)},
	}
	for round := range 5 { // in turns, so that a busy machine disturbs all alike
		for k := range contenders {
			l := run(t, c, n, contenders[k].f)
			if best := &contenders[k].best; round == 0 {
				*best = l
			} else {
				best.wall, best.redis = min(best.wall, l.wall), min(best.redis, l.redis)
			}
		}
	}
	for _, k := range contenders {
		t.Logf("| %s | wall %.2f | redis CPU %.2f us | %.2f decisions of redis_rate per CPU second |",
			k.name, k.best.wall/contenders[0].best.wall, k.best.redis,
			contenders[1].best.redis/k.best.redis)
	}

	f := decide(single)
	t.Logf("| sallyport, alone, unbatched | %.0f allocs |",
		testing.AllocsPerRun(500, func() { f(0, 0) }))
	f = decide(batched)
	t.Logf("| sallyport, alone | %.0f allocs |", testing.AllocsPerRun(500, func() { f(0, 0) }))
	t.Logf("| redis_rate | %.0f allocs |", testing.AllocsPerRun(500, func() {
		_, _ = rr.Allow(ctx, "k", rate)
	}))
}

func httprateRedis(t testing.TB, addr string) *httprate.RateLimiter {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	p, err := strconv.ParseUint(port, 10, 16)
	require.NoError(t, err)
	counter := httprateredis.NewCounter(&httprateredis.Config{
		Host: host, Port: uint16(p), MaxIdle: workers, MaxActive: workers,
		FallbackTimeout: 5 * time.Second,
	})
	return httprate.NewRateLimiter(plenty, time.Second, httprate.WithLimitCounter(counter))
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
		client := redis.NewClient(&redis.Options{
			Addr: addr, PoolSize: workers, MaxRetries: -1, ContextTimeoutEnabled: true,
		})
		s := openStore(t, addr, func(c *redislimit.Config) { c.Client = client })
		each(n, func(i int) {
			p := []ratelimit.Policy{{
				Name: "a", Key: ratelimit.TextKey(strconv.Itoa(i)), Cost: 1,
				Limit: ratelimit.PerHour(10),
			}}
			_ = s.Take(t.Context(), p, make([]ratelimit.Result, 1))
		})
		require.NoError(t, s.Close())
		require.NoError(t, client.Close()) // and with it what Redis holds per connection
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
