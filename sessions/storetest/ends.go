package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/sessions"
)

// rotate gives a session a new key and level.
func rotate(t *testing.T, s sessions.Store, rec sessions.Record) sessions.Record {
	t.Helper()
	next := rec
	next.Key, next.Level, next.Data = key(rec.User), sallyport.AAL2, []byte(`{"n":2}`)
	rotated, err := s.Replace(t.Context(), rec.Key, &next)
	require.NoError(t, err)
	return rotated
}

func rotation(t *testing.T, h Harness) {
	s := h.New(t, room)
	old := create(t, s, record("ada"))
	h.Advance(idle / 2)
	renewed := rotate(t, s, old)
	require.Equal(t, idle/2, renewed.Started.Sub(old.Started).Round(time.Second),
		"a new authentication event restarts the absolute limit")
	require.NoError(t, load(t, s, renewed.Key))

	for _, access := range []sessions.Access{sessions.Peek, sessions.Use} {
		got, err := s.Load(t.Context(), old.Key, access)
		require.NoError(t, err, "the old key still reads")
		require.True(t, got.Replaced)
		require.Equal(t, old.Level, got.Level, "never with the new level")
		require.Equal(t, old.Data, got.Data)
		require.Equal(t, old.ID, got.ID)
		require.Equal(t, old.User, got.User)
		require.True(t, old.Started.Equal(got.Started))
	}
	_, err := s.Replace(t.Context(), old.Key, &old)
	require.ErrorIs(t, err, sessions.ErrNoSession, "and never writes")
	again := old
	again.Key = key("ada")
	_, err = s.Replace(t.Context(), old.Key, &again)
	require.ErrorIs(t, err, sessions.ErrNoSession, "nor steps up")
	require.ErrorIs(t, load(t, s, again.Key), sessions.ErrNoSession)

	all, err := s.List(t.Context(), "ada")
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.False(t, all[0].Replaced)
	h.Advance(sessions.Grace)
	require.ErrorIs(t, load(t, s, old.Key), sessions.ErrNoSession)
	require.NoError(t, load(t, s, renewed.Key))
}

// Of several keys before, at most the last one reads.
func rotationTwice(t *testing.T, h Harness) {
	s := h.New(t, room)
	first := create(t, s, record("ada"))
	second := rotate(t, s, first)
	third := rotate(t, s, second)
	require.ErrorIs(t, load(t, s, first.Key), sessions.ErrNoSession)
	require.NoError(t, load(t, s, second.Key))
	require.NoError(t, load(t, s, third.Key))
}

func oldKeyDies(t *testing.T, h Harness) {
	for name, which := range map[string]func(sessions.Record) sessions.Selection{
		"one":      func(r sessions.Record) sessions.Selection { return sessions.Selection{User: "ada", Only: r.ID} },
		"user":     func(sessions.Record) sessions.Selection { return sessions.Selection{User: "ada"} },
		"everyone": func(sessions.Record) sessions.Selection { return sessions.Selection{Everyone: true} },
	} {
		s := h.New(t, room)
		old := create(t, s, record("ada"))
		renewed := rotate(t, s, old)
		n, err := s.End(t.Context(), which(renewed))
		require.NoError(t, err, name)
		require.Equal(t, 1, n, name)
		require.ErrorIs(t, load(t, s, old.Key), sessions.ErrNoSession, name)
		require.ErrorIs(t, load(t, s, renewed.Key), sessions.ErrNoSession, name)
	}
}

func list(t *testing.T, h Harness) {
	s := h.New(t, room)
	create(t, s, record("ada"))
	h.Advance(idle)
	over, err := s.List(t.Context(), "ada")
	require.NoError(t, err)
	require.Empty(t, over)
	live := create(t, s, record("ada"))
	create(t, s, record("bob"))
	got, err := s.List(t.Context(), "ada")
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, live.ID, got[0].ID)
	require.Equal(t, live.Client, got[0].Client)
	none, err := s.List(t.Context(), "nobody")
	require.NoError(t, err)
	require.Empty(t, none)
}

func end(t *testing.T, h Harness) {
	s := h.New(t, room)
	a, b, c := create(t, s, record("ada")), create(t, s, record("ada")), create(t, s, record("ada"))
	bob := create(t, s, record("bob"))
	for _, step := range []struct {
		name  string
		which sessions.Selection
		want  int
	}{
		{"nothing", sessions.Selection{}, 0},
		{"another user's", sessions.Selection{User: "bob", Only: a.ID}, 0},
		{"one", sessions.Selection{User: "ada", Only: a.ID}, 1},
		{"that one again", sessions.Selection{User: "ada", Only: a.ID}, 0},
		{"others", sessions.Selection{User: "ada", Except: b.ID}, 1},
		{"all", sessions.Selection{User: "ada"}, 1},
	} {
		n, err := s.End(t.Context(), step.which)
		require.NoError(t, err, step.name)
		require.Equal(t, step.want, n, step.name)
	}
	for _, dead := range []sessions.Record{a, b, c} {
		require.ErrorIs(t, load(t, s, dead.Key), sessions.ErrNoSession)
		_, err := s.Replace(t.Context(), dead.Key, &dead)
		require.ErrorIs(t, err, sessions.ErrNoSession)
	}
	require.NoError(t, load(t, s, bob.Key))
}

func deadEndsNothing(t *testing.T, h Harness) {
	s := h.New(t, room)
	thief, owner := create(t, s, record("ada")), create(t, s, record("ada"))
	_, err := s.End(t.Context(), sessions.Selection{User: "ada", Only: thief.ID})
	require.NoError(t, err)
	_, err = s.End(t.Context(), sessions.Selection{User: "ada", Except: thief.ID})
	require.ErrorIs(t, err, sessions.ErrNoSession)
	require.NoError(t, load(t, s, owner.Key))

	h.Advance(idle / 2)
	require.NoError(t, load(t, s, owner.Key))
	expired := create(t, s, func() *sessions.Record {
		rec := record("ada")
		rec.Idle = idle / 4
		return rec
	}())
	h.Advance(idle / 4)
	_, err = s.End(t.Context(), sessions.Selection{User: "ada", Except: expired.ID})
	require.ErrorIs(t, err, sessions.ErrNoSession)
	require.NoError(t, load(t, s, owner.Key))
}

func endEveryone(t *testing.T, h Harness) {
	s := h.New(t, room)
	a, b := create(t, s, record("ada")), create(t, s, record("bob"))
	n, err := s.End(t.Context(), sessions.Selection{Everyone: true})
	require.NoError(t, err)
	require.Equal(t, 2, n)
	for _, dead := range []sessions.Record{a, b} {
		require.ErrorIs(t, load(t, s, dead.Key), sessions.ErrNoSession)
		_, err := s.Replace(t.Context(), dead.Key, &dead)
		require.ErrorIs(t, err, sessions.ErrNoSession)
		all, err := s.List(t.Context(), dead.User)
		require.NoError(t, err)
		require.Empty(t, all)
	}
	n, err = s.End(t.Context(), sessions.Selection{Everyone: true})
	require.NoError(t, err)
	require.Zero(t, n)
	require.NoError(t, load(t, s, create(t, s, record("ada")).Key))
}

func perUser(t *testing.T, h Harness) {
	s := h.New(t, room)
	bob := create(t, s, record("bob"))
	var mine [3]sessions.Record
	for i := range mine {
		rec := record("ada")
		rec.PerUser = 2
		mine[i] = create(t, s, rec)
		if i == 1 {
			use(t, s, h, mine[0].Key)
		} else {
			h.Advance(2 * max(h.Resolution, time.Millisecond))
		}
	}
	require.NoError(t, load(t, s, mine[0].Key), "used after the second one began")
	require.ErrorIs(t, load(t, s, mine[1].Key), sessions.ErrNoSession)
	require.NoError(t, load(t, s, mine[2].Key))
	require.NoError(t, load(t, s, bob.Key))

	// A key that is taken ends nothing.
	taken := record("ada")
	taken.Key, taken.PerUser = mine[2].Key, 1
	_, err := s.Create(t.Context(), taken)
	require.ErrorIs(t, err, sessions.ErrConflict)
	require.NoError(t, load(t, s, mine[0].Key))

	// A lower limit ends as many as are too many.
	for range 3 {
		create(t, s, record("ada"))
	}
	last := record("ada")
	last.PerUser = 2
	create(t, s, last)
	list, err := s.List(t.Context(), "ada")
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.NoError(t, load(t, s, last.Key))

	// What is over makes room before anything that is alive.
	s = h.New(t, room)
	long, short := record("ada"), record("ada")
	last = record("ada")
	short.Idle, last.PerUser = time.Minute, 2
	create(t, s, long)
	h.Advance(time.Second)
	create(t, s, short)
	h.Advance(time.Minute)
	create(t, s, last)
	require.NoError(t, load(t, s, long.Key))
	require.NoError(t, load(t, s, last.Key))
}

func full(t *testing.T, h Harness) {
	s := h.New(t, 3)
	var live []sessions.Record
	for i := range 3 {
		live = append(live, create(t, s, record(fmt.Sprint("user", i))))
	}
	_, err := s.Create(t.Context(), record("eve"))
	require.ErrorIs(t, err, sessions.ErrFull)
	for _, rec := range live {
		require.NoError(t, load(t, s, rec.Key), "a flood must not end a live session")
	}
	all, err := s.List(t.Context(), "eve")
	require.NoError(t, err)
	require.Empty(t, all)
	_, err = s.End(t.Context(), sessions.Selection{User: "user0"})
	require.NoError(t, err)
	create(t, s, record("eve"))
	rotate(t, s, live[1]) // takes no more room
	_, err = s.Create(t.Context(), record("eve"))
	require.ErrorIs(t, err, sessions.ErrFull)
	h.Advance(idle)
	for i := range 3 {
		create(t, s, record(fmt.Sprint("late", i))) // what is over makes room
	}
}

// fill creates, uses, renews and changes a few sessions.
func fill(t *testing.T, s sessions.Store, h Harness) []sessions.Record {
	t.Helper()
	var all []sessions.Record
	for i := range 12 {
		rec := create(t, s, record(fmt.Sprint("user", i%4)))
		if i%3 == 0 {
			use(t, s, h, rec.Key)
		}
		if i%2 == 0 {
			rec = rotate(t, s, rec)
		}
		all = append(all, rec)
	}
	return all
}

func nothingLeft(t *testing.T, h Harness) {
	if h.Held == nil {
		t.Skip("the harness cannot count")
	}
	s := h.New(t, room)
	for i, rec := range fill(t, s, h) {
		which := sessions.Selection{User: rec.User, Only: rec.ID}
		if i > 6 {
			which.Only = ""
		}
		_, err := s.End(t.Context(), which)
		require.NoError(t, err)
	}
	h.Advance(2 * sessions.Grace)
	require.Zero(t, h.Held(s), "things left of sessions that have ended")
}

func nothingLeftInTime(t *testing.T, h Harness) {
	if h.Held == nil {
		t.Skip("the harness cannot count")
	}
	s := h.New(t, room)
	fill(t, s, h)
	require.NotZero(t, h.Held(s))
	h.Advance(2 * lifetime)
	// A store in memory may need to be visited to notice.
	for range 3 * room {
		require.ErrorIs(t, load(t, s, key("ada")), sessions.ErrNoSession)
	}
	require.Zero(t, h.Held(s), "things left of sessions that are over")
}

func oneWinner(t *testing.T, h Harness) {
	s := h.New(t, room)
	rec := create(t, s, record("ada"))
	errs := make([]error, 50)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			next := rec
			next.Data = fmt.Appendf(nil, `{"n":%d}`, i)
			_, errs[i] = s.Replace(t.Context(), rec.Key, &next)
		})
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		require.ErrorIs(t, err, sessions.ErrConflict)
	}
	require.Equal(t, 1, won)
}

func noRevival(t *testing.T, h Harness) {
	s := h.New(t, room)
	for range 50 {
		rec := create(t, s, record("ada"))
		renewed := rec
		renewed.Key = key("ada")
		var all sync.WaitGroup
		for _, next := range []*sessions.Record{&rec, &renewed} {
			all.Go(func() {
				_, err := s.Replace(t.Context(), rec.Key, next)
				if err != nil && !errors.Is(err, sessions.ErrNoSession) &&
					!errors.Is(err, sessions.ErrConflict) {
					t.Errorf("Replace: got %v", err)
				}
			})
		}
		all.Go(func() {
			_, err := s.End(t.Context(), sessions.Selection{User: "ada", Only: rec.ID})
			if err != nil {
				t.Errorf("End: got %v", err)
			}
		})
		all.Wait()
		require.ErrorIs(t, load(t, s, rec.Key), sessions.ErrNoSession)
		require.ErrorIs(t, load(t, s, renewed.Key), sessions.ErrNoSession)
	}
}

// A use that is on its way when the session ends must not write it back.
func usesAndEnds(t *testing.T, h Harness) {
	s := h.New(t, room)
	for range 50 {
		rec := create(t, s, record("ada"))
		h.Advance(2 * h.Resolution) // so that the use is written
		var all sync.WaitGroup
		for i := range 9 {
			if i == 4 { // some before it, some after
				all.Go(func() { _, _ = s.End(t.Context(), sessions.Selection{User: "ada"}) })
			}
			all.Go(func() { _, _ = s.Load(t.Context(), rec.Key, sessions.Use) })
		}
		all.Wait()
		require.ErrorIs(t, load(t, s, rec.Key), sessions.ErrNoSession)
	}
}
