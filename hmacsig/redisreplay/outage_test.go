package redisreplay_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/redisreplay"
	"github.com/opsmantik/sallyport/internal/loopback"
)

// lossy forwards to Redis and loses the answers of the connections that were
// there when it was told to: commands arrive, and nobody learns what became of
// them.
type lossy struct {
	addr  string
	conns atomic.Int32 // opened so far
	muted atomic.Int32 // those before this one have lost their answers
}

func newLossy(t *testing.T, server string) *lossy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	p := &lossy{addr: listener.Addr().String()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go p.forward(conn, server, p.conns.Add(1))
		}
	}()
	return p
}

func (p *lossy) forward(conn net.Conn, server string, number int32) {
	defer func() { _ = conn.Close() }()
	up, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer func() { _ = up.Close() }()
	go func() { _, _ = io.Copy(up, conn) }()
	buf := make([]byte, 4096)
	for {
		n, err := up.Read(buf)
		if err != nil {
			return
		}
		if number <= p.muted.Load() {
			continue
		}
		if _, err := conn.Write(buf[:n]); err != nil {
			return
		}
	}
}

func message() hmacsig.ReplayEntry {
	now := time.Now()
	e := hmacsig.ReplayEntry{KeyID: "site-a", At: now, Until: now.Add(time.Minute)}
	_, _ = rand.Read(e.ID[:])
	return e
}

// A claim whose answer was lost is given up by its token, so that the sender's
// retry is not stuck behind a claim that nobody holds.
func TestLostAnswerGivesTheClaimUp(t *testing.T) {
	t.Parallel()
	addr := loopback.Redis(t)
	proxy := newLossy(t, addr)
	s := store(t, proxy.addr, 300*time.Millisecond)
	direct := store(t, addr, time.Second)
	e := message()

	proxy.muted.Store(proxy.conns.Load()) // those that are ready; new ones are not
	_, err := s.Claim(t.Context(), e)
	require.Error(t, err)
	retry := e
	retry.At = e.At.Add(time.Second)
	require.Eventually(t, func() bool {
		state, err := direct.Claim(t.Context(), retry)
		return err == nil && state == hmacsig.Claimed
	}, 5*time.Second, 10*time.Millisecond, "the claim was left behind")

	// What somebody else has by then is theirs.
	again := retry
	again.At = e.At.Add(2 * time.Second)
	proxy.muted.Store(proxy.conns.Load())
	_, err = s.Claim(t.Context(), again)
	require.Error(t, err)
	timer := time.NewTimer(400 * time.Millisecond) // the give-up has arrived by then
	defer timer.Stop()
	<-timer.C
	state, err := direct.Claim(t.Context(), again)
	require.NoError(t, err)
	require.Equal(t, hmacsig.InFlight, state)
}

// One key id cannot fill the memory of the others.
func TestOneTenantDoesNotFillTheStore(t *testing.T) {
	t.Parallel()
	addr := loopback.Redis(t)
	c := client(t, addr)
	s, err := redisreplay.New(redisreplay.Config{
		Client: c, PerKeyID: 3, Timeout: 5 * time.Second, ClockSkew: time.Nanosecond,
	})
	require.NoError(t, err)
	defer s.Close()
	claim := func(keyID string, life time.Duration) (hmacsig.ReplayEntry, hmacsig.ClaimState) {
		e := message()
		e.KeyID, e.Until = keyID, e.At.Add(life)
		state, err := s.Claim(t.Context(), e)
		require.NoError(t, err)
		return e, state
	}
	var held []hmacsig.ReplayEntry
	for range 3 {
		e, state := claim("a", time.Minute)
		require.Equal(t, hmacsig.Claimed, state)
		held = append(held, e)
	}
	fourth, state := claim("a", time.Minute)
	require.Equal(t, hmacsig.ShareFull, state)
	_, state = claim("b", time.Minute)
	require.Equal(t, hmacsig.Claimed, state, "another key id")
	for range 9 {
		_, state = claim("", time.Minute)
		require.Equal(t, hmacsig.Claimed, state, "no key id")
	}
	state, err = s.Claim(t.Context(), held[0])
	require.NoError(t, err)
	require.Equal(t, hmacsig.InFlight, state, "what is there is known")

	require.NoError(t, s.Confirm(t.Context(), held[0]))
	state, err = s.Claim(t.Context(), fourth)
	require.NoError(t, err)
	require.Equal(t, hmacsig.ShareFull, state, "a confirmed entry counts on")
	require.NoError(t, s.Release(t.Context(), held[1]))
	state, err = s.Claim(t.Context(), fourth)
	require.NoError(t, err)
	require.Equal(t, hmacsig.Claimed, state, "a release makes room")

	// So does time.
	for range 3 {
		_, state = claim("c", 100*time.Millisecond)
		require.Equal(t, hmacsig.Claimed, state)
	}
	require.Eventually(t, func() bool {
		_, state := claim("c", 100*time.Millisecond)
		return state == hmacsig.Claimed
	}, 5*time.Second, 10*time.Millisecond)
	// The share goes with its last entry.
	require.Eventually(t, func() bool {
		keys, err := c.Keys(t.Context(), "*").Result()
		return err == nil && len(keys) == 3+1+1+1+9 // a, its share, b, its share, and ""
	}, 5*time.Second, 50*time.Millisecond)
}

// Two senders with a prefix each cannot use up each other's nonces.
func TestFlawNoncesScopedAcrossSenders(t *testing.T) {
	t.Parallel()
	c := client(t, loopback.Redis(t))
	e := message()
	e.KeyID = ""
	for _, row := range []struct {
		prefix string
		want   hmacsig.ClaimState
	}{
		{"a:", hmacsig.Claimed}, {"b:", hmacsig.Claimed}, {"a:", hmacsig.InFlight}, {"ab:", hmacsig.Claimed},
	} {
		s, err := redisreplay.New(
			redisreplay.Config{Client: c, Prefix: row.prefix, Timeout: 5 * time.Second},
		)
		require.NoError(t, err)
		state, err := s.Claim(t.Context(), e)
		require.NoError(t, err)
		require.Equal(t, row.want, state, row.prefix)
		s.Close()
	}
}

// Servers that would forget, or refuse, are found when the program starts.
func TestServersThatSayNo(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		args []string
		want string
	}{
		{"evicts", []string{"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"}, "noeviction"},
		{"wants a password", []string{"--requirepass", "x"}, "NOAUTH"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := client(t, loopback.RedisWith(t, row.args...))
			_, err := redisreplay.New(redisreplay.Config{Client: c})
			require.ErrorContains(t, err, "hmacsig/redisreplay: Client")
			require.ErrorContains(t, err, row.want)
		})
	}
	forbids := client(t, loopback.Redis(t))
	require.NoError(
		t,
		forbids.Do(t.Context(), "ACL", "SETUSER", "default", "-eval", "-evalsha").Err(),
	)
	_, err := redisreplay.New(redisreplay.Config{Client: forbids})
	require.ErrorContains(t, err, "NOPERM")

	c := client(
		t,
		loopback.RedisWith(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"),
	)
	s, err := redisreplay.New(redisreplay.Config{Client: c, DangerouslyAllowEviction: true})
	require.NoError(t, err)
	s.Close()
}

// A server that is out does not keep the program from starting; its requests are
// refused, in time and with the cause.
func TestStartsWithoutRedis(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := listener.Addr().String()
	require.NoError(t, listener.Close())
	s := store(t, addr, 0) // the default
	begun := time.Now()
	_, err = s.Claim(t.Context(), message())
	require.ErrorContains(t, err, "refused")
	require.Less(t, time.Since(begun), 2*time.Second)
}

// A server that accepts and never answers is waited for as long as Timeout says.
func TestTimeoutIsKept(t *testing.T) {
	t.Parallel()
	server := loopback.StartRedis(t)
	s := store(t, server.Addr, 200*time.Millisecond)
	server.Pause()
	defer server.Resume()
	begun := time.Now()
	_, err := s.Claim(t.Context(), message())
	require.Error(t, err)
	require.Less(t, time.Since(begun), 1500*time.Millisecond, "the claim and its giving up")
}

func TestZeroStore(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*redisreplay.Store{"zero": {}, "nil": nil} {
		_, err := s.Claim(t.Context(), message())
		require.ErrorContains(t, err, "New", name)
		require.Error(t, s.Confirm(t.Context(), message()), name)
		require.Error(t, s.Release(t.Context(), message()), name)
		s.Close()
	}
}

// Every key of a tenant is in one slot, so that a cluster runs the scripts.
func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three servers")
	}
	t.Parallel()
	c := redis.NewClusterClient(&redis.ClusterOptions{
		// go-redis races with itself over these on the first connections of a cluster.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		Addrs:                    loopback.RedisCluster(t), ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = c.Close() })
	s, err := redisreplay.New(redisreplay.Config{Client: c, Timeout: 5 * time.Second})
	require.NoError(t, err)
	defer s.Close()
	for i := range 50 {
		e := message()
		e.KeyID = fmt.Sprint("site-", i)
		state, err := s.Claim(t.Context(), e)
		require.NoError(t, err)
		require.Equal(t, hmacsig.Claimed, state)
		require.NoError(t, s.Confirm(t.Context(), e))
		state, err = s.Claim(t.Context(), e)
		require.NoError(t, err)
		require.Equal(t, hmacsig.Replayed, state)
	}
}
