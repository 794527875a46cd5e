package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/store"
)

// visited is an event of a visit, of which no other is a repeat.
func visited(id, visit string, at time.Time) event.Received {
	r := received(id, at, `{"intent_stamp":"`+id+`"}`)
	r.Visit = visit
	return r
}

func (s suite) visits(t *testing.T) {
	db := s.fresh(t)
	elsewhere := visited("z", "v1", noon)
	elsewhere.Site = "fedcba9876543210fedcba9876543210"
	_, err := db.Store(t.Context(), []event.Received{
		visited("b", "v1", noon.Add(time.Minute)),
		visited("a", "v1", noon), // overtaken
		visited("c", "v1", noon.Add(time.Second)),
		visited("d", "v2", noon.Add(time.Hour)),
		visited("e", "v3", noon),
		visited("f", "", noon), // nobody's
		elsewhere,
	})
	require.NoError(t, err)
	stored, err := db.Store(t.Context(), []event.Received{visited("a", "v1", noon)})
	require.NoError(t, err)
	require.Equal(t, store.Stored{Duplicates: 1}, stored)

	visitor := visited("a", "v1", noon).Event.Session
	want := []store.VisitRow{
		{ID: "v2", Session: visitor, FirstAt: noon.Add(time.Hour), LastAt: noon.Add(time.Hour), Events: 1},
		{ID: "v3", Session: visitor, FirstAt: noon, LastAt: noon, Events: 1},
		{ID: "v1", Session: visitor, FirstAt: noon, LastAt: noon.Add(time.Minute), Events: 3},
	}
	scope := Scope(t, "admin", site)
	list, err := db.Visits(t.Context(), scope, store.VisitPlace{}, 10)
	require.NoError(t, err)
	require.Equal(t, want, list)

	events, err := db.VisitEvents(t.Context(), scope, "v1", 2)
	require.NoError(t, err)
	require.Len(t, events, 2)
	require.Equal(t, []string{"a", "c"}, []string{events[0].ID, events[1].ID})
	for _, none := range []string{"", "v4"} {
		events, err = db.VisitEvents(t.Context(), scope, none, 10)
		require.NoError(t, err)
		require.Empty(t, events)
	}
}

// A list that is read page by page shows each visit once, whatever comes meanwhile.
func (s suite) visitPages(t *testing.T) {
	db := s.fresh(t)
	keep := func(received ...event.Received) {
		_, err := db.Store(t.Context(), received)
		require.NoError(t, err)
	}
	for i := range 9 { // three of each time
		keep(visited(fmt.Sprint("e", i), fmt.Sprint("v", i), noon.Add(time.Duration(i/3)*time.Second)))
	}
	scope, place, seen := Scope(t, "admin", site), store.VisitPlace{}, []string{}
	for page := range 6 {
		list, err := db.Visits(t.Context(), scope, place, 2)
		require.NoError(t, err)
		if len(list) == 0 {
			require.Equal(t, 5, page)
			break
		}
		for _, row := range list {
			seen = append(seen, row.ID)
		}
		place = list[len(list)-1].Place()
		keep(
			visited(fmt.Sprint("n", page), fmt.Sprint("new", page), noon.Add(time.Hour)),
			visited(fmt.Sprint("m", page), list[0].ID, noon.Add(time.Hour)),
		)
	}
	require.Equal(t, []string{"v8", "v7", "v6", "v5", "v4", "v3", "v2", "v1", "v0"}, seen)
}
