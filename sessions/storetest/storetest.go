// Package storetest checks that a sessions.Store keeps its contract. Every
// implementation of this module passes it; run it against your own.
package storetest

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/sessions"
)

// Harness is how the suite drives a store.
type Harness struct {
	// New returns an empty store with room for that many sessions, all of which
	// may belong to one user.
	New func(t *testing.T, room int) sessions.Store
	// Advance moves the store's clock, and what expires by it: time.Sleep inside
	// a synctest bubble.
	Advance func(time.Duration)
	// Bubble, if set, runs each clause: synctest.Test for stores in memory.
	Bubble func(*testing.T, func(*testing.T))
	// Resolution is how much too early a session may end, because not every use
	// is written. Default one nanosecond. No session may end late.
	Resolution time.Duration
	// Held, if set, returns how many things the store's backend holds: records,
	// indexes and counters. The suite checks that ended and expired sessions leave
	// nothing behind, at once or when Advance has passed their lifetime.
	Held func(sessions.Store) int
}

type clause struct {
	name string
	test func(*testing.T, Harness)
}

func clauses() []clause {
	return []clause{
		{"create and load", createAndLoad},
		{"unknown key is not found", unknown},
		{"key taken is a conflict", taken},
		{"tag is part of the key", tagged},
		{"idle limit is exact", idleExact},
		{"every use counts", everyUse},
		{"peeking and replacing are not uses", notUses},
		{"absolute limit is exact", absoluteExact},
		{"limits are the record's own", ownLimits},
		{"never immortal past the absolute limit", neverImmortal},
		{"replace compares versions", compares},
		{"rotation leaves the old key to read for a while", rotation},
		{"rotation twice", rotationTwice},
		{"old key dies with the session", oldKeyDies},
		{"list shows only live ones of the user", list},
		{"end one, others, all", end},
		{"a dead session ends no others", deadEndsNothing},
		{"end everyone", endEveryone},
		{"one session beyond the user's limit ends the least recent", perUser},
		{"a full store refuses", full},
		{"ended sessions leave nothing", nothingLeft},
		{"expired sessions leave nothing", nothingLeftInTime},
		{"of concurrent replacements exactly one wins", oneWinner},
		{"a replacement never outlives a concurrent end", noRevival},
		{"uses and ends at once", usesAndEnds},
	}
}

// Run runs the suite, one subtest per clause of the contract.
func Run(t *testing.T, h Harness) {
	if h.Resolution == 0 {
		h.Resolution = time.Nanosecond
	}
	for _, c := range clauses() {
		t.Run(c.name, func(t *testing.T) {
			if h.Bubble == nil {
				c.test(t, h)
				return
			}
			h.Bubble(t, func(t *testing.T) { c.test(t, h) })
		})
	}
}

const (
	room     = 200
	idle     = 30 * time.Minute
	lifetime = 2 * time.Hour
)

func key(user string) sessions.Key {
	k := sessions.Key{Tag: sessions.Tag(user)}
	_, _ = rand.Read(k.Hash[:])
	return k
}

func record(user string) *sessions.Record {
	return &sessions.Record{
		Key: key(user), ID: rand.Text(), User: user, Client: "Firefox, 192.0.2.0/24",
		Level: sallyport.AAL1, Remember: true, PerUser: room,
		Idle: idle, Lifetime: lifetime, Data: []byte(`{"n":1}`),
	}
}

func create(t *testing.T, s sessions.Store, rec *sessions.Record) sessions.Record {
	t.Helper()
	stored, err := s.Create(t.Context(), rec)
	require.NoError(t, err)
	return stored
}

func load(t *testing.T, s sessions.Store, k sessions.Key) error {
	t.Helper()
	_, err := s.Load(t.Context(), k, sessions.Use)
	return err
}

// use is load for the least recently used: enough time passes to be seen.
func use(t *testing.T, s sessions.Store, h Harness, k sessions.Key) {
	t.Helper()
	h.Advance(2 * max(h.Resolution, time.Millisecond))
	require.NoError(t, load(t, s, k))
	h.Advance(2 * max(h.Resolution, time.Millisecond))
}

func createAndLoad(t *testing.T, h Harness) {
	s := h.New(t, room)
	want := record("ada")
	stored := create(t, s, want)
	got, err := s.Load(t.Context(), want.Key, sessions.Peek)
	require.NoError(t, err)
	require.False(t, got.Started.IsZero())
	require.True(t, stored.Started.Equal(got.Started))
	require.True(t, stored.Seen.Equal(got.Seen))
	require.Equal(t, stored.Version, got.Version)
	got.Started, got.Seen, got.Version = want.Started, want.Seen, want.Version
	got.PerUser = want.PerUser // Create's alone: a store need not keep it
	require.Equal(t, *want, got)
}

func unknown(t *testing.T, h Harness) {
	s := h.New(t, room)
	require.ErrorIs(t, load(t, s, key("ada")), sessions.ErrNoSession)
	_, err := s.Replace(t.Context(), key("ada"), record("ada"))
	require.ErrorIs(t, err, sessions.ErrNoSession, "replacing must not create")
	rec := record("ada")
	_, err = s.Replace(t.Context(), rec.Key, rec)
	require.ErrorIs(t, err, sessions.ErrNoSession, "replacing must not create")
	require.ErrorIs(t, load(t, s, rec.Key), sessions.ErrNoSession)
}

func taken(t *testing.T, h Harness) {
	s := h.New(t, room)
	first := create(t, s, record("ada"))
	second := record("ada")
	second.Key = first.Key
	_, err := s.Create(t.Context(), second)
	require.ErrorIs(t, err, sessions.ErrConflict)
	got, err := s.Load(t.Context(), first.Key, sessions.Peek)
	require.NoError(t, err)
	require.Equal(t, first.ID, got.ID)
}

// The tag says in which slot a cluster keeps the record; a token with another
// one is another token.
func tagged(t *testing.T, h Harness) {
	s := h.New(t, room)
	rec := create(t, s, record("ada"))
	other := rec.Key
	other.Tag ^= 1
	require.ErrorIs(t, load(t, s, other), sessions.ErrNoSession)
	require.NoError(t, load(t, s, rec.Key))
}

func idleExact(t *testing.T, h Harness) {
	for name, at := range map[string]struct {
		after time.Duration
		want  error
	}{
		"just before": {idle - h.Resolution, nil},
		"exactly":     {idle, sessions.ErrNoSession},
		"after":       {idle + time.Hour, sessions.ErrNoSession},
	} {
		s := h.New(t, room)
		rec := create(t, s, record("ada"))
		h.Advance(at.after)
		_, err := s.Replace(t.Context(), rec.Key, &rec)
		require.ErrorIs(t, err, at.want, name)
		require.ErrorIs(t, load(t, s, rec.Key), at.want, name)
	}
}

func everyUse(t *testing.T, h Harness) {
	s := h.New(t, room)
	rec := create(t, s, record("ada"))
	h.Advance(max(h.Resolution, time.Second)) // a coarser throttle would skip this use
	require.NoError(t, load(t, s, rec.Key))
	h.Advance(idle - h.Resolution)
	require.NoError(t, load(t, s, rec.Key), "the idle time runs from the last use")
	h.Advance(idle)
	require.ErrorIs(t, load(t, s, rec.Key), sessions.ErrNoSession)
}

func notUses(t *testing.T, h Harness) {
	s := h.New(t, room)
	rec := create(t, s, record("ada"))
	h.Advance(idle / 2)
	_, err := s.Load(t.Context(), rec.Key, sessions.Peek)
	require.NoError(t, err)
	_, err = s.Replace(t.Context(), rec.Key, &rec)
	require.NoError(t, err)
	h.Advance(idle / 2)
	require.ErrorIs(t, load(t, s, rec.Key), sessions.ErrNoSession)
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
	s := h.New(t, room)
	rec := create(t, s, record("ada"))
	require.NoError(t, useFor(t, s, h, rec.Key, lifetime-h.Resolution))
	h.Advance(h.Resolution)
	require.ErrorIs(t, load(t, s, rec.Key), sessions.ErrNoSession)
}

func ownLimits(t *testing.T, h Harness) {
	s := h.New(t, room)
	short, long := record("ada"), record("ada")
	short.Idle = idle / 3
	long.Idle, long.Lifetime = 48*time.Hour, 60*24*time.Hour
	create(t, s, short)
	create(t, s, long)
	h.Advance(idle / 3)
	require.ErrorIs(t, load(t, s, short.Key), sessions.ErrNoSession)
	for range 30 {
		h.Advance(47 * time.Hour)
		require.NoError(t, load(t, s, long.Key))
	}
	h.Advance(47 * time.Hour)
	require.ErrorIs(t, load(t, s, long.Key), sessions.ErrNoSession)
}

// A peer computed a time to live from the absolute deadline; written just past
// it, the value was negative, and the server kept the key for ever.
func neverImmortal(t *testing.T, h Harness) {
	s := h.New(t, room)
	rec := create(t, s, record("ada"))
	require.NoError(t, useFor(t, s, h, rec.Key, lifetime-h.Resolution))
	h.Advance(h.Resolution)
	_, err := s.Replace(t.Context(), rec.Key, &rec)
	require.ErrorIs(t, err, sessions.ErrNoSession)
	h.Advance(lifetime)
	require.ErrorIs(t, load(t, s, rec.Key), sessions.ErrNoSession)
	rest, err := s.List(t.Context(), "ada")
	require.NoError(t, err)
	require.Empty(t, rest)
}

func compares(t *testing.T, h Harness) {
	s := h.New(t, room)
	first := create(t, s, record("ada"))
	next := first
	next.Data = []byte(`{"n":2}`)
	second, err := s.Replace(t.Context(), first.Key, &next)
	require.NoError(t, err)
	require.Greater(t, second.Version, first.Version)
	require.Equal(t, next.Data, second.Data)
	_, err = s.Replace(t.Context(), first.Key, &first)
	require.ErrorIs(t, err, sessions.ErrConflict)
	got, err := s.Load(t.Context(), first.Key, sessions.Peek)
	require.NoError(t, err)
	require.Equal(t, next.Data, got.Data)
	require.Equal(t, second.Version, got.Version)
}
