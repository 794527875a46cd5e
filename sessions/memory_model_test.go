package sessions_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/sessions"
)

// Ten thousand random steps: whatever happens, the tables agree with each other, and
// the store with a list that is looked through.
func TestMemoryAgreesWithAList(t *testing.T) {
	for seed := range uint64(6) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			s := newMemory(t, sessions.MemoryConfig{MaxSessions: 60})
			live := map[sessions.Key]sessions.Record{}
			old := map[sessions.Key]bool{}
			n := 0
			any := func() (sessions.Record, bool) {
				for _, rec := range live {
					if random.IntN(3) == 0 {
						return rec, true
					}
				}
				return sessions.Record{}, false
			}
			forget := func() {
				now := time.Now()
				for k, rec := range live {
					if !rec.Live(now) {
						delete(live, k)
					}
				}
			}
			for range 1700 {
				forget()
				switch random.IntN(8) {
				case 0, 1, 2:
					n++
					rec := record(fmt.Sprint("user", random.IntN(9)), 0)
					rec.Key, rec.PerUser, rec.ID = keyOf(n), 0, fmt.Sprint(n)
					rec.Idle = time.Duration(1+random.IntN(40)) * time.Second
					stored, err := s.Create(t.Context(), rec)
					if errors.Is(err, sessions.ErrFull) {
						require.Len(t, live, 60)
						continue
					}
					require.NoError(t, err)
					live[rec.Key] = stored
				case 3:
					if rec, ok := any(); ok {
						got, err := s.Load(t.Context(), rec.Key, sessions.Use)
						require.NoError(t, err)
						live[rec.Key] = got
					}
				case 4:
					if rec, ok := any(); ok { // a new key, or the same
						next := rec
						if random.IntN(2) == 0 {
							n++
							next.Key = keyOf(n)
							old[rec.Key] = true
						}
						got, err := s.Replace(t.Context(), rec.Key, &next)
						require.NoError(t, err)
						delete(live, rec.Key)
						live[next.Key] = got
					}
				case 5:
					if rec, ok := any(); ok {
						ended, err := s.End(t.Context(), sessions.Selection{User: rec.User, Only: rec.ID})
						require.NoError(t, err)
						require.Equal(t, 1, ended)
						delete(live, rec.Key)
					}
				case 6:
					time.Sleep(time.Duration(random.IntN(4000)) * time.Millisecond)
				case 7:
					for k := range old {
						rec, err := s.Load(t.Context(), k, sessions.Use)
						require.True(t, err != nil || rec.Replaced, "an old key only reads")
						break
					}
				}
				require.NoError(t, s.Consistent())
			}
			forget()
			for k := range live {
				_, err := s.Load(t.Context(), k, sessions.Peek)
				require.NoError(t, err)
			}
			require.GreaterOrEqual(t, s.Len(), len(live))
			_, err := s.End(t.Context(), sessions.Selection{Everyone: true})
			require.NoError(t, err)
			require.NoError(t, s.Consistent())
			require.Zero(t, s.Held())
		})
	}
}

// Old keys leave with the hand, long before their session.
func TestOldKeysLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemory(t, sessions.MemoryConfig{})
		rec := record("ada", 1)
		rec.Idle, rec.Lifetime = time.Hour, time.Hour
		stored, err := s.Create(t.Context(), rec)
		require.NoError(t, err)
		next := stored
		next.Key = keyOf(2)
		_, err = s.Replace(t.Context(), stored.Key, &next)
		require.NoError(t, err)
		require.Equal(t, 4, s.Held(), "two keys, one session, one user")
		time.Sleep(sessions.Grace - 1)
		_, _ = s.Load(t.Context(), keyOf(3), sessions.Peek)
		require.Equal(t, 4, s.Held())
		time.Sleep(time.Nanosecond)
		_, _ = s.Load(t.Context(), keyOf(3), sessions.Peek)
		require.Equal(t, 3, s.Held())
		require.NoError(t, s.Consistent())
	})
}

func TestMemoryDefaults(t *testing.T) {
	require.Equal(t, 100_000, newMemory(t, sessions.MemoryConfig{}).Max())
	require.Equal(t, 1, newMemory(t, sessions.MemoryConfig{MaxSessions: 1}).Max())
	s := newMemory(t, sessions.MemoryConfig{})
	for n := range byte(5) { // no limit per user
		rec := record("ada", n)
		rec.PerUser, rec.Key = 0, keyOf(int(n))
		_, err := s.Create(t.Context(), rec)
		require.NoError(t, err)
	}
	require.Equal(t, 5, s.Len())
	// Half a hash that is the same: no session, and no place for another.
	rec := record("ada", 0)
	rec.Key, rec.PerUser = keyOf(1), 0
	rec.Key.Hash[20] ^= 1
	_, err := s.Load(t.Context(), rec.Key, sessions.Peek)
	require.ErrorIs(t, err, sessions.ErrNoSession)
	_, err = s.Create(t.Context(), rec)
	require.ErrorIs(t, err, sessions.ErrConflict)
	first, err := s.Load(t.Context(), keyOf(0), sessions.Peek)
	require.NoError(t, err)
	next := first
	next.Key = keyOf(1)
	_, err = s.Replace(t.Context(), first.Key, &next)
	require.ErrorIs(t, err, sessions.ErrConflict, "somebody else's key")
	// A rotated one, and half of its old key.
	next.Key = keyOf(9)
	_, err = s.Replace(t.Context(), first.Key, &next)
	require.NoError(t, err)
	near := first.Key
	near.Hash[20] ^= 1
	_, err = s.Load(t.Context(), near, sessions.Peek)
	require.ErrorIs(t, err, sessions.ErrNoSession)
	require.NoError(t, s.Consistent())
}

// The tables shrink to what is left, and lose nothing of it.
func TestMemoryKeepsTheRestWhenItShrinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemory(t, sessions.MemoryConfig{MaxSessions: 40_000})
		populate(t, s, 0, 30_000)
		time.Sleep(29 * time.Minute)
		populate(t, s, 30_000, 500)
		time.Sleep(time.Minute)
		for range 31_000 {
			_, _ = s.Load(t.Context(), keyOf(0), sessions.Peek)
		}
		require.Equal(t, 500, s.Len())
		require.NoError(t, s.Consistent())
		for i := 30_000; i < 30_500; i++ {
			_, err := s.Load(t.Context(), keyOf(i), sessions.Peek)
			require.NoError(t, err)
			list, err := s.List(t.Context(), fmt.Sprintf("user-%08d", i))
			require.NoError(t, err)
			require.Len(t, list, 1)
		}
	})
}
