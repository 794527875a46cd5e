package watch_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit/watch"
)

// shared is a Merger within a process. While down, it fails.
type shared struct {
	mu     sync.Mutex
	sums   map[string][]uint64
	claims map[string]bool
	down   bool
}

func (s *shared) Sum(
	_ context.Context, layout string, minute time.Time, counts []uint64,
) ([]uint64, error) {
	id := layout + minute.String()
	s.mu.Lock()
	if s.down {
		s.mu.Unlock()
		return nil, errors.New("down")
	}
	if s.sums[id] == nil {
		s.sums[id] = make([]uint64, len(counts))
	}
	for i, n := range counts {
		s.sums[id][i] += n
	}
	s.mu.Unlock()
	time.Sleep(5 * time.Second)
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]uint64(nil), s.sums[id]...), nil
}

func (s *shared) Claim(_ context.Context, id string, _ time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := !s.claims[id]
	s.claims[id] = true
	return first, nil
}

// TestInstancesWatchAsOne: two instances with half of the traffic each see all of it, one
// of them tells, and an outage of what is between them is no stop.
func TestInstancesWatchAsOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		between := &shared{sums: map[string][]uint64{}, claims: map[string]bool{}}
		var mu sync.Mutex
		var told []watch.Alert
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		var engines []*watch.Engine
		for range 2 {
			e, err := watch.New(watch.Config{
				Series: []watch.Series{{Name: "all"}}, Merger: between,
				OnAlert: func(_ context.Context, alerts []watch.Alert) error {
					mu.Lock()
					defer mu.Unlock()
					told = append(told, alerts...)
					return nil
				},
			})
			require.NoError(t, err)
			engines = append(engines, e)
			running.Go(func() { e.Run(ctx) })
		}
		minutes := func(count, n int) {
			for range count {
				for range n {
					for _, e := range engines {
						e.Observe(ctx, sallyport.Event{Code: fine, Allowed: true})
					}
				}
				time.Sleep(time.Minute)
			}
		}
		time.Sleep(30 * time.Second) // away from the end of a minute
		minutes(25*60, 5)
		require.Empty(t, told)
		between.mu.Lock()
		between.down = true
		between.mu.Unlock()
		minutes(10, 5)
		between.mu.Lock()
		between.down = false
		between.mu.Unlock()
		minutes(30, 5)
		mu.Lock()
		for _, a := range told {
			require.Equal(t, watch.CodeWatcher, a.Code, "an outage in between is no stop")
		}
		told = nil
		mu.Unlock()
		minutes(5, 50)
		mu.Lock()
		require.Len(t, told, 1, "one tells")
		require.Equal(t, watch.CodeRise, told[0].Code)
		require.InDelta(t, 100, told[0].Seen, 0.1, "the sum of both")
		mu.Unlock()
		stop()
		running.Wait()
	})
}
