package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
)

// RunQueue runs the suite of a queue.
func RunQueue(t *testing.T, open Open[store.Queue]) {
	s := queueSuite{open}
	run(t, map[string]func(*testing.T){
		"CallsAcceptedOnce":      s.callsAcceptedOnce,
		"QueueOutlivesProcess":   s.queueOutlivesProcess,
		"RefusedBatchIsSplit":    s.refusedBatchIsSplit,
		"BatchOfOneIsNotAlone":   s.batchOfOneIsNotAlone,
		"DeadLettersAreReplayed": s.deadLettersAreReplayed,
		"Postponed":              s.postponed,
		"Oldest":                 s.oldest,
		"QueueNoScope":           s.noScope,
		"QueueReady":             s.ready,
		"QueueClosed":            s.closed,
	})
}

type queueSuite struct{ open Open[store.Queue] }

// fresh is an empty queue that ends with the test.
func (s queueSuite) fresh(t *testing.T) store.Queue {
	t.Helper()
	q := s.open(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, q.Close()) })
	return q
}

func enqueue(t *testing.T, db store.Queue, ids ...string) {
	t.Helper()
	var all []event.Received
	for _, id := range ids {
		all = append(all, received(id, noon, ""))
	}
	require.NoError(t, db.Enqueue(t.Context(), all))
}

func batch(t *testing.T, db store.Queue) []store.Item {
	t.Helper()
	items, err := db.Next(t.Context(), 10, 1<<20)
	require.NoError(t, err)
	return items
}

func lone(t *testing.T, db store.Queue) []store.Item {
	t.Helper()
	items, err := db.NextLone(t.Context())
	require.NoError(t, err)
	return items
}

func requireDead(t *testing.T, db store.Queue, want int) {
	t.Helper()
	dead, err := db.Dead(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, want, dead)
	rows, err := db.DeadOf(t.Context(), Scope(t, "admin", site), 100)
	require.NoError(t, err)
	require.Len(t, rows, want)
	other, err := db.DeadOf(t.Context(), Scope(t, "admin", "another"), 100)
	require.NoError(t, err)
	require.Empty(t, other)
}

func (s queueSuite) queueOutlivesProcess(t *testing.T) {
	dir := t.TempDir()
	db := s.open(t, dir)
	enqueue(t, db, "a", "b", "c")
	items, err := db.Next(t.Context(), 2, 1<<20)
	require.NoError(t, err)
	require.Len(t, items, 2)
	require.NoError(t, db.Delivered(t.Context(), items[:1]))
	require.NoError(t, db.Delivered(t.Context(), items[:1]), "twice is harmless")
	require.EqualValues(t, 2, db.Waiting())
	require.NoError(t, db.Close())

	db = s.open(t, dir)
	defer func() { require.NoError(t, db.Close()) }()
	require.EqualValues(t, 2, db.Waiting())
	items, err = db.Next(t.Context(), 10, 1)
	require.NoError(t, err)
	require.Len(t, items, 1, "a batch is cut by its size")
}

func (s queueSuite) refusedBatchIsSplit(t *testing.T) {
	dir := t.TempDir()
	db := s.open(t, dir)
	enqueue(t, db, "a", "b")
	require.Empty(t, lone(t, db))
	require.NoError(t, db.Refused(t.Context(), batch(t, db)))
	require.Empty(t, batch(t, db))
	requireDead(t, db, 0)

	alone := lone(t, db)
	require.Len(t, alone, 1)
	require.True(t, alone[0].Lone)
	require.NoError(t, db.Refused(t.Context(), alone))
	requireDead(t, db, 1)
	require.EqualValues(t, 2, db.Waiting(), "a dead letter is kept")
	require.NotEqual(t, alone[0].Seq, lone(t, db)[0].Seq, "and not tried again")
	require.NoError(t, db.Close())

	db = s.open(t, dir)
	requireDead(t, db, 0) // a new start tries it once more
	require.NoError(t, db.Close())
}

// A batch that happens to hold one item has not been refused alone yet.
func (s queueSuite) batchOfOneIsNotAlone(t *testing.T) {
	db := s.fresh(t)
	enqueue(t, db, "a")
	require.NoError(t, db.Refused(t.Context(), batch(t, db)))
	requireDead(t, db, 0)
	require.NoError(t, db.Refused(t.Context(), lone(t, db)))
	requireDead(t, db, 1)
}

func (s queueSuite) deadLettersAreReplayed(t *testing.T) {
	db := s.fresh(t)
	enqueue(t, db, "a", "b")
	require.NoError(t, db.Refused(t.Context(), batch(t, db)))
	for range 2 {
		require.NoError(t, db.Refused(t.Context(), lone(t, db)))
	}
	requireDead(t, db, 2)
	n, err := db.Replay(t.Context(), Scope(t, "admin", "another"))
	require.NoError(t, err)
	require.Zero(t, n, "not another site's")
	n, err = db.Replay(t.Context(), Scope(t, "admin", site))
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	requireDead(t, db, 0)
	items := batch(t, db)
	require.Len(t, items, 2)
	require.NoError(t, db.Delivered(t.Context(), items))
	require.Zero(t, db.Waiting())
}

func (s queueSuite) postponed(t *testing.T) {
	db := s.fresh(t)
	enqueue(t, db, "a", "b")
	items := batch(t, db)
	require.NoError(t, db.Postpone(t.Context(), items[0], time.Now().Add(time.Hour)))
	require.Len(t, batch(t, db), 1, "the others do not wait")
	require.Empty(t, lone(t, db))
	require.NoError(t, db.Postpone(t.Context(), items[0], time.Now().Add(-time.Second)))
	require.Equal(t, items[0].Seq, lone(t, db)[0].Seq)
	requireDead(t, db, 0)
}

func (s queueSuite) oldest(t *testing.T) {
	db := s.fresh(t)
	age, err := db.Oldest(t.Context())
	require.NoError(t, err)
	require.Zero(t, age)
	require.NoError(t, db.Enqueue(t.Context(), []event.Received{
		received("a", time.Now().Add(-time.Hour), ""), received("b", time.Now(), ""),
	}))
	age, err = db.Oldest(t.Context())
	require.NoError(t, err)
	require.InDelta(t, time.Hour, age, float64(time.Minute))
}

// A call that was accepted is not kept again, whether it waits or not, and its event
// id stands for no other.
func (s queueSuite) callsAcceptedOnce(t *testing.T) {
	db := s.fresh(t)
	enqueue := func(id, of, phone string) error {
		return db.Enqueue(t.Context(), []event.Received{named(id, of, phone)})
	}
	require.NoError(t, enqueue("a", site, "1"))
	require.NoError(t, enqueue("b", site, "1"))
	require.EqualValues(t, 1, db.Waiting())
	require.ErrorIs(t, enqueue("c", site, "2"), store.ErrEventID)
	require.NoError(t, enqueue("d", "another", "2"))
	require.EqualValues(t, 2, db.Waiting())

	require.NoError(t, db.Delivered(t.Context(), batch(t, db)))
	require.NoError(t, enqueue("e", site, "1"))
	require.ErrorIs(t, enqueue("f", site, "2"), store.ErrEventID)
	require.Zero(t, db.Waiting())
}

// What lists or moves a site's dead letters refuses a scope that proves nothing.
func (s queueSuite) noScope(t *testing.T) {
	db := s.fresh(t)
	_, err := db.DeadOf(t.Context(), tenancy.Scope{}, 10)
	require.ErrorIs(t, err, tenancy.ErrNoGrant)
	_, err = db.Replay(t.Context(), tenancy.Scope{})
	require.ErrorIs(t, err, tenancy.ErrNoGrant)
}

func (s queueSuite) ready(t *testing.T) {
	db := s.open(t, t.TempDir())
	require.NoError(t, db.Ready(t.Context()))
	require.NoError(t, db.Close())
	require.ErrorIs(t, db.Ready(t.Context()), store.ErrClosed)
}

func (s queueSuite) closed(t *testing.T) {
	db := s.open(t, t.TempDir())
	require.NoError(t, db.Close())
	require.NoError(t, db.Close(), "closing twice is harmless")
	err := db.Enqueue(t.Context(), []event.Received{received("a", noon, "")})
	require.ErrorIs(t, err, store.ErrClosed)
}
