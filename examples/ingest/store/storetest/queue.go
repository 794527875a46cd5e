package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
)

// RunQueue runs the suite of queues.
func RunQueue(t *testing.T, open Open[store.Queue]) {
	s := queueSuite{open}
	run(t, map[string]func(*testing.T){
		"OutlivesTheProcess":     s.outlivesTheProcess,
		"OneItemPerRequest":      s.oneItemPerRequest,
		"HeldByOne":              s.heldByOne,
		"GivenBack":              s.givenBack,
		"HeldAtTheEnd":           s.heldAtTheEnd,
		"CutBySize":              s.cutBySize,
		"RefusedBatchIsSplit":    s.refusedBatchIsSplit,
		"BatchOfOneIsNotAlone":   s.batchOfOneIsNotAlone,
		"DeadLettersAreReplayed": s.deadLettersAreReplayed,
		"Postponed":              s.postponed,
		"PostponedIsSplit":       s.postponedIsSplit,
		"Oldest":                 s.oldest,
		"CallsAcceptedOnce":      s.callsAcceptedOnce,
		"NoScope":                s.noScope,
		"Many":                   s.many,
		"Closed":                 s.closed,
	})
}

type queueSuite struct{ open Open[store.Queue] }

func (s queueSuite) fresh(t *testing.T) store.Queue {
	t.Helper()
	q := s.open(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, q.Close()) })
	return q
}

// enqueue keeps events as one request brings them.
func enqueue(t *testing.T, q store.Queue, ids ...string) {
	t.Helper()
	var all []event.Received
	for _, id := range ids {
		all = append(all, received(id, noon, ""))
	}
	require.NoError(t, q.Enqueue(t.Context(), all))
}

func take(t *testing.T, q store.Queue) []store.Item {
	t.Helper()
	items, err := q.Take(t.Context(), 10, 1<<20)
	require.NoError(t, err)
	return items
}

// lone takes what travels alone. A queue that another program keeps may need a
// moment until it finds it.
func lone(t *testing.T, q store.Queue) []store.Item {
	t.Helper()
	items, err := q.TakeLone(t.Context())
	require.NoError(t, err)
	return items
}

func requireDead(t *testing.T, q store.Queue, want int) {
	t.Helper()
	dead, err := q.Dead(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, want, dead)
	rows, err := q.DeadOf(t.Context(), Scope(t, "admin", site), 100)
	require.NoError(t, err)
	require.Len(t, rows, want)
	other, err := q.DeadOf(t.Context(), Scope(t, "admin", "another"), 100)
	require.NoError(t, err)
	require.Empty(t, other)
}

func (s queueSuite) outlivesTheProcess(t *testing.T) {
	dir := t.TempDir()
	q := s.open(t, dir)
	for _, id := range []string{"a", "b", "c"} {
		enqueue(t, q, id)
	}
	items, err := q.Take(t.Context(), 2, 1<<20)
	require.NoError(t, err)
	require.Len(t, items, 2)
	require.Contains(t, string(items[0].Payload), `"id":"a"`)
	require.NoError(t, q.Delivered(t.Context(), items[:1]))
	require.NoError(t, q.Delivered(t.Context(), items[:1]), "twice is harmless")
	require.NoError(t, q.Release(t.Context(), items[1:]))
	require.EqualValues(t, 2, q.Waiting())
	require.NoError(t, q.Close())

	q = s.open(t, dir)
	defer func() { require.NoError(t, q.Close()) }()
	require.EqualValues(t, 2, q.Waiting())
	items = take(t, q)
	require.Len(t, items, 2)
	require.Contains(t, string(items[0].Payload), `"id":"b"`, "the oldest first")
}

// What one request brought is one item, and counts as its events.
func (s queueSuite) oneItemPerRequest(t *testing.T) {
	q := s.fresh(t)
	enqueue(t, q, "a", "b", "c")
	require.EqualValues(t, 3, q.Waiting())
	items := take(t, q)
	require.Len(t, items, 1)
	require.Equal(t, 3, items[0].Events)
	require.False(t, items[0].Lone)
	parts, err := store.Split(items[0])
	require.NoError(t, err)
	require.Len(t, parts, 3)
	for i, id := range []string{"a", "b", "c"} {
		require.Contains(t, string(parts[i]), `"id":"`+id+`"`)
	}
	require.NoError(t, q.Delivered(t.Context(), items))
	require.Zero(t, q.Waiting())
	require.Empty(t, take(t, q))
}

func (s queueSuite) heldByOne(t *testing.T) {
	q := s.fresh(t)
	enqueue(t, q, "a")
	enqueue(t, q, "b")
	items, err := q.Take(t.Context(), 1, 1<<20)
	require.NoError(t, err)
	require.Len(t, items, 1)
	other := take(t, q)
	require.Len(t, other, 1)
	require.NotEqual(t, items[0].ID, other[0].ID, "nobody else gets what is held")
	require.Empty(t, take(t, q))
	require.NoError(t, q.Refused(t.Context(), other))
	alone := lone(t, q)
	require.Len(t, alone, 1)
	require.Empty(t, lone(t, q))
	require.NoError(t, q.Delivered(t.Context(), append(items, alone...)))
	require.Zero(t, q.Waiting())
}

func (s queueSuite) givenBack(t *testing.T) {
	q := s.fresh(t)
	enqueue(t, q, "a")
	enqueue(t, q, "b")
	items := take(t, q)
	require.Len(t, items, 2)
	require.NoError(t, q.Release(t.Context(), items[:1]))
	again := take(t, q)
	require.Len(t, again, 1)
	require.Equal(t, items[0].ID, again[0].ID)
	require.Equal(t, items[0].Payload, again[0].Payload)
	require.NoError(t, q.Delivered(t.Context(), items))
	require.Zero(t, q.Waiting())
}

// What a program held when it ended is handed out to the next one.
func (s queueSuite) heldAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	q := s.open(t, dir)
	enqueue(t, q, "a", "b")
	require.Len(t, take(t, q), 1)
	require.NoError(t, q.Close())
	q = s.open(t, dir)
	defer func() { require.NoError(t, q.Close()) }()
	items := take(t, q)
	require.Len(t, items, 1)
	require.NoError(t, q.Delivered(t.Context(), items))
	require.Zero(t, q.Waiting())
}

func (s queueSuite) cutBySize(t *testing.T) {
	q := s.fresh(t)
	for _, id := range []string{"a", "b", "c", "d"} {
		enqueue(t, q, id, id+"2")
	}
	items, err := q.Take(t.Context(), 10, 1)
	require.NoError(t, err)
	require.Len(t, items, 1, "a batch is cut by its bytes")
	items, err = q.Take(t.Context(), 3, 1<<20)
	require.NoError(t, err)
	require.Len(t, items, 2, "and by its events")
}

func (s queueSuite) refusedBatchIsSplit(t *testing.T) {
	dir := t.TempDir()
	q := s.open(t, dir)
	enqueue(t, q, "a", "b")
	require.Empty(t, lone(t, q))
	require.NoError(t, q.Refused(t.Context(), take(t, q)))
	require.Empty(t, take(t, q))
	requireDead(t, q, 0)
	require.EqualValues(t, 2, q.Waiting())

	alone := lone(t, q)
	require.Len(t, alone, 1)
	require.True(t, alone[0].Lone)
	require.Equal(t, 1, alone[0].Events)
	require.NoError(t, q.Refused(t.Context(), alone))
	requireDead(t, q, 1)
	require.EqualValues(t, 2, q.Waiting(), "a dead letter is kept")
	other := lone(t, q)
	require.Len(t, other, 1)
	require.NotEqual(t, alone[0].Payload, other[0].Payload, "and not tried again")
	require.NoError(t, q.Close())

	q = s.open(t, dir)
	defer func() { require.NoError(t, q.Close()) }()
	require.EqualValues(t, 2, q.Waiting())
}

// A batch that happens to hold one item has not been refused alone yet.
func (s queueSuite) batchOfOneIsNotAlone(t *testing.T) {
	q := s.fresh(t)
	enqueue(t, q, "a")
	require.NoError(t, q.Refused(t.Context(), take(t, q)))
	requireDead(t, q, 0)
	require.NoError(t, q.Refused(t.Context(), lone(t, q)))
	requireDead(t, q, 1)
}

func (s queueSuite) deadLettersAreReplayed(t *testing.T) {
	q := s.fresh(t)
	enqueue(t, q, "a", "b")
	require.NoError(t, q.Refused(t.Context(), take(t, q)))
	for range 2 {
		require.NoError(t, q.Refused(t.Context(), lone(t, q)))
	}
	requireDead(t, q, 2)
	n, err := q.Replay(t.Context(), Scope(t, "admin", "another"))
	require.NoError(t, err)
	require.Zero(t, n, "not another site's")
	n, err = q.Replay(t.Context(), Scope(t, "admin", site))
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	requireDead(t, q, 0)
	items := take(t, q)
	require.Len(t, items, 2)
	require.NoError(t, q.Delivered(t.Context(), items))
	require.Zero(t, q.Waiting())
}

func (s queueSuite) postponed(t *testing.T) {
	q := s.fresh(t)
	enqueue(t, q, "a")
	enqueue(t, q, "b")
	items := take(t, q)
	require.Len(t, items, 2)
	require.NoError(t, q.Postpone(t.Context(), items[0], time.Now().Add(time.Hour)))
	require.NoError(t, q.Release(t.Context(), items[1:]))
	require.Len(t, take(t, q), 1, "the others do not wait")
	require.Empty(t, lone(t, q))
	requireDead(t, q, 0)
}

// An item of several events is taken apart: one of them may be what fails.
func (s queueSuite) postponedIsSplit(t *testing.T) {
	q := s.fresh(t)
	enqueue(t, q, "a", "b")
	require.NoError(t, q.Postpone(t.Context(), take(t, q)[0], time.Now().Add(time.Hour)))
	require.EqualValues(t, 2, q.Waiting())
	first, second := lone(t, q), lone(t, q)
	require.Len(t, first, 1, "at once")
	require.Len(t, second, 1)
	require.NoError(t, q.Postpone(t.Context(), first[0], time.Now().Add(-time.Second)))
	require.NoError(t, q.Postpone(t.Context(), second[0], time.Now().Add(time.Hour)))
	again := lone(t, q)
	require.Len(t, again, 1)
	require.Equal(t, first[0].Payload, again[0].Payload, "the one that is due")
	require.Empty(t, lone(t, q))
}

func (s queueSuite) oldest(t *testing.T) {
	q := s.fresh(t)
	age, err := q.Oldest(t.Context())
	require.NoError(t, err)
	require.Zero(t, age)
	for _, at := range []time.Time{time.Now().Add(-time.Hour), time.Now()} {
		require.NoError(t, q.Enqueue(t.Context(), []event.Received{received("a", at, "")}))
	}
	age, err = q.Oldest(t.Context())
	require.NoError(t, err)
	require.InDelta(t, time.Hour, age, float64(time.Minute))
}

// A call that was accepted is not kept again, whether it is delivered by now or
// not, and its event id stands for no other.
func (s queueSuite) callsAcceptedOnce(t *testing.T) {
	q := s.fresh(t)
	enqueue := func(id, of, phone string) error {
		return q.Enqueue(t.Context(), []event.Received{named(id, of, phone)})
	}
	require.NoError(t, enqueue("a", site, "1"))
	require.NoError(t, enqueue("b", site, "1"))
	require.EqualValues(t, 1, q.Waiting())
	require.ErrorIs(t, enqueue("c", site, "2"), store.ErrEventID)
	require.NoError(t, enqueue("d", "another", "2"))
	require.EqualValues(t, 2, q.Waiting())

	require.NoError(t, q.Delivered(t.Context(), take(t, q)))
	require.NoError(t, enqueue("e", site, "1"))
	require.ErrorIs(t, enqueue("f", site, "2"), store.ErrEventID)
	require.Zero(t, q.Waiting())
}

func (s queueSuite) noScope(t *testing.T) {
	q := s.fresh(t)
	_, err := q.DeadOf(t.Context(), tenancy.Scope{}, 10)
	require.ErrorIs(t, err, tenancy.ErrNoGrant)
	_, err = q.Replay(t.Context(), tenancy.Scope{})
	require.ErrorIs(t, err, tenancy.ErrNoGrant)
}

// Many senders and many deliveries at once: everything is handed out once.
func (s queueSuite) many(t *testing.T) {
	q := s.fresh(t)
	const senders, each = 8, 20
	var sending, taking sync.WaitGroup
	for i := range senders {
		sending.Go(func() {
			for j := range each {
				id := fmt.Sprintf("%d-%d", i, j)
				if err := q.Enqueue(t.Context(), []event.Received{received(id, noon, "")}); err != nil {
					t.Errorf("enqueue: %v", err)
				}
			}
		})
	}
	sent := make(chan struct{})
	go func() { sending.Wait(); close(sent) }()
	var mu sync.Mutex
	seen := map[string]int{}
	for range 3 {
		taking.Go(func() {
			for ended := false; ; {
				items, err := q.Take(t.Context(), 7, 1<<20)
				if err != nil || len(items) == 0 && ended {
					return
				}
				select {
				case <-sent:
					ended = true
				default:
				}
				mu.Lock()
				again := false
				for _, item := range items {
					seen[item.ID]++
					again = again || seen[item.ID] > 1
				}
				mu.Unlock()
				if again {
					return // it would never end
				}
				if err := q.Delivered(t.Context(), items); err != nil {
					t.Errorf("delivered: %v", err)
				}
			}
		})
	}
	taking.Wait()
	require.Len(t, seen, senders*each)
	for id, n := range seen {
		require.Equal(t, 1, n, "%s was handed out again", id)
	}
	require.Zero(t, q.Waiting())
}

func (s queueSuite) closed(t *testing.T) {
	q := s.open(t, t.TempDir())
	require.NoError(t, q.Ready(t.Context()))
	require.NoError(t, q.Close())
	require.NoError(t, q.Close(), "closing twice is harmless")
	err := q.Enqueue(t.Context(), []event.Received{received("a", noon, "")})
	require.ErrorIs(t, err, store.ErrClosed)
	require.ErrorIs(t, q.Ready(t.Context()), store.ErrClosed)
}
