// Package storetest checks that a sessions.Store keeps its contract. Every
// implementation of this module passes it; run it against your own.
package storetest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/sessions"
)

// Harness is how the suite drives a store.
type Harness struct {
	// New returns an empty store with room for at least 200 sessions, all of
	// which may belong to one user.
	New func(*testing.T) sessions.Store
	// Advance moves the store's clock: time.Sleep inside a synctest bubble.
	Advance func(time.Duration)
	// Bubble, if set, runs each clause: synctest.Test for stores in memory.
	Bubble func(*testing.T, func(*testing.T))
	// Resolution is the store's finest step of time. Default one nanosecond.
	Resolution time.Duration
}

// Run runs the suite, one subtest per clause of the contract.
func Run(t *testing.T, h Harness) {
	if h.Resolution == 0 {
		h.Resolution = time.Nanosecond
	}
	for name, test := range map[string]func(*testing.T, Harness){
		"create and load":                         createAndLoad,
		"unknown key is not found":                unknown,
		"idle limit is exact":                     idleExact,
		"every use counts":                        everyUse,
		"peeking and swapping are not uses":       notUses,
		"absolute limit is exact":                 absoluteExact,
		"never immortal past the absolute limit":  neverImmortal,
		"swap compares versions":                  compares,
		"rotation kills the old key":              rotation,
		"delete is final and idempotent":          deletion,
		"list shows only live ones of the user":   list,
		"end one, others, all":                    end,
		"end everyone":                            endEveryone,
		"of concurrent swaps exactly one wins":    oneWinner,
		"a swap never outlives a concurrent kill": noRevival,
	} {
		t.Run(name, func(t *testing.T) {
			if h.Bubble == nil {
				test(t, h)
				return
			}
			h.Bubble(t, func(t *testing.T) { test(t, h) })
		})
	}
}

const (
	idle     = 30 * time.Minute
	lifetime = 2 * time.Hour
)

func key() sessions.Key {
	var k sessions.Key
	_, _ = rand.Read(k.Hash[:])
	return k
}

func record(user string) *sessions.Record {
	return &sessions.Record{
		Key: key(), ID: rand.Text(), User: user, Level: sessions.AAL1,
		Idle: idle, Lifetime: lifetime, Data: []byte(`{"n":1}`),
	}
}

func create(t *testing.T, s sessions.Store, rec *sessions.Record) sessions.Record {
	t.Helper()
	stored, err := s.Swap(t.Context(), sessions.Key{}, rec)
	require.NoError(t, err)
	return stored
}

func load(t *testing.T, s sessions.Store, k sessions.Key) error {
	t.Helper()
	_, err := s.Load(t.Context(), k, sessions.Use)
	return err
}

func createAndLoad(t *testing.T, h Harness) {
	s := h.New(t)
	want := record("ada")
	stored := create(t, s, want)
	got, err := s.Load(t.Context(), want.Key, sessions.Peek)
	require.NoError(t, err)
	require.Equal(t, stored.Version, got.Version)
	require.True(t, stored.Started.Equal(got.Started))
	require.Equal(t, want.ID, got.ID)
	require.Equal(t, want.User, got.User)
	require.Equal(t, want.Level, got.Level)
	require.Equal(t, want.Idle, got.Idle)
	require.Equal(t, want.Lifetime, got.Lifetime)
	require.Equal(t, want.Data, got.Data)
	require.False(t, got.Started.IsZero())
}

func unknown(t *testing.T, h Harness) {
	s := h.New(t)
	require.ErrorIs(t, load(t, s, key()), sessions.ErrNotFound)
	_, err := s.Swap(t.Context(), key(), record("ada"))
	require.ErrorIs(t, err, sessions.ErrNotFound, "a swap must not create")
}

func idleExact(t *testing.T, h Harness) {
	for name, at := range map[string]struct {
		after time.Duration
		want  error
	}{
		"just before": {idle - h.Resolution, nil},
		"exactly":     {idle, sessions.ErrNotFound},
		"after":       {idle + time.Hour, sessions.ErrNotFound},
	} {
		s := h.New(t)
		rec := create(t, s, record("ada"))
		h.Advance(at.after)
		_, err := s.Swap(t.Context(), rec.Key, &rec)
		require.ErrorIs(t, err, at.want, name)
		require.ErrorIs(t, load(t, s, rec.Key), at.want, name)
	}
}

func everyUse(t *testing.T, h Harness) {
	s := h.New(t)
	rec := create(t, s, record("ada"))
	h.Advance(time.Second) // a throttled store would skip this use
	require.NoError(t, load(t, s, rec.Key))
	h.Advance(idle - h.Resolution)
	require.NoError(t, load(t, s, rec.Key), "the idle time runs from the last use")
	h.Advance(idle)
	require.ErrorIs(t, load(t, s, rec.Key), sessions.ErrNotFound)
}

func notUses(t *testing.T, h Harness) {
	s := h.New(t)
	rec := create(t, s, record("ada"))
	h.Advance(idle / 2)
	_, err := s.Load(t.Context(), rec.Key, sessions.Peek)
	require.NoError(t, err)
	_, err = s.Swap(t.Context(), rec.Key, &rec)
	require.NoError(t, err)
	h.Advance(idle / 2)
	require.ErrorIs(t, load(t, s, rec.Key), sessions.ErrNotFound)
}

// useFor keeps a session in use for as long as it lives, up to d.
func useFor(t *testing.T, s sessions.Store, h Harness, k sessions.Key, d time.Duration) error {
	t.Helper()
	const step = 20 * time.Minute
	for ; d > step; d -= step {
		h.Advance(step)
		if err := load(t, s, k); err != nil {
			return err
		}
	}
	h.Advance(d)
	return load(t, s, k)
}

func absoluteExact(t *testing.T, h Harness) {
	s := h.New(t)
	rec := create(t, s, record("ada"))
	require.NoError(t, useFor(t, s, h, rec.Key, lifetime-h.Resolution))
	h.Advance(h.Resolution)
	require.ErrorIs(t, load(t, s, rec.Key), sessions.ErrNotFound)
}

// A peer computed a time to live from the absolute deadline; written just past
// it, the value was negative, and the server kept the key for ever.
func neverImmortal(t *testing.T, h Harness) {
	s := h.New(t)
	rec := create(t, s, record("ada"))
	require.NoError(t, useFor(t, s, h, rec.Key, lifetime-h.Resolution))
	h.Advance(h.Resolution)
	_, err := s.Swap(t.Context(), rec.Key, &rec)
	require.ErrorIs(t, err, sessions.ErrNotFound)
	h.Advance(lifetime)
	require.ErrorIs(t, load(t, s, rec.Key), sessions.ErrNotFound)
	rest, err := s.List(t.Context(), "ada")
	require.NoError(t, err)
	require.Empty(t, rest)
}

func compares(t *testing.T, h Harness) {
	s := h.New(t)
	first := create(t, s, record("ada"))
	next := first
	next.Data = []byte(`{"n":2}`)
	second, err := s.Swap(t.Context(), first.Key, &next)
	require.NoError(t, err)
	require.Greater(t, second.Version, first.Version)
	_, err = s.Swap(t.Context(), first.Key, &first)
	require.ErrorIs(t, err, sessions.ErrConflict)
	got, err := s.Load(t.Context(), first.Key, sessions.Peek)
	require.NoError(t, err)
	require.Equal(t, next.Data, got.Data)
}

func rotation(t *testing.T, h Harness) {
	s := h.New(t)
	rec := create(t, s, record("ada"))
	h.Advance(idle / 2)
	next := rec
	next.Key, next.Level = key(), sessions.AAL2
	rotated, err := s.Swap(t.Context(), rec.Key, &next)
	require.NoError(t, err)
	require.Equal(t, idle/2, rotated.Started.Sub(rec.Started).Round(h.Resolution),
		"a new authentication event restarts the absolute limit")
	require.ErrorIs(t, load(t, s, rec.Key), sessions.ErrNotFound)
	_, err = s.Swap(t.Context(), rec.Key, &rec)
	require.ErrorIs(t, err, sessions.ErrNotFound, "the old key must not come back")
	require.NoError(t, load(t, s, next.Key))
	all, err := s.List(t.Context(), "ada")
	require.NoError(t, err)
	require.Len(t, all, 1)
}

func deletion(t *testing.T, h Harness) {
	s := h.New(t)
	rec := create(t, s, record("ada"))
	for range 2 {
		_, err := s.Swap(t.Context(), rec.Key, nil)
		require.NoError(t, err)
	}
	require.ErrorIs(t, load(t, s, rec.Key), sessions.ErrNotFound)
	_, err := s.Swap(t.Context(), rec.Key, &rec)
	require.ErrorIs(t, err, sessions.ErrNotFound)
}

func list(t *testing.T, h Harness) {
	s := h.New(t)
	create(t, s, record("ada"))
	h.Advance(idle)
	live := create(t, s, record("ada"))
	create(t, s, record("bob"))
	got, err := s.List(t.Context(), "ada")
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, live.ID, got[0].ID)
	none, err := s.List(t.Context(), "nobody")
	require.NoError(t, err)
	require.Empty(t, none)
}

func end(t *testing.T, h Harness) {
	s := h.New(t)
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
		require.ErrorIs(t, load(t, s, dead.Key), sessions.ErrNotFound)
		_, err := s.Swap(t.Context(), dead.Key, &dead)
		require.ErrorIs(t, err, sessions.ErrNotFound)
	}
	require.NoError(t, load(t, s, bob.Key))
}

func endEveryone(t *testing.T, h Harness) {
	s := h.New(t)
	a, b := create(t, s, record("ada")), create(t, s, record("bob"))
	_, err := s.End(t.Context(), sessions.Selection{Everyone: true})
	require.NoError(t, err)
	require.ErrorIs(t, load(t, s, a.Key), sessions.ErrNotFound)
	require.ErrorIs(t, load(t, s, b.Key), sessions.ErrNotFound)
	require.NoError(t, load(t, s, create(t, s, record("ada")).Key))
}

func oneWinner(t *testing.T, h Harness) {
	s := h.New(t)
	rec := create(t, s, record("ada"))
	errs := make([]error, 50)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			next := rec
			next.Data = fmt.Appendf(nil, `{"n":%d}`, i)
			_, errs[i] = s.Swap(t.Context(), rec.Key, &next)
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
	s := h.New(t)
	for range 50 {
		rec := create(t, s, record("ada"))
		var both sync.WaitGroup
		both.Go(func() { _, _ = s.Swap(t.Context(), rec.Key, nil) })
		both.Go(func() {
			_, err := s.Swap(t.Context(), rec.Key, &rec)
			if err != nil && !errors.Is(err, sessions.ErrNotFound) {
				t.Errorf("Swap: got %v, want nil or ErrNotFound", err)
			}
		})
		both.Wait()
		require.ErrorIs(t, load(t, s, rec.Key), sessions.ErrNotFound)
	}
}
