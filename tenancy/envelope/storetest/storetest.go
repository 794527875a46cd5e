// Package storetest is the conformance suite of [envelope.Store]. Run it against an
// implementation of your own:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) envelope.Store { return newStore(t) })
//	}
package storetest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/tenancy/envelope"
)

// start is in microseconds, as exact as stores have to be.
var start = time.Date(2026, 11, 25, 4, 0, 0, 123456000, time.UTC)

var (
	ann  = envelope.Owner{Site: "s1", Subject: "ann"}
	site = envelope.Owner{Site: "s1"}
)

func key(owner envelope.Owner, version int) envelope.Key {
	return envelope.Key{
		Owner: owner, Version: version, Handle: "abcdefghijklmnopqrstuv",
		Commit: [32]byte{byte(version), 0, 0xff}, KEK: "kek-1",
		Wrapped: []byte{0, 1, 2, byte(version), 0xff}, Created: start,
	}
}

// Run tests the stores that open returns, each empty and of its own.
func Run(t *testing.T, open func(t *testing.T) envelope.Store) {
	t.Helper()
	for _, clause := range []struct {
		name  string
		check func(*testing.T, envelope.Store)
	}{
		{"what was added is loaded", loads},
		{"owners are apart", apart},
		{"versions are added in order", ordered},
		{"one of many adds wins", addRace},
		{"seals are counted", counts},
		{"no reservation is lost", countRace},
		{"rewrapping compares", rewraps},
		{"shredding leaves nothing", shreds},
		{"keys are copies", copies},
		{"a context that ended is an error", contexts},
	} {
		t.Run(clause.name, func(t *testing.T) { clause.check(t, open(t)) })
	}
}

func load(t *testing.T, s envelope.Store, owner envelope.Owner) []envelope.Key {
	t.Helper()
	keys, err := s.Load(t.Context(), owner, 0)
	require.NoError(t, err)
	for i := range keys {
		keys[i].Created = keys[i].Created.UTC()
	}
	return keys
}

func loads(t *testing.T, s envelope.Store) {
	require.Empty(t, load(t, s, ann))
	require.NoError(t, s.Add(t.Context(), key(ann, 1)))
	require.NoError(t, s.Add(t.Context(), key(ann, 2)))
	require.Equal(t, []envelope.Key{key(ann, 1), key(ann, 2)}, load(t, s, ann))
}

func apart(t *testing.T, s envelope.Store) {
	owners := []envelope.Owner{
		ann, site,
		{Site: "s1a", Subject: "nn"},
		{Site: "S1", Subject: "ann"},
		{Site: "s1", Subject: "Ann"},
		{Site: "s1", Subject: "ann "},
		{Site: "s1ann"},
	}
	for _, owner := range owners {
		require.Empty(t, load(t, s, owner), "%q", owner)
		require.NoError(t, s.Add(t.Context(), key(owner, 1)), "%q", owner)
	}
	require.NoError(t, s.Shred(t.Context(), ann))
	for _, owner := range owners[1:] {
		require.Equal(t, []envelope.Key{key(owner, 1)}, load(t, s, owner), "%q", owner)
	}
}

func ordered(t *testing.T, s envelope.Store) {
	require.NoError(t, s.Add(t.Context(), key(ann, 1)))
	again := key(ann, 1)
	again.KEK = "kek-2"
	require.ErrorIs(t, s.Add(t.Context(), again), envelope.ErrExists)
	require.Equal(t, []envelope.Key{key(ann, 1)}, load(t, s, ann), "the first one stays")
	require.NoError(t, s.Add(t.Context(), key(ann, 2)))
	require.ErrorIs(t, s.Add(t.Context(), again), envelope.ErrExists)
}

func addRace(t *testing.T, s envelope.Store) {
	var won, exists atomic.Int64
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			k := key(ann, 1)
			k.Commit[5] = byte(i)
			switch err := s.Add(t.Context(), k); {
			case err == nil:
				won.Add(1)
			case err != nil:
				exists.Add(1)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, won.Load())
	require.Len(t, load(t, s, ann), 1)
}

func counts(t *testing.T, s envelope.Store) {
	_, err := s.Load(t.Context(), ann, 5)
	require.NoError(t, err, "nothing to count")
	require.NoError(t, s.Add(t.Context(), key(ann, 1)))
	second := key(ann, 2)
	second.Seals = 7
	require.NoError(t, s.Add(t.Context(), second))
	keys, err := s.Load(t.Context(), ann, 5)
	require.NoError(t, err)
	require.Zero(t, keys[0].Seals, "the newest alone")
	require.EqualValues(t, 12, keys[1].Seals)
	_, err = s.Load(t.Context(), ann, 1<<33)
	require.NoError(t, err)
	require.EqualValues(t, 1<<33+12, load(t, s, ann)[1].Seals)
}

func countRace(t *testing.T, s envelope.Store) {
	require.NoError(t, s.Add(t.Context(), key(ann, 1)))
	var all sync.WaitGroup
	var failed atomic.Int64
	seen := make([]atomic.Int64, 101)
	for range 100 {
		all.Go(func() {
			keys, err := s.Load(t.Context(), ann, 1)
			if err != nil || len(keys) != 1 || keys[0].Seals > 100 {
				failed.Add(1)
				return
			}
			seen[keys[0].Seals].Add(1)
		})
	}
	all.Wait()
	require.Zero(t, failed.Load())
	for i := 1; i <= 100; i++ {
		require.EqualValues(t, 1, seen[i].Load(), "each reservation is its own: %d", i)
	}
}

func rewraps(t *testing.T, s envelope.Store) {
	require.NoError(t, s.Add(t.Context(), key(ann, 1)))
	require.NoError(t, s.Add(t.Context(), key(ann, 2)))
	_, err := s.Load(t.Context(), ann, 9)
	require.NoError(t, err)
	want := key(ann, 1)
	want.KEK, want.Wrapped = "kek-2", []byte{9, 9}
	require.NoError(t, s.Rewrap(t.Context(), want, key(ann, 1).Wrapped))
	second := key(ann, 2)
	second.Seals = 9
	require.Equal(t, []envelope.Key{want, second}, load(t, s, ann))

	lost := want
	lost.KEK = "kek-3"
	require.ErrorIs(t, s.Rewrap(t.Context(), lost, key(ann, 1).Wrapped), envelope.ErrExists)
	lost.Version = 3
	require.ErrorIs(t, s.Rewrap(t.Context(), lost, key(ann, 2).Wrapped), envelope.ErrExists)
	other := key(site, 1)
	require.ErrorIs(t, s.Rewrap(t.Context(), other, other.Wrapped), envelope.ErrExists)
	require.Equal(t, []envelope.Key{want, second}, load(t, s, ann))
}

func shreds(t *testing.T, s envelope.Store) {
	require.NoError(t, s.Shred(t.Context(), ann), "nothing is there")
	require.NoError(t, s.Add(t.Context(), key(ann, 1)))
	require.NoError(t, s.Add(t.Context(), key(ann, 2)))
	require.NoError(t, s.Add(t.Context(), key(site, 1)))
	require.NoError(t, s.Shred(t.Context(), ann))
	require.Empty(t, load(t, s, ann))
	require.Len(t, load(t, s, site), 1)
	require.NoError(t, s.Add(t.Context(), key(ann, 1)), "the person is back")
	require.Equal(t, []envelope.Key{key(ann, 1)}, load(t, s, ann))
}

func copies(t *testing.T, s envelope.Store) {
	k := key(ann, 1)
	require.NoError(t, s.Add(t.Context(), k))
	k.Wrapped[0] ^= 1
	got := load(t, s, ann)
	require.Equal(t, []envelope.Key{key(ann, 1)}, got)
	got[0].Wrapped[0] ^= 1
	require.Equal(t, []envelope.Key{key(ann, 1)}, load(t, s, ann))
}

func contexts(t *testing.T, s envelope.Store) {
	require.NoError(t, s.Add(t.Context(), key(ann, 1)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Load(ctx, ann, 1)
	require.Error(t, err)
	require.Error(t, s.Add(ctx, key(ann, 2)))
	require.Error(t, s.Rewrap(ctx, key(ann, 1), key(ann, 1).Wrapped))
	require.Error(t, s.Shred(ctx, ann))
	require.Equal(t, []envelope.Key{key(ann, 1)}, load(t, s, ann))
}
