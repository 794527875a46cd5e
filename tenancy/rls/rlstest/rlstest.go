// Package rlstest turns the verdicts of rls.Prove into a test.
package rlstest

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/opsmantik/sallyport/tenancy/rls"
)

// T is what the check needs of a *testing.T.
type T interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// RequireIsolated attacks the database behind a superuser's connection, and fails for
// every object that leaks and for every one that could not be proved: an error is not
// isolation, and neither is a table in which nobody sees a row.
//
//	func TestIsolation(t *testing.T) {
//		conn := migrate(t) // a fresh database with the service's own migrations
//		rlstest.RequireIsolated(t, conn, rls.Plan{
//			Role: "app", Key: sealKey,
//			Public: map[string]string{"app.countries": "the same for everybody"},
//		})
//	}
func RequireIsolated(t T, conn *pgx.Conn, plan rls.Plan) {
	t.Helper()
	verdicts, err := rls.Prove(t.Context(), conn, plan)
	if err != nil {
		t.Fatalf("%v", err)
		return
	}
	if len(verdicts) == 0 {
		t.Errorf("nothing to attack: role %q reaches no relation", plan.Role)
	}
	known := map[string]bool{}
	for _, v := range verdicts {
		known[v.Object] = true
		switch v.Outcome {
		case rls.Leak, rls.Unverified:
			t.Errorf("%s %s: %s", v.Outcome, v.Object, strings.TrimSpace(v.Reason+" "+v.Attack))
		case rls.Public, rls.Proven:
		}
	}
	for object := range plan.Public {
		if !known[object] {
			t.Errorf("Plan.Public names %s, which role %q does not reach: remove it", object, plan.Role)
		}
	}
}
