// Command audit appends a record to a log, and verifies the log against the
// receipt that it would send elsewhere.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/opsmantik/sallyport/audit"
)

func record(ctx context.Context, dir string) (audit.Receipt, error) {
	trail, err := audit.New(audit.Config{Dir: dir})
	if err != nil {
		return audit.Receipt{}, err
	}
	receipt, err := trail.Append(ctx, audit.Record{ // returns once it is on disk
		Time:    time.Now(),
		Actor:   audit.Ref{Kind: "user", ID: "ada"},
		Tenant:  "shop",
		Action:  "calls.seal",
		Target:  audit.Ref{Kind: "call", ID: "7"},
		Outcome: audit.OutcomeSuccess,
	})
	return receipt, errors.Join(err, trail.Close())
}

// verify compares the files with a receipt that was kept where nobody who can
// write the files can write.
func verify(dir string, receipt audit.Receipt) error {
	return audit.Verify(audit.Entries(os.DirFS(dir), 0), receipt.Tree)
}

func main() {
	dir, err := os.MkdirTemp("", "audit-")
	if err != nil {
		log.Fatal(err)
	}
	receipt, err := record(context.Background(), dir)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(dir, receipt.Tree.Hash, verify(dir, receipt))
}
