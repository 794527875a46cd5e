package storetest_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/tenancy/envelope"
	"github.com/opsmantik/sallyport/tenancy/envelope/storetest"
)

// plain is the contract in its plainest form: a list, looked through each time. A fault
// breaks it in one way.
type plain struct {
	fault string
	mu    sync.Mutex
	list  []envelope.Key
}

func (s *plain) is(fault string) bool { return s.fault == fault }

func (s *plain) ended(ctx context.Context) error {
	if s.is("contexts ignored") {
		return nil
	}
	return ctx.Err()
}

// elsewhere lets others run, as a database does between two statements.
func elsewhere() { <-time.After(20 * time.Millisecond) }

func (s *plain) owned(k envelope.Key, owner envelope.Owner) bool {
	switch s.fault {
	case "owners joined":
		return k.Owner.Site+k.Owner.Subject == owner.Site+owner.Subject
	case "owners in any case":
		return strings.EqualFold(k.Owner.Site, owner.Site) &&
			strings.EqualFold(k.Owner.Subject, owner.Subject)
	case "subjects ignored":
		return k.Owner.Site == owner.Site
	case "sites ignored":
		return k.Owner.Subject == owner.Subject
	}
	return k.Owner == owner
}

func (s *plain) Load(
	ctx context.Context, owner envelope.Owner, reserve uint64,
) ([]envelope.Key, error) {
	if err := s.ended(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []envelope.Key
	last := -1
	for i := range s.list {
		if s.owned(s.list[i], owner) {
			last = i
			if s.is("every key is counted") {
				s.list[i].Seals += reserve
			}
		}
	}
	before := uint64(0)
	if last >= 0 {
		before = s.list[last].Seals
	}
	if last >= 0 && s.is("reads, then counts") {
		s.mu.Unlock()
		elsewhere()
		s.mu.Lock()
		s.list[last].Seals = before + reserve
	} else if last >= 0 && !s.is("seals are not counted") && !s.is("every key is counted") {
		s.list[last].Seals += reserve
	}
	if last >= 0 && s.is("seals in 32 bits") {
		s.list[last].Seals &= 1<<32 - 1
	}
	for _, k := range s.list {
		if !s.owned(k, owner) {
			continue
		}
		if !s.is("load hands out its slice") {
			k.Wrapped = bytes.Clone(k.Wrapped)
		}
		out = append(out, k)
	}
	if len(out) > 0 && s.is("the old number is returned") {
		out[len(out)-1].Seals = before
	}
	if s.is("newest first") {
		slices.Reverse(out)
	}
	if s.is("the newest alone") && len(out) > 1 {
		out = out[len(out)-1:]
	}
	return out, nil
}

func (s *plain) Add(ctx context.Context, k envelope.Key) error {
	if err := s.ended(ctx); err != nil {
		return err
	}
	taken := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return slices.ContainsFunc(s.list, func(o envelope.Key) bool {
			return s.owned(o, k.Owner) && o.Version >= k.Version
		})
	}
	if taken() && !s.is("versions twice") {
		return envelope.ErrExists
	}
	if s.is("add looks before it writes") {
		elsewhere()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.is("add looks before it writes") && !s.is("versions twice") &&
		slices.ContainsFunc(s.list, func(o envelope.Key) bool {
			return s.owned(o, k.Owner) && o.Version == k.Version
		}) {
		return envelope.ErrExists
	}
	if !s.is("add keeps the caller's slice") {
		k.Wrapped = bytes.Clone(k.Wrapped)
	}
	switch s.fault {
	case "handles lost":
		k.Handle = ""
	case "seconds only":
		k.Created = k.Created.Truncate(time.Second)
	case "text ends at zero":
		k.Wrapped, _, _ = bytes.Cut(k.Wrapped, []byte{0})
	}
	s.list = append(s.list, k)
	return nil
}

func (s *plain) Rewrap(ctx context.Context, k envelope.Key, old []byte) error {
	if err := s.ended(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, o := range s.list {
		if s.owned(o, k.Owner) && (o.Version == k.Version || s.is("any version is rewrapped")) &&
			(bytes.Equal(o.Wrapped, old) || s.is("rewrapping does not compare")) {
			if s.is("rewrapping writes the row back") {
				s.list[i] = k
				s.list[i].Seals = 0
				s.list[i].Created = time.Time{}
				return nil
			}
			s.list[i].Wrapped = bytes.Clone(k.Wrapped)
			if !s.is("the KEK's name stays") {
				s.list[i].KEK = k.KEK
			}
			return nil
		}
	}
	if s.is("rewrapping nothing is no error") {
		return nil
	}
	return envelope.ErrExists
}

func (s *plain) Shred(ctx context.Context, owner envelope.Owner) error {
	if err := s.ended(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.list)
	newest := 0
	for _, k := range s.list {
		if s.owned(k, owner) {
			newest = k.Version
		}
	}
	s.list = slices.DeleteFunc(s.list, func(k envelope.Key) bool {
		return s.owned(k, owner) && !s.is("shredding does nothing") &&
			(k.Version == newest || !s.is("the newest alone is shredded"))
	})
	if len(s.list) == before && s.is("shredding nothing is an error") {
		return envelope.ErrShredded
	}
	return nil
}

// variable names the fault for the child process.
const variable = "SALLYPORT_BROKEN_ENVELOPE_STORE"

func run(t *testing.T, fault string) {
	storetest.Run(t, func(*testing.T) envelope.Store { return &plain{fault: fault} })
}

func TestThePlainestStorePasses(t *testing.T) { run(t, "") }

func TestMemoryPasses(t *testing.T) {
	storetest.Run(t, func(t *testing.T) envelope.Store {
		store, err := envelope.NewMemory(envelope.MemoryConfig{})
		require.NoError(t, err)
		return store
	})
}

// TestBrokenStore is what the next test runs in a process of its own, because it must
// fail.
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
		"handles lost":                   "what_was_added",
		"seconds only":                   "what_was_added",
		"text ends at zero":              "what_was_added",
		"newest first":                   "what_was_added",
		"the newest alone":               "what_was_added",
		"owners joined":                  "owners_are_apart",
		"owners in any case":             "owners_are_apart",
		"subjects ignored":               "owners_are_apart",
		"sites ignored":                  "owners_are_apart",
		"versions twice":                 "versions_are_added",
		"add looks before it writes":     "one_of_many",
		"seals are not counted":          "seals_are_counted",
		"every key is counted":           "seals_are_counted",
		"seals in 32 bits":               "seals_are_counted",
		"the old number is returned":     "seals_are_counted",
		"reads, then counts":             "no_reservation",
		"rewrapping does not compare":    "rewrapping",
		"any version is rewrapped":       "rewrapping",
		"rewrapping writes the row back": "rewrapping",
		"the KEK's name stays":           "rewrapping",
		"rewrapping nothing is no error": "rewrapping",
		"shredding does nothing":         "shredding",
		"the newest alone is shredded":   "shredding",
		"shredding nothing is an error":  "shredding",
		"add keeps the caller's slice":   "keys_are_copies",
		"load hands out its slice":       "keys_are_copies",
		"contexts ignored":               "a_context_that",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBrokenStore$")
			cmd.Env = append(os.Environ(), variable+"="+fault)
			out, err := cmd.CombinedOutput()
			require.Error(t, err, "the suite passed it")
			require.Contains(t, string(out), "--- FAIL: TestBrokenStore/"+clause)
		})
	}
}
