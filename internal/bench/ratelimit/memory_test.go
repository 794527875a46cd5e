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
)

func bars(t *testing.T) {
	t.Helper()
	if os.Getenv("SALLYPORT_BENCH") == "" {
		t.Skip("set SALLYPORT_BENCH=1 to measure")
	}
}

// cpu returns the CPU nanoseconds of one call of f, the best of three rounds.
func cpu(n int, f func(i int)) float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	best := 1e18
	for i := range n / 10 {
		f(i)
	}
	for range 3 {
		runtime.GC()
		start := threadTime()
		for i := range n {
			f(i)
		}
		best = min(best, float64(threadTime()-start)/float64(n))
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
	const n = 1_000_000
	bare := rate.NewLimiter(plenty, plenty)
	base := cpu(n, func(int) { bare.AllowN(time.Now(), 1) })
	t.Logf("| bare rate.Limiter.AllowN(time.Now(), 1) | %.0f ns | 1.00 | |", base)

	l, err := ratelimit.New(ratelimit.Config{MaxKeys: 2 * keys})
	require.NoError(t, err)
	ctx, limit := t.Context(), ratelimit.PerSecond(plenty)
	p := ratelimit.Policy{Name: "a", Key: ratelimit.TextKey("hot"), Limit: limit}
	hot := cpu(n, func(int) { l.Decide(ctx, p) })
	many := cpu(n, func(i int) {
		p := ratelimit.Policy{Name: "a", Key: ratelimit.TextKey(names[i*7919%keys]), Limit: limit}
		l.Decide(ctx, p)
	})
	t.Logf("| sallyport | %.0f ns | %.2f | %.0f ns 100k keys |", hot, hot/base, many)
	for _, peer := range inProcessPeers(t) {
		h := cpu(n, func(int) { peer.decide("hot") })
		m := cpu(n, func(i int) { peer.decide(names[i*7919%keys]) })
		t.Logf("| %s | %.0f ns | %.2f | %.0f ns 100k keys, %.2f of sallyport |",
			peer.name, h, h/base, m, m/many)
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
	calm := cpu(keys*9/10, func(i int) { decide(i * 7919 % (keys * 9 / 10)) })
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
	addr, err := ratelimit.NewClientAddr(ratelimit.ClientAddrConfig{})
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
