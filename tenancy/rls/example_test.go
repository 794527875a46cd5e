package rls_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/rls"
)

// The statements that put a table behind row level security, for a migration.
func Example() {
	sql, err := rls.Policies(rls.Table{Schema: "app", Name: "calls", Site: "site_id"}, "server")
	if err != nil {
		panic(err)
	}
	fmt.Println(strings.Count(sql, "create policy"), strings.Contains(sql, "force row level security"))
	// Output: 4 true
}

// A query without a proof of access, such as one that a goroutine runs after the request
// has ended with a scope that was kept, is refused before it reaches the database.
func Example_incorrect() {
	var db rls.DB
	batch := &rls.Batch{}
	batch.Query(func(pgx.Rows) error { return nil }, "select note from calls")
	fmt.Println(db.Read(context.Background(), tenancy.Scope{}, batch))
	// Output: rls: rls_scope_refused: rls: DB not made by Open
}
