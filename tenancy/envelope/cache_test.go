package envelope_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/tenancy/envelope"
)

// Keys are unwrapped once, however many ask, and only the one that is needed.
func TestKeysAreUnwrappedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		sealed := w.seal(t, place, secret)
		require.Zero(t, w.kek.unwraps.Load()-1, "the new key, once")
		w.Forget(owner)
		w.kek.unwraps.Store(0)
		w.kek.hold = func(context.Context) { time.Sleep(50 * time.Millisecond) }
		var users sync.WaitGroup
		for range 50 {
			users.Go(func() {
				_, err := w.Open(t.Context(), nil, place, sealed)
				require.NoError(t, err)
			})
			users.Go(func() {
				_, err := w.Seal(t.Context(), nil, place, secret)
				require.NoError(t, err)
			})
		}
		users.Wait()
		require.EqualValues(t, 1, w.kek.unwraps.Load())
	})
}

// Whoever asked first may leave or panic; the others must not suffer for it.
func TestFirstToAskLeaves(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"leaves", "panics", "leaves while sealing"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				sealed := w.seal(t, place, secret)
				w.Forget(owner)
				ctx, leave := context.WithCancel(t.Context())
				first := true
				w.kek.hold = func(ctx context.Context) {
					if !first {
						return
					}
					first = false
					<-ctx.Done()
					if name == "panics" {
						panic(name)
					}
				}
				use := func(ctx context.Context) error {
					if name == "leaves while sealing" {
						_, err := w.Seal(ctx, nil, place, secret)
						return err
					}
					_, err := w.Open(ctx, nil, place, sealed)
					return err
				}
				go func() {
					defer func() { _ = recover() }()
					require.ErrorIs(t, use(ctx), context.Canceled)
				}()
				synctest.Wait()
				done := make(chan error)
				go func() { done <- use(t.Context()) }()
				synctest.Wait()
				leave()
				require.NoError(t, <-done)
			})
		})
	}
}

func TestKEKThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		sealed := w.seal(t, place, secret)
		w.Forget(owner)
		w.kek.hold = func(ctx context.Context) { <-ctx.Done() }
		w.kek.err = context.DeadlineExceeded
		began := time.Now()
		_, err := w.Open(t.Context(), nil, place, sealed)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 5*time.Second, time.Since(began))
	})
}

// The cache holds no more owners than it should, and what it gave up comes back.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *envelope.Config) { c.CacheSize = 4 })
	sealed := map[string][]byte{}
	for i := range 20 {
		at := place
		at.Subject = fmt.Sprint("p", i)
		sealed[at.Subject] = w.seal(t, at, secret)
	}
	w.kek.unwraps.Store(0)
	for subject, s := range sealed {
		at := place
		at.Subject = subject
		_, err := w.Open(t.Context(), nil, at, s)
		require.NoError(t, err)
	}
	require.GreaterOrEqual(t, w.kek.unwraps.Load(), int64(16))
}

// With room for one owner, the second one takes the place of the first.
func TestCacheOfOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *envelope.Config) { c.CacheSize = 1 })
	other := place
	other.Subject = "p2"
	first, second := w.seal(t, place, secret), w.seal(t, other, secret)
	w.kek.unwraps.Store(0)
	_, err := w.Open(t.Context(), nil, other, second)
	require.NoError(t, err)
	require.Zero(t, w.kek.unwraps.Load())
	_, err = w.Open(t.Context(), nil, place, first)
	require.NoError(t, err)
	require.EqualValues(t, 1, w.kek.unwraps.Load())
}

// slowStore takes a while to load.
type slowStore struct {
	*envelope.Memory
	loads atomic.Int64
}

func (s *slowStore) Load(
	ctx context.Context, owner envelope.Owner, reserve uint64,
) ([]envelope.Key, error) {
	s.loads.Add(1)
	time.Sleep(10 * time.Millisecond)
	return s.Memory.Load(ctx, owner, reserve)
}

// That somebody's value does not open is not the fault of those who waited for the same
// owner; that the KEK does not answer is, and one question is enough.
func TestWhoSharesAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &slowStore{Memory: newStore(t)}
		w := newWorld(t, func(c *envelope.Config) { c.Store = store })
		sealed := w.seal(t, place, secret)
		w.Forget(owner)
		forged := bytes.Clone(sealed)
		forged[1] ^= 1 // of another key
		var users sync.WaitGroup
		users.Go(func() {
			_, err := w.Open(t.Context(), nil, place, forged)
			require.ErrorIs(t, err, envelope.ErrOpen)
		})
		synctest.Wait()
		users.Go(func() {
			_, err := w.Open(t.Context(), nil, place, sealed)
			require.NoError(t, err)
		})
		users.Wait()

		w.kek.err, w.kek.slow = errDown, 10*time.Millisecond
		w.kek.wraps.Store(0)
		other := place
		other.Subject = "p2"
		for range 20 {
			users.Go(func() {
				_, err := w.Seal(t.Context(), nil, other, secret)
				require.ErrorIs(t, err, errDown)
			})
		}
		users.Wait()
		require.EqualValues(t, 1, w.kek.wraps.Load())
		w.kek.err = nil
		_ = w.seal(t, other, secret)
	})
}

// broken fails in one method at a time.
type broken struct {
	*envelope.Memory
	load, add, rewrap, shred error
}

func (s *broken) Load(
	ctx context.Context, owner envelope.Owner, reserve uint64,
) ([]envelope.Key, error) {
	if s.load != nil {
		return nil, s.load
	}
	return s.Memory.Load(ctx, owner, reserve)
}

func (s *broken) Add(ctx context.Context, k envelope.Key) error {
	if s.add != nil {
		return s.add
	}
	return s.Memory.Add(ctx, k)
}

func (s *broken) Rewrap(ctx context.Context, k envelope.Key, old []byte) error {
	if s.rewrap != nil {
		return s.rewrap
	}
	return s.Memory.Rewrap(ctx, k, old)
}

func (s *broken) Shred(ctx context.Context, owner envelope.Owner) error {
	if s.shred != nil {
		return s.shred
	}
	return s.Memory.Shred(ctx, owner)
}

// What a store says comes out, and after a Shred of unknown outcome the key is gone here.
func TestStoreFailures(t *testing.T) {
	t.Parallel()
	store := &broken{Memory: newStore(t)}
	w := newWorld(t, func(c *envelope.Config) { c.Store = store })
	one := func(yield func(envelope.Owner) bool) { yield(owner) }

	store.add = errDown
	_, err := w.Seal(t.Context(), nil, place, secret)
	require.ErrorIs(t, err, errDown)
	_, err = w.Handle(t.Context(), owner)
	require.ErrorIs(t, err, errDown)
	_, err = w.SealFile(t.Context(), &bytes.Buffer{}, place)
	require.ErrorIs(t, err, errDown)
	store.add = nil
	sealed, file := w.seal(t, place, secret), w.sealFile(t, place, secret)

	next, err := envelope.New(envelope.Config{
		KEK: newKEK(t, "kek-2"), OldKEKs: []envelope.KEK{w.kek}, Store: store,
	})
	require.NoError(t, err)
	counted := 0
	progress := func(_, keys int) { counted = keys }
	store.rewrap = errDown
	require.ErrorIs(t, next.Rewrap(t.Context(), one, progress), errDown)
	require.Zero(t, counted)
	store.rewrap = envelope.ErrExists // another process was faster
	require.NoError(t, next.Rewrap(t.Context(), one, progress))
	store.rewrap = nil

	store.shred = errDown
	require.ErrorIs(t, w.Shred(t.Context(), owner), errDown)
	store.load = errDown
	_, err = w.Open(t.Context(), nil, place, sealed)
	require.ErrorIs(t, err, errDown, "it is not remembered")
	_, err = w.openFile(place, file)
	require.ErrorIs(t, err, errDown)
	_, err = w.Handle(t.Context(), owner)
	require.ErrorIs(t, err, errDown)
	require.ErrorIs(t, next.Rewrap(t.Context(), one, nil), errDown)
	store.load = nil
	_, err = w.Open(t.Context(), nil, place, sealed)
	require.NoError(t, err)
}

// A KEK that cannot wrap lets nothing be sealed, and re-wraps nothing.
func TestKEKFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	sealed := w.seal(t, place, secret)
	next := newKEK(t, "kek-2")
	next.err = errDown
	vault, err := envelope.New(envelope.Config{
		KEK: next, OldKEKs: []envelope.KEK{w.kek}, Store: w.store,
	})
	require.NoError(t, err)
	one := func(yield func(envelope.Owner) bool) { yield(owner) }
	require.ErrorIs(t, vault.Rewrap(t.Context(), one, nil), errDown)
	opened, err := vault.Open(t.Context(), nil, place, sealed)
	require.NoError(t, err)
	require.Equal(t, secret, opened)
}

// What names the key of another owner does not find it, although it is at hand: an owner
// without keys has none to open with.
func TestKeyOfAnotherOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	sealed := w.seal(t, place, []byte("x"))
	_, err := w.Open(t.Context(), nil, place, sealed)
	require.NoError(t, err)
	for _, change := range []func(*envelope.Place){
		func(p *envelope.Place) { p.Site = "another" },
		func(p *envelope.Place) { p.Subject = "another" },
	} {
		elsewhere := place
		change(&elsewhere)
		_, err = w.Open(t.Context(), nil, elsewhere, sealed)
		require.ErrorIs(t, err, envelope.ErrShredded)
	}
}
