package redissession_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/sessions/redissession"
	"github.com/opsmantik/sallyport/sessions/tracker"
	"github.com/opsmantik/sallyport/sessions/tracker/storetest"
)

func TestVisitsConformance(t *testing.T) {
	t.Parallel()
	c := newClient(t, loopback.Redis(t))
	storetest.Run(t, storetest.Harness{
		Step:    100 * time.Millisecond, // the test itself takes time
		Advance: func(d time.Duration) { pass(t, c, d) },
		New: func(t *testing.T, perSite int) tracker.Store {
			require.NoError(t, c.FlushAll(t.Context()).Err())
			v, err := redissession.NewSkewedVisits(redissession.VisitsConfig{
				Client: c, MaxPerSite: perSite,
			})
			require.NoError(t, err)
			return v
		},
		Held: func(tracker.Store) int {
			keys, err := c.Keys(context.Background(), "{*").Result()
			require.NoError(t, err)
			return len(keys)
		},
	})
}

// Through the tracker, by two instances.
func TestVisitsOfTwoInstances(t *testing.T) {
	t.Parallel()
	addr := loopback.Redis(t)
	var seen []string
	for range 2 {
		v, err := redissession.NewVisits(redissession.VisitsConfig{Client: newClient(t, addr)})
		require.NoError(t, err)
		t.Cleanup(v.Close)
		visits, err := tracker.New(tracker.Config{Store: v})
		require.NoError(t, err)
		visit, err := visits.Touch(t.Context(), "site", "3f2504e0-4f89-41d3-9a0c-0305e82c3301")
		require.NoError(t, err)
		seen = append(seen, visit.ID)
	}
	require.Equal(t, seen[0], seen[1])
}

func TestVisitsConfig(t *testing.T) {
	t.Parallel()
	_, err := redissession.NewVisits(redissession.VisitsConfig{Prefix: "{", MaxPerSite: -1})
	for _, field := range []string{"Client", "Prefix", "MaxPerSite"} {
		require.ErrorContains(t, err, "redissession: "+field+":")
	}
	locked := loopback.RedisWith(t, "--requirepass", "secret")
	_, err = redissession.NewVisits(redissession.VisitsConfig{Client: newClient(t, locked)})
	require.Error(t, err)
	for _, v := range []*redissession.Visits{nil, {}} {
		_, err := v.Touch(t.Context(), "site", "visitor", "id", time.Minute)
		require.Error(t, err)
		v.Close()
	}
}
