package query_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/query"
)

// Page through what one actor did, and hand each record to a SIEM.
func ExampleFind() {
	dir, err := os.MkdirTemp("", "query")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx := context.Background()
	log, err := audit.New(audit.Config{Dir: dir})
	if err != nil {
		panic(err)
	}
	for i := range 4 {
		if _, err := log.Append(ctx, record(i)); err != nil {
			panic(err)
		}
	}
	q := query.Query{Actor: "u0", Limit: 1}
	for more := true; more; more = q.After != "" {
		page, err := query.Find(ctx, log, q)
		if err != nil {
			panic(err)
		}
		for _, row := range page.Rows {
			event, err := query.OCSF(row)
			fmt.Println(row.Index, row.Record.Action, len(event) > 0, err)
		}
		q.After = page.Next
	}
	// Output:
	// 0 calls.seal true <nil>
	// 3 calls.read true <nil>
}

func ExampleQuarter() {
	from, until := query.Quarter(time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC))
	fmt.Println(from.Format(time.DateOnly), until.Format(time.DateOnly))
	// Output: 2026-10-01 2027-01-01
}

// A cursor is the text that the last page returned, for the same query. A page number
// would skip rows, or show them twice, while others are added.
func ExampleFind_incorrect() {
	dir, err := os.MkdirTemp("", "query")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	log, err := audit.New(audit.Config{Dir: dir})
	if err != nil {
		panic(err)
	}
	_, err = query.Find(context.Background(), log, query.Query{Actor: "u0", After: "page=2"})
	fmt.Println(err)
	// Output: query: malformed cursor, or a limit beyond 1000
}
