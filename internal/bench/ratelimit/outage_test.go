package ratelimit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/redislimit"
)

// How an outage looks from a handler, with the default configuration.
func TestBarsOutage(t *testing.T) {
	bars(t)
	for _, kind := range []string{"paused", "killed"} {
		server := loopback.StartRedis(t)
		s := openStore(t, server.Addr, func(c *redislimit.Config) { c.Timeout = 0 })
		l, err := ratelimit.New(ratelimit.Config{Store: s, Instances: 4})
		require.NoError(t, err)
		p := ratelimit.Policy{
			Name: "a", Key: ratelimit.TextKey("k"), Limit: ratelimit.PerMinute(1_000_000),
			OnOutage: ratelimit.Local,
		}
		require.False(t, l.Decide(t.Context(), p).Degraded)
		heal := server.Resume
		if kind == "killed" {
			server.Kill()
			heal = server.Restart
		} else {
			server.Pause()
		}
		start := time.Now()
		require.True(t, l.Decide(t.Context(), p).Degraded)
		first := time.Since(start)
		for s.Stats().Outages == 0 {
			l.Decide(t.Context(), p)
		}
		opened := time.Since(start)
		local := cpu(2_000_000, func(int) { l.Decide(t.Context(), p) })
		p.OnOutage = ratelimit.Closed
		closed := cpu(2_000_000, func(int) { l.Decide(t.Context(), p) })
		heal()
		start = time.Now()
		for l.Decide(t.Context(), p).Degraded {
			<-time.After(time.Millisecond)
		}
		t.Logf("| %s | first decision %d ms | breaker open after %d ms | "+
			"then %.0f ns (local), %.0f ns (closed) | recovered after %d ms |", kind,
			first.Milliseconds(), opened.Milliseconds(), local, closed,
			time.Since(start).Milliseconds())
	}
}
