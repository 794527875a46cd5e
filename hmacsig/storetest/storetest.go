// Package storetest is the conformance suite of hmacsig.ReplayStore. Run it
// against your own store from a test:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) hmacsig.ReplayStore { return newStore(t) })
//	}
//
// It fails every broken store that its own tests seed. What a store does when it
// is full, and with shares, is for the store's own tests: only they know its size.
package storetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opsmantik/sallyport/hmacsig"
)

// Run checks a store. Make returns a store of at least 10,000 entries for one key
// id; it is called once per part. The suite takes a few seconds of real time, because two
// parts wait for an entry to expire.
func Run(t *testing.T, make func(t *testing.T) hmacsig.ReplayStore) {
	t.Helper()
	for _, part := range []struct {
		name string
		run  func(*testing.T, hmacsig.ReplayStore)
	}{
		{"claim, confirm, replay", confirm},
		{"claim, release, claim again", release},
		{"settling twice changes nothing", settleTwice},
		{"settling what was never claimed", settleUnknown},
		{"settling another's claim", settleAnother},
		{"tenants and messages are apart", apart},
		{"one of many claims wins", race},
		{"one holder at a time", handOver},
		{"an entry lives to its end", expiry},
		{"a claim may arrive a moment late", late},
		{"a cancelled context does not accept", cancelled},
		{"ten thousand live entries stay", keeps},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, make(t)) })
	}
}

// entry is a new message that lives for a minute.
func entry() hmacsig.ReplayEntry {
	now := time.Now()
	e := hmacsig.ReplayEntry{KeyID: "site-a", At: now, Until: now.Add(time.Minute)}
	_, _ = rand.Read(e.ID[:])
	return e
}

// want claims now. It moves e.At along only where the claim succeeds, so that
// e remains what its holder settles.
func want(t *testing.T, s hmacsig.ReplayStore, e *hmacsig.ReplayEntry, state hmacsig.ClaimState) {
	t.Helper()
	try := *e
	try.At = time.Now()
	got, err := s.Claim(t.Context(), try)
	if got == hmacsig.Claimed {
		*e = try
	}
	if err != nil || got != state {
		t.Fatalf("Claim: got state %d and error %v, want state %d", got, err, state)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func confirm(t *testing.T, s hmacsig.ReplayStore) {
	e := entry()
	want(t, s, &e, hmacsig.Claimed)
	want(t, s, &e, hmacsig.InFlight)
	must(t, s.Confirm(t.Context(), e))
	want(t, s, &e, hmacsig.Replayed)
	want(t, s, &e, hmacsig.Replayed)
}

func release(t *testing.T, s hmacsig.ReplayStore) {
	e := entry()
	for range 3 {
		want(t, s, &e, hmacsig.Claimed)
		must(t, s.Release(t.Context(), e))
	}
	want(t, s, &e, hmacsig.Claimed)
	must(t, s.Confirm(t.Context(), e))
	want(t, s, &e, hmacsig.Replayed)
}

func settleTwice(t *testing.T, s hmacsig.ReplayStore) {
	e := entry()
	want(t, s, &e, hmacsig.Claimed)
	must(t, s.Confirm(t.Context(), e))
	must(t, s.Confirm(t.Context(), e))
	must(t, s.Release(t.Context(), e)) // too late: it was final
	want(t, s, &e, hmacsig.Replayed)
}

func settleUnknown(t *testing.T, s hmacsig.ReplayStore) {
	e := entry()
	must(t, s.Release(t.Context(), e))
	must(t, s.Confirm(t.Context(), e))
	want(t, s, &e, hmacsig.Claimed)
}

// settleAnother settles a claim that was given up, while somebody else has the
// message.
func settleAnother(t *testing.T, s hmacsig.ReplayStore) {
	first := entry()
	claim := func(e hmacsig.ReplayEntry, state hmacsig.ClaimState) {
		t.Helper()
		got, err := s.Claim(t.Context(), e)
		if err != nil || got != state {
			t.Fatalf("Claim: got state %d and error %v, want state %d", got, err, state)
		}
	}
	second, third := first, first
	second.At = first.At.Add(time.Millisecond)
	third.At = first.At.Add(time.Second)
	claim(first, hmacsig.Claimed)
	must(t, s.Release(t.Context(), first))
	claim(second, hmacsig.Claimed)
	must(t, s.Release(t.Context(), first))
	claim(third, hmacsig.InFlight)
	must(t, s.Confirm(t.Context(), first))
	claim(third, hmacsig.InFlight)
	must(t, s.Release(t.Context(), second))
	claim(third, hmacsig.Claimed)
}

func apart(t *testing.T, s hmacsig.ReplayStore) {
	e := entry()
	want(t, s, &e, hmacsig.Claimed)
	other := e
	other.KeyID = "site-b"
	want(t, s, &other, hmacsig.Claimed)
	next := e
	next.ID[31] ^= 1 // a store may shorten IDs, but not to this
	next.ID[0] ^= 1
	want(t, s, &next, hmacsig.Claimed)
	must(t, s.Confirm(t.Context(), e))
	want(t, s, &other, hmacsig.InFlight)
}

func race(t *testing.T, s hmacsig.ReplayStore) {
	e := entry()
	var claimed atomic.Int32
	var all sync.WaitGroup
	for range 1000 {
		all.Go(func() {
			state, err := s.Claim(t.Context(), e)
			if err == nil && state == hmacsig.Claimed {
				claimed.Add(1)
			}
		})
	}
	all.Wait()
	if n := claimed.Load(); n != 1 {
		t.Fatalf("claimed %d times, want once", n)
	}
}

// handOver lets many claim and release: at no moment may two hold it.
func handOver(t *testing.T, s hmacsig.ReplayStore) {
	e := entry()
	var holders, turns atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			for range 20 {
				e := e
				e.At = time.Now()
				state, err := s.Claim(t.Context(), e)
				if err != nil || state != hmacsig.Claimed {
					continue
				}
				turns.Add(1)
				if holders.Add(1) != 1 {
					t.Error("two holders")
				}
				holders.Add(-1)
				if err := s.Release(t.Context(), e); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if turns.Load() == 0 {
		t.Fatal("nobody ever held it")
	}
}

func expiry(t *testing.T, s hmacsig.ReplayStore) {
	e := entry()
	e.Until = e.At.Truncate(time.Second).Add(2 * time.Second)
	want(t, s, &e, hmacsig.Claimed)
	must(t, s.Confirm(t.Context(), e))
	// The store may keep it longer, never shorter.
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for now := range tick.C {
		if !now.Before(e.Until) {
			return
		}
		try := e
		try.At = now
		state, err := s.Claim(t.Context(), try)
		must(t, err)
		if state != hmacsig.Replayed && time.Now().Before(e.Until) {
			t.Fatalf("%v before its end: got state %d, want Replayed", e.Until.Sub(now), state)
		}
	}
}

// late makes a claim that was decided just before the end of its message and
// arrives just after, when others have been there.
func late(t *testing.T, s hmacsig.ReplayStore) {
	e := entry()
	e.Until = e.At.Truncate(time.Second).Add(2 * time.Second)
	want(t, s, &e, hmacsig.Claimed)
	must(t, s.Confirm(t.Context(), e))
	timer := time.NewTimer(time.Until(e.Until.Add(time.Second)))
	defer timer.Stop()
	<-timer.C
	for range 1000 {
		other := entry()
		want(t, s, &other, hmacsig.Claimed)
	}
	e.At = e.Until.Add(-time.Millisecond)
	state, err := s.Claim(t.Context(), e)
	must(t, err)
	if state != hmacsig.Replayed {
		t.Fatalf("decided before its end: got state %d, want Replayed", state)
	}
}

func cancelled(t *testing.T, s hmacsig.ReplayStore) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := entry()
	first, err := s.Claim(ctx, e)
	if err == nil && first != hmacsig.Claimed {
		t.Fatalf("got state %d for a new message", first)
	}
	// Whatever happened, it cannot be claimed twice.
	second, err2 := s.Claim(t.Context(), e)
	if err == nil && err2 == nil && second == hmacsig.Claimed {
		t.Fatal("claimed twice")
	}
}

// keeps fills the store with as much as it must hold: nothing may be dropped to
// make room.
func keeps(t *testing.T, s hmacsig.ReplayStore) {
	const entries, workers = 10_000, 8
	held := make([]hmacsig.ReplayEntry, entries)
	each := func(do func(e *hmacsig.ReplayEntry) error) {
		t.Helper()
		var all sync.WaitGroup
		for w := range workers {
			all.Go(func() {
				for i := w; i < entries; i += workers {
					if err := do(&held[i]); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		if t.Failed() {
			t.FailNow()
		}
	}
	claim := func(want hmacsig.ClaimState) func(*hmacsig.ReplayEntry) error {
		return func(e *hmacsig.ReplayEntry) error {
			if got, err := s.Claim(t.Context(), *e); err != nil || got != want {
				return fmt.Errorf("claiming: got state %d and error %w, want state %d", got, err, want)
			}
			return nil
		}
	}
	for i := range held {
		held[i] = entry()
	}
	each(claim(hmacsig.Claimed))
	each(claim(hmacsig.InFlight))
	each(func(e *hmacsig.ReplayEntry) error { return s.Confirm(t.Context(), *e) })
	each(claim(hmacsig.Replayed))
}
