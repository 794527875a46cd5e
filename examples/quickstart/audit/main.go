// Command audit appends a record to a log, and verifies the log against the
// head that it would send elsewhere.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/opsmantik/sallyport/audit"
)

func record(ctx context.Context, path string) (head audit.Head, err error) {
	trail, err := audit.New(audit.Config{Path: path})
	if err != nil {
		return head, err
	}
	_, err = trail.Append(ctx, audit.Record{ // returns once it is on disk
		Time:    time.Now(),
		Actor:   audit.Actor{Kind: "user", ID: "ada"},
		Tenant:  "shop",
		Action:  "calls.seal",
		Target:  audit.Target{Kind: "call", ID: "7"},
		Outcome: audit.OutcomeSuccess,
	})
	return trail.Head(), errors.Join(err, trail.Close())
}

// verify compares the file with a head that was kept where nobody who can
// write the file can write.
func verify(path string, head audit.Head) error {
	file, err := os.Open(path) // #nosec G304 -- the caller names the file
	if err != nil {
		return err
	}
	return errors.Join(audit.Verify(audit.Entries(file), head.Tree()), file.Close())
}

func main() {
	dir, err := os.MkdirTemp("", "audit-")
	if err != nil {
		log.Fatal(err)
	}
	path := filepath.Join(dir, "audit.log")
	head, err := record(context.Background(), path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(path, head.Tree().Hash, verify(path, head))
}
