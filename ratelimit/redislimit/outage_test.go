package redislimit_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/redislimit"
)

// The promises of an outage. A busy machine may stop a test for longer than
// they are, so a promise counts as kept if it was in one of three outages.
const (
	firstDecision = 50 * time.Millisecond
	breakerOpens  = 250 * time.Millisecond
	recovers      = time.Second
	slack         = 250 * time.Millisecond
	tries         = 3
)

func defaults(c *redislimit.Config) { c.Timeout = 0 }

func attempt(s *redislimit.Store, key string) (time.Duration, error) {
	start := time.Now()
	p := []ratelimit.Policy{perHour("a", key, 100_000)}
	err := s.Take(context0, p, make([]ratelimit.Result, 1))
	return time.Since(start), err
}

// warm returns once the store answers.
func warm(t *testing.T, s *redislimit.Store) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := attempt(s, "warm")
		return err == nil
	}, 10*time.Second, 5*time.Millisecond)
}

// checkOutage asserts the timing of an outage and of the recovery.
func checkOutage(t *testing.T, s *redislimit.Store, begin, heal func()) {
	t.Helper()
	var late []string
	for range tries {
		begin()
		late = append(outage(t, s), recovery(t, s, heal)...)
		if len(late) == 0 {
			return
		}
	}
	require.Empty(t, late, "in %d outages", tries)
}

// outage returns what took too long in an outage that has begun.
func outage(t *testing.T, s *redislimit.Store) (late []string) {
	t.Helper()
	start := time.Now()
	took, err := attempt(s, "first")
	require.Error(t, err)
	if took > firstDecision+slack {
		late = append(late, fmt.Sprint("first decision: ", took))
	}
	for !strings.Contains(err.Error(), "not asked") {
		require.Less(t, time.Since(start), 10*time.Second, "the breaker stays closed")
		_, err = attempt(s, "next")
		require.Error(t, err)
	}
	if took = time.Since(start); took > breakerOpens+slack {
		late = append(late, fmt.Sprint("breaker opened: ", took))
	}
	const n = 10_000
	start = time.Now()
	for range n {
		_, err = attempt(s, "open")
		require.Error(t, err)
	}
	if took = time.Since(start) / n; took > 20*time.Microsecond {
		late = append(late, fmt.Sprint("decision while open: ", took))
	}
	return late
}

// recovery heals and returns what took too long.
func recovery(t *testing.T, s *redislimit.Store, heal func()) (late []string) {
	t.Helper()
	heal()
	start := time.Now()
	warm(t, s)
	if took := time.Since(start); took > recovers+slack {
		late = append(late, fmt.Sprint("recovery: ", took))
	}
	return late
}

func TestKilledServer(t *testing.T) {
	server := loopback.StartRedis(t)
	s := open(t, server.Addr, defaults)
	warm(t, s)
	checkOutage(t, s, server.Kill, server.Restart)
}

func TestPausedServer(t *testing.T) {
	server := loopback.StartRedis(t)
	s := open(t, server.Addr, defaults)
	warm(t, s)
	checkOutage(t, s, server.Pause, server.Resume)
	// What was sent into the pause ran late: bounded by what was counted.
	require.Positive(t, s.Stats().Unknown)
	require.LessOrEqual(t, s.Stats().Unknown, s.Stats().Calls)
}

// 64 callers at once must not queue behind one another's timeouts.
func TestPausedServerUnderConcurrency(t *testing.T) {
	server := loopback.StartRedis(t)
	s := open(t, server.Addr, defaults)
	var slowest time.Duration
	for range tries {
		warm(t, s)
		before := s.Stats().Outages
		server.Pause()
		slowest = storm(s)
		after := s.Stats().Outages
		server.Resume()
		require.Equal(t, before+1, after)
		if slowest < 2*firstDecision+slack {
			return
		}
	}
	require.Less(t, slowest, 2*firstDecision+slack)
}

// storm returns the time of the slowest of many concurrent decisions.
func storm(s *redislimit.Store) time.Duration {
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
	return time.Duration(slowest.Load())
}

func TestServerThatIsNotThereAtStart(t *testing.T) {
	server := loopback.StartRedis(t)
	server.Kill()
	var states sync.Map
	s := open(t, server.Addr, defaults, func(c *redislimit.Config) {
		c.OnState = func(err error) { states.Store(err == nil, true) }
	})
	_, err := attempt(s, "k")
	require.ErrorContains(t, err, "not asked")
	_, out := states.Load(false)
	require.True(t, out, "OnState was not told of the outage")
	begin := func() {}
	checkOutage(t, s, func() { begin(); begin = server.Kill }, server.Restart)
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
	require.Eventually(t, func() bool {
		for range 5 {
			if took, err := attempt(s, "slow"); err != nil || took < 5*time.Millisecond {
				return false
			}
		}
		return true
	}, 10*time.Second, 5*time.Millisecond)
	checkOutage(t, s,
		func() { proxy.delay.Store(int64(500 * time.Millisecond)) }, func() { proxy.delay.Store(0) })
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
	checkOutage(t, s,
		func() { require.NoError(t, c.ReplicaOf(t.Context(), host, port).Err()) },
		func() { require.NoError(t, c.ReplicaOf(t.Context(), "NO", "ONE").Err()) })
}

func TestEvictingServerIsRefused(t *testing.T) {
	t.Parallel()
	cfg := func(addr string) redislimit.Config {
		return redislimit.Config{Client: dial(t, "redis://"+addr), Secret: secret, Timeout: time.Second}
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
	s, err := redislimit.New(redislimit.Config{
		Client: dial(t, "redis://"+server.Addr), Secret: secret,
	})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	_, err = attempt(s, "k")
	require.Error(t, err)
}

// Each way to bear an outage, seen from a Limiter.
func TestOutageModes(t *testing.T) {
	server := loopback.StartRedis(t)
	store := open(t, server.Addr)
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
	require.Equal(t, ratelimit.CodeUnavailable, d.Code)
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
			require.Equal(t, ratelimit.CodeRateLimited, d.Code)
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
	}, 10*time.Second, 5*time.Millisecond)
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
