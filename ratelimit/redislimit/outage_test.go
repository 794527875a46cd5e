package redislimit_test

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/redislimit"
)

// The promises of an outage, with room for a busy machine: these tests share
// two cores with others.
const (
	firstDecision = 50 * time.Millisecond
	breakerOpens  = 250 * time.Millisecond
	recovers      = time.Second
	slack         = 500 * time.Millisecond
)

func defaults(c *redislimit.Config) { c.Timeout = 0 }

func attempt(s *redislimit.Store, key string) (time.Duration, error) {
	start := time.Now()
	p := []ratelimit.Policy{perHour("a", key, 1000)}
	err := s.Take(context0, p, make([]ratelimit.Result, 1))
	return time.Since(start), err
}

// checkOutage asserts the timing of an outage that has begun, and, after heal,
// of the recovery.
func checkOutage(t *testing.T, s *redislimit.Store, heal func()) {
	t.Helper()
	start := time.Now()
	took, err := attempt(s, "first")
	require.Error(t, err)
	require.Less(t, took, firstDecision+slack)
	for s.Stats().Outages == 0 {
		_, err := attempt(s, "next")
		require.Error(t, err)
		require.Less(t, time.Since(start), breakerOpens+slack, "the breaker stays closed")
	}
	const n = 10_000
	start = time.Now()
	for range n {
		_, err = attempt(s, "open")
		require.Error(t, err)
	}
	require.Less(t, time.Since(start)/n, 20*time.Microsecond, "decisions while open")

	heal()
	start = time.Now()
	for {
		if _, err := attempt(s, "back"); err == nil {
			break
		}
		require.Less(t, time.Since(start), recovers+slack, "no recovery")
		<-time.After(5 * time.Millisecond)
	}
}

func TestKilledServer(t *testing.T) {
	server := loopback.StartRedis(t)
	s := open(t, server.Addr, defaults)
	_, err := attempt(s, "warm")
	require.NoError(t, err)
	server.Kill()
	checkOutage(t, s, server.Restart)
}

func TestPausedServer(t *testing.T) {
	server := loopback.StartRedis(t)
	s := open(t, server.Addr, defaults)
	_, err := attempt(s, "warm")
	require.NoError(t, err)
	server.Pause()
	checkOutage(t, s, server.Resume)
	// What was sent into the pause ran late: bounded by what was counted.
	require.Positive(t, s.Stats().Unknown)
	require.LessOrEqual(t, s.Stats().Unknown, s.Stats().Calls)
}

// 64 callers at once must not queue behind one another's timeouts.
func TestPausedServerUnderConcurrency(t *testing.T) {
	server := loopback.StartRedis(t)
	s := open(t, server.Addr, defaults)
	_, err := attempt(s, "warm")
	require.NoError(t, err)
	server.Pause()
	defer server.Resume()
	var slowest atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 10 {
				took, _ := attempt(s, "k")
				for old := slowest.Load(); int64(took) > old; old = slowest.Load() {
					slowest.CompareAndSwap(old, int64(took))
				}
			}
		})
	}
	wg.Wait()
	require.Less(t, time.Duration(slowest.Load()), 2*firstDecision+slack)
	require.EqualValues(t, 1, s.Stats().Outages)
}

func TestServerThatIsNotThereAtStart(t *testing.T) {
	server := loopback.StartRedis(t)
	server.Kill()
	var states sync.Map
	s := open(t, server.Addr, defaults, func(c *redislimit.Config) {
		c.OnState = func(err error) { states.Store(err == nil, true) }
	})
	_, err := attempt(s, "k")
	require.Error(t, err)
	_, out := states.Load(false)
	require.True(t, out, "OnState was not told of the outage")
	checkOutage(t, s, server.Restart)
	_, back := states.Load(true)
	require.True(t, back, "OnState was not told of the recovery")
}

// A server with a network in between that is slower than the deadline is out; a
// little slower is only slow.
func TestSlowServer(t *testing.T) {
	addr := loopback.Redis(t)
	proxy := newProxy(t, addr)
	s := open(t, proxy.addr, defaults)
	proxy.delay.Store(int64(5 * time.Millisecond))
	for range 5 {
		_, err := attempt(s, "slow")
		require.NoError(t, err)
	}
	proxy.delay.Store(int64(500 * time.Millisecond))
	checkOutage(t, s, func() { proxy.delay.Store(0) })
}

// A call whose reply is lost has been charged. It must not be sent again.
func TestLostReplyIsNotRetried(t *testing.T) {
	addr := loopback.Redis(t)
	proxy := newProxy(t, addr)
	s, direct := open(t, proxy.addr), open(t, addr)
	p := perHour("a", "k", 100)
	require.Equal(t, 99, take(t, s, p)[0].Remaining)
	proxy.cutReplies.Store(true)
	err := s.Take(t.Context(), []ratelimit.Policy{p}, make([]ratelimit.Result, 1))
	require.Error(t, err)
	require.EqualValues(t, 1, s.Stats().Unknown)
	p.Cost = 0
	require.Equal(t, 98, take(t, direct, p)[0].Remaining, "charged once, and only once")
}

func TestReadOnlyReplicaIsOut(t *testing.T) {
	master := loopback.Redis(t)
	replica := loopback.Redis(t)
	host, port, err := net.SplitHostPort(master)
	require.NoError(t, err)
	c := client(t, replica)
	s := open(t, replica)
	require.NoError(t, c.ReplicaOf(t.Context(), host, port).Err())
	checkOutage(t, s, func() { require.NoError(t, c.ReplicaOf(t.Context(), "NO", "ONE").Err()) })
}

func TestEvictingServerIsRefused(t *testing.T) {
	t.Parallel()
	cfg := func(addr string) redislimit.Config {
		return redislimit.Config{URL: "redis://" + addr, Secret: secret, Timeout: time.Second}
	}
	for _, policy := range []string{"allkeys-lru", "volatile-lru", "volatile-ttl"} {
		addr := loopback.RedisWith(t, "--maxmemory", "4mb", "--maxmemory-policy", policy)
		_, err := redislimit.New(cfg(addr))
		require.ErrorContains(t, err, "noeviction", policy)
		danger := cfg(addr)
		danger.DangerouslyAllowEviction = true
		s, err := redislimit.New(danger)
		require.NoError(t, err)
		require.NoError(t, s.Close())
	}
	unlimited := loopback.RedisWith(t, "--maxmemory-policy", "allkeys-lru")
	s, err := redislimit.New(cfg(unlimited))
	require.NoError(t, err, "without maxmemory nothing is evicted")
	require.NoError(t, s.Close())
}

// With noeviction, a full server refuses writes: that is an outage, not a reset
// of limits.
func TestFullServerIsOutAndLosesNothing(t *testing.T) {
	addr := loopback.RedisWith(t, "--maxmemory", "3mb", "--maxmemory-policy", "noeviction")
	s, c := open(t, addr), client(t, addr)
	denied := perHour("a", "denied", 1)
	take(t, s, denied)
	require.NoError(t, c.ConfigSet(t.Context(), "maxmemory", "1mb").Err())
	_, err := attempt(s, "k")
	require.ErrorContains(t, err, "OOM")
	require.NoError(t, c.ConfigSet(t.Context(), "maxmemory", "0").Err())
	require.Eventually(t, func() bool {
		_, err := attempt(s, "back")
		return err == nil
	}, 5*time.Second, 10*time.Millisecond)
	require.False(t, take(t, s, denied)[0].Fits)
}

func TestCloseDuringOutage(t *testing.T) {
	t.Parallel()
	server := loopback.StartRedis(t)
	server.Kill()
	s, err := redislimit.New(redislimit.Config{URL: "redis://" + server.Addr, Secret: secret})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	_, err = attempt(s, "k")
	require.Error(t, err)
}

// Each way to bear an outage, seen from a Limiter.
func TestOutageModes(t *testing.T) {
	server := loopback.StartRedis(t)
	store := open(t, server.Addr, defaults)
	const instances = 4
	l, err := ratelimit.New(ratelimit.Config{Store: store, Instances: instances})
	require.NoError(t, err)
	local := perHour("local", "k", 100)
	local.OnOutage = ratelimit.Local
	for range 60 {
		require.True(t, l.Decide(t.Context(), local).Allowed)
	}
	server.Kill()

	closed := perHour("closed", "k", 100)
	d := l.Decide(t.Context(), closed)
	require.Equal(t, ratelimit.ReasonUnavailable, d.Reason)
	require.True(t, d.Degraded)
	require.Error(t, d.Err)
	require.Positive(t, d.RetryAfter)

	openly := closed
	openly.OnOutage = ratelimit.Open
	d = l.Decide(t.Context(), openly)
	require.True(t, d.Allowed && d.Degraded)
	require.False(t, l.Decide(t.Context(), closed, openly).Allowed, "one Closed policy closes")

	// 40 remained in Redis: this process may admit its fourth of them.
	admitted := 0
	for range 200 {
		d := l.Decide(t.Context(), local)
		require.True(t, d.Degraded)
		if d.Allowed {
			admitted++
		} else {
			require.Equal(t, ratelimit.ReasonRateLimited, d.Reason)
		}
	}
	require.LessOrEqual(t, admitted, 40/instances+1)
	require.GreaterOrEqual(t, admitted, 40/instances-1)

	// A key that this process never saw has no more than its share.
	stranger := perHour("local", "stranger", 100)
	stranger.OnOutage = ratelimit.Local
	admitted = 0
	for range 200 {
		if l.Decide(t.Context(), stranger).Allowed {
			admitted++
		}
	}
	require.Equal(t, 100/instances, admitted)

	server.Restart()
	require.Eventually(t, func() bool {
		return !l.Decide(t.Context(), closed).Degraded
	}, 2*time.Second, 5*time.Millisecond)
}

// proxy stands between client and server: it can delay, and it can cut the
// connection just before a reply.
type proxy struct {
	addr       string
	delay      atomic.Int64
	cutReplies atomic.Bool
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	p := &proxy{addr: ln.Addr().String()}
	go func() {
		for {
			in, err := ln.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				_ = in.Close()
				continue
			}
			go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
			go p.replies(in, out)
		}
	}()
	return p
}

func (p *proxy) replies(in, out net.Conn) {
	defer func() { _, _ = in.Close(), out.Close() }()
	buf := make([]byte, 4096)
	for {
		n, err := out.Read(buf)
		if err != nil || p.cutReplies.Load() {
			return
		}
		if d := time.Duration(p.delay.Load()); d > 0 {
			<-time.After(d)
		}
		if _, err := in.Write(buf[:n]); err != nil {
			return
		}
	}
}

var _ = redis.Nil
