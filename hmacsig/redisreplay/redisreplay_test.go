package redisreplay_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/redisreplay"
	"github.com/opsmantik/sallyport/hmacsig/storetest"
	"github.com/opsmantik/sallyport/internal/loopback"
)

func client(t *testing.T, addr string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{
		Addr: addr, MaxRetries: -1, PoolSize: 50, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func store(t *testing.T, addr string, timeout time.Duration) *redisreplay.Store {
	t.Helper()
	s, err := redisreplay.New(redisreplay.Config{Client: client(t, addr), Timeout: timeout})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	addr := loopback.Redis(t)
	storetest.Run(
		t,
		func(t *testing.T) hmacsig.ReplayStore { return store(t, addr, 5*time.Second) },
	)
}

func TestConfigProblems(t *testing.T) {
	t.Parallel()
	_, err := redisreplay.New(redisreplay.Config{
		Timeout: -1, ClockSkew: 2 * time.Hour, PerKeyID: -1, Prefix: "a{b}",
	})
	for _, field := range []string{"Client", "Timeout", "ClockSkew", "PerKeyID", "Prefix"} {
		require.ErrorContains(t, err, "hmacsig/redisreplay: "+field)
	}
	plain := func(retries int) redis.UniversalClient {
		return redis.NewClient(&redis.Options{
			Addr: "127.0.0.1:1", MaxRetries: retries, ContextTimeoutEnabled: true,
		})
	}
	for _, row := range []struct {
		name   string
		client redis.UniversalClient
		want   string
	}{
		{"client, default", plain(0), "MaxRetries"},
		{"client", plain(-1), ""},
		{"ignores deadlines", redis.NewClient(&redis.Options{
			Addr: "127.0.0.1:1", MaxRetries: -1,
		}), "ContextTimeoutEnabled"},
		{"another machine, in the clear", redis.NewClient(&redis.Options{
			Addr: "192.0.2.1:6379", MaxRetries: -1, ContextTimeoutEnabled: true,
		}), "no TLS"},
		{"cluster", redis.NewClusterClient(&redis.ClusterOptions{MaxRetries: 1}), "MaxRetries"},
		{"cluster, default", redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: []string{"127.0.0.1:1"}, ContextTimeoutEnabled: true,
		}), ""},
		{"ring, default", redis.NewRing(&redis.RingOptions{}), "MaxRetries"},
		{"ring", redis.NewRing(&redis.RingOptions{MaxRetries: -1, ContextTimeoutEnabled: true}), ""},
		{"of their own", struct{ redis.UniversalClient }{plain(-1)}, "options cannot be seen"},
	} {
		_, err = redisreplay.New(redisreplay.Config{Client: row.client})
		require.NoError(t, row.client.Close())
		if row.want == "" {
			require.NoError(t, err, row.name)
			continue
		}
		require.ErrorContains(t, err, row.want, row.name)
	}
}

// site is a verifier over a store, and copies of one signed request.
func site(t *testing.T, s hmacsig.ReplayStore) (*hmacsig.Verifier, func() *http.Request) {
	t.Helper()
	key := hmacsig.Generate()
	ring, err := hmacsig.NewRotation(key, hmacsig.Secret{})
	require.NoError(t, err)
	v, err := hmacsig.New(hmacsig.Config{
		Scheme: hmacsig.OpsMantik(), Keys: hmacsig.StaticKeys{"site": ring}, Replay: s,
	})
	require.NoError(t, err)
	signer, err := hmacsig.NewSigner(hmacsig.SignerConfig{
		Scheme: hmacsig.OpsMantik(), KeyID: "site", Secret: key,
	})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
	require.NoError(t, signer.Sign(r))
	return v, func() *http.Request {
		again := r.Clone(context.Background())
		again.Body = io.NopCloser(strings.NewReader("{}"))
		return again
	}
}

func send(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestThousandGoroutinesAcceptOnce(t *testing.T) {
	t.Parallel()
	v, request := site(t, store(t, loopback.Redis(t), 20*time.Second))
	var accepted atomic.Int32
	h := v.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		accepted.Add(1)
		w.WriteHeader(http.StatusAccepted)
	}))
	var all sync.WaitGroup
	for range 1000 {
		all.Go(func() { send(h, request()) })
	}
	all.Wait()
	require.Equal(t, int32(1), accepted.Load())
}

// Two instances share one Redis: what one accepted, the other refuses.
func TestInstancesShareTheirMemory(t *testing.T) {
	t.Parallel()
	addr := loopback.Redis(t)
	a, request := site(t, store(t, addr, time.Second))
	proof, err := a.Check(request())
	require.NoError(t, err)
	b := store(t, addr, time.Second)
	state, err := b.Claim(t.Context(), proof.Replay)
	require.NoError(t, err)
	require.Equal(t, hmacsig.InFlight, state)
	require.NoError(t, b.Release(t.Context(), proof.Replay), "not the holder: no effect")
	state, err = b.Claim(t.Context(), proof.Replay)
	require.NoError(t, err)
	require.Equal(t, hmacsig.InFlight, state)
	require.NoError(t, a.Confirm(t.Context(), proof))
	state, err = b.Claim(t.Context(), proof.Replay)
	require.NoError(t, err)
	require.Equal(t, hmacsig.Replayed, state)
}

func TestEntryOutlivesTheWindow(t *testing.T) {
	t.Parallel()
	addr := loopback.Redis(t)
	v, request := site(t, store(t, addr, time.Second))
	proof, err := v.Check(request())
	require.NoError(t, err)
	c := client(t, addr)
	keys, err := c.Keys(t.Context(), "hmacsig:{*}?*").Result()
	require.NoError(t, err)
	require.Len(t, keys, 1)
	left := func() time.Duration {
		ttl, err := c.PTTL(t.Context(), keys[0]).Result()
		require.NoError(t, err)
		return ttl
	}
	require.Greater(t, left(), time.Until(proof.Replay.Until))
	require.NoError(t, v.Confirm(t.Context(), proof))
	require.Greater(t, left(), time.Until(proof.Replay.Until), "confirming keeps the time to live")
	require.NotContains(t, keys[0], proof.KeyID)
}

// Redis stops answering in mid-flight: refusals with the right reason, and
// nothing is accepted twice, before, during or after.
func TestRedisPausedAndKilled(t *testing.T) {
	t.Parallel()
	server := loopback.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	s := store(t, server.Addr, 200*time.Millisecond)
	key := hmacsig.Generate()
	ring, err := hmacsig.NewRotation(key, hmacsig.Secret{})
	require.NoError(t, err)
	v, err := hmacsig.New(hmacsig.Config{
		Scheme: hmacsig.OpsMantik(), Keys: hmacsig.StaticKeys{"site": ring}, Replay: s,
	})
	require.NoError(t, err)
	signer, err := hmacsig.NewSigner(hmacsig.SignerConfig{
		Scheme: hmacsig.OpsMantik(), KeyID: "site", Secret: key,
	})
	require.NoError(t, err)
	requests := make([]func() *http.Request, 20)
	for i := range requests {
		content := strings.Repeat("x", i+1)
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(content))
		require.NoError(t, signer.Sign(r))
		requests[i] = func() *http.Request {
			again := r.Clone(context.Background())
			again.Body = io.NopCloser(strings.NewReader(content))
			return again
		}
	}
	var accepted [20]atomic.Int32
	h := v.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		accepted[r.ContentLength-1].Add(1)
		w.WriteHeader(http.StatusAccepted)
	}))
	round := func() (unavailable int) {
		var all sync.WaitGroup
		var count atomic.Int32
		for _, request := range requests {
			for range 5 {
				all.Go(func() {
					w := send(h, request())
					if w.Code == http.StatusAccepted {
						return
					}
					if strings.Contains(w.Body.String(), hmacsig.CodeReplayUnavailable) {
						count.Add(1)
						if w.Code != http.StatusServiceUnavailable {
							t.Errorf("got %d, want 503", w.Code)
						}
					}
				})
			}
		}
		all.Wait()
		return int(count.Load())
	}

	server.Pause()
	require.Equal(t, 100, round(), "paused: every request is refused")
	server.Resume()
	round()
	done := make(chan int)
	go func() { done <- round() }()
	server.Kill()
	<-done
	require.Equal(t, 100, round(), "dead: every request is refused")
	server.Restart()
	round()
	for i := range accepted {
		require.LessOrEqual(t, accepted[i].Load(), int32(1), "request %d accepted twice", i)
	}
}

// The handler succeeded and Redis is gone: the claim stays, and the operator
// is told.
func TestConfirmFailsAfterTheEffect(t *testing.T) {
	t.Parallel()
	server := loopback.StartRedis(t)
	v, request := site(t, store(t, server.Addr, 200*time.Millisecond))
	proof, err := v.Check(request())
	require.NoError(t, err)
	server.Pause()
	require.Error(t, v.Confirm(t.Context(), proof))
	server.Resume()
	_, err = v.Check(request())
	var rejection *sallyport.Refusal
	require.ErrorAs(t, err, &rejection)
	require.Contains(t, []string{
		hmacsig.CodeInFlight, // the confirmation did not arrive
		hmacsig.CodeReplayed, // it did, and its answer was lost
	}, rejection.Code)
}
