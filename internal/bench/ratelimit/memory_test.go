package ratelimit_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/didip/tollbooth/v8"
	tblimiter "github.com/didip/tollbooth/v8/limiter"
	"github.com/go-chi/httprate"
	"github.com/sethvargo/go-limiter/httplimit"
	"github.com/sethvargo/go-limiter/memorystore"
	"github.com/stretchr/testify/require"
	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/memstore"
	ulule "github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/middleware/stdlib"
	ululemem "github.com/ulule/limiter/v3/drivers/store/memory"
	"golang.org/x/time/rate"

	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
)

func bars(t *testing.T) {
	t.Helper()
	if os.Getenv("SALLYPORT_BENCH") == "" {
		t.Skip("set SALLYPORT_BENCH=1 to measure")
	}
}

// cpu returns the CPU nanoseconds of one call of f, the best of three rounds.
func cpu(n int, f func(i int)) float64 { return compare(n, f)[0] }

// compare returns the CPU nanoseconds of one call of each, in rounds that take
// turns, so that a busy machine disturbs all alike; the best round counts.
func compare(n int, fs ...func(i int)) []float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	best := make([]float64, len(fs))
	for round := range 8 {
		for k, f := range fs {
			start := threadTime()
			for i := range n / 8 {
				f(round*(n/8) + i)
			}
			ns := float64(threadTime()-start) / float64(n/8)
			if round == 0 || ns < best[k] {
				best[k] = ns
			}
		}
	}
	return best
}

func threadTime() int64 {
	var u syscall.Rusage
	const thread = 1 // RUSAGE_THREAD
	if err := syscall.Getrusage(thread, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

const (
	plenty = 1 << 29
	keys   = 100_000
)

type peer struct {
	name   string
	decide func(key string)
}

func inProcessPeers(t testing.TB) []peer {
	ctx := context.Background()
	limiter, err := memorystore.New(&memorystore.Config{Tokens: plenty, Interval: time.Second})
	require.NoError(t, err)
	mem, err := memstore.NewCtx(10 * keys)
	require.NoError(t, err)
	gcra, err := throttled.NewGCRARateLimiterCtx(mem, throttled.RateQuota{
		MaxRate: throttled.PerSec(1_000_000), MaxBurst: 1_000_000,
	})
	require.NoError(t, err)
	ul := ulule.New(ululemem.NewStore(), ulule.Rate{Period: time.Second, Limit: plenty})
	hr := httprate.NewRateLimiter(plenty, time.Second)
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	tb := tollbooth.NewLimiter(plenty, nil)
	return []peer{
		{"go-limiter", func(k string) { _, _, _, _, _ = limiter.Take(ctx, k) }},
		{"throttled", func(k string) { _, _, _ = gcra.RateLimitCtx(ctx, k, 1) }},
		{"ulule", func(k string) { _, _ = ul.Get(ctx, k) }},
		{"httprate", func(k string) { hr.OnLimit(w, r, k) }},
		{"tollbooth", func(k string) { tb.LimitReached(k) }},
	}
}

func TestBarsInProcess(t *testing.T) {
	bars(t)
	names := make([]string, keys)
	for i := range names {
		names[i] = "key-" + strconv.Itoa(i)
	}
	bare := rate.NewLimiter(plenty, plenty)
	l, err := ratelimit.New(ratelimit.Config{MaxKeys: 2 * keys})
	require.NoError(t, err)
	m := newMemory(t, 2*keys)
	ctx, limit := t.Context(), ratelimit.PerSecond(plenty)
	hot := ratelimit.Policy{Name: "a", Key: ratelimit.TextKey("hot"), Limit: limit, Cost: 1}
	one, result := []ratelimit.Policy{hot}, make([]ratelimit.Result, 1)
	contenders := []peer{
		{"bare rate.Limiter.AllowN(time.Now(), 1)", func(string) { bare.AllowN(time.Now(), 1) }},
		{"sallyport, the store alone", func(k string) {
			one[0].Key = ratelimit.TextKey(k)
			_ = m.Take(ctx, one, result)
		}},
		{"sallyport", func(k string) {
			l.Decide(ctx, ratelimit.Policy{Name: "a", Key: ratelimit.TextKey(k), Limit: limit})
		}},
	}
	contenders = append(contenders, inProcessPeers(t)...)
	var onOne, onMany []func(int)
	for _, c := range contenders {
		onOne = append(onOne, func(int) { c.decide("hot") })
		onMany = append(onMany, func(i int) { c.decide(names[i*7919%keys]) })
	}
	a, b := compare(1_600_000, onOne...), compare(3_200_000, onMany...)
	for i, c := range contenders {
		t.Logf("| %s | %.0f ns | %.2f | 100k keys %.0f ns | %.2f of sallyport |",
			c.name, a[i], a[i]/a[0], b[i], b[i]/b[2])
	}
}

func TestBarsFlood(t *testing.T) {
	bars(t)
	const attackers = 10_000_000
	l, err := ratelimit.New(ratelimit.Config{MaxKeys: keys})
	require.NoError(t, err)
	ctx := t.Context()
	decide := func(i int) {
		b := [4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}
		l.Decide(ctx, ratelimit.Policy{
			Name: "a", Key: ratelimit.AddrKey(netip.AddrFrom4(b)), Limit: ratelimit.PerHour(10),
		})
	}
	// Calm: the same table, as full, without an attack.
	calm := cpu(20*keys, func(i int) { decide(i * 7919 % (keys * 9 / 10)) })
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for i := range keys {
		decide(keys + i)
	}
	before := heap()
	start := threadTime()
	for i := range attackers {
		decide(2*keys + i)
	}
	attack := float64(threadTime()-start) / attackers
	t.Logf("| calm %.0f ns | attack by 10M keys %.0f ns | %.2f | heap %+d KB |",
		calm, attack, attack/calm, (int64(heap())-int64(before))/1024)
	runtime.KeepAlive(l)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

func TestBarsMiddleware(t *testing.T) {
	bars(t)
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	policy := func(r *http.Request) ratelimit.Policy {
		peer, _ := netip.ParseAddrPort(r.RemoteAddr)
		return ratelimit.Policy{
			Name: "address", Key: ratelimit.AddrKey(peer.Addr()), Limit: ratelimit.PerSecond(plenty),
		}
	}
	l, err := ratelimit.New(ratelimit.Config{Policies: []func(*http.Request) ratelimit.Policy{policy}})
	require.NoError(t, err)
	byContext, err := ratelimit.New(ratelimit.Config{Policies: []func(*http.Request) ratelimit.Policy{
		ratelimit.PerAddress("address", ratelimit.PerSecond(plenty)),
	}})
	require.NoError(t, err)
	addr, err := clientaddr.New(clientaddr.Config{})
	require.NoError(t, err)
	store, err := memorystore.New(&memorystore.Config{Tokens: plenty, Interval: time.Second})
	require.NoError(t, err)
	gl, err := httplimit.NewMiddleware(store, httplimit.IPKeyFunc())
	require.NoError(t, err)
	mem, err := memstore.NewCtx(keys)
	require.NoError(t, err)
	gcra, err := throttled.NewGCRARateLimiterCtx(mem, throttled.RateQuota{
		MaxRate: throttled.PerSec(1_000_000), MaxBurst: 1_000_000,
	})
	require.NoError(t, err)
	th := throttled.HTTPRateLimiterCtx{
		RateLimiter: gcra, VaryBy: &throttled.VaryBy{RemoteAddr: true},
	}
	tb := tollbooth.NewLimiter(plenty, nil)
	tb.SetIPLookup(tblimiter.IPLookup{Name: "RemoteAddr"})
	ul := stdlib.NewMiddleware(ulule.New(ululemem.NewStore(),
		ulule.Rate{Period: time.Second, Limit: plenty}))

	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	var base float64
	for _, m := range []struct {
		name string
		h    http.Handler
	}{
		{"sallyport", l.Wrap(next)},
		{"sallyport with ClientAddr", addr.Wrap(byContext.Wrap(next))},
		{"go-limiter", gl.Handle(next)},
		{"throttled", th.RateLimit(next)},
		{"ulule", ul.Handler(next)},
		{"httprate", httprate.LimitBy(plenty, time.Second, func(r *http.Request) (string, error) {
			return r.RemoteAddr, nil
		})(next)},
		{"tollbooth", tollbooth.HTTPMiddleware(tb)(next)},
	} {
		serve := func(int) {
			clear(w.Header())
			m.h.ServeHTTP(w, r)
		}
		ns := cpu(300_000, serve)
		if base == 0 {
			base = ns
		}
		allocs := testing.AllocsPerRun(1000, func() { serve(0) })
		t.Logf("| %s | %.0f ns | %.2f | %.0f allocs |", m.name, ns, ns/base, allocs)
	}
}

func newMemory(t require.TestingT, maxKeys int) *ratelimit.Memory {
	m, err := ratelimit.NewMemory(ratelimit.MemoryConfig{MaxKeys: maxKeys})
	require.NoError(t, err)
	return m
}
