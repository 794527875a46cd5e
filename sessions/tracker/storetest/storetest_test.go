package storetest_test

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/sessions/tracker"
	"github.com/opsmantik/sallyport/sessions/tracker/storetest"
)

// naive is the contract in its plainest form. A fault breaks it in one way.
type naive struct {
	perSite int
	fault   string

	mu     sync.Mutex
	visits map[[2]string]*tracker.Visit
}

func (n *naive) is(fault string) bool { return n.fault == fault }

func (n *naive) Touch(
	_ context.Context, site, visitor, id string, idle time.Duration,
) (tracker.Visit, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	key := [2]string{site, visitor}
	switch {
	case n.is("sites share visitors"):
		key[0] = ""
	case n.is("site and visitor run together"):
		key = [2]string{"", site + visitor}
	}
	late := time.Duration(0)
	if n.is("idle limit late") {
		late = 1
	}
	if !n.is("nothing expires") {
		for k, v := range n.visits {
			if now.Sub(v.Seen) >= idle+late {
				delete(n.visits, k)
			}
		}
	}
	v := n.visits[key]
	if v == nil {
		own := 0
		for _, other := range n.visits {
			if other.Site == site || n.is("one share for all") {
				own++
			}
		}
		if own >= n.perSite && !n.is("no limit") {
			return tracker.Visit{}, tracker.ErrFull
		}
		v = &tracker.Visit{ID: id, Site: site, Visitor: visitor, Started: now, Seen: now}
		n.visits[key] = v
	}
	if !n.is("only the first event counts") {
		v.Seen = now
	}
	v.Events++
	got := *v
	if n.is("events are counted apart") {
		n.mu.Unlock()
		time.Sleep(time.Nanosecond)
		n.mu.Lock()
		v.Events = got.Events
	}
	if n.is("another id each time") {
		got.ID = id
	}
	return got, nil
}

func run(t *testing.T, fault string) {
	t.Helper()
	storetest.Run(t, storetest.Harness{
		Bubble: synctest.Test, Advance: time.Sleep,
		New: func(_ *testing.T, perSite int) tracker.Store {
			return &naive{perSite: perSite, fault: fault, visits: map[[2]string]*tracker.Visit{}}
		},
		Held: func(s tracker.Store) int { return len(s.(*naive).visits) },
	})
}

func TestThePlainestStorePasses(t *testing.T) { run(t, "") }

const variable = "SALLYPORT_BROKEN_VISITS"

// TestBrokenStore is what the next test runs in a process of its own, because it
// must fail.
func TestBrokenStore(t *testing.T) {
	fault := os.Getenv(variable)
	if fault == "" {
		t.Skip("runs within TestTheSuiteFailsBrokenStores")
	}
	run(t, fault)
}

func TestTheSuiteFailsBrokenStores(t *testing.T) {
	t.Parallel()
	for fault, clause := range map[string]string{
		"sites share visitors":          "another_site",
		"site and visitor run together": "another_site",
		"idle limit late":               "idle_limit_is_exact",
		"nothing expires":               "idle_limit_is_exact",
		"one share for all":             "one_site_cannot_fill",
		"no limit":                      "one_site_cannot_fill",
		"only the first event counts":   "every_event_counts",
		"events are counted apart":      "concurrent_events",
		"another id each time":          "events_of_a_visit",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBrokenStore$")
			cmd.Env = append(os.Environ(), variable+"="+fault)
			out, err := cmd.CombinedOutput()
			require.Error(t, err, "the suite passes it")
			require.Contains(t, string(out), "--- FAIL: TestBrokenStore/"+clause)
		})
	}
}
