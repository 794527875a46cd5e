package ratelimit_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/opsmantik/sallyport/ratelimit"
)

func newLimiter(t testing.TB, cfg ratelimit.Config) *ratelimit.Limiter {
	t.Helper()
	l, err := ratelimit.New(cfg)
	require.NoError(t, err)
	return l
}

const plenty = 1 << 29

func BenchmarkBareLimiter(b *testing.B) {
	l := rate.NewLimiter(plenty, plenty)
	for b.Loop() {
		l.AllowN(time.Now(), 1)
	}
}

func BenchmarkDecideHot(b *testing.B) {
	l := newLimiter(b, ratelimit.Config{})
	p := ratelimit.Policy{
		Name: "a", Key: ratelimit.TextKey("hot"), Limit: ratelimit.PerSecond(plenty),
	}
	b.ReportAllocs()
	for b.Loop() {
		l.Decide(b.Context(), p)
	}
}

func BenchmarkDecideThreePolicies(b *testing.B) {
	l := newLimiter(b, ratelimit.Config{})
	key := ratelimit.TextKey("hot")
	limit := ratelimit.PerSecond(plenty)
	b.ReportAllocs()
	for b.Loop() {
		l.Decide(b.Context(),
			ratelimit.Policy{Name: "a", Key: key, Limit: limit},
			ratelimit.Policy{Name: "b", Key: key, Limit: limit},
			ratelimit.Policy{Name: "c", Key: key, Limit: limit})
	}
}

func BenchmarkDecideFlood(b *testing.B) {
	l := newLimiter(b, ratelimit.Config{MaxKeys: 100_000})
	i := 0
	for b.Loop() {
		l.Decide(b.Context(), ratelimit.Policy{
			Name: "a", Key: numbered(i), Limit: ratelimit.PerHour(10),
		})
		i++
	}
}

func byRemoteAddr(r *http.Request) ratelimit.Policy {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	return ratelimit.Policy{
		Name: "address", Key: ratelimit.AddrKey(peer.Addr()), Limit: ratelimit.PerSecond(plenty),
	}
}

func BenchmarkWrap(b *testing.B) {
	l := newLimiter(b, ratelimit.Config{
		Policies: []func(*http.Request) ratelimit.Policy{byRemoteAddr},
	})
	h := l.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	b.ReportAllocs()
	for b.Loop() {
		clear(w.Header())
		h.ServeHTTP(w, r)
	}
}

// The allocation guards of the hot paths.
func TestAllocations(t *testing.T) {
	l := newLimiter(t, ratelimit.Config{
		Policies: []func(*http.Request) ratelimit.Policy{byRemoteAddr},
	})
	p := perHour("a", ratelimit.TextKey("k"), 1_000_000)
	q := perHour("b", ratelimit.TextKey("k"), 1_000_000)
	ctx := t.Context()
	require.Zero(t, testing.AllocsPerRun(1000, func() { l.Decide(ctx, p) }))
	require.Zero(t, testing.AllocsPerRun(1000, func() { l.Decide(ctx, p, q) }))

	h := l.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	require.LessOrEqual(t, testing.AllocsPerRun(1000, func() {
		clear(w.Header())
		h.ServeHTTP(w, r)
	}), 2.0)
}

// The memory bound of the package documentation.
func TestMemoryPerKey(t *testing.T) {
	const keys = 100_000
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	before := heap()
	m := newMemory(t, keys)
	var results [1]ratelimit.Result
	flood := func(from, to int) {
		for i := from; i < to; i++ {
			_ = m.Take(t.Context(), []ratelimit.Policy{perHour("a", numbered(i), 10)}, results[:])
		}
	}
	flood(0, keys)
	full := heap()
	require.LessOrEqual(t, (full-before)/keys, uint64(60), "bytes per key")
	flood(keys, 4*keys)
	require.InDelta(t, full, heap(), 200_000, "a flood grows the table")
	runtime.KeepAlive(m)
}
