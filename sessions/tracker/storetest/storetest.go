// Package storetest checks that a tracker.Store keeps its contract.
package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/sessions/tracker"
)

// Harness is how the suite drives a store.
type Harness struct {
	// New returns an empty store with room for that many visits of a site, and ten
	// times as many in all.
	New func(t *testing.T, perSite int) tracker.Store
	// Advance moves the store's clock, and what expires by it.
	Advance func(time.Duration)
	// Bubble, if set, runs each clause: synctest.Test for stores in memory.
	Bubble func(*testing.T, func(*testing.T))
	// Step is the finest step of time that the harness can tell. Default one
	// nanosecond.
	Step time.Duration
	// Held, if set, returns how many things the store's backend holds.
	Held func(tracker.Store) int
}

// Run runs the suite, one subtest per clause of the contract.
func Run(t *testing.T, h Harness) {
	if h.Step == 0 {
		h.Step = time.Nanosecond
	}
	for _, clause := range []struct {
		name string
		test func(*testing.T, Harness)
	}{
		{"events of a visit", events},
		{"idle limit is exact", idleExact},
		{"every event counts", everyEvent},
		{"another site is another visit", sites},
		{"one site cannot fill another's share", shares},
		{"what is over leaves nothing", nothingLeft},
		{"concurrent events are all counted", concurrent},
	} {
		t.Run(clause.name, func(t *testing.T) {
			if h.Bubble == nil {
				clause.test(t, h)
				return
			}
			h.Bubble(t, func(t *testing.T) { clause.test(t, h) })
		})
	}
}

const (
	idle    = 30 * time.Minute
	visitor = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
)

func touch(t *testing.T, s tracker.Store, site, visitor, id string) tracker.Visit {
	t.Helper()
	v, err := s.Touch(t.Context(), site, visitor, id, idle)
	require.NoError(t, err)
	return v
}

func events(t *testing.T, h Harness) {
	s := h.New(t, 10)
	first := touch(t, s, "site", visitor, "a")
	require.Equal(t, "a", first.ID)
	require.Equal(t, "site", first.Site)
	require.Equal(t, visitor, first.Visitor)
	require.True(t, first.New())
	require.True(t, first.Started.Equal(first.Seen))
	h.Advance(time.Minute)
	second := touch(t, s, "site", visitor, "b")
	require.Equal(t, "a", second.ID)
	require.Equal(t, 2, second.Events)
	require.False(t, second.New())
	require.True(t, second.Started.Equal(first.Started))
	require.Equal(t, time.Minute, second.Seen.Sub(first.Seen).Round(time.Second))
}

func idleExact(t *testing.T, h Harness) {
	for name, at := range map[string]struct {
		after time.Duration
		id    string
	}{
		"just before": {idle - h.Step, "a"}, "exactly": {idle, "b"}, "after": {2 * idle, "b"},
	} {
		s := h.New(t, 10)
		touch(t, s, "site", visitor, "a")
		h.Advance(at.after)
		v := touch(t, s, "site", visitor, "b")
		require.Equal(t, at.id, v.ID, name)
		require.Equal(t, at.id == "b", v.New(), name)
	}
}

func everyEvent(t *testing.T, h Harness) {
	s := h.New(t, 10)
	for range 20 {
		require.Equal(t, "a", touch(t, s, "site", visitor, "a").ID)
		h.Advance(idle - time.Minute)
	}
	require.Equal(t, 21, touch(t, s, "site", visitor, "b").Events)
}

func sites(t *testing.T, h Harness) {
	s := h.New(t, 10)
	touch(t, s, "one", visitor, "a")
	v := touch(t, s, "two", visitor, "b")
	require.Equal(t, "b", v.ID)
	require.True(t, v.New())
	require.Equal(t, "c", touch(t, s, "one"+visitor[:1], visitor[1:], "c").ID, "not by joining the two")
}

func shares(t *testing.T, h Harness) {
	s := h.New(t, 3)
	for i := range 3 {
		touch(t, s, "one", fmt.Sprint("v", i), "a")
	}
	_, err := s.Touch(t.Context(), "one", "v3", "a", idle)
	require.ErrorIs(t, err, tracker.ErrFull)
	require.Equal(t, 2, touch(t, s, "one", "v0", "b").Events, "a flood ends nobody's visit")
	require.True(t, touch(t, s, "two", "v3", "a").New())
	h.Advance(idle)
	require.True(t, touch(t, s, "one", "v3", "a").New(), "what is over makes room")
}

func nothingLeft(t *testing.T, h Harness) {
	if h.Held == nil {
		t.Skip("the harness cannot count")
	}
	s := h.New(t, 10)
	for i := range 8 {
		touch(t, s, fmt.Sprint("site", i%3), fmt.Sprint("v", i), "a")
	}
	require.NotZero(t, h.Held(s))
	h.Advance(2 * idle)
	touch(t, s, "site0", visitor, "b")
	after := h.Held(s)
	h.Advance(2 * idle)
	touch(t, s, "site0", visitor, "b")
	require.Equal(t, after, h.Held(s))
	require.LessOrEqual(t, after, 2, "the visit, and an index")
}

func concurrent(t *testing.T, h Harness) {
	s := h.New(t, 10)
	var all sync.WaitGroup
	ids := make([]string, 50)
	for i := range ids {
		all.Go(func() {
			v, err := s.Touch(t.Context(), "site", visitor, fmt.Sprint(i), idle)
			if err != nil {
				t.Error(err)
			}
			ids[i] = v.ID
		})
	}
	all.Wait()
	for _, id := range ids {
		require.Equal(t, ids[0], id, "one visit")
	}
	require.Equal(t, 51, touch(t, s, "site", visitor, "x").Events)
}
