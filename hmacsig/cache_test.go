package hmacsig_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/hmacsig"
)

// source counts its lookups and can be held up.
type source struct {
	mu    sync.Mutex
	ring  hmacsig.Keyring
	err   error
	calls atomic.Int32
	hold  chan struct{}
}

func (s *source) Keys(ctx context.Context, keyID string) (hmacsig.Keyring, error) {
	s.calls.Add(1)
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-ctx.Done():
			return hmacsig.Keyring{}, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.HasPrefix(keyID, "unknown") {
		return hmacsig.Keyring{}, hmacsig.ErrUnknownKey
	}
	return s.ring, s.err
}

func (s *source) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func cache(t testing.TB, cfg hmacsig.CacheConfig) *hmacsig.Cache {
	t.Helper()
	c, err := hmacsig.NewCache(cfg)
	require.NoError(t, err)
	return c
}

func TestCacheLifetimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &source{ring: rotation(t, hmacsig.Generate(), hmacsig.Secret{})}
		c := cache(t, hmacsig.CacheConfig{Source: src})
		ask := func(id string, want error, calls int32) {
			t.Helper()
			_, err := c.Keys(t.Context(), id)
			require.ErrorIs(t, err, want)
			require.Equal(t, calls, src.calls.Load())
		}
		ask("a", nil, 1)
		ask("a", nil, 1)
		ask("unknown", hmacsig.ErrUnknownKey, 2)
		ask("unknown", hmacsig.ErrUnknownKey, 2)
		time.Sleep(10 * time.Second)
		ask("unknown", hmacsig.ErrUnknownKey, 3)
		ask("a", nil, 3)
		time.Sleep(time.Minute)
		down := errors.New("down")
		src.fail(down)
		ask("a", down, 4) // an outdated answer does not cover an error up
		ask("a", down, 5) // and the error is not cached
		src.fail(nil)
		ask("a", nil, 6)
	})
}

func TestCacheAsksOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &source{ring: rotation(t, hmacsig.Generate(), hmacsig.Secret{}), hold: make(chan struct{})}
		c := cache(t, hmacsig.CacheConfig{Source: src, MaxLoads: 1})
		var ok atomic.Int32
		impatient, cancel := context.WithCancel(t.Context())
		for i := range 100 {
			ctx := t.Context()
			if i == 0 {
				ctx = impatient // the one that starts it
			}
			synctest.Wait()
			go func() {
				if _, err := c.Keys(ctx, "a"); err == nil {
					ok.Add(1)
				}
			}()
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		_, err := c.Keys(t.Context(), "b")
		require.ErrorContains(t, err, "too many")
		close(src.hold)
		synctest.Wait()
		require.Equal(t, int32(99), ok.Load())
		require.Equal(t, int32(1), src.calls.Load())
	})
}

func TestCacheTimeoutAndPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stuck := &source{hold: make(chan struct{})}
		c := cache(t, hmacsig.CacheConfig{Source: stuck})
		_, err := c.Keys(t.Context(), "a")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		c = cache(t, hmacsig.CacheConfig{Source: sourceFunc(
			func(context.Context, string) (hmacsig.Keyring, error) { panic("boom") })})
		_, err = c.Keys(t.Context(), "a")
		require.ErrorContains(t, err, "panicked")
	})
}

// A flood of invented ids cannot push a real one out.
// Invented ids take all the lookups there are: a tenant whose answer has just
// run out is looked up all the same, a stranger is not.
func TestCacheFloodDoesNotShutKnownIDsOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &source{ring: rotation(t, hmacsig.Generate(), hmacsig.Secret{})}
		c := cache(t, hmacsig.CacheConfig{Source: src, TTL: time.Minute, Timeout: time.Hour})
		_, err := c.Keys(t.Context(), "tenant")
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		src.hold = make(chan struct{})
		for i := range 40 {
			go func() { _, _ = c.Keys(t.Context(), fmt.Sprint("unknown", i)) }()
		}
		synctest.Wait()
		require.Equal(t, int32(1+32), src.calls.Load())
		_, err = c.Keys(t.Context(), "stranger")
		require.ErrorContains(t, err, "too many")
		var found atomic.Bool
		for range 10 {
			go func() {
				_, err := c.Keys(t.Context(), "tenant")
				found.Store(err == nil)
			}()
		}
		synctest.Wait()
		require.Equal(t, int32(1+32+1), src.calls.Load(), "one lookup for all ten")
		close(src.hold)
		synctest.Wait()
		require.True(t, found.Load())
	})
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	src := &source{ring: rotation(t, hmacsig.Generate(), hmacsig.Secret{})}
	c := cache(t, hmacsig.CacheConfig{Source: src, MaxEntries: 10})
	for i := range 10 {
		_, err := c.Keys(t.Context(), fmt.Sprint("real", i))
		require.NoError(t, err)
	}
	for i := range 1000 {
		_, err := c.Keys(t.Context(), fmt.Sprint("unknown", i))
		require.ErrorIs(t, err, hmacsig.ErrUnknownKey)
	}
	before := src.calls.Load()
	for i := range 10 {
		_, err := c.Keys(t.Context(), fmt.Sprint("real", i))
		require.NoError(t, err)
	}
	require.Equal(t, before, src.calls.Load())
	for i := range 100 {
		_, err := c.Keys(t.Context(), fmt.Sprint("more", i))
		require.NoError(t, err)
	}
	again := 0
	for i := range 100 {
		calls := src.calls.Load()
		_, _ = c.Keys(t.Context(), fmt.Sprint("more", i))
		again += int(src.calls.Load() - calls)
	}
	require.GreaterOrEqual(t, again, 80, "at most 10 are kept")
}
