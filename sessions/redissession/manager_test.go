package redissession_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/sessions/redissession"
)

type counter struct{ N int }

type manager = sessions.Manager[counter]

func newManager(t testing.TB, store sessions.Store, timeout time.Duration) *manager {
	t.Helper()
	m, err := sessions.New[counter](sessions.Config{Store: store, Timeout: timeout})
	require.NoError(t, err)
	return m
}

// within runs fn as a handler, with the cookie that the client has, and takes the
// one that it gets.
func within(m *manager, cookie *string, fn func(*http.Request)) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if *cookie != "" {
		r.Header.Set("Cookie", *cookie)
	}
	w := httptest.NewRecorder()
	m.Load(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { fn(r) })).ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		*cookie = c.Name + "=" + c.Value
	}
}

func signIn(t testing.TB, m *manager, user string) string {
	t.Helper()
	var cookie string
	within(m, &cookie, func(r *http.Request) {
		login := sessions.Login{User: user, Level: sallyport.AAL1}
		require.NoError(t, m.Start(r.Context(), login, counter{}))
	})
	require.NotEmpty(t, cookie)
	return cookie
}

func check(m *manager, cookie string) (s sessions.Session[counter], err error) {
	within(m, &cookie, func(r *http.Request) { s, err = m.Check(r) })
	return s, err
}

func increment(c *counter) error { c.N++; return nil }

// commands counts what is sent.
type commands struct{ sent atomic.Int64 }

func (c *commands) DialHook(next redis.DialHook) redis.DialHook { return next }
func (c *commands) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.sent.Add(1)
		return next(ctx, cmd)
	}
}

func (c *commands) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.sent.Add(1) // one round trip
		return next(ctx, cmds)
	}
}

// What is not used costs nothing; what is read costs one round trip, and a write
// once per resolution.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	addr := loopback.Redis(t)
	client, seen := newClient(t, addr), &commands{}
	m := newManager(t, newStore(t, redissession.Config{Client: client}), time.Second)
	signIn(t, m, "ada")
	_, err := m.EndEveryone(t.Context())
	require.NoError(t, err)
	cookie := signIn(t, m, "ada")
	_, err = check(m, cookie) // the server has the scripts from here on
	require.NoError(t, err)
	client.AddHook(seen)

	within(m, &cookie, func(*http.Request) {})
	require.Zero(t, seen.sent.Load(), "unused")
	within(m, &cookie, func(r *http.Request) {
		for range 3 {
			_, err := m.Check(r)
			require.NoError(t, err)
		}
	})
	require.EqualValues(t, 1, seen.sent.Load(), "read")
	_, err = m.EndEveryone(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, seen.sent.Load(), "everybody")

	cookie = signIn(t, m, "ada")
	writes := func() int {
		info, err := client.InfoMap(t.Context(), "commandstats").Result()
		require.NoError(t, err)
		calls := info["Commandstats"]["cmdstat_set"]
		var n int
		for _, part := range []byte(calls[len("calls="):]) {
			if part < '0' || part > '9' {
				break
			}
			n = 10*n + int(part-'0')
		}
		return n
	}
	before := writes()
	for range 50 {
		_, err := check(m, cookie)
		require.NoError(t, err)
	}
	require.LessOrEqual(t, writes()-before, 1, "one write per resolution of activity")
}

// Ten thousand updates of one session, by two instances at once.
func TestNoUpdateIsLost(t *testing.T) {
	t.Parallel()
	addr := loopback.Redis(t)
	var instances [2]*manager
	for i := range instances {
		store := newStore(t, redissession.Config{Client: newClient(t, addr)})
		instances[i] = newManager(t, store, 30*time.Second)
	}
	cookie := signIn(t, instances[0], "ada")
	updates := 10_000
	if testing.Short() {
		updates = 500
	}
	var left atomic.Int64
	left.Store(int64(updates))
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			m, mine := instances[i%2], cookie
			for left.Add(-1) >= 0 {
				within(m, &mine, func(r *http.Request) {
					if err := m.Update(r.Context(), increment); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
	all.Wait()
	s, err := check(instances[1], cookie)
	require.NoError(t, err)
	require.Equal(t, updates, s.Data.N)
}

// Another instance's logout, step-up and end of a user are seen at once.
func TestInstancesAgree(t *testing.T) {
	t.Parallel()
	addr := loopback.Redis(t)
	a := newManager(t, newStore(t, redissession.Config{Client: newClient(t, addr)}), time.Second)
	b := newManager(t, newStore(t, redissession.Config{Client: newClient(t, addr)}), time.Second)
	cookie := signIn(t, a, "ada")
	old := cookie
	within(b, &cookie, func(r *http.Request) {
		require.NoError(t, b.StepUp(r.Context(), sallyport.AAL2))
	})
	s, err := check(a, cookie)
	require.NoError(t, err)
	require.Equal(t, sallyport.AAL2, s.Level)
	s, err = check(a, old)
	require.NoError(t, err)
	require.Equal(t, sallyport.AAL1, s.Level, "the old token reads for a while")
	n, err := a.EndUser(t.Context(), "ada")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	for _, dead := range []string{cookie, old} {
		_, err = check(b, dead)
		require.ErrorIs(t, err, sessions.ErrNoSession)
	}
}

// The server forgets scripts at a restart, or when somebody tells it to.
func TestForgottenScripts(t *testing.T) {
	t.Parallel()
	client := newClient(t, loopback.Redis(t))
	m := newManager(t, newStore(t, redissession.Config{Client: client}), time.Second)
	cookie := signIn(t, m, "ada")
	for range 2 {
		require.NoError(t, client.ScriptFlush(t.Context()).Err())
		within(m, &cookie, func(r *http.Request) {
			require.NoError(t, m.Update(r.Context(), increment))
		})
	}
	require.NoError(t, client.ScriptFlush(t.Context()).Err())
	n, err := m.EndEveryone(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

// An outage is never taken for "no session", is over within the timeout, and
// leaves alone who does not ask.
func TestOutage(t *testing.T) {
	t.Parallel()
	server := loopback.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	store := newStore(t, redissession.Config{Client: newClient(t, server.Addr)})
	m := newManager(t, store, 300*time.Millisecond)
	cookie := signIn(t, m, "ada")
	for name, phase := range map[string]struct{ begin, end func() }{
		"paused": {server.Pause, server.Resume},
		"killed": {server.Kill, server.Restart},
	} {
		phase.begin()
		begin := time.Now()
		_, err := check(m, cookie)
		require.ErrorIs(t, err, sessions.ErrUnavailable, name)
		require.NotErrorIs(t, err, sessions.ErrNoSession, name)
		require.Less(t, time.Since(begin), 2*time.Second, name)
		within(m, &cookie, func(r *http.Request) {
			require.ErrorIs(t, m.Logout(r.Context()), sessions.ErrUnavailable, name)
		})
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Cookie", cookie)
		m.Wrap(http.NotFoundHandler()).ServeHTTP(w, r)
		require.Equal(t, http.StatusServiceUnavailable, w.Code, name)
		w = httptest.NewRecorder()
		m.Load(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code, "a public route, "+name)
		phase.end()
		require.Eventually(t, func() bool {
			_, err := check(m, cookie)
			return err == nil
		}, 20*time.Second, 50*time.Millisecond, name)
	}
}

// A client that hangs up during logout has logged out all the same.
func TestLogoutSurvivesADisconnect(t *testing.T) {
	t.Parallel()
	client := newClient(t, loopback.Redis(t))
	m := newManager(t, newStore(t, redissession.Config{Client: client}), time.Second)
	cookie := signIn(t, m, "ada")
	kept := cookie
	within(m, &cookie, func(r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		require.NoError(t, m.Logout(ctx))
	})
	_, err := check(m, kept)
	require.ErrorIs(t, err, sessions.ErrNoSession)
}

// In a Cluster all keys of a user are in one slot, and users in many.
func TestCluster(t *testing.T) {
	t.Parallel()
	client := redis.NewClusterClient(&redis.ClusterOptions{
		// go-redis races with itself over these on the first connections of a cluster.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		Addrs:                    loopback.RedisCluster(t), MaxRetries: -1, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = client.Close() })
	m := newManager(t, newStore(t, redissession.Config{Client: client}), 5*time.Second)
	cookies := map[string]string{}
	for i := range 100 {
		user := "user" + strconv.Itoa(i)
		cookie := signIn(t, m, user)
		within(m, &cookie, func(r *http.Request) {
			err := errors.Join(m.Update(r.Context(), increment), m.StepUp(r.Context(), sallyport.AAL2))
			require.NoError(t, err)
		})
		cookies[user] = cookie
	}
	for user, cookie := range cookies {
		s, err := check(m, cookie)
		require.NoError(t, err)
		require.Equal(t, counter{N: 1}, s.Data)
		list, err := m.List(t.Context(), user)
		require.NoError(t, err)
		require.Len(t, list, 1)
	}
	n, err := m.EndUser(t.Context(), "user7")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	n, err = m.EndEveryone(t.Context())
	require.NoError(t, err)
	require.Equal(t, 99, n)
	for _, cookie := range cookies {
		_, err := check(m, cookie)
		require.ErrorIs(t, err, sessions.ErrNoSession)
	}
}
