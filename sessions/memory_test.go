package sessions_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/sessions/storetest"
)

func newMemory(t testing.TB, cfg sessions.MemoryConfig) *sessions.Memory {
	t.Helper()
	s, err := sessions.NewMemory(cfg)
	require.NoError(t, err)
	return s
}

// Subtests cannot run inside a bubble, so each clause enters its own.
func TestMemoryConformance(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		Bubble: synctest.Test,
		New: func(t *testing.T, room int) sessions.Store {
			return newMemory(t, sessions.MemoryConfig{MaxSessions: room})
		},
		Held:    func(s sessions.Store) int { return s.(*sessions.Memory).Held() },
		Advance: time.Sleep, // fake time: the bubble's clock
	})
}

func record(user string, n byte) *sessions.Record {
	return &sessions.Record{
		Key: sessions.Key{Hash: [32]byte{n}}, ID: string(rune('a' + n)), User: user,
		PerUser: 2, Idle: 30 * time.Minute, Lifetime: time.Hour, Data: []byte(`{}`),
	}
}

func TestMemoryRefusesWhenFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemory(t, sessions.MemoryConfig{MaxSessions: 2})
		create := func(user string, n byte) error {
			_, err := s.Create(t.Context(), record(user, n))
			return err
		}
		require.NoError(t, create("ada", 1))
		require.NoError(t, create("bob", 2))
		require.ErrorIs(t, create("eve", 3), sessions.ErrFull)
		_, err := s.Load(t.Context(), sessions.Key{Hash: [32]byte{1}}, sessions.Peek)
		require.NoError(t, err, "a flood must not end a live session")
		time.Sleep(30 * time.Minute)
		require.NoError(t, create("eve", 3), "expired sessions make room")
		require.ErrorIs(t, create("eve", 3), sessions.ErrConflict)
	})
}

// A full table finds its dead records when it has to.
func TestMemoryLooksHarderWhenFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 8 {
			s := newMemory(t, sessions.MemoryConfig{MaxSessions: 250})
			for n := range byte(251) {
				rec := record(strconv.Itoa(int(n)), n)
				rec.Key.Hash[1] = 1
				if n < 25 {
					rec.Idle = time.Minute
				}
				if n == 250 {
					time.Sleep(time.Minute) // the table is full, and a tenth of it dead
				}
				_, err := s.Create(t.Context(), rec)
				require.NoError(t, err)
			}
		}
	})
}

func TestMemoryEndsTheLeastRecentOfAUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemory(t, sessions.MemoryConfig{})
		for n := range byte(2) {
			_, err := s.Create(t.Context(), record("ada", n+1))
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		_, err := s.Load(t.Context(), sessions.Key{Hash: [32]byte{1}}, sessions.Use)
		require.NoError(t, err)
		time.Sleep(time.Second)
		_, err = s.Create(t.Context(), record("ada", 3))
		require.NoError(t, err)
		_, err = s.Load(t.Context(), sessions.Key{Hash: [32]byte{2}}, sessions.Use)
		require.ErrorIs(t, err, sessions.ErrNoSession)
		left, err := s.List(t.Context(), "ada")
		require.NoError(t, err)
		require.Len(t, left, 2)
	})
}

// What is over makes room before anything that is alive, even if it was used last.
func TestMemoryEndsWhatIsOverFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 20 { // the walk begins anywhere
			s := newMemory(t, sessions.MemoryConfig{})
			long, short := record("ada", 1), record("ada", 2)
			short.Idle = time.Second
			for i := range byte(200) { // so that expiry in passing misses it mostly
				other := record("bob"+strconv.Itoa(int(i)), i)
				other.Key.Hash[1] = 1
				_, err := s.Create(t.Context(), other)
				require.NoError(t, err)
			}
			for _, rec := range []*sessions.Record{long, short} {
				_, err := s.Create(t.Context(), rec)
				require.NoError(t, err)
				time.Sleep(time.Second)
			}
			_, err := s.Create(t.Context(), record("ada", 3))
			require.NoError(t, err)
			_, err = s.Load(t.Context(), long.Key, sessions.Use)
			require.NoError(t, err)
		}
	})
}

// A table under steady churn must hold about as many records as are alive.
func TestMemoryForgetsWithoutASweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemory(t, sessions.MemoryConfig{})
		var most int
		for i := range 20_000 {
			rec := record("u", 0)
			rec.Key.Hash = [32]byte{byte(i), byte(i >> 8), byte(i >> 16), 1}
			rec.User = string(rec.Key.Hash[:])
			_, err := s.Create(t.Context(), rec)
			require.NoError(t, err)
			time.Sleep(2 * time.Second) // 900 are alive at any moment
			most = max(most, s.Len())
		}
		require.Less(t, most, 1300, "live: 900")
	})
}

func TestMemoryConfig(t *testing.T) {
	_, err := sessions.NewMemory(sessions.MemoryConfig{MaxSessions: -1})
	require.ErrorContains(t, err, "MaxSessions")
	var zero sessions.Memory
	_, err = zero.Create(t.Context(), record("ada", 1))
	require.ErrorIs(t, err, sessions.ErrFull)
	_, err = zero.Load(t.Context(), sessions.Key{}, sessions.Use)
	require.ErrorIs(t, err, sessions.ErrNoSession)
}
