package storetest

import (
	"context"
	"iter"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
)

func TestFiles(t *testing.T) {
	t.Parallel()
	dirs := map[audit.Store]string{}
	open := func(t *testing.T, dir string) audit.Store {
		log, err := audit.New(audit.Config{Dir: dir})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, log.Close()) })
		dirs[log] = dir
		return log
	}
	Run(t, Harness{
		New: func(t *testing.T) audit.Store { return open(t, filepath.Join(t.TempDir(), "log")) },
		Reopen: func(t *testing.T, s audit.Store) audit.Store {
			require.NoError(t, s.(*audit.Log).Close())
			return open(t, dirs[s])
		},
	})
}

// naive is the contract in its plainest form. A fault breaks it in one way.
type naive struct {
	fault   string
	mu      sync.Mutex
	entries [][]byte
	head    audit.Head
}

func (s *naive) is(fault string) bool { return s.fault == fault }

func (s *naive) Append(ctx context.Context, r audit.Record) (audit.Receipt, error) {
	entry, err := r.Encode()
	if err != nil && s.is("takes what is invalid") {
		entry, err = []byte("x"), nil
	}
	if err == nil && !s.is("ignores the context") {
		err = ctx.Err()
	}
	if err != nil && s.is("answers with bare errors") {
		return audit.Receipt{}, err
	}
	if err != nil {
		return audit.Receipt{}, &sallyport.Refusal{Gate: "audit", Err: err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(entry)
	receipt := audit.Receipt{Index: s.head.Size() - 1, Tree: s.head.Tree()}
	if s.is("receipts one too high") {
		receipt.Index++
	}
	if s.is("receipts of another tree") {
		receipt.Tree.Hash[0] ^= 1
	}
	return receipt, nil
}

func (s *naive) add(entry []byte) {
	n := len(s.entries)
	switch {
	case s.is("loses one") && n == 4:
		s.head = s.head.Next(entry)
		return
	case s.is("stores one twice") && n == 4:
		s.entries = append(s.entries, entry)
		s.head = s.head.Next(entry)
	case s.is("newest first"):
		s.entries = append([][]byte{entry}, s.entries...)
		s.head = audit.Head{}
		for _, e := range s.entries {
			s.head = s.head.Next(e)
		}
		return
	case s.is("encodes again"):
		r, _ := audit.Parse(entry)
		r.Fields = nil
		entry, _ = r.Encode()
	}
	s.entries = append(s.entries, entry)
	s.head = s.head.Next(entry)
}

func (s *naive) Head(context.Context) (audit.Head, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.is("head of nothing"):
		return audit.Head{}, nil
	case s.is("a head that is never empty") && s.head.Size() == 0:
		return s.head.Next([]byte("x")), nil
	}
	return s.head, nil
}

func (s *naive) Entries(_ context.Context, from int64) iter.Seq2[[]byte, error] {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.is("ignores from"):
		from = 0
	case s.is("begins one later") && from > 0:
		from++
	}
	entries := s.entries[min(from, int64(len(s.entries))):]
	return func(yield func([]byte, error) bool) {
		for _, entry := range entries {
			if !yield(entry, nil) {
				return
			}
		}
	}
}

func (s *naive) reopen() *naive {
	if s.is("forgets") {
		return &naive{}
	}
	return s
}

// The suite passes a store that keeps the contract, and fails each that does not.
func TestEachBrokenStoreFails(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{
		"", "loses one", "stores one twice", "newest first", "encodes again", "head of nothing",
		"a head that is never empty", "ignores from", "begins one later", "forgets",
		"takes what is invalid", "ignores the context", "answers with bare errors",
		"receipts one too high", "receipts of another tree",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			failed := []string{}
			for name, clause := range clauses {
				err := clause(t, Harness{
					New: func(*testing.T) audit.Store { return &naive{fault: fault} },
					Reopen: func(_ *testing.T, s audit.Store) audit.Store {
						return s.(*naive).reopen()
					},
				})
				if err != nil {
					failed = append(failed, name)
				}
			}
			require.Equal(t, fault == "", len(failed) == 0, "%v", failed)
		})
	}
}
