package hmacsig_test

import (
	"encoding/binary"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/storetest"
)

func TestMemoryConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) hmacsig.ReplayStore { return hmacsig.NewMemoryReplay(0) })
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

// Ten million claims, a hundred thousand of them alive at a time: the store
// refuses rather than evict, and does not grow past its cap.
func TestMemoryIsBounded(t *testing.T) {
	const limit = 100_000
	claims := uint64(10_000_000)
	if testing.Short() || racing {
		claims = 1_000_000
	}
	m := hmacsig.NewMemoryReplay(limit)
	start := time.Now()
	stop := start.Add(time.Duration(claims/2) * time.Millisecond)
	before := heap()
	claimed, full := 0, 0
	for i := range claims {
		// 1,000 new messages a second: 60,000 are alive.
		at := start.Add(time.Duration(i) * time.Millisecond)
		if i > claims/2 {
			at = stop // time stands still
		}
		state, err := m.Claim(t.Context(), numbered(i, at))
		switch {
		case errors.Is(err, hmacsig.ErrReplayFull):
			full++
		case err != nil || state != hmacsig.Claimed:
			t.Fatalf("claim %d: state %d, error %v", i, state, err)
		default:
			claimed++
		}
	}
	grown := heap() - before
	require.Greater(t, full, int(claims/2)-limit)
	require.Greater(t, claimed, int(claims/2))
	t.Logf("%.0f bytes per live entry at the cap of %d", float64(grown)/limit, limit)
	require.LessOrEqual(t, grown, uint64(100*limit))
	// What was claimed last before it was full is still there.
	state, err := m.Claim(t.Context(), numbered(claims/2+1, stop))
	require.NoError(t, err)
	require.Equal(t, hmacsig.InFlight, state)
	runtime.KeepAlive(m)
}

// Bytes per live entry at any fill, once the tables have more than a few.
func TestMemoryPerEntry(t *testing.T) {
	t.Parallel()
	m := hmacsig.NewMemoryReplay(1 << 20)
	now := time.Now()
	worst := 0
	for i := range 500_000 {
		_, err := m.Claim(t.Context(), numbered(uint64(i), now))
		require.NoError(t, err)
		if i > 10_000 && i%97 == 0 {
			worst = max(worst, 24*m.Live()/i)
		}
	}
	require.LessOrEqual(t, worst, 100)
}

func TestMemoryRecoversFromBeingFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit = 160
		m := hmacsig.NewMemoryReplay(limit)
		// offer claims new messages and returns those that got in.
		next := uint64(0)
		offer := func(n int) (held []hmacsig.ReplayEntry) {
			for range n {
				next++
				e := numbered(next, time.Now())
				_, err := m.Claim(t.Context(), e)
				if err != nil {
					require.ErrorIs(t, err, hmacsig.ErrReplayFull)
					continue
				}
				held = append(held, e)
			}
			return held
		}
		require.Len(t, offer(1000), limit, "all shards full, none over")
		require.Empty(t, offer(1000))
		time.Sleep(2 * time.Minute)
		require.Len(t, offer(40), 40, "time makes room at once")
		held := offer(1000)
		require.Len(t, held, limit-40)
		require.NoError(t, m.Release(t.Context(), held[0]))
		_, err := m.Claim(t.Context(), held[0])
		require.NoError(t, err, "in its old place")
		require.Empty(t, offer(1000), "and it is full again")
		for _, e := range held {
			require.NoError(t, m.Release(t.Context(), e))
		}
		held = offer(1000)
		require.Len(t, held, limit-40, "a release makes room at once")
		for _, e := range held {
			require.NoError(t, m.Confirm(t.Context(), e))
		}
		require.Empty(t, offer(1000))
	})
}

// Full is 503, not 401 and not accepted.
func TestFullStoreRefuses(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	v := custom(t, hmacsig.OpsMantik(), s, func(c *hmacsig.Config) {
		c.Replay = hmacsig.NewMemoryReplay(1)
	})
	reasons := map[hmacsig.Reason]int{}
	now := time.Now() // once: across a tick, two of the hundred would be the same
	for i := range 100 {
		r := signAt(t, hmacsig.OpsMantik(), s, now.Add(-time.Duration(i)*time.Second), "{}")
		_, err := v.Check(r)
		reasons[reasonOf(t, err)]++
	}
	require.LessOrEqual(t, reasons[""], 16, "one per shard")
	require.Equal(t, 100, reasons[""]+reasons[hmacsig.ReasonReplayFull])
}
