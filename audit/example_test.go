package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
)

// A log file: append, keep the receipt elsewhere, verify against it.
func Example() {
	dir, err := os.MkdirTemp("", "audit")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	dir = filepath.Join(dir, "audit")
	log, err := audit.New(audit.Config{Dir: dir})
	if err != nil {
		panic(err)
	}
	receipt, err := log.Append(context.Background(), audit.Record{
		Time:    time.Now(),
		Actor:   audit.Ref{Kind: "user", ID: "ada"},
		Tenant:  "shop",
		Action:  "role.change",
		Target:  audit.Ref{Kind: "user", ID: "bob"},
		Outcome: audit.OutcomeSuccess,
		Fields:  []audit.Field{{Name: "to", Value: "admin", Class: sallyport.Internal}},
	})
	if err = errors.Join(err, log.Close()); err != nil {
		panic(err)
	}
	fmt.Println(audit.Verify(audit.Entries(os.DirFS(dir), 0), receipt.Tree))

	path := filepath.Join(dir, "00000000000000000000.log")
	data, err := os.ReadFile(path) // #nosec G304 -- made above
	if err != nil {
		panic(err)
	}
	forged := bytes.Replace(data, []byte("ada"), []byte("eve"), 1)
	if err = os.WriteFile(path, forged, 0o600); err != nil {
		panic(err)
	}
	err = audit.Verify(audit.Entries(os.DirFS(dir), 0), receipt.Tree)
	fmt.Println(errors.Is(err, audit.ErrTampered))
	// Output:
	// <nil>
	// true
}

// In a transaction: read the head, act, store the entry and the new head.
func ExampleHead_Next() {
	var table [][]byte // stands for a table of entries and a row with the head
	var head audit.Head

	entry, err := record("7").Encode()
	if err != nil {
		panic(err) // roll back: no record, no action
	}
	table, head = append(table, entry), head.Next(entry) // and commit

	fmt.Println(audit.Verify(all(table), head.Tree()), head.Size())
	// Output: <nil> 1
}

// Verifying against the head that is stored beside the entries proves nothing
// about somebody who can write both.
func ExampleVerify_incorrect() {
	forged := []byte("a line that was never recorded")
	head := audit.Head{}.Next(forged) // the forger updates the head too
	fmt.Println(audit.Verify(all([][]byte{forged}), head.Tree()))
	// Output: <nil>
}
