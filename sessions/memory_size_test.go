package sessions_test

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/sessions"
)

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// populate fills a store with sessions of as many users, as Start would make them.
func populate(t testing.TB, s *sessions.Memory, from, count int) {
	t.Helper()
	for i := from; i < from+count; i++ {
		rec := &sessions.Record{
			ID: fmt.Sprintf("%026d", i), User: fmt.Sprintf("user-%08d", i), PerUser: 64,
			Level: sallyport.AAL1, Idle: 30 * time.Minute, Lifetime: 12 * time.Hour,
			Data: []byte(`{"n":1}`),
		}
		rec.Key = keyOf(i)
		_, err := s.Create(t.Context(), rec)
		require.NoError(t, err)
	}
}

func keyOf(i int) sessions.Key {
	var k sessions.Key
	x := uint64(i) + 0x9e3779b97f4a7c15
	for j := range k.Hash {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		k.Hash[j] = byte(x >> 32)
	}
	return k
}

// Not parallel: it weighs the whole process.
func TestMemoryPerSession(t *testing.T) {
	const count = 100_000
	before := heap()
	s := newMemory(t, sessions.MemoryConfig{MaxSessions: count})
	populate(t, s, 0, count)
	per := (heap() - before) / count
	t.Logf("%d bytes per session", per)
	require.LessOrEqual(t, per, uint64(400))
	runtime.KeepAlive(s)
}

// What a peak took is given back as people go on using the rest.
func TestMemoryShrinksAfterAPeak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count = 20_000
		s := newMemory(t, sessions.MemoryConfig{MaxSessions: count})
		before := heap()
		populate(t, s, 0, count)
		peak := heap() - before
		time.Sleep(30 * time.Minute)
		for range count + 1000 {
			_, _ = s.Load(t.Context(), keyOf(0), sessions.Use)
		}
		require.Zero(t, s.Len())
		left := heap() - before
		t.Logf("peak %d kB, left %d kB", peak>>10, left>>10)
		require.Less(t, left, peak/10)
		runtime.KeepAlive(s)
	})
}
