package storetest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/store"
)

// securityKey is a key as a browser may register it.
func securityKey(user, id string) store.SecurityKey {
	return store.SecurityKey{
		ID: id, User: user, Name: "the blue one", Credential: []byte("credential " + id),
		PublicKey: []byte{0xa5, 0x01, 0x00, 0xff}, Counter: 7, Created: noon,
	}
}

func (s suite) securityKeys(t *testing.T) {
	db := s.fresh(t)
	list, err := db.Keys(t.Context(), "u")
	require.NoError(t, err)
	require.Empty(t, list)
	first, second := securityKey("u", "k1"), securityKey("u", "k2")
	second.Created = noon.Add(time.Microsecond)
	second.Counter = 1<<32 - 1
	require.NoError(t, db.AddKey(t.Context(), first, 0))
	require.NoError(t, db.AddKey(t.Context(), second, 1))
	require.NoError(t, db.AddKey(t.Context(), securityKey("v", "k3"), 0))
	list, err = db.Keys(t.Context(), "u")
	require.NoError(t, err)
	require.Equal(t, []store.SecurityKey{first, second}, list)

	for name, row := range map[string]struct {
		key  store.SecurityKey
		have int
		want error
	}{
		"more than the caller saw":  {securityKey("u", "k4"), 1, store.ErrKeysChanged},
		"fewer than the caller saw": {securityKey("u", "k4"), 3, store.ErrKeysChanged},
		"the same again":            {securityKey("u", "k1"), 2, store.ErrKeyExists},
		"another user's key":        {securityKey("u", "k3"), 2, store.ErrKeyExists},
		"its credential": {func() store.SecurityKey {
			key := securityKey("u", "k4")
			key.Credential = securityKey("v", "k3").Credential
			return key
		}(), 2, store.ErrKeyExists},
	} {
		require.ErrorIs(t, db.AddKey(t.Context(), row.key, row.have), row.want, name)
	}

	remove := func(user, id string) bool {
		removed, err := db.RemoveKey(t.Context(), user, id)
		require.NoError(t, err)
		return removed
	}
	require.False(t, remove("v", "k1"), "another user's")
	require.True(t, remove("u", "k1"))
	require.False(t, remove("u", "k1"))
	list, err = db.Keys(t.Context(), "u")
	require.NoError(t, err)
	require.Equal(t, []store.SecurityKey{second}, list)
	require.NoError(t, db.AddKey(t.Context(), first, 1), "what was removed may come back")
}

func (s suite) securityKeyCounters(t *testing.T) {
	db := s.fresh(t)
	silent := securityKey("u", "silent")
	silent.Counter = 0
	require.NoError(t, db.AddKey(t.Context(), silent, 0))
	require.NoError(t, db.AddKey(t.Context(), securityKey("u", "k"), 1))
	for i, row := range []struct {
		user, id string
		counter  uint32
		want     bool
	}{
		{"u", "k", 7, false},
		{"u", "k", 0, false},
		{"u", "k", 6, false},
		{"u", "k", 8, true},
		{"u", "k", 8, false},
		{"u", "k", 7, false},
		{"v", "k", 9, false},
		{"u", "none", 9, false},
		{"u", "k", 1<<32 - 1, true},
		{"u", "silent", 0, true},
		{"u", "silent", 0, true},
		{"u", "silent", 1, true},
		{"u", "silent", 0, false},
	} {
		used, err := db.UseKey(t.Context(), row.user, row.id, row.counter, noon.Add(time.Hour))
		require.NoError(t, err)
		require.Equal(t, row.want, used, "row %d", i)
	}
	list, err := db.Keys(t.Context(), "u")
	require.NoError(t, err)
	for _, key := range list {
		require.Equal(t, noon.Add(time.Hour), key.Used)
	}
	removed, err := db.RemoveKey(t.Context(), "u", "k")
	require.NoError(t, err)
	require.True(t, removed)
	used, err := db.UseKey(t.Context(), "u", "k", 1<<32-1, noon)
	require.NoError(t, err)
	require.False(t, used, "a key that is gone")
}

// Of many requests with one signature one gets in; of many first keys one is first.
func (s suite) securityKeyRaces(t *testing.T) {
	db := s.fresh(t)
	var added, used atomic.Int32
	together(func(i int) {
		if db.AddKey(t.Context(), securityKey("u", string(rune('a'+i))), 0) == nil {
			added.Add(1)
		}
	})
	require.EqualValues(t, 1, added.Load())
	list, err := db.Keys(t.Context(), "u")
	require.NoError(t, err)
	require.Len(t, list, 1)
	together(func(int) {
		if ok, err := db.UseKey(t.Context(), "u", list[0].ID, 8, noon); err == nil && ok {
			used.Add(1)
		}
	})
	require.EqualValues(t, 1, used.Load())
}

// together runs f several times at once.
func together(f func(i int)) {
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() { f(i) })
	}
	all.Wait()
}
