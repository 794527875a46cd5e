// Package storetest is the conformance suite of [apikey.Store]. Run it against an
// implementation of your own:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) apikey.Store { return newStore(t) })
//	}
package storetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/tenancy/apikey"
)

// start is in microseconds, as exact as stores have to be.
var start = time.Date(2026, 11, 25, 4, 0, 0, 123456000, time.UTC)

func record(user, id string) apikey.Record {
	return apikey.Record{
		ID: id, Hash: apikey.Hash("key of " + id), User: user, Name: "deploy «script»",
		Scopes: []string{"calls:view", "calls:seal"}, Created: start,
		Expires: start.Add(90 * 24 * time.Hour),
	}
}

// Run tests the stores that open returns, each empty and of its own.
func Run(t *testing.T, open func(t *testing.T) apikey.Store) {
	t.Helper()
	for _, clause := range []struct {
		name  string
		check func(*testing.T, apikey.Store)
	}{
		{"what was created is found", found},
		{"ids and hashes are unique", unique},
		{"hashes match exactly", exact},
		{"an end is never later", ends},
		{"a user ends only own keys", owners},
		{"a use changes nothing else", touches},
		{"a use does not outlive the end", touchAfterEnd},
		{"records are copies", copies},
		{"one of many creates wins", createRace},
		{"no race gives time back", endRace},
		{"a context that ended is an error", contexts},
	} {
		t.Run(clause.name, func(t *testing.T) { clause.check(t, open(t)) })
	}
}

// find returns a record with its times in UTC, and an empty list of scopes as nil.
func find(t *testing.T, s apikey.Store, id string) apikey.Record {
	t.Helper()
	r, err := s.Find(t.Context(), apikey.Hash("key of "+id))
	require.NoError(t, err)
	for _, at := range []*time.Time{&r.Created, &r.Expires, &r.Revoked, &r.LastUsed} {
		if !at.IsZero() {
			*at = at.UTC()
		}
	}
	return r
}

func found(t *testing.T, s apikey.Store) {
	want := record("ann", "a")
	require.NoError(t, s.Create(t.Context(), want))
	require.NoError(t, s.Create(t.Context(), record("ann", "b")))
	require.Equal(t, want, find(t, s, "a"))
	_, err := s.Find(t.Context(), apikey.Hash("key of c"))
	require.ErrorIs(t, err, apikey.ErrNotFound)
}

func unique(t *testing.T, s apikey.Store) {
	require.NoError(t, s.Create(t.Context(), record("ann", "a")))
	sameID := record("rob", "a")
	sameID.Hash = apikey.Hash("another key")
	require.ErrorIs(t, s.Create(t.Context(), sameID), apikey.ErrExists)
	sameHash := record("rob", "b")
	sameHash.Hash = record("ann", "a").Hash
	require.ErrorIs(t, s.Create(t.Context(), sameHash), apikey.ErrExists)
	require.Equal(t, record("ann", "a"), find(t, s, "a"), "the first one stays")
	_, err := s.Find(t.Context(), sameID.Hash)
	require.ErrorIs(t, err, apikey.ErrNotFound)
}

func exact(t *testing.T, s apikey.Store) {
	require.NoError(t, s.Create(t.Context(), record("ann", "a")))
	hash := record("ann", "a").Hash
	for i := range hash {
		changed := hash
		changed[i] ^= 0x20 // the bit of upper and lower case
		_, err := s.Find(t.Context(), changed)
		require.ErrorIs(t, err, apikey.ErrNotFound, "byte %d", i)
	}
	_, err := s.Find(t.Context(), [32]byte{})
	require.ErrorIs(t, err, apikey.ErrNotFound)
}

func ends(t *testing.T, s apikey.Store) {
	require.NoError(t, s.Create(t.Context(), record("ann", "a")))
	require.NoError(t, s.Create(t.Context(), record("ann", "b")))
	require.True(t, find(t, s, "a").Revoked.IsZero())
	for _, tt := range []struct{ at, want time.Duration }{
		{time.Hour, time.Hour},
		{2 * time.Hour, time.Hour},
		{time.Hour, time.Hour},
		{time.Hour - time.Microsecond, time.Hour - time.Microsecond},
		{-time.Hour, -time.Hour},
		{0, -time.Hour},
	} {
		require.NoError(t, s.End(t.Context(), "ann", "a", start.Add(tt.at)))
		got := find(t, s, "a")
		require.Equal(t, start.Add(tt.want), got.Revoked)
		want := record("ann", "a")
		want.Revoked = got.Revoked
		require.Equal(t, want, got, "nothing else changes")
	}
	require.Equal(t, record("ann", "b"), find(t, s, "b"))
}

func owners(t *testing.T, s apikey.Store) {
	require.NoError(t, s.Create(t.Context(), record("ann", "a")))
	for _, user := range []string{"rob", "", "ANN", "ann "} {
		err := s.End(t.Context(), user, "a", start)
		require.ErrorIs(t, err, apikey.ErrNotFound, "%q", user)
	}
	for _, id := range []string{"b", "", "A", "a "} {
		err := s.End(t.Context(), "ann", id, start)
		require.ErrorIs(t, err, apikey.ErrNotFound, "%q", id)
	}
	require.Equal(t, record("ann", "a"), find(t, s, "a"))
}

func touches(t *testing.T, s apikey.Store) {
	require.NoError(t, s.Create(t.Context(), record("ann", "a")))
	require.NoError(t, s.Create(t.Context(), record("ann", "b")))
	for _, tt := range []struct{ at, want time.Duration }{
		{time.Hour, time.Hour},
		{time.Minute, time.Hour},
		{time.Hour + time.Microsecond, time.Hour + time.Microsecond},
	} {
		require.NoError(t, s.Touch(t.Context(), "a", start.Add(tt.at)))
		want := record("ann", "a")
		want.LastUsed = start.Add(tt.want)
		require.Equal(t, want, find(t, s, "a"))
	}
	require.NoError(t, s.Touch(t.Context(), "c", start))
	require.Equal(t, record("ann", "b"), find(t, s, "b"))
}

func touchAfterEnd(t *testing.T, s apikey.Store) {
	require.NoError(t, s.Create(t.Context(), record("ann", "a")))
	require.NoError(t, s.End(t.Context(), "ann", "a", start.Add(time.Hour)))
	require.NoError(t, s.Touch(t.Context(), "a", start.Add(time.Minute)))
	require.NoError(t, s.Touch(t.Context(), "a", start.Add(time.Hour)))
	want := record("ann", "a")
	want.Revoked, want.LastUsed = start.Add(time.Hour), start.Add(time.Minute)
	require.Equal(t, want, find(t, s, "a"))
}

func copies(t *testing.T, s apikey.Store) {
	r := record("ann", "a")
	require.NoError(t, s.Create(t.Context(), r))
	r.Scopes[0] = "admin"
	got := find(t, s, "a")
	require.Equal(t, record("ann", "a"), got)
	got.Scopes[0] = "admin"
	require.Equal(t, record("ann", "a"), find(t, s, "a"))
}

func createRace(t *testing.T, s apikey.Store) {
	var won, lost atomic.Int64
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			r := record("ann", "a")
			r.Name = fmt.Sprint(i)
			switch err := s.Create(t.Context(), r); {
			case err == nil:
				won.Add(1)
			default:
				lost.Add(1)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, won.Load())
	require.EqualValues(t, 19, lost.Load())
}

// endRace ends a key while it is being used. Whatever the order, the earliest end
// stands: a store that reads, changes and writes back loses it now and then.
func endRace(t *testing.T, s apikey.Store) {
	for round := range 50 {
		id := fmt.Sprint("r", round)
		require.NoError(t, s.Create(t.Context(), record("ann", id)))
		var all sync.WaitGroup
		var failed atomic.Int64
		together := func(do func() error) {
			all.Go(func() {
				if do() != nil {
					failed.Add(1)
				}
			})
		}
		together(func() error { return s.Touch(t.Context(), id, start.Add(-time.Second)) })
		together(func() error { return s.End(t.Context(), "ann", id, start) })
		if round%2 == 1 {
			together(func() error { return s.End(t.Context(), "ann", id, start.Add(time.Hour)) })
		}
		all.Wait()
		require.Zero(t, failed.Load())
		require.Equal(t, start, find(t, s, id).Revoked)
	}
}

func contexts(t *testing.T, s apikey.Store) {
	require.NoError(t, s.Create(t.Context(), record("ann", "a")))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Find(ctx, record("ann", "a").Hash)
	require.Error(t, err)
	require.NotErrorIs(t, err, apikey.ErrNotFound, "it could not tell")
	require.Error(t, s.Create(ctx, record("ann", "b")))
	require.Error(t, s.End(ctx, "ann", "a", start))
	require.Error(t, s.Touch(ctx, "a", start))
	require.Equal(t, record("ann", "a"), find(t, s, "a"))
}
