package server_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/servicetest"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
)

// instances runs n servers that share a Redis and nothing else.
func instances(t *testing.T, n int, url string, change func(*settings.Settings)) []*rig {
	t.Helper()
	rigs := make([]*rig, n)
	for i := range rigs {
		s := configured(t)
		s.RedisURL = url
		if change != nil {
			change(s)
		}
		rigs[i] = run(t, s)
	}
	return rigs
}

// retried asks again while the answer is 503, as clients do: on a busy machine
// Redis misses the gates' deadlines now and then.
func retried(t testing.TB, ask func() answer) (got answer) {
	t.Helper()
	require.Eventually(t, func() bool {
		got = ask()
		return got.Status != http.StatusServiceUnavailable
	}, 20*time.Second, 50*time.Millisecond)
	return got
}

func TestInstancesShareTheirLimits(t *testing.T) {
	t.Parallel()
	rigs := instances(t, 3, "redis://"+servicetest.StartRedis(t).Addr, func(s *settings.Settings) { s.RatePerMinute = 10 })
	admitted := 0
	for i := range 60 {
		got := retried(t, func() answer {
			return rigs[i%len(rigs)].do(http.MethodPost, "/api/sync", view(), "Origin", originA)
		})
		if got.Status == 202 {
			admitted++
			continue
		}
		require.Equal(t, 429, got.Status, got.Body)
	}
	require.InDelta(t, 10, admitted, 1, "ten a minute over all, and what a slow run regains")
}

func TestInstancesShareTheirReplays(t *testing.T) {
	t.Parallel()
	rigs := instances(t, 2, "redis://"+servicetest.StartRedis(t).Addr, nil)
	body := call("33a11c86-2371-4af7-8580-e3f78f56d6a2")
	headers := sign(siteA, secretA, body, time.Now())
	send := func(r *rig) answer {
		return retried(t, func() answer { return r.do(http.MethodPost, "/api/call-event/v2", body, headers...) })
	}
	require.Equal(t, 202, send(rigs[0]).Status)
	got := send(rigs[1])
	require.Equal(t, 200, got.Status)
	require.JSONEq(t, `{"status":"noop"}`, got.Body)
}

// Whoever signs in at one instance is signed in at all, and signed out at all.
func TestInstancesShareTheirSessions(t *testing.T) {
	t.Parallel()
	redis := servicetest.StartRedis(t)
	rigs := instances(t, 2, "redis://"+redis.Addr, nil)
	cookie := rigs[0].login("rep", false)
	list := func(r *rig) answer {
		return retried(t, func() answer { return r.do(http.MethodGet, "/auth/sessions", "", "Cookie", cookie) })
	}
	require.Equal(t, 200, list(rigs[1]).Status)
	got := retried(t, func() answer { return rigs[1].do(http.MethodPost, "/auth/logout", "{}", "Cookie", cookie) })
	require.Equal(t, 200, got.Status, got.Body)
	require.Equal(t, 401, list(rigs[0]).Status)
	redis.Kill()
	require.Equal(t, 503, rigs[0].do(http.MethodGet, "/auth/sessions", "", "Cookie", cookie).Status,
		"an outage is no sign-out")
}

func TestFailModeDecidesWithoutRedis(t *testing.T) {
	t.Parallel()
	for mode, want := range map[settings.FailMode]int{
		settings.FailClosed: 503, settings.FailLocal: 202, settings.FailOpen: 202,
	} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			redis := servicetest.StartRedis(t)
			r := instances(t, 1, "redis://"+redis.Addr, func(s *settings.Settings) { s.FailMode = mode })[0]
			got := retried(t, func() answer { return r.do(http.MethodPost, "/api/sync", view(), "Origin", originA) })
			require.Equal(t, 202, got.Status)
			redis.Kill()
			got = r.do(http.MethodPost, "/api/sync", view("view", "scroll"), "Origin", originA)
			require.Equal(t, want, got.Status, got.Body)
			if want == 503 {
				require.NotEmpty(t, got.Header.Get("Retry-After"))
			}
			// Replays cannot be told from new messages now, so nothing signed is
			// accepted, whatever the limiter does.
			body := call("33a11c86-2371-4af7-8580-e3f78f56d6a2")
			got = r.do(http.MethodPost, "/api/call-event/v2", body, sign(siteA, secretA, body, time.Now())...)
			require.Equal(t, 503, got.Status, got.Body)
		})
	}
}

func TestDeliveriesSurviveARedisOutage(t *testing.T) {
	t.Parallel()
	redis := servicetest.StartRedis(t)
	r := instances(t, 1, "redis://"+redis.Addr, func(s *settings.Settings) { s.FailMode = settings.FailOpen })[0]
	redis.Kill()
	require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", view(), "Origin", originA).Status)
	redis.Restart()
	require.Equal(t, 1, r.stored("events"), "delivered once the replay store answers again")
}
