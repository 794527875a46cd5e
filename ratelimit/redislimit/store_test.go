package redislimit_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/redislimit"
	"github.com/opsmantik/sallyport/ratelimit/storetest"
)

var secret = []byte("a secret that is only for tests!")

// open returns a store on a server. The deadline is generous where a test is
// not about it: this machine may be busy.
func open(t testing.TB, addr string, edit ...func(*redislimit.Config)) *redislimit.Store {
	t.Helper()
	cfg := redislimit.Config{
		Client: dial(t, "redis://"+addr), Secret: secret, Timeout: 2 * time.Second,
	}
	for _, e := range edit {
		e(&cfg)
	}
	s, err := redislimit.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// dial makes a client that is closed after the store.
func dial(t testing.TB, url string) redis.UniversalClient {
	t.Helper()
	c, err := redislimit.NewClient(url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func client(t testing.TB, addr string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func perHour(name, key string, n int) ratelimit.Policy {
	return ratelimit.Policy{
		Name: name, Key: ratelimit.TextKey(key), Limit: ratelimit.PerHour(n), Cost: 1,
	}
}

func take(t testing.TB, s ratelimit.Store, p ...ratelimit.Policy) []ratelimit.Result {
	t.Helper()
	results := make([]ratelimit.Result, len(p))
	require.NoError(t, s.Take(context.Background(), p, results))
	return results
}

func TestStoreConforms(t *testing.T) {
	t.Parallel()
	addr := loopback.Redis(t)
	for name, edit := range map[string]func(*redislimit.Config){
		"batched":   func(*redislimit.Config) {},
		"unbatched": func(c *redislimit.Config) { c.Batch = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t testing.TB) ratelimit.Store { return open(t, addr, edit) })
		})
	}
}

func TestZeroStoreAnswersNothing(t *testing.T) {
	t.Parallel()
	for _, s := range []*redislimit.Store{nil, {}} {
		p := []ratelimit.Policy{perHour("a", "k", 1)}
		require.Error(t, s.Take(t.Context(), p, make([]ratelimit.Result, 1)))
		require.Error(t, s.Forget(t.Context(), p))
		require.Error(t, s.Leave(t.Context(), p[0], "token"))
		_, err := s.Enter(t.Context(), p[0], "token", 1, time.Second)
		require.Error(t, err)
		require.NoError(t, s.Close())
	}
}

func TestNewReportsEveryProblemAtOnce(t *testing.T) {
	t.Parallel()
	unsafe := redis.NewClient(&redis.Options{Addr: "192.0.2.1:1"})
	defer func() { require.NoError(t, unsafe.Close()) }()
	_, err := redislimit.New(redislimit.Config{
		Client: unsafe, Secret: []byte("short"), Prefix: "a{b", Timeout: time.Hour,
		Batch: 1000, Lease: -1, LeaseTime: time.Hour,
	})
	for _, field := range []string{
		"Client: \"MaxRetries=3\"", "Client: waits", "Client: \"192.0.2.1:1\"", "Secret", "Prefix",
		"Timeout", "Batch", "Lease:", "LeaseTime",
	} {
		require.ErrorContains(t, err, "redislimit: "+field)
	}
	require.NotContains(t, err.Error(), "short")
	_, err = redislimit.New(redislimit.Config{Secret: secret})
	require.ErrorContains(t, err, "redislimit: Client: is the")

	ring := redis.NewRing(&redis.RingOptions{
		Addrs: map[string]string{"a": "127.0.0.1:1"}, MaxRetries: -1, ContextTimeoutEnabled: true,
	})
	defer func() { require.NoError(t, ring.Close()) }()
	_, err = redislimit.New(redislimit.Config{Client: ring, Secret: secret})
	require.ErrorContains(t, err, "Ring")

	_, err = redislimit.NewClient("http://user:hunter2@host")
	var problem *sallyport.ConfigError
	require.ErrorAs(t, err, &problem)
	require.Equal(t, sallyport.ConfigMalformed, problem.Code)
	require.NotContains(t, err.Error(), "hunter2")
}

// Nothing of an address, account or API key may be readable in Redis, every key
// must expire, and a bucket may take 130 bytes.
func TestKeysAreHashedBoundedAndExpire(t *testing.T) {
	t.Parallel()
	addr := loopback.Redis(t)
	s, c := open(t, addr), client(t, addr)
	for i := range 200 {
		take(t, s, perHour("address", fmt.Sprintf("198.51.100.%d", i), 100))
		p := perHour("key", fmt.Sprintf("sk_live_%d", i), 100)
		p.Key = p.Key.In("tenant-name")
		take(t, s, p)
	}
	entered, err := s.Enter(t.Context(), perHour("export", "198.51.100.1", 1), "token", 3, time.Minute)
	require.NoError(t, err)
	require.True(t, entered)

	keys, err := c.Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	buckets := 0
	for _, key := range keys {
		for _, secret := range []string{"198.51", "sk_live", "tenant", "address", "export"} {
			require.NotContains(t, key, secret)
		}
		require.Positive(t, c.PTTL(t.Context(), key).Val(), "key %s never expires", key)
		if strings.HasSuffix(key, "probe") || c.Type(t.Context(), key).Val() != "string" {
			continue
		}
		buckets++
		require.LessOrEqual(t, c.PTTL(t.Context(), key).Val(), 37*time.Second, "longer than until full")
		require.Equal(t, "int", c.ObjectEncoding(t.Context(), key).Val())
		size := c.MemoryUsage(t.Context(), key).Val()
		require.LessOrEqual(t, size, int64(130), "bytes of %s", key)
	}
	require.Equal(t, 400, buckets)
}

// Other secrets, other keys: an instance with the wrong one is alone, not wrong.
func TestSecretSeparatesStores(t *testing.T) {
	t.Parallel()
	addr := loopback.Redis(t)
	p := perHour("a", "k", 1)
	require.True(t, take(t, open(t, addr), p)[0].Fits)
	require.False(t, take(t, open(t, addr), p)[0].Fits)
	other := open(t, addr, func(c *redislimit.Config) { c.Secret = []byte("another secret, as long") })
	require.True(t, take(t, other, p)[0].Fits)
}

func TestScriptCacheFlushed(t *testing.T) {
	t.Parallel()
	addr := loopback.Redis(t)
	s, c := open(t, addr), client(t, addr)
	p := perHour("a", "k", 10)
	require.Equal(t, 9, take(t, s, p)[0].Remaining)
	require.NoError(t, c.ScriptFlush(t.Context()).Err())
	require.Equal(t, 8, take(t, s, p)[0].Remaining)
	require.Zero(t, s.Stats().Failures)
}

func TestFlushedServerStartsFull(t *testing.T) {
	t.Parallel()
	addr := loopback.Redis(t)
	s, c := open(t, addr), client(t, addr)
	p := perHour("a", "k", 2)
	take(t, s, p)
	take(t, s, p)
	require.NoError(t, c.FlushAll(t.Context()).Err())
	require.Equal(t, 1, take(t, s, p)[0].Remaining)
}

// The server's clock is the only one. Set back by an hour, a bucket must not
// stay empty for that hour; set forward, it is full, as time says.
func TestServerClockJumps(t *testing.T) {
	t.Parallel()
	addr := loopback.Redis(t)
	s, c := open(t, addr), client(t, addr)
	for name, tc := range map[string]struct {
		by        time.Duration
		remaining int
	}{
		"back":      {-time.Hour, 0},
		"back far":  {-40 * 365 * 24 * time.Hour, 0},
		"forward":   {time.Hour, 60},
		"a little":  {2 * time.Second, 52},
		"unchanged": {0, 50},
	} {
		t.Run(name, func(t *testing.T) {
			p := ratelimit.Policy{
				Name: "a", Key: ratelimit.TextKey(name), Limit: ratelimit.PerMinute(60), Cost: 10,
			}
			take(t, s, p)
			key := bucketKey(t, c)
			full, err := c.Get(t.Context(), key).Int64()
			require.NoError(t, err)
			// To the script, a clock that jumped is a stored time that is off.
			require.NoError(t, c.Set(t.Context(), key, full-int64(tc.by), redis.KeepTTL).Err())
			if tc.by == 2*time.Second || tc.by == 0 {
				tc.remaining++ // rounding of the time that passed meanwhile
			}
			p.Cost = 0
			r := take(t, s, p)[0]
			require.InDelta(t, tc.remaining, r.Remaining, 2)
			require.LessOrEqual(t, r.Reset, time.Minute, "at most empty, and full in a minute")
			require.NoError(t, c.Del(t.Context(), key).Err())
		})
	}
}

func bucketKey(t *testing.T, c *redis.Client) string {
	t.Helper()
	keys, err := c.Keys(t.Context(), "rl:*").Result()
	require.NoError(t, err)
	for _, key := range keys {
		if !strings.HasSuffix(key, "probe") {
			return key
		}
	}
	t.Fatal("no bucket")
	return ""
}

// Denials are known until a time: they need no call.
func TestDeniedKeysAreAnsweredLocally(t *testing.T) {
	t.Parallel()
	s := open(t, loopback.Redis(t))
	p := perHour("a", "k", 1)
	take(t, s, p)
	first := take(t, s, p)[0]
	calls := s.Stats().Calls
	for range 1000 {
		r := take(t, s, p)[0]
		require.False(t, r.Fits)
		require.LessOrEqual(t, r.RetryAfter, first.RetryAfter)
		require.Positive(t, r.RetryAfter)
	}
	require.Equal(t, calls, s.Stats().Calls)
	p.Limit = ratelimit.PerHour(2)
	require.False(t, take(t, s, p)[0].Fits)
	require.Greater(t, s.Stats().Calls, calls, "another limit is another question")
}

func TestDenialEndsOnTime(t *testing.T) {
	t.Parallel()
	s := open(t, loopback.Redis(t))
	p := perHour("a", "k", 1)
	p.Limit = ratelimit.Limit{Count: 10, Window: time.Second, Burst: 1}
	take(t, s, p)
	start, admitted := time.Now(), 0
	for time.Since(start) < 2*time.Second {
		r := take(t, s, p)[0]
		if r.Fits {
			admitted++
			continue
		}
		<-time.After(r.RetryAfter)
	}
	most := int(time.Since(start)/p.Limit.Interval()) + 1
	require.LessOrEqual(t, admitted, most)
	require.GreaterOrEqual(t, admitted, 10, "far below 10 per second")
}

// Units taken ahead are admitted without a call, never beyond the limit, and
// what one process holds back is bounded and lost after its time.
func TestLease(t *testing.T) {
	t.Parallel()
	addr := loopback.Redis(t)
	const limit, lease, instances = 4000, 100, 8
	var admitted atomic.Int64
	var wg sync.WaitGroup
	var stores []*redislimit.Store
	for range instances {
		stores = append(stores, open(t, addr, func(c *redislimit.Config) {
			c.Lease, c.LeaseTime = lease, 5*time.Second
		}))
	}
	start := time.Now()
	p := perHour("a", "k", limit)
	for _, s := range stores {
		for range 4 {
			wg.Go(func() {
				for range 300 {
					if take(t, s, p)[0].Fits {
						admitted.Add(1)
					}
				}
			})
		}
	}
	wg.Wait()
	earned := int64(time.Since(start)/p.Limit.Interval()) + 1
	require.LessOrEqual(t, admitted.Load(), limit+earned, "admitted more than was charged")
	require.GreaterOrEqual(t, admitted.Load(), int64(limit-instances*lease), "stranded too much")
	var calls, local uint64
	for _, s := range stores {
		calls += s.Stats().Calls
		local += s.Stats().Local
	}
	require.Greater(t, local, 5*calls, "leases saved too little")
}

func TestLeaseExpires(t *testing.T) {
	t.Parallel()
	s := open(t, loopback.Redis(t), func(c *redislimit.Config) {
		c.Lease, c.LeaseTime = 100, 20*time.Millisecond
	})
	p := perHour("a", "k", 100_000)
	for range 50 {
		take(t, s, p)
	}
	<-time.After(30 * time.Millisecond)
	calls := s.Stats().Calls
	take(t, s, p)
	require.Greater(t, s.Stats().Calls, calls, "a lease outlived its time")
}

func TestBatchesShareCalls(t *testing.T) {
	t.Parallel()
	s := open(t, loopback.Redis(t))
	var wg sync.WaitGroup
	for g := range 64 {
		wg.Go(func() {
			for i := range 100 {
				p := perHour("a", fmt.Sprint(g, i%5), 100)
				if !take(t, s, p)[0].Fits {
					t.Error("refused below the limit")
				}
			}
		})
	}
	wg.Wait()
	st := s.Stats()
	require.EqualValues(t, 6400, st.Decisions)
	require.Less(t, st.Calls, st.Decisions/3)
	require.Zero(t, st.Failures)
}

// Equal decisions of one batch are charged together, and each is told its own
// place: what remains is different for each.
func TestMergedDecisionsSeeTheirOwnPlace(t *testing.T) {
	t.Parallel()
	s := open(t, loopback.Redis(t))
	p := perHour("a", "k", 10_000)
	var seen sync.Map
	var wg sync.WaitGroup
	for range 500 {
		wg.Go(func() {
			if _, again := seen.LoadOrStore(take(t, s, p)[0].Remaining, true); again {
				t.Error("two decisions were told the same place")
			}
		})
	}
	wg.Wait()
	require.Equal(t, 10_000-501, take(t, s, p)[0].Remaining)
}

func TestCancelledCallerIsNotCharged(t *testing.T) {
	t.Parallel()
	s := open(t, loopback.Redis(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := []ratelimit.Policy{perHour("a", "k", 2)}
	require.ErrorIs(t, s.Take(ctx, p, make([]ratelimit.Result, 1)), context.Canceled)
	require.Equal(t, 1, take(t, s, p...)[0].Remaining)
	require.Zero(t, s.Stats().Failures)
}

func TestPlaceIsKeptWhileRenewedAndGivenBack(t *testing.T) {
	t.Parallel()
	l, err := ratelimit.New(ratelimit.Config{Store: open(t, loopback.Redis(t))})
	require.NoError(t, err)
	f := ratelimit.InFlight{
		Name: "export", Key: ratelimit.TextKey("site"), Max: 1, Lease: 2 * time.Second,
	}
	release, d := l.Acquire(t.Context(), f)
	require.True(t, d.Allowed)
	<-time.After(3 * time.Second)
	_, d = l.Acquire(t.Context(), f)
	require.Equal(t, ratelimit.CodeInFlight, d.Code, "the lease was not renewed")
	release()
	release()
	release, d = l.Acquire(t.Context(), f)
	require.True(t, d.Allowed)
	release()
}
