package password_test

import (
	"context"
	"runtime/metrics"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/password"
)

// A check waits for its turn for 2 s, and is then told so.
func TestChecksDoNotQueueWithoutBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, hash := password.NewChecker(), password.Decoy()
		release := c.Hold()
		begin := time.Now()
		var wg sync.WaitGroup
		for range c.Waiting() {
			wg.Go(func() {
				_, err := c.Check(t.Context(), hash, "x")
				require.ErrorIs(t, err, password.ErrBusy)
			})
		}
		synctest.Wait()
		_, err := c.Check(t.Context(), hash, "x")
		require.ErrorIs(t, err, password.ErrBusy)
		require.Zero(t, time.Since(begin), "one too many does not even wait")
		wg.Wait()
		require.Equal(t, 2*time.Second, time.Since(begin))

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = c.Check(ctx, hash, "x")
		require.ErrorIs(t, err, context.Canceled)
		release()
		matches, err := c.Check(t.Context(), hash, "x")
		require.NoError(t, err)
		require.False(t, matches)
	})
}

// The memory of all checks together is bounded, garbage included. Not parallel:
// it measures the process.
func TestMemoryOfChecksIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds of processor time")
	}
	hash := password.New("x")
	c := password.NewChecker(hash)
	used := func() uint64 {
		samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(samples)
		return samples[0].Value.Uint64()
	}
	base, peak := used(), uint64(0)
	stop := make(chan struct{})
	var sampler, checks sync.WaitGroup
	sampler.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				peak = max(peak, used())
			}
		}
	})
	for range 12 {
		checks.Go(func() { _, _ = c.Check(t.Context(), hash, "wrong") })
	}
	checks.Wait()
	close(stop)
	sampler.Wait()
	require.Less(t, peak-min(base, peak), uint64(256<<20+8<<20))
	t.Logf("%d MiB at most", peak>>20)
}
