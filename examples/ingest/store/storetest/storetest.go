// Package storetest says whether an implementation of store.Store or store.Queue keeps
// what the interface promises.
package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/store"
)

// Open opens the store or the queue that is kept in dir. The suite closes it.
type Open[T any] func(t testing.TB, dir string) T

// Run runs the suite of a store.
func Run(t *testing.T, open Open[store.Store]) {
	s := suite{open}
	run(t, map[string]func(*testing.T){
		"SameEvent":           s.sameEvent,
		"Series":              s.series,
		"NobodysEvents":       s.nobodysEvents,
		"BatchWithinItself":   s.batchWithinItself,
		"OneCallPerEventID":   s.oneCallPerEventID,
		"ConflictingCall":     s.conflictingCall,
		"AllOrNothing":        s.allOrNothing,
		"StateMachine":        s.stateMachine,
		"NoScope":             s.noScope,
		"OneTimePasswords":    s.oneTimePasswords,
		"ClockJump":           s.clockJump,
		"RecoveryCodes":       s.recoveryCodes,
		"WrongFactors":        s.wrongFactors,
		"SecurityKeys":        s.securityKeys,
		"SecurityKeyCounters": s.securityKeyCounters,
		"SecurityKeyRaces":    s.securityKeyRaces,
		"APIKeyList":          s.apiKeyList,
		"Visits":              s.visits,
		"VisitPages":          s.visitPages,
		"Ready":               s.ready,
		"Closed":              s.closed,
	})
}

func run(t *testing.T, tests map[string]func(*testing.T)) {
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

const site = "0123456789abcdef0123456789abcdef"

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

type suite struct{ open Open[store.Store] }

// fresh is an empty store that ends with the test.
func (s suite) fresh(t *testing.T) store.Store {
	t.Helper()
	db := s.open(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// received is a sealed event of a known visitor.
func received(id string, at time.Time, meta string) event.Received {
	r := event.Received{ID: id, Site: site, At: at, Event: &event.Event{
		Site: site, Session: "e22b4136-1bf0-4fd4-a10d-0cbeb2a5d12f",
		URL: "https://shop.example/", Category: "system", Action: "heartbeat",
	}}
	if meta != "" {
		r.Event.Meta = jsontext.Value(meta)
	}
	r.Complete()
	return r
}

func call(id, of, eventID string) event.Received {
	return event.Received{ID: id, Site: of, At: noon, Call: &event.Call{EventID: eventID, Site: of}}
}

// named is a sealed call with the event id "e".
func named(id, of, phone string) event.Received {
	r := call(id, of, "e")
	r.Call.Phone = phone
	r.Seal()
	return r
}

func (s suite) sameEvent(t *testing.T) {
	const moves, stamp = `{"duration_sec":4}`, `{"intent_stamp":"s-1"}`
	day := 24 * time.Hour
	one, two := store.Stored{New: 1}, store.Stored{Duplicates: 1}
	for name, row := range map[string]struct {
		first, second event.Received
		want          store.Stored
	}{
		"delivered twice":      {received("a", noon, ""), received("a", noon, ""), two},
		"fetch and beacon":     {received("a", noon, ""), received("b", noon.Add(200*time.Millisecond), ""), two},
		"overtaken":            {received("b", noon.Add(time.Second), ""), received("a", noon, ""), two},
		"at the window's edge": {received("a", noon, ""), received("b", noon.Add(event.Window), ""), two},
		"just past the window": {received("a", noon, ""), received("b", noon.Add(event.Window+time.Millisecond), ""), one},
		"a minute apart":       {received("a", noon, ""), received("b", noon.Add(time.Minute), ""), one},
		"a stamp after a week": {received("a", noon, stamp), received("b", noon.Add(7*day), stamp), two},
		"measured, a week on":  {received("a", noon, moves), received("b", noon.Add(7*day), moves), two},
		"past the horizon":     {received("a", noon, moves), received("b", noon.Add(event.Horizon+time.Minute), moves), one},
		"two measures":         {received("a", noon, moves), received("b", noon, `{"duration_sec":12}`), one},
		"two stamps":           {received("a", noon, stamp), received("b", noon, `{"intent_stamp":"s-2"}`), one},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := s.fresh(t)
			stored, err := db.Store(t.Context(), []event.Received{row.first})
			require.NoError(t, err)
			require.Equal(t, one, stored)
			stored, err = db.Store(t.Context(), []event.Received{row.second})
			require.NoError(t, err)
			require.Equal(t, row.want, stored)
		})
	}
}

// The window slides: each repeat is compared with the one before it.
func (s suite) series(t *testing.T) {
	db := s.fresh(t)
	for i, row := range []struct {
		at  time.Duration
		new int
	}{{0, 1}, {40 * time.Second, 0}, {80 * time.Second, 0}, {126 * time.Second, 1}} {
		stored, err := db.Store(t.Context(), []event.Received{received(fmt.Sprint(i), noon.Add(row.at), "")})
		require.NoError(t, err)
		require.Equal(t, row.new, stored.New, "after %v", row.at)
	}
}

func (s suite) nobodysEvents(t *testing.T) {
	db := s.fresh(t)
	nobody := func(id string) event.Received {
		r := received(id, noon, "")
		r.Event.Session, r.Identity, r.Fold = "", nil, 0
		return r
	}
	stored, err := db.Store(t.Context(), []event.Received{nobody("a"), nobody("b"), nobody("a")})
	require.NoError(t, err)
	require.Equal(t, store.Stored{New: 2, Duplicates: 1}, stored, "only the delivery repeats itself")
}

func (s suite) batchWithinItself(t *testing.T) {
	db := s.fresh(t)
	stored, err := db.Store(t.Context(), []event.Received{received("a", noon, ""), received("b", noon, "")})
	require.NoError(t, err)
	require.Equal(t, store.Stored{New: 1, Duplicates: 1}, stored)
}

func (s suite) oneCallPerEventID(t *testing.T) {
	db := s.fresh(t)
	stored, err := db.Store(t.Context(), []event.Received{
		call("a", site, "e"), call("b", site, "e"), call("c", strings.Repeat("f", 32), "e"),
	})
	require.NoError(t, err)
	require.Equal(t, store.Stored{New: 2, Duplicates: 1}, stored)
}

// Of two calls under one event id, the first is kept, and the second is no repeat of it.
func (s suite) conflictingCall(t *testing.T) {
	db := s.fresh(t)
	for _, row := range []struct {
		id, of, phone string
		want          store.Stored
	}{
		{"a", site, "1", store.Stored{New: 1}},
		{"b", site, "1", store.Stored{Duplicates: 1}},
		{"c", site, "2", store.Stored{Conflicts: 1}},
		{"d", "another", "2", store.Stored{New: 1}},
		{"c", site, "2", store.Stored{Conflicts: 1}},
	} {
		stored, err := db.Store(t.Context(), []event.Received{named(row.id, row.of, row.phone)})
		require.NoError(t, err)
		require.Equal(t, row.want, stored, row.id)
	}
	rows, err := db.Calls(t.Context(), Scope(t, "admin", site), 10)
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.Equal(t, "1", rows[0].Phone)
}

func (s suite) allOrNothing(t *testing.T) {
	db := s.fresh(t)
	_, err := db.Store(t.Context(), []event.Received{received("a", noon, ""), {ID: "b", Site: site}})
	require.ErrorIs(t, err, store.ErrUnstorable)
	stored, err := db.Store(t.Context(), []event.Received{received("a", noon, "")})
	require.NoError(t, err)
	require.Equal(t, store.Stored{New: 1}, stored, "half a batch was kept")
}

func (s suite) ready(t *testing.T) {
	db := s.open(t, t.TempDir())
	require.NoError(t, db.Ready(t.Context()))
	require.NoError(t, db.Close())
	require.ErrorIs(t, db.Ready(t.Context()), store.ErrClosed)
}

func (s suite) closed(t *testing.T) {
	db := s.open(t, t.TempDir())
	require.NoError(t, db.Close())
	require.NoError(t, db.Close(), "closing twice is harmless")
	_, err := db.Store(t.Context(), []event.Received{received("a", noon, "")})
	require.ErrorIs(t, err, store.ErrClosed)
}
