package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/opsmantik/sallyport/audit"
)

// A log file: append, keep the receipt elsewhere, verify against it.
func Example() {
	dir, err := os.MkdirTemp("", "audit")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "audit.log")
	log, err := audit.New(audit.Config{Path: path})
	if err != nil {
		panic(err)
	}
	receipt, err := log.Append(context.Background(), audit.Record{
		Time:    time.Now(),
		Actor:   audit.Actor{Kind: "user", ID: "ada"},
		Tenant:  "shop",
		Action:  "role.change",
		Target:  audit.Target{Kind: "user", ID: "bob"},
		Outcome: audit.OutcomeSuccess,
		Fields:  []audit.Field{{Name: "to", Value: "admin", Class: audit.Internal}},
	})
	if err = errors.Join(err, log.Close()); err != nil {
		panic(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	fmt.Println(audit.Verify(audit.Entries(bytes.NewReader(data)), receipt.Tree))
	forged := bytes.Replace(data, []byte("ada"), []byte("eve"), 1)
	err = audit.Verify(audit.Entries(bytes.NewReader(forged)), receipt.Tree)
	fmt.Println(errors.Is(err, audit.ErrTampered))
	// Output:
	// <nil>
	// true
}

// In a transaction: read the head, act, store the entry and the new head.
func ExampleAppend() {
	var table [][]byte // stands for a table of entries and a row with the head
	var head audit.Head

	entry, next, err := audit.Append(head, record("7"))
	if err != nil {
		panic(err) // roll back: no record, no action
	}
	table, head = append(table, entry), next // and commit

	fmt.Println(audit.Verify(all(table), head.Tree()), head.Size())
	// Output: <nil> 1
}

// Verifying against the head that is stored beside the entries proves nothing
// about somebody who can write both.
func ExampleVerify_incorrect() {
	forged := []byte("a line that was never recorded")
	head := audit.Head{}.Append(forged) // the forger updates the head too
	fmt.Println(audit.Verify(all([][]byte{forged}), head.Tree()))
	// Output: <nil>
}
