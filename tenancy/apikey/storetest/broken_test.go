package storetest_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/tenancy/apikey"
	"github.com/opsmantik/sallyport/tenancy/apikey/storetest"
)

// plain is the contract in its plainest form: a list, looked through each time. A
// fault breaks it in one way.
type plain struct {
	fault string
	mu    sync.Mutex
	list  []apikey.Record
}

// elsewhere lets others run, as a database does between two statements.
func elsewhere() { <-time.After(20 * time.Millisecond) }

func (s *plain) is(fault string) bool { return s.fault == fault }

func (s *plain) ended(ctx context.Context) error {
	if s.is("contexts ignored") {
		return nil
	}
	if ctx.Err() != nil && s.is("a context that ended is not found") {
		return apikey.ErrNotFound
	}
	return ctx.Err()
}

func (s *plain) index(match func(apikey.Record) bool) int {
	return slices.IndexFunc(s.list, match)
}

func (s *plain) Create(ctx context.Context, r apikey.Record) error {
	if err := s.ended(ctx); err != nil {
		return err
	}
	exists := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.index(func(o apikey.Record) bool {
			return o.ID == r.ID && !s.is("ids twice") || o.Hash == r.Hash && !s.is("hashes twice")
		}) >= 0
	}
	if exists() {
		if s.is("create overwrites") {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.list[s.index(func(o apikey.Record) bool { return o.ID == r.ID || o.Hash == r.Hash })] = r
			return nil
		}
		if s.is("another error for what exists") {
			return errors.New("constraint")
		}
		return apikey.ErrExists
	}
	if s.is("create looks before it writes") {
		elsewhere()
	} else if exists() {
		return apikey.ErrExists
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.is("create looks before it writes") && s.index(func(o apikey.Record) bool {
		return o.ID == r.ID && !s.is("ids twice")
	}) >= 0 {
		return apikey.ErrExists
	}
	if !s.is("create keeps the caller's slice") {
		r.Scopes = slices.Clone(r.Scopes)
	}
	switch s.fault {
	case "scopes lost":
		r.Scopes = nil
	case "scopes joined":
		r.Scopes = []string{strings.Join(r.Scopes, ",")}
	case "seconds only":
		r.Expires = r.Expires.Truncate(time.Second)
	case "the key never ends":
		r.Expires = r.Expires.AddDate(100, 0, 0)
	}
	s.list = append(s.list, r)
	return nil
}

func (s *plain) Find(ctx context.Context, hash [sha256.Size]byte) (apikey.Record, error) {
	if err := s.ended(ctx); err != nil {
		return apikey.Record{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.index(func(o apikey.Record) bool {
		if s.is("hashes compared in lower case") {
			return strings.EqualFold(string(o.Hash[:]), string(hash[:])) ||
				strings.EqualFold(strings.ToValidUTF8(string(o.Hash[:]), "?"),
					strings.ToValidUTF8(string(hash[:]), "?"))
		}
		if s.is("half a hash") {
			return [16]byte(o.Hash[:]) == [16]byte(hash[:])
		}
		return o.Hash == hash
	})
	if i < 0 {
		if s.is("no error for nothing") {
			return apikey.Record{}, nil
		}
		return apikey.Record{}, apikey.ErrNotFound
	}
	r := s.list[i]
	if s.is("ended keys are not found") && !r.Revoked.IsZero() {
		return apikey.Record{}, apikey.ErrNotFound
	}
	if !s.is("find hands out its slice") {
		r.Scopes = slices.Clone(r.Scopes)
	}
	return r, nil
}

func (s *plain) End(ctx context.Context, user, id string, at time.Time) error {
	if err := s.ended(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.index(func(o apikey.Record) bool {
		return o.ID == id && (o.User == user || s.is("anybody ends anybody's")) ||
			s.is("a user's keys all end") && o.User == user
	})
	if i < 0 {
		if s.is("ending nothing is no error") {
			return nil
		}
		return apikey.ErrNotFound
	}
	switch r := &s.list[i]; {
	case s.is("the last end wins"), r.Revoked.IsZero(),
		at.Before(r.Revoked) && !s.is("the first end wins"):
		r.Revoked = at
		if s.is("an end is a use") {
			r.LastUsed = at
		}
	}
	if s.is("a user's keys all end") {
		for i := range s.list {
			s.list[i].Revoked = at
		}
	}
	return nil
}

func (s *plain) Touch(ctx context.Context, id string, at time.Time) error {
	if err := s.ended(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	i := s.index(func(o apikey.Record) bool { return o.ID == id })
	if i < 0 {
		defer s.mu.Unlock()
		if s.is("touching nothing is an error") {
			return apikey.ErrNotFound
		}
		return nil
	}
	r := s.list[i]
	if s.is("a use writes the row back") {
		s.mu.Unlock()
		elsewhere()
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	if at.After(r.LastUsed) || s.is("uses go back") {
		r.LastUsed = at
	}
	if !r.Revoked.IsZero() && !at.Before(r.Revoked) && !s.is("uses after the end") {
		r.LastUsed = s.list[i].LastUsed
	}
	if s.is("a use un-revokes") {
		r.Revoked = time.Time{}
	}
	if s.is("a use prolongs") {
		r.Expires = at.AddDate(0, 3, 0)
	}
	if s.is("a use writes the row back") {
		s.list[i] = r
		return nil
	}
	s.list[i].LastUsed, s.list[i].Revoked, s.list[i].Expires = r.LastUsed, r.Revoked, r.Expires
	return nil
}

// variable names the fault for the child process.
const variable = "SALLYPORT_BROKEN_KEY_STORE"

func run(t *testing.T, fault string) {
	storetest.Run(t, func(*testing.T) apikey.Store { return &plain{fault: fault} })
}

func TestThePlainestStorePasses(t *testing.T) { run(t, "") }

func TestMemoryPasses(t *testing.T) {
	storetest.Run(t, func(t *testing.T) apikey.Store {
		store, err := apikey.NewMemory(apikey.MemoryConfig{})
		require.NoError(t, err)
		return store
	})
}

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
		"scopes lost":                       "what_was_created",
		"scopes joined":                     "what_was_created",
		"seconds only":                      "what_was_created",
		"the key never ends":                "what_was_created",
		"no error for nothing":              "what_was_created",
		"ids twice":                         "ids_and_hashes",
		"hashes twice":                      "ids_and_hashes",
		"create overwrites":                 "ids_and_hashes",
		"another error for what exists":     "ids_and_hashes",
		"hashes compared in lower case":     "hashes_match",
		"half a hash":                       "hashes_match",
		"the last end wins":                 "an_end_is_never",
		"the first end wins":                "an_end_is_never",
		"a user's keys all end":             "an_end_is_never",
		"ended keys are not found":          "an_end_is_never",
		"an end is a use":                   "an_end_is_never",
		"anybody ends anybody's":            "a_user_ends_only",
		"ending nothing is no error":        "a_user_ends_only",
		"uses go back":                      "a_use_changes",
		"a use prolongs":                    "a_use_changes",
		"touching nothing is an error":      "a_use_changes",
		"a use un-revokes":                  "a_use_does_not",
		"uses after the end":                "a_use_does_not",
		"create keeps the caller's slice":   "records_are_copies",
		"find hands out its slice":          "records_are_copies",
		"create looks before it writes":     "one_of_many",
		"a use writes the row back":         "no_race",
		"contexts ignored":                  "a_context_that",
		"a context that ended is not found": "a_context_that",
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
