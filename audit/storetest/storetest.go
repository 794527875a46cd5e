// Package storetest checks that an audit.Store keeps its contract. Every
// implementation of this module passes it; run it against your own.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
)

// Harness is how the suite drives a store.
type Harness struct {
	// New returns an empty store.
	New func(t *testing.T) audit.Store
	// Reopen closes a store and opens it again on the same data. Nil if it cannot.
	Reopen func(t *testing.T, s audit.Store) audit.Store
	// Settle gives what Append acknowledged its place in the order, if that happens
	// later. Nil if it does not.
	Settle func(t *testing.T, s audit.Store)
}

// Run runs the suite, one subtest per clause of the contract.
func Run(t *testing.T, h Harness) {
	for name, clause := range clauses {
		t.Run(name, func(t *testing.T) {
			if err := clause(t, h); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Each clause returns an error, so that the suite's own tests can see that it fails
// for a store that is broken.
var clauses = map[string]func(*testing.T, Harness) error{
	"a new store is empty":                   empty,
	"what is acknowledged is there in order": inOrder,
	"a receipt holds":                        receipts,
	"an older head stays true":               olderHeads,
	"entries from any index":                 fromAnyIndex,
	"an entry is stored as encoded":          asEncoded,
	"an invalid record is refused":           invalid,
	"a cancelled caller is not told success": cancelled,
	"many at once":                           concurrent,
	"reopening changes nothing":              reopened,
}

// Record is a valid one, and different for each id.
func record(id string) audit.Record {
	return audit.Record{
		Time:    time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC),
		Actor:   audit.Ref{Kind: sallyport.KindUser, ID: "u_81"},
		Tenant:  "s1",
		Action:  "calls.seal",
		Target:  audit.Ref{Kind: "call", ID: id},
		Outcome: audit.OutcomeSuccess,
		Reason:  "line\nbreak",
		Fields: []audit.Field{
			{Name: "from", Value: "open", Class: sallyport.Internal},
			{Name: "phone", Value: "+49123", Class: sallyport.Confidential},
			{Name: "mail", Value: "q83v", Class: sallyport.Confidential, Handle: "h1"},
		},
	}
}

func (h Harness) settle(t *testing.T, s audit.Store) {
	if h.Settle != nil {
		h.Settle(t, s)
	}
}

// filled is a store with n records, and what they encode to.
func filled(t *testing.T, h Harness, n int) (audit.Store, []string, error) {
	s := h.New(t)
	var want []string
	for i := range n {
		r := record(fmt.Sprint(i))
		if _, err := s.Append(t.Context(), r); err != nil {
			return s, nil, fmt.Errorf("append: %w", err)
		}
		entry, _ := r.Encode()
		want = append(want, string(entry))
	}
	h.settle(t, s)
	return s, want, nil
}

// collect reads up to n entries.
func collect(entries iter.Seq2[[]byte, error], n int) ([]string, error) {
	all := []string{}
	for entry, err := range entries {
		if err != nil {
			return all, err
		}
		if all = append(all, string(entry)); len(all) == n {
			return all, nil
		}
	}
	return all, nil
}

// same compares a store with what it should hold.
func same(ctx context.Context, s audit.Store, want []string) error {
	head, err := s.Head(ctx)
	if err != nil {
		return fmt.Errorf("head: %w", err)
	}
	if head.Size() != int64(len(want)) {
		return fmt.Errorf("the head has %d entries, want %d", head.Size(), len(want))
	}
	got, err := collect(s.Entries(ctx, 0), len(want))
	if err != nil {
		return fmt.Errorf("entries: %w", err)
	}
	if len(got) != len(want) {
		return fmt.Errorf("got %d entries, want %d", len(got), len(want))
	}
	var tree audit.Head
	for i := range got {
		if got[i] != want[i] {
			return fmt.Errorf("entry %d is %s, want %s", i, got[i], want[i])
		}
		tree = tree.Next([]byte(got[i]))
	}
	if tree.Tree() != head.Tree() {
		return errors.New("the head is not that of the entries")
	}
	return nil
}

func empty(t *testing.T, h Harness) error { return same(t.Context(), h.New(t), nil) }

func inOrder(t *testing.T, h Harness) error {
	s, want, err := filled(t, h, 20)
	if err != nil {
		return err
	}
	return same(t.Context(), s, want)
}

func receipts(t *testing.T, h Harness) error {
	s := h.New(t)
	var got []audit.Receipt
	for i := range 9 {
		receipt, err := s.Append(t.Context(), record(fmt.Sprint(i)))
		if err != nil {
			return fmt.Errorf("append: %w", err)
		}
		got = append(got, receipt)
	}
	h.settle(t, s)
	all, err := collect(s.Entries(t.Context(), 0), 9)
	if err != nil {
		return err
	}
	trees := map[int64]audit.Head{}
	var head audit.Head
	for _, entry := range all {
		head = head.Next([]byte(entry))
		trees[head.Size()] = head
	}
	for i, r := range got {
		if r.Index == -1 && h.Settle != nil {
			continue
		}
		if r.Index != int64(i) || r.Tree.N <= r.Index || trees[r.Tree.N].Tree() != r.Tree {
			return fmt.Errorf("record %d has the receipt %+v", i, r)
		}
	}
	return nil
}

func olderHeads(t *testing.T, h Harness) error {
	s, _, err := filled(t, h, 5)
	if err != nil {
		return err
	}
	old, err := s.Head(t.Context())
	if err != nil {
		return err
	}
	for i := range 7 {
		if _, err := s.Append(t.Context(), record(fmt.Sprint("later", i))); err != nil {
			return err
		}
	}
	h.settle(t, s)
	all, err := collect(s.Entries(t.Context(), 0), int(old.Size()))
	if err != nil {
		return err
	}
	return audit.Verify(sequence(all), old.Tree())
}

func sequence(all []string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, entry := range all {
			if !yield([]byte(entry), nil) {
				return
			}
		}
	}
}

func fromAnyIndex(t *testing.T, h Harness) error {
	s, want, err := filled(t, h, 12)
	if err != nil {
		return err
	}
	for from := range len(want) {
		got, err := collect(s.Entries(t.Context(), int64(from)), len(want)-from)
		if err != nil {
			return err
		}
		if fmt.Sprint(got) != fmt.Sprint(want[from:]) {
			return fmt.Errorf("from %d: got %d entries, want %d", from, len(got), len(want)-from)
		}
	}
	got, err := collect(s.Entries(t.Context(), int64(len(want))), 1)
	if err != nil || len(got) > 0 {
		return fmt.Errorf("from the end: got %v, %w", got, err)
	}
	return nil
}

func asEncoded(t *testing.T, h Harness) error {
	s, want, err := filled(t, h, 1)
	if err != nil {
		return err
	}
	got, err := collect(s.Entries(t.Context(), 0), 1)
	if err != nil {
		return err
	}
	if _, err := audit.Parse([]byte(got[0])); err != nil || got[0] != want[0] {
		return fmt.Errorf("got %s, want %s (%w)", got[0], want[0], err)
	}
	return nil
}

func invalid(t *testing.T, h Harness) error {
	s := h.New(t)
	if _, err := s.Append(t.Context(), audit.Record{}); !errors.Is(err, audit.ErrInvalid) {
		return fmt.Errorf("got %w, want ErrInvalid", err)
	}
	h.settle(t, s)
	return same(t.Context(), s, nil)
}

func cancelled(t *testing.T, h Harness) error {
	s := h.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Append(ctx, record("1"))
	if err == nil {
		return errors.New("append succeeded for a caller that has left")
	}
	if _, ok := errors.AsType[*sallyport.Refusal](err); !ok {
		return fmt.Errorf("got %w, want a refusal", err)
	}
	return nil
}

func concurrent(t *testing.T, h Harness) error {
	const workers, each = 8, 10
	s := h.New(t)
	errs := make(chan error, workers)
	for worker := range workers {
		go func() {
			var err error
			for i := 0; i < each && err == nil; i++ {
				_, err = s.Append(t.Context(), record(fmt.Sprintf("%d-%d", worker, i)))
			}
			errs <- err
		}()
	}
	for range workers {
		if err := <-errs; err != nil {
			return fmt.Errorf("append: %w", err)
		}
	}
	h.settle(t, s)
	all, err := collect(s.Entries(t.Context(), 0), workers*each)
	if err != nil {
		return err
	}
	next := map[int]int{} // each worker's records are in its order, once each
	for _, entry := range all {
		r, err := audit.Parse([]byte(entry))
		if err != nil {
			return err
		}
		var worker, i int
		if _, err := fmt.Sscanf(r.Target.ID, "%d-%d", &worker, &i); err != nil {
			return err
		}
		if next[worker] != i {
			return fmt.Errorf("record %s is out of order, or there twice", r.Target.ID)
		}
		next[worker]++
	}
	return same(t.Context(), s, all)
}

func reopened(t *testing.T, h Harness) error {
	if h.Reopen == nil {
		return nil
	}
	s, want, err := filled(t, h, 6)
	if err != nil {
		return err
	}
	s = h.Reopen(t, s)
	if err := same(t.Context(), s, want); err != nil {
		return err
	}
	r := record("after")
	if _, err := s.Append(t.Context(), r); err != nil {
		return err
	}
	h.settle(t, s)
	entry, _ := r.Encode()
	return same(t.Context(), s, append(want, string(entry)))
}
