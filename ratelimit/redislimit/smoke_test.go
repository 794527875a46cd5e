package redislimit_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/redislimit"
)

func TestSmoke(t *testing.T) {
	addr := loopback.Redis(t)
	for _, lease := range []int{0, 50} {
		s, err := redislimit.New(redislimit.Config{URL: "redis://" + addr, Secret: []byte("0123456789abcdef"), Lease: lease})
		require.NoError(t, err)
		l, err := ratelimit.New(ratelimit.Config{Store: s})
		require.NoError(t, err)
		var n atomic.Int64
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				for range 40 {
					d := l.Decide(t.Context(), ratelimit.Policy{Name: "a", Limit: ratelimit.PerHour(1000), Key: ratelimit.TextKey("k", string(rune('a' + lease)))},
						ratelimit.Policy{Name: "b", Limit: ratelimit.PerHour(2000), Key: ratelimit.TextKey("k", string(rune('a' + lease)))})
					if d.Allowed {
						n.Add(1)
					} else if d.Err != nil {
						t.Log(d.Err)
					}
				}
			})
		}
		wg.Wait()
		t.Logf("%d %+v", n.Load(), s.Stats())
		t.Logf("%+v", l.Decide(t.Context(), ratelimit.Policy{Name: "a", Limit: ratelimit.PerMinute(1000), Key: ratelimit.TextKey("k3")}))
	}
}
