package hmacsig_test

import (
	"context"
	"encoding/binary"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/storetest"
)

func TestMemoryConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) hmacsig.ReplayStore {
		return memory(t, hmacsig.MemoryConfig{})
	})
}

// numbered is an entry whose ID is spread like a MAC's.
func numbered(n uint64, at time.Time) hmacsig.ReplayEntry {
	e := hmacsig.ReplayEntry{KeyID: "site", At: at, Until: at.Add(time.Minute)}
	x := n * 0x9e3779b97f4a7c15
	x ^= x >> 29
	x *= 0xbf58476d1ce4e5b9
	binary.BigEndian.PutUint64(e.ID[:], x^x>>32)
	binary.BigEndian.PutUint64(e.ID[8:], n*0x94d049bb133111eb^x>>7)
	return e
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Ten million claims, sixty thousand of them alive at a time: the store refuses
// rather than evict, and does not grow past its capacity.
func TestMemoryIsBounded(t *testing.T) {
	const limit = 100_000
	claims := uint64(10_000_000)
	if testing.Short() || racing {
		claims = 1_000_000
	}
	ctx, before := t.Context(), heap()
	m := memory(t, hmacsig.MemoryConfig{Entries: limit, PerKeyID: limit})
	start := time.Now()
	stop := start.Add(time.Duration(claims/2) * time.Millisecond)
	claimed, full := 0, 0
	for i := range claims {
		// 1,000 new messages a second: 70,000 are kept.
		at := start.Add(time.Duration(i) * time.Millisecond)
		if i > claims/2 {
			at = stop // time stands still
		}
		state, err := m.Claim(ctx, numbered(i, at))
		switch {
		case err == nil && state == hmacsig.StoreFull:
			full++
		case err == nil && state == hmacsig.Claimed:
			claimed++
		default:
			t.Fatalf("claim %d: state %d, error %v", i, state, err)
		}
	}
	grown := heap() - before
	require.Greater(t, full, int(claims/2)-limit)
	require.Greater(t, claimed, int(claims/2))
	t.Logf("%.0f bytes per live entry at the capacity of %d", float64(grown)/limit, limit)
	require.LessOrEqual(t, grown, uint64(100*limit))
	// What was claimed last before it was full is still there.
	state, err := m.Claim(t.Context(), numbered(claims/2+1, stop))
	require.NoError(t, err)
	require.Equal(t, hmacsig.InFlight, state)
	runtime.KeepAlive(m)
}

// Bytes per live entry at any fill, once the map has more than a few.
func TestMemoryPerEntry(t *testing.T) {
	before := heap()
	m := memory(t, hmacsig.MemoryConfig{Entries: 1 << 20})
	now := time.Now()
	worst := 0
	for i := range 400_000 {
		_, err := m.Claim(t.Context(), numbered(uint64(i), now))
		require.NoError(t, err)
		if i > 10_000 && i%29_989 == 0 {
			worst = max(worst, int(heap()-before)/i)
		}
	}
	t.Logf("at most %d bytes", worst)
	require.LessOrEqual(t, worst, 100)
	runtime.KeepAlive(m)
}

// What a peak took is given back.
func TestMemoryShrinksAfterAPeak(t *testing.T) {
	before := heap()
	m := memory(t, hmacsig.MemoryConfig{Entries: 1 << 18, PerKeyID: 1 << 18})
	start := time.Now()
	fill := func(n int, at time.Time) {
		for range n {
			state, err := m.Claim(t.Context(), numbered(next.Add(1), at))
			require.NoError(t, err)
			require.Equal(t, hmacsig.Claimed, state)
		}
	}
	fill(1<<18, start)
	peak := heap() - before
	fill(2000, start.Add(time.Hour))
	require.Less(t, heap()-before, peak/10)
	runtime.KeepAlive(m)
}

// offer claims n new messages of a key id and returns those that got in.
func offer(
	t *testing.T, m *hmacsig.MemoryReplay, keyID string, n int, refused hmacsig.ClaimState,
) (held []hmacsig.ReplayEntry) {
	t.Helper()
	for range n {
		e := numbered(next.Add(1), time.Now())
		e.KeyID = keyID
		state, err := m.Claim(t.Context(), e)
		require.NoError(t, err)
		if state != hmacsig.Claimed {
			require.Equal(t, refused, state)
			continue
		}
		held = append(held, e)
	}
	return held
}

// next numbers the messages of offer.
var next atomic.Uint64

// A full store refuses at its capacity, exactly.
func TestMemoryIsFullAtItsCapacity(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 2, 7, 160, 5000} {
		m := memory(t, hmacsig.MemoryConfig{Entries: limit})
		require.Len(t, offer(t, m, "", limit+1000, hmacsig.StoreFull), limit)
		m = memory(t, hmacsig.MemoryConfig{Entries: limit, PerKeyID: limit})
		require.Len(t, offer(t, m, "a", limit+1000, hmacsig.StoreFull), limit)
	}
}

func TestMemoryRecoversFromBeingFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit = 160
		m := memory(t, hmacsig.MemoryConfig{Entries: limit, PerKeyID: limit})
		more := func(n int) []hmacsig.ReplayEntry { return offer(t, m, "site", n, hmacsig.StoreFull) }
		require.Len(t, more(1000), limit)
		require.Empty(t, more(1000))
		time.Sleep(2 * time.Minute)
		require.Len(t, more(40), 40, "time makes room at once")
		held := more(1000)
		require.Len(t, held, limit-40)
		require.NoError(t, m.Release(t.Context(), held[0]))
		state, err := m.Claim(t.Context(), held[0])
		require.NoError(t, err)
		require.Equal(t, hmacsig.Claimed, state, "again")
		require.Empty(t, more(1000), "and it is full again")
		for _, e := range held {
			require.NoError(t, m.Release(t.Context(), e))
		}
		held = more(1000)
		require.Len(t, held, limit-40, "a release makes room at once")
		for _, e := range held {
			require.NoError(t, m.Confirm(t.Context(), e))
		}
		require.Empty(t, more(1000))
	})
}

// One tenant that fills its share stops nobody else.
func TestOneTenantDoesNotFillTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, row := range []struct {
			name                     string
			perKeyID                 int
			first, second, third, no int
		}{
			{"a share of its own", 25, 25, 25, 25, 0},
			{"as much as is free", 0, 50, 25, 13, 0},
		} {
			m := memory(t, hmacsig.MemoryConfig{Entries: 100, PerKeyID: row.perKeyID})
			first := offer(t, m, "a", 1000, hmacsig.ShareFull)
			require.Len(t, first, row.first, row.name)
			require.Len(t, offer(t, m, "b", 1000, hmacsig.ShareFull), row.second, row.name)
			require.Len(t, offer(t, m, "c", 1000, hmacsig.ShareFull), row.third, row.name)
			require.Len(t, offer(t, m, "a", 10, hmacsig.ShareFull), row.no, row.name)
			for _, e := range first {
				require.NoError(t, m.Release(t.Context(), e))
			}
			require.NotEmpty(t, offer(t, m, "a", 10, hmacsig.ShareFull), "a release counts")
			time.Sleep(2 * time.Minute)
			require.Len(t, offer(t, m, "d", 1000, hmacsig.ShareFull), row.first, row.name)
		}
	})
}

// Full is 503, a full share 429, and neither is 401 or accepted.
func TestFullStoreRefuses(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	for _, row := range []struct {
		cfg    hmacsig.MemoryConfig
		code   string
		status int
	}{
		{
			hmacsig.MemoryConfig{Entries: 10, PerKeyID: 10},
			hmacsig.CodeReplayStoreFull, http.StatusServiceUnavailable,
		},
		{
			hmacsig.MemoryConfig{Entries: 100, PerKeyID: 10},
			hmacsig.CodeReplayShareFull, http.StatusTooManyRequests,
		},
	} {
		refusals := map[string]int{} // by tenant
		v := custom(t, hmacsig.OpsMantik(), s, func(c *hmacsig.Config) {
			c.Replay = memory(t, row.cfg)
			c.OnEvent = func(_ context.Context, e sallyport.Event) {
				if e.Code == row.code {
					refusals[e.Tenant]++
				}
			}
		})
		h := v.Wrap(status(http.StatusOK))
		now := time.Now() // once: across a tick, two of the hundred would be the same
		codes := map[int]int{}
		for i := range 100 {
			r := signAt(t, hmacsig.OpsMantik(), s, now.Add(-time.Duration(i)*time.Second), "{}")
			w := serve(h, r)
			codes[w.Code]++
			if w.Code != http.StatusOK {
				require.NotEmpty(t, w.Header().Get("Retry-After"))
			}
		}
		require.Equal(t, map[int]int{http.StatusOK: 10, row.status: 90}, codes)
		require.Equal(t, map[string]int{site: 90}, refusals)
	}
}

func TestMemoryConfigProblems(t *testing.T) {
	t.Parallel()
	for _, cfg := range []hmacsig.MemoryConfig{
		{Entries: -1},
		{Entries: 1<<24 + 1},
		{PerKeyID: -1},
		{Entries: 10, PerKeyID: 11},
		{PerKeyID: 1<<17 + 1},
	} {
		_, err := hmacsig.NewMemoryReplay(cfg)
		var problem *sallyport.ConfigError
		require.ErrorAs(t, err, &problem)
		require.Equal(t, sallyport.ConfigOutOfRange, problem.Code)
		if cfg.Entries < 0 || cfg.Entries > 1<<24 {
			require.Equal(t, "Entries", problem.Field)
		} else {
			require.Equal(t, "PerKeyID", problem.Field)
		}
	}
}
