package envelope_test

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/tenancy/envelope"
)

var errDown = errors.New("down")

// kek is a KEK that counts, fails and waits as told.
type kek struct {
	envelope.KEK
	id      string
	unwraps atomic.Int64
	wraps   atomic.Int64
	slow    time.Duration // of Wrap
	err     error
	hold    func(context.Context)
	swap    []byte // what Unwrap returns instead
}

func (k *kek) ID() string {
	if k.id != "" {
		return k.id
	}
	return k.KEK.ID()
}

func (k *kek) Wrap(ctx context.Context, key, aad []byte) ([]byte, error) {
	k.wraps.Add(1)
	if k.slow > 0 {
		time.Sleep(k.slow)
	}
	if k.err != nil {
		return nil, k.err
	}
	return k.KEK.Wrap(ctx, key, aad)
}

func (k *kek) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	k.unwraps.Add(1)
	if k.hold != nil {
		k.hold(ctx)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if k.err != nil {
		return nil, k.err
	}
	if k.swap != nil {
		return bytes.Clone(k.swap), nil
	}
	return k.KEK.Unwrap(ctx, wrapped, aad)
}

func newKEK(t testing.TB, id string) *kek {
	t.Helper()
	local, err := envelope.LocalKEK(t.TempDir() + "/kek")
	require.NoError(t, err)
	return &kek{KEK: local, id: id}
}

func newStore(t testing.TB) *envelope.Memory {
	t.Helper()
	store, err := envelope.NewMemory(envelope.MemoryConfig{})
	require.NoError(t, err)
	return store
}

type world struct {
	*envelope.Vault
	kek   *kek
	store *envelope.Memory
}

func newWorld(t testing.TB, edit func(*envelope.Config)) *world {
	t.Helper()
	w := &world{kek: newKEK(t, "kek-1"), store: newStore(t)}
	cfg := envelope.Config{KEK: w.kek, Store: w.store}
	if edit != nil {
		edit(&cfg)
	}
	vault, err := envelope.New(cfg)
	require.NoError(t, err)
	w.Vault = vault
	return w
}

var (
	place = envelope.Place{
		Site: "s1", Subject: "p1", Table: "calls", Column: "transcript", Row: "7",
	}
	owner  = envelope.Owner{Site: "s1", Subject: "p1"}
	secret = []byte("the words that were said")
)

func (w *world) seal(t testing.TB, at envelope.Place, plaintext []byte) []byte {
	t.Helper()
	sealed, err := w.Seal(context.Background(), nil, at, plaintext)
	require.NoError(t, err)
	return sealed
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, n := range []int{0, 1, 15, 16, 17, 1000, 100_000} {
		plaintext := bytes.Repeat([]byte{'x'}, n)
		sealed := w.seal(t, place, plaintext)
		require.Len(t, sealed, n+envelope.Overhead)
		opened, err := w.Open(t.Context(), nil, place, sealed)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plaintext, opened))
	}
	// Appending, to what is there already.
	dst := append(make([]byte, 0, 200), "before "...)
	sealed, err := w.Seal(t.Context(), dst, place, secret)
	require.NoError(t, err)
	require.Equal(t, "before ", string(sealed[:7]))
	opened, err := w.Open(t.Context(), []byte("after "), place, sealed[7:])
	require.NoError(t, err)
	require.Equal(t, "after "+string(secret), string(opened))
	require.NotContains(t, string(w.seal(t, place, secret)), string(secret))
	require.NotEqual(t, w.seal(t, place, secret), w.seal(t, place, secret))
}

// Every bit of what is sealed counts, and its length.
func TestChangedBitsDoNotOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	sealed := w.seal(t, place, secret)
	for i := range sealed {
		for bit := range 8 {
			changed := bytes.Clone(sealed)
			changed[i] ^= 1 << bit
			_, err := w.Open(t.Context(), nil, place, changed)
			require.ErrorIs(t, err, envelope.ErrOpen, "byte %d", i)
		}
		_, err := w.Open(t.Context(), nil, place, sealed[:i])
		require.ErrorIs(t, err, envelope.ErrOpen, "cut to %d", i)
		_, err = w.Open(t.Context(), nil, place, sealed[i+1:])
		require.ErrorIs(t, err, envelope.ErrOpen, "without the first %d", i+1)
	}
	_, err := w.Open(t.Context(), nil, place, append(bytes.Clone(sealed), 0))
	require.ErrorIs(t, err, envelope.ErrOpen)
	_, err = w.Open(t.Context(), nil, place, nil)
	require.ErrorIs(t, err, envelope.ErrOpen)
}

// What was sealed in one place opens in no other.
func TestMovedCellsDoNotOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	places := map[string]func(*envelope.Place){
		"cell":    func(p *envelope.Place) { p.Column, p.Row = "7", "transcript" },
		"row":     func(p *envelope.Place) { p.Row = "8" },
		"column":  func(p *envelope.Place) { p.Column = "summary" },
		"table":   func(p *envelope.Place) { p.Table = "chats" },
		"site":    func(p *envelope.Place) { p.Site = "s2" },
		"subject": func(p *envelope.Place) { p.Subject = "p2" },
		"nobody":  func(p *envelope.Place) { p.Subject = "" },
		// The same letters, cut in other places.
		"table and column": func(p *envelope.Place) { p.Table, p.Column = "callst", "ranscript" },
		"column and row":   func(p *envelope.Place) { p.Column, p.Row = "transcript7", "\x00" },
		"site and subject": func(p *envelope.Place) { p.Site, p.Subject = "s1p", "1" },
	}
	sealed := w.seal(t, place, secret)
	for name, move := range places {
		at := place
		move(&at)
		_ = w.seal(t, at, secret) // the other owner has keys too
		_, err := w.Open(t.Context(), nil, at, sealed)
		require.ErrorIs(t, err, envelope.ErrOpen, name)
	}
	_, err := w.Open(t.Context(), nil, place, sealed)
	require.NoError(t, err)
	for _, clear := range []func(*envelope.Place){
		func(p *envelope.Place) { p.Site = "" }, func(p *envelope.Place) { p.Table = "" },
		func(p *envelope.Place) { p.Column = "" }, func(p *envelope.Place) { p.Row = "" },
	} {
		at := place
		clear(&at)
		_, err = w.Seal(t.Context(), nil, at, secret)
		require.ErrorIs(t, err, envelope.ErrPlace)
		_, err = w.Open(t.Context(), nil, at, sealed)
		require.ErrorIs(t, err, envelope.ErrPlace)
	}
}

func TestShred(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	other := place
	other.Subject = "p2"
	mine, theirs := w.seal(t, place, secret), w.seal(t, other, secret)
	handle, err := w.Handle(t.Context(), owner)
	require.NoError(t, err)
	require.Len(t, handle, 22)
	require.NoError(t, w.Shred(t.Context(), owner))
	_, err = w.Open(t.Context(), nil, place, mine)
	require.ErrorIs(t, err, envelope.ErrShredded)
	_, err = w.Open(t.Context(), nil, other, theirs)
	require.NoError(t, err)
	require.NoError(t, w.Shred(t.Context(), owner), "twice")

	again := w.seal(t, place, secret) // the person is back
	_, err = w.Open(t.Context(), nil, place, again)
	require.NoError(t, err)
	_, err = w.Open(t.Context(), nil, place, mine)
	require.ErrorIs(t, err, envelope.ErrOpen, "the old key is gone all the same")
	anew, err := w.Handle(t.Context(), owner)
	require.NoError(t, err)
	require.NotEqual(t, handle, anew)
}

// Another process goes on for CacheTTL, and no longer; with Forget not even that.
func TestShredElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		elsewhere, err := envelope.New(envelope.Config{KEK: w.kek, Store: w.store})
		require.NoError(t, err)
		sealed := w.seal(t, place, secret)
		open := func() error {
			_, err := elsewhere.Open(t.Context(), nil, place, sealed)
			return err
		}
		require.NoError(t, open())
		require.NoError(t, w.Shred(t.Context(), owner))
		time.Sleep(5*time.Minute - 1)
		require.NoError(t, open())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.ErrorIs(t, open(), envelope.ErrShredded)

		sealed = w.seal(t, place, secret)
		require.NoError(t, open())
		require.NoError(t, w.Shred(t.Context(), owner))
		elsewhere.Forget(owner)
		require.ErrorIs(t, open(), envelope.ErrShredded)
	})
}

// A load that began before a Shred does not bring the key back.
func TestShredDuringLoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		sealed := w.seal(t, place, secret)
		w.Forget(owner)
		release := make(chan struct{})
		w.kek.hold = func(context.Context) { <-release }
		opened := make(chan error)
		go func() {
			_, err := w.Open(t.Context(), nil, place, sealed)
			opened <- err
		}()
		synctest.Wait()
		require.NoError(t, w.Shred(t.Context(), owner))
		close(release)
		require.ErrorIs(t, <-opened, envelope.ErrShredded)
		_, err := w.Open(t.Context(), nil, place, sealed)
		require.ErrorIs(t, err, envelope.ErrShredded)
	})
}

func TestRotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		first := w.seal(t, place, secret)
		before, err := w.Handle(t.Context(), owner)
		require.NoError(t, err)
		time.Sleep(90*24*time.Hour - time.Minute)
		second := w.seal(t, place, secret)
		require.Equal(t, first[1:33], second[1:33], "the same key")
		time.Sleep(6 * time.Minute) // past the age, and past the cache
		third := w.seal(t, place, secret)
		require.NotEqual(t, first[1:33], third[1:33])
		for _, sealed := range [][]byte{first, second, third} {
			_, err := w.Open(t.Context(), nil, place, sealed)
			require.NoError(t, err)
		}
		after, err := w.Handle(t.Context(), owner)
		require.NoError(t, err)
		require.Equal(t, before, after)
		keys, err := w.store.Load(t.Context(), owner, 0)
		require.NoError(t, err)
		require.Len(t, keys, 2)
		require.Equal(t, 2, keys[1].Version)
	})
}

// Seals are counted across processes, in blocks, and the count ends a key.
func TestSealsAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	dst := make([]byte, 0, 100)
	for range 4096 {
		_, err := w.Seal(t.Context(), dst, place, nil)
		require.NoError(t, err)
	}
	seals := func() uint64 {
		keys, err := w.store.Load(t.Context(), owner, 0)
		require.NoError(t, err)
		return keys[len(keys)-1].Seals
	}
	require.EqualValues(t, 4096, seals())
	_ = w.seal(t, place, nil)
	require.EqualValues(t, 8192, seals())
	elsewhere, err := envelope.New(envelope.Config{KEK: w.kek, Store: w.store})
	require.NoError(t, err)
	_, err = elsewhere.Seal(t.Context(), nil, place, nil)
	require.NoError(t, err)
	require.EqualValues(t, 12288, seals())

	sealed := w.seal(t, place, nil)
	_, err = w.store.Load(t.Context(), owner, 1<<32-12288-4096)
	require.NoError(t, err)
	w.Forget(owner)
	last := w.seal(t, place, nil)
	require.Equal(t, sealed[1:33], last[1:33], "2^32 are allowed")
	require.EqualValues(t, 1<<32, seals())
	w.Forget(owner)
	next := w.seal(t, place, nil)
	require.NotEqual(t, sealed[1:33], next[1:33])
	require.EqualValues(t, 4096, seals())
}

func TestRewrap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	owners := []envelope.Owner{owner, {Site: "s1"}, {Site: "s2", Subject: "p1"}, {Site: "empty"}}
	var sealed [][]byte
	for _, o := range owners[:3] {
		at := place
		at.Site, at.Subject = o.Site, o.Subject
		sealed = append(sealed, w.seal(t, at, secret))
	}
	all := func(yield func(envelope.Owner) bool) {
		for _, o := range owners {
			if !yield(o) {
				return
			}
		}
	}
	next := newKEK(t, "kek-2")
	renewed, err := envelope.New(envelope.Config{
		KEK: next, OldKEKs: []envelope.KEK{w.kek}, Store: w.store,
	})
	require.NoError(t, err)
	var steps [][2]int
	progress := func(owners, keys int) { steps = append(steps, [2]int{owners, keys}) }
	require.NoError(t, renewed.Rewrap(t.Context(), all, progress))
	require.Equal(t, [][2]int{{1, 1}, {2, 2}, {3, 3}, {4, 3}}, steps)

	w.kek.err = errDown // the old one is not needed any more
	alone, err := envelope.New(envelope.Config{KEK: next, Store: w.store})
	require.NoError(t, err)
	for i, o := range owners[:3] {
		at := place
		at.Site, at.Subject = o.Site, o.Subject
		_, err := alone.Open(t.Context(), nil, at, sealed[i])
		require.NoError(t, err)
	}
	unwraps := next.unwraps.Load()
	require.NoError(t, alone.Rewrap(t.Context(), all, nil), "nothing is left to do")
	require.Equal(t, unwraps, next.unwraps.Load())

	next.err = errDown
	third, err := envelope.New(envelope.Config{
		KEK: newKEK(t, "kek-3"), OldKEKs: []envelope.KEK{next}, Store: w.store,
	})
	require.NoError(t, err)
	steps = nil
	require.ErrorIs(t, third.Rewrap(t.Context(), all, progress), errDown)
	require.Equal(t, [][2]int{{1, 0}, {2, 0}, {3, 0}, {4, 0}}, steps, "one failure stops nothing")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	steps = nil
	require.ErrorIs(t, third.Rewrap(ctx, all, progress), context.Canceled)
	require.Len(t, steps, 1)
}

// A key is opened only as its owner's, under its KEK, and if it is what was wrapped.
func TestWrappedKeysAreBound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	sealed := w.seal(t, place, secret)
	keys, err := w.store.Load(t.Context(), owner, 0)
	require.NoError(t, err)

	moved := place
	moved.Subject = "p2"
	stolen := keys[0]
	stolen.Owner.Subject = "p2"
	require.NoError(t, w.store.Add(t.Context(), stolen))
	_, err = w.Open(t.Context(), nil, moved, sealed)
	require.ErrorIs(t, err, envelope.ErrOpen, "another owner's record")

	w.Forget(owner)
	w.kek.swap = bytes.Repeat([]byte{1}, 32)
	_, err = w.Open(t.Context(), nil, place, sealed)
	require.ErrorContains(t, err, "not the one of the record")
	w.kek.swap = []byte("short")
	_, err = w.Open(t.Context(), nil, place, sealed)
	require.ErrorContains(t, err, "not the one of the record")
	w.kek.swap, w.kek.err = nil, errDown
	_, err = w.Open(t.Context(), nil, place, sealed)
	require.ErrorIs(t, err, errDown)
	w.kek.err = nil
	_, err = w.Open(t.Context(), nil, place, sealed)
	require.NoError(t, err)

	stranger, err := envelope.New(envelope.Config{KEK: newKEK(t, "kek-2"), Store: w.store})
	require.NoError(t, err)
	_, err = stranger.Open(t.Context(), nil, place, sealed)
	require.ErrorContains(t, err, "no KEK of Config")
}

func (nameless) ID() string { return "" }
