package storetest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/storetest"
)

// naive is the contract in its plainest form. A fault breaks it in one way.
type naive struct {
	fault string

	mu      sync.Mutex
	entries map[id]held
}

type id struct {
	keyID string
	hash  [32]byte
}

type held struct {
	at, until time.Time
	confirmed bool
}

func (s *naive) is(fault string) bool { return s.fault == fault }

func (s *naive) id(e hmacsig.ReplayEntry) id {
	switch {
	case s.is("key ids ignored"):
		return id{hash: e.ID}
	case s.is("messages ignored"):
		return id{keyID: e.KeyID}
	}
	return id{e.KeyID, e.ID}
}

func (s *naive) look(e hmacsig.ReplayEntry) (held, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, found := s.entries[s.id(e)]
	until := h.until.Add(5 * time.Second)
	switch {
	case s.is("forgets too early"):
		until = h.until.Add(-time.Second)
	case s.is("forgets by its own clock"):
		return h, found && time.Now().Before(h.until)
	}
	return h, found && e.At.Before(until)
}

func (s *naive) Claim(ctx context.Context, e hmacsig.ReplayEntry) (hmacsig.ClaimState, error) {
	switch {
	case ctx.Err() != nil && s.is("accepts a cancelled claim"):
		return hmacsig.Claimed, nil
	case ctx.Err() != nil && s.is("calls a cancelled claim taken"):
		return hmacsig.InFlight, nil
	case s.is("fails"):
		return 0, errors.New("down")
	case s.is("says nothing"):
		return 0, nil
	}
	h, found := s.look(e)
	switch {
	case found && h.confirmed:
		return hmacsig.Replayed, nil
	case found && s.is("calls what is in flight done"):
		return hmacsig.Replayed, nil
	case found:
		return hmacsig.InFlight, nil
	}
	if s.is("looks and claims apart") {
		runtime.Gosched()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, taken := s.entries[s.id(e)]; taken && !s.is("looks and claims apart") && old == h &&
		found {
		return hmacsig.InFlight, nil
	}
	if len(s.entries) >= 5000 && s.is("evicts") {
		for victim := range s.entries {
			delete(s.entries, victim)
			break
		}
	}
	if old, taken := s.entries[s.id(e)]; taken && e.At.Before(old.until) &&
		!s.is("looks and claims apart") {
		return hmacsig.InFlight, nil // somebody was faster
	}
	s.entries[s.id(e)] = held{at: e.At, until: e.Until}
	return hmacsig.Claimed, nil
}

func (s *naive) settle(e hmacsig.ReplayEntry, confirm bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, found := s.entries[s.id(e)]
	mine := found && h.at.Equal(e.At)
	switch {
	case s.is("settles what it does not have") && !found && confirm:
		s.entries[s.id(e)] = held{until: e.Until, confirmed: true}
	case s.is("anybody settles anybody's"):
		mine = found
	}
	switch {
	case !mine, h.confirmed && !s.is("releases what is confirmed"):
	case confirm && s.is("forgets on confirmation"), !confirm && !s.is("never releases"):
		delete(s.entries, s.id(e))
	case confirm && !s.is("never confirms"):
		h.confirmed = true
		s.entries[s.id(e)] = h
	}
}

func (s *naive) Confirm(_ context.Context, e hmacsig.ReplayEntry) error {
	s.settle(e, true)
	return nil
}

func (s *naive) Release(_ context.Context, e hmacsig.ReplayEntry) error {
	s.settle(e, false)
	return nil
}

// variable names the fault for the child process.
const variable = "SALLYPORT_BROKEN_STORE"

func run(t *testing.T, fault string) {
	t.Helper()
	storetest.Run(t, func(*testing.T) hmacsig.ReplayStore {
		return &naive{fault: fault, entries: map[id]held{}}
	})
}

func TestThePlainestStorePasses(t *testing.T) { run(t, "") }

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
	for fault, part := range map[string]string{
		"key ids ignored":               "tenants_and_messages_are_apart",
		"messages ignored":              "tenants_and_messages_are_apart",
		"forgets too early":             "an_entry_lives_to_its_end",
		"forgets by its own clock":      "a_claim_may_arrive_a_moment_late",
		"accepts a cancelled claim":     "a_cancelled_context_does_not_accept",
		"calls a cancelled claim taken": "a_cancelled_context_does_not_accept",
		"fails":                         "claim,_confirm,_replay",
		"says nothing":                  "claim,_confirm,_replay",
		"calls what is in flight done":  "claim,_confirm,_replay",
		"looks and claims apart":        "one_of_many_claims_wins",
		"evicts":                        "ten_thousand_live_entries_stay",
		"settles what it does not have": "settling_what_was_never_claimed",
		"anybody settles anybody's":     "settling_another's_claim",
		"releases what is confirmed":    "settling_twice_changes_nothing",
		"forgets on confirmation":       "claim,_confirm,_replay",
		"never releases":                "claim,_release,_claim_again",
		"never confirms":                "claim,_confirm,_replay",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(
				t.Context(),
				os.Args[0],
				"-test.run=^TestBrokenStore$/^"+part+"$",
			)
			cmd.Env = append(os.Environ(), variable+"="+fault)
			out, err := cmd.CombinedOutput()
			require.Error(t, err, "the suite passes it")
			require.Contains(t, string(out), "--- FAIL: TestBrokenStore/"+part)
		})
	}
}
