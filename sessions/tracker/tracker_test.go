package tracker_test

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/sessions/tracker"
	"github.com/opsmantik/sallyport/sessions/tracker/storetest"
)

const visitor = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"

func newMemory(t testing.TB, cfg tracker.MemoryConfig) *tracker.Memory {
	t.Helper()
	m, err := tracker.NewMemory(cfg)
	require.NoError(t, err)
	return m
}

func newTracker(t testing.TB) *tracker.Tracker {
	t.Helper()
	visits, err := tracker.New(tracker.Config{Store: newMemory(t, tracker.MemoryConfig{})})
	require.NoError(t, err)
	return visits
}

func TestMemoryConformance(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		Bubble: synctest.Test, Advance: time.Sleep,
		New: func(t *testing.T, perSite int) tracker.Store {
			return newMemory(t, tracker.MemoryConfig{MaxVisits: 10 * perSite, MaxPerSite: perSite})
		},
		Held: func(s tracker.Store) int { return s.(*tracker.Memory).Len() },
	})
}

// Nothing here converts to what authenticates, and nothing here returns it.
func TestVisitsAuthenticateNobody(t *testing.T) {
	t.Parallel()
	proofs := []reflect.Type{
		reflect.TypeFor[sallyport.Principal](), reflect.TypeFor[sessions.Info](),
		reflect.TypeFor[sessions.Session[struct{}]](), reflect.TypeFor[sessions.Record](),
		reflect.TypeFor[sessions.Key](), reflect.TypeFor[sessions.Login](),
	}
	stores := []reflect.Type{reflect.TypeFor[sessions.Store]()}
	for _, ours := range []reflect.Type{
		reflect.TypeFor[tracker.Visit](), reflect.TypeFor[*tracker.Tracker](),
		reflect.TypeFor[*tracker.Memory](),
	} {
		for _, proof := range proofs {
			require.False(t, ours.ConvertibleTo(proof), "%v to %v", ours, proof)
			require.False(t, proof.ConvertibleTo(ours), "%v to %v", proof, ours)
			for i := range ours.NumMethod() {
				method := ours.Method(i).Type
				for out := range method.Outs() {
					require.NotEqual(t, proof, out, "%v.%s", ours, ours.Method(i).Name)
				}
			}
		}
		for _, store := range stores {
			require.False(t, ours.Implements(store))
		}
	}
}

func TestTouch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // policy O10
		visits := newTracker(t)
		first, err := visits.Touch(t.Context(), "site", visitor)
		require.NoError(t, err)
		require.Len(t, first.ID, 26)
		time.Sleep(30*time.Minute - 1)
		again, err := visits.Touch(t.Context(), "site", strings.ToUpper(visitor))
		require.NoError(t, err)
		require.Equal(t, first.ID, again.ID)
		require.Equal(t, visitor, again.Visitor)
		time.Sleep(30 * time.Minute)
		next, err := visits.Touch(t.Context(), "site", visitor)
		require.NoError(t, err)
		require.NotEqual(t, first.ID, next.ID)
		require.True(t, next.New())
	})
}

func TestInvalidIDs(t *testing.T) {
	t.Parallel()
	visits := newTracker(t)
	for name, tt := range map[string][2]string{
		"no visitor": {"site", ""}, "no site": {"", visitor}, "short": {"site", visitor[1:]},
		"long": {"site", visitor + "0"}, "no hyphens": {"site", strings.ReplaceAll(visitor, "-", "0")},
		"letter g": {"site", "g" + visitor[1:]}, "NUL": {"site", "\x00" + visitor[1:]},
		"a hyphen too many": {"site", "-" + visitor[1:]}, "hyphen moved": {"site", "3f2504e-04f89-41d3-9a0c-0305e82c3301"},
		"letter G": {"site", "G" + visitor[1:]}, "colon": {"site", ":" + visitor[1:]},
		"slash": {"site", "/" + visitor[1:]}, "at": {"site", "@" + visitor[1:]},
		"long site": {strings.Repeat("s", 129), visitor}, "backtick": {"site", "`" + visitor[1:]},
	} {
		_, err := visits.Touch(t.Context(), tt[0], tt[1])
		require.ErrorIs(t, err, tracker.ErrInvalid, name)
	}
	for _, site := range []string{"s", strings.Repeat("s", 128)} {
		_, err := visits.Touch(t.Context(), site, "09afAF00-0000-0000-0000-000000000000")
		require.NoError(t, err)
	}
}

func TestNewReportsEveryProblem(t *testing.T) {
	t.Parallel()
	for idle, ok := range map[time.Duration]bool{
		time.Second - 1: false, time.Second: true, 24 * time.Hour: true, 24*time.Hour + 1: false, -1: false,
	} {
		_, err := tracker.New(tracker.Config{Store: newMemory(t, tracker.MemoryConfig{}), Idle: idle})
		require.Equal(t, ok, err == nil, idle)
	}
	_, err := tracker.New(tracker.Config{Idle: -1})
	require.ErrorContains(t, err, "tracker: Store:")
	require.ErrorContains(t, err, "tracker: Idle:")
	_, err = tracker.NewMemory(tracker.MemoryConfig{MaxVisits: -1, MaxPerSite: -1})
	require.ErrorContains(t, err, "tracker: MaxVisits:")
	require.ErrorContains(t, err, "tracker: MaxPerSite:")
	for sites, want := range map[int]int{1: 1, 3: 1, 4: 1, 7: 1, 8: 2} { // a quarter each
		m := newMemory(t, tracker.MemoryConfig{MaxVisits: sites})
		got := 0
		for i := range sites {
			if _, err := m.Touch(t.Context(), "site", fmt.Sprint(i), "a", time.Hour); err == nil {
				got++
			}
		}
		require.Equal(t, want, got, "of %d", sites)
		require.Equal(t, want, m.Len())
	}
	one := newMemory(t, tracker.MemoryConfig{MaxVisits: 1})
	_, err = one.Touch(t.Context(), "site", visitor, "a", time.Hour)
	require.NoError(t, err)
	_, err = one.Touch(t.Context(), "other", visitor, "a", time.Hour)
	require.ErrorIs(t, err, tracker.ErrFull)
}

// Sites are forgotten with their last visit.
func TestSitesLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, tracker.MemoryConfig{})
		for i := range 9 {
			_, err := m.Touch(t.Context(), fmt.Sprint("site", i%3), fmt.Sprint(i), "a", time.Minute)
			require.NoError(t, err)
		}
		require.Equal(t, 3, m.Sites())
		time.Sleep(time.Minute)
		_, err := m.Touch(t.Context(), "site", "v", "a", time.Minute)
		require.NoError(t, err)
		require.Equal(t, 1, m.Sites())
	})
}

func TestZeroValues(t *testing.T) {
	t.Parallel()
	for _, visits := range []*tracker.Tracker{nil, {}} {
		_, err := visits.Touch(t.Context(), "site", visitor)
		require.ErrorContains(t, err, "zero Tracker")
	}
	_, err := new(tracker.Memory).Touch(t.Context(), "site", visitor, "a", time.Minute)
	require.ErrorIs(t, err, tracker.ErrFull)
}

// Not parallel: it weighs the whole process.
func TestMemoryPerVisit(t *testing.T) {
	const count = 50_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	m := newMemory(t, tracker.MemoryConfig{MaxPerSite: count})
	for i := range count {
		_, err := m.Touch(context.Background(), "site", fmt.Sprintf("%036d", i),
			fmt.Sprintf("%026d", i), time.Hour)
		require.NoError(t, err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	per := (after.HeapAlloc - before.HeapAlloc) / count
	t.Logf("%d bytes per visit", per)
	require.LessOrEqual(t, per, uint64(400))
	runtime.KeepAlive(m)
}
