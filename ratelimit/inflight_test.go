package ratelimit_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/ratelimit"
)

func TestAcquire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{})
		f := ratelimit.InFlight{Name: "export", Key: ratelimit.TextKey("site"), Max: 2}
		ctx, cancel := context.WithCancel(t.Context())
		first, d := l.Acquire(t.Context(), f)
		require.True(t, d.Allowed)
		forgotten, d := l.Acquire(ctx, f)
		require.True(t, d.Allowed)
		_, d = l.Acquire(t.Context(), f)
		require.Equal(t, ratelimit.CodeInFlight, d.Code)
		require.Equal(t, 429, d.Refusal().Status)
		time.Sleep(10 * time.Minute)
		_, d = l.Acquire(t.Context(), f)
		require.False(t, d.Allowed, "places are renewed while their holders live")
		first()
		first()
		again, d := l.Acquire(t.Context(), f)
		require.True(t, d.Allowed)
		cancel()
		time.Sleep(31 * time.Second)
		last, d := l.Acquire(t.Context(), f)
		require.True(t, d.Allowed, "a forgotten place is free after its lease")
		forgotten()
		again()
		last()
	})
}

func TestAcquireRefusals(t *testing.T) {
	t.Parallel()
	down := &brokenStore{err: errors.New("down")}
	l, out := newLimiter(t, ratelimit.Config{}), newLimiter(t, ratelimit.Config{Store: down})
	f := ratelimit.InFlight{Name: "a", Key: ratelimit.TextKey("k"), Max: 1}
	for name, tc := range map[string]struct {
		l    *ratelimit.Limiter
		edit func(*ratelimit.InFlight)
		want string
	}{
		"no key":    {l, func(f *ratelimit.InFlight) { f.Key = ratelimit.Key{} }, ratelimit.CodeNoKey},
		"no max":    {l, func(f *ratelimit.InFlight) { f.Max = 0 }, ratelimit.CodePolicyInvalid},
		"bad name":  {l, func(f *ratelimit.InFlight) { f.Name = "" }, ratelimit.CodePolicyInvalid},
		"bad lease": {l, func(f *ratelimit.InFlight) { f.Lease = 1 }, ratelimit.CodePolicyInvalid},
		"closed":    {out, func(*ratelimit.InFlight) {}, ratelimit.CodeUnavailable},
		"open": {
			out, func(f *ratelimit.InFlight) { f.OnOutage = ratelimit.Open }, ratelimit.CodeDegraded,
		},
		"local": {
			out, func(f *ratelimit.InFlight) { f.OnOutage = ratelimit.Local }, ratelimit.CodeDegraded,
		},
	} {
		g := f
		tc.edit(&g)
		release, d := tc.l.Acquire(t.Context(), g)
		require.Equal(t, tc.want, d.Code, name)
		require.Equal(t, tc.want == ratelimit.CodeDegraded, d.Allowed, name)
		release()
	}
	f.OnOutage = ratelimit.Local
	release, _ := out.Acquire(t.Context(), f)
	defer release()
	_, d := out.Acquire(t.Context(), f)
	require.Equal(t, ratelimit.CodeInFlight, d.Code, "bounded here, if nowhere else")
}

// slowStore takes its time to renew a place.
type slowStore struct{ ratelimit.Store }

func (s slowStore) Enter(
	ctx context.Context, p ratelimit.Policy, token string, limit int, lease time.Duration,
) (bool, error) {
	time.Sleep(500 * time.Millisecond)
	return s.Store.Enter(ctx, p, token, limit, lease)
}

// A renewal under way must not take the place again after it was given back.
func TestReleaseDuringRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Store: slowStore{newMemory(t, 0)}})
		f := ratelimit.InFlight{
			Name: "export", Key: ratelimit.TextKey("site"), Max: 1, Lease: 3 * time.Second,
		}
		release, d := l.Acquire(t.Context(), f)
		require.True(t, d.Allowed)
		time.Sleep(1100 * time.Millisecond)
		release()
		synctest.Wait()
		time.Sleep(time.Second)
		release, d = l.Acquire(t.Context(), f)
		require.True(t, d.Allowed, "the renewal came after the release")
		release()
	})
}

// A place outlives the handler when its connection was hijacked, until that is
// closed: the request's context ends when the handler returns.
func TestHijackedConnectionKeepsItsPlace(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, ratelimit.Config{})
	bound := func(*http.Request) ratelimit.InFlight {
		return ratelimit.InFlight{Name: "sockets", Key: ratelimit.TextKey("all"), Max: 1}
	}
	taken := make(chan net.Conn, 1)
	server := httptest.NewServer(l.WrapInFlight(bound, http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/socket" {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
			}
			taken <- conn
		})))
	t.Cleanup(server.Close)
	get := func() int {
		response, err := http.Get(server.URL)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	require.Equal(t, 204, get())
	require.Equal(t, 204, get(), "given back when the handler returns")
	first := serve(l.WrapInFlight(bound, ok))
	require.Empty(t, first.Header(), "a bound has no budget to show")
	client, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	_, err = io.WriteString(client, "GET /socket HTTP/1.1\r\nHost: a\r\n\r\n")
	require.NoError(t, err)
	conn := <-taken
	for range 3 {
		require.Equal(t, 429, get(), "the socket is open")
	}
	require.NoError(t, conn.Close())
	require.Equal(t, 204, get())
	_ = conn.Close() // a second time is harmless
	require.NoError(t, client.Close())

	w := httptest.NewRecorder() // cannot be hijacked
	l.WrapInFlight(bound, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _, err := http.NewResponseController(w).Hijack()
		require.Error(t, err)
	})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, 204, get(), "given back")

	var zero *ratelimit.Limiter
	require.Equal(t, 503, serve(zero.WrapInFlight(bound, ok)).Code)
}

func TestPanicGivesThePlaceBack(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, ratelimit.Config{})
	bound := func(*http.Request) ratelimit.InFlight {
		return ratelimit.InFlight{Name: "a", Key: ratelimit.TextKey("all"), Max: 1}
	}
	for range 3 {
		require.Panics(t, func() {
			serve(l.WrapInFlight(bound, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				panic("bug")
			})))
		})
	}
	require.Equal(t, 204, serve(l.WrapInFlight(bound, ok)).Code)
}

// Ten thousand holders are ten thousand map entries and timers, and stay holders.
func TestTenThousandHoldersWithoutGoroutines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const holders = 10_000
		l := newLimiter(t, ratelimit.Config{})
		f := ratelimit.InFlight{Name: "sockets", Key: ratelimit.TextKey("all"), Max: holders}
		before := runtime.NumGoroutine()
		releases := make([]func(), holders)
		for i := range releases {
			var d ratelimit.Decision
			releases[i], d = l.Acquire(t.Context(), f)
			require.True(t, d.Allowed)
		}
		require.Less(t, runtime.NumGoroutine(), before+1000)
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		require.Less(t, runtime.NumGoroutine(), before+1000)
		_, d := l.Acquire(t.Context(), f)
		require.Equal(t, ratelimit.CodeInFlight, d.Code, "a place was not renewed")
		for _, release := range releases {
			release()
		}
		release, d := l.Acquire(t.Context(), f)
		require.True(t, d.Allowed)
		release()
	})
}

// Each decision about a place is one event, with the request where there is one.
func TestInFlightEvents(t *testing.T) {
	t.Parallel()
	var events []sallyport.Event
	l := newLimiter(t, ratelimit.Config{
		OnEvent: func(_ context.Context, e sallyport.Event) { events = append(events, e) },
	})
	f := ratelimit.InFlight{Name: "a", Key: ratelimit.TextKey("k").In("tenant"), Max: 1}
	release, _ := l.Acquire(t.Context(), f)
	serve(l.WrapInFlight(func(*http.Request) ratelimit.InFlight { return f }, ok))
	release()
	require.Len(t, events, 2)
	require.Equal(t, ratelimit.CodeWithinLimit, events[0].Code)
	require.Equal(t, "tenant", events[0].Tenant)
	require.Nil(t, events[0].Request)
	require.Equal(t, ratelimit.CodeInFlight, events[1].Code)
	require.Equal(t, "a", events[1].Policy)
	require.NotNil(t, events[1].Request)
}
