package envelope_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/tenancy/envelope"
)

// Keys are unwrapped once, however many ask, and only the one that is needed.
func TestKeysAreUnwrappedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		sealed := w.seal(t, place, secret)
		require.Zero(t, w.kek.unwraps.Load()-1, "the new key, once")
		w.Forget(owner)
		w.kek.unwraps.Store(0)
		w.kek.hold = func(context.Context) { time.Sleep(50 * time.Millisecond) }
		var users sync.WaitGroup
		for range 50 {
			users.Go(func() {
				_, err := w.Open(t.Context(), nil, place, sealed)
				require.NoError(t, err)
			})
			users.Go(func() {
				_, err := w.Seal(t.Context(), nil, place, secret)
				require.NoError(t, err)
			})
		}
		users.Wait()
		require.EqualValues(t, 1, w.kek.unwraps.Load())
	})
}

// Whoever asked first may leave or panic; the others must not suffer for it.
func TestFirstToAskLeaves(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"leaves", "panics"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				sealed := w.seal(t, place, secret)
				w.Forget(owner)
				ctx, leave := context.WithCancel(t.Context())
				first := true
				w.kek.hold = func(ctx context.Context) {
					if !first {
						return
					}
					first = false
					<-ctx.Done()
					if name == "panics" {
						panic(name)
					}
				}
				go func() {
					defer func() { _ = recover() }()
					_, _ = w.Open(ctx, nil, place, sealed)
				}()
				synctest.Wait()
				done := make(chan error)
				go func() {
					_, err := w.Open(t.Context(), nil, place, sealed)
					done <- err
				}()
				synctest.Wait()
				leave()
				require.NoError(t, <-done)
			})
		})
	}
}

func TestKEKThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		sealed := w.seal(t, place, secret)
		w.Forget(owner)
		w.kek.hold = func(ctx context.Context) { <-ctx.Done() }
		w.kek.err = context.DeadlineExceeded
		began := time.Now()
		_, err := w.Open(t.Context(), nil, place, sealed)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 5*time.Second, time.Since(began))
	})
}

// The cache holds no more owners than it should, and what it gave up comes back.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *envelope.Config) { c.CacheSize = 4 })
	sealed := map[string][]byte{}
	for i := range 20 {
		at := place
		at.Subject = fmt.Sprint("p", i)
		sealed[at.Subject] = w.seal(t, at, secret)
	}
	w.kek.unwraps.Store(0)
	for subject, s := range sealed {
		at := place
		at.Subject = subject
		_, err := w.Open(t.Context(), nil, at, s)
		require.NoError(t, err)
	}
	require.GreaterOrEqual(t, w.kek.unwraps.Load(), int64(16))
}
