package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
)

// stateMachine walks a call through its states. What is refused leaves no record,
// what is done leaves one.
func (s suite) stateMachine(t *testing.T) {
	db := s.fresh(t)
	_, err := db.Store(t.Context(), []event.Received{call("c1", site, "e")})
	require.NoError(t, err)
	act := func(name string) store.Act {
		return store.Act{Name: name, Call: "c1"}
	}
	records := int64(0)
	for _, step := range []struct{ name, status string }{
		{"undo", ""},
		{"seal", store.Sealed},
		{"seal", ""},
		{"junk", ""},
		{"undo", store.Intent},
		{"junk", store.Junk},
		{"undo", store.Intent},
		{"erase", ""},
	} {
		status, err := db.Act(t.Context(), Scope(t, "admin", site), act(step.name))
		if step.status == "" {
			require.ErrorIs(t, err, store.ErrCallState, step.name)
		} else {
			require.NoError(t, err)
			require.Equal(t, step.status, status)
			records++
		}
		head, err := db.VerifyAudit(t.Context())
		require.NoError(t, err)
		require.Equal(t, records, head.Size(), step.name)
	}
	_, err = db.Act(t.Context(), Scope(t, "admin", "another"), act("seal"))
	require.ErrorIs(t, err, store.ErrNoCall)
	_, err = db.Act(t.Context(), tenancy.Scope{}, act("seal"))
	require.ErrorIs(t, err, tenancy.ErrNoGrant)
	_, err = db.CallSite(t.Context(), "c2")
	require.ErrorIs(t, err, store.ErrNoCall)
	of, err := db.CallSite(t.Context(), "c1")
	require.NoError(t, err)
	require.Equal(t, site, of)
}

// Everything that lists or changes a site's rows refuses a scope that proves
// nothing.
func (s suite) noScope(t *testing.T) {
	db := s.fresh(t)
	_, err := db.Events(t.Context(), tenancy.Scope{}, 10)
	require.ErrorIs(t, err, tenancy.ErrNoGrant)
	_, err = db.Calls(t.Context(), tenancy.Scope{}, 10)
	require.ErrorIs(t, err, tenancy.ErrNoGrant)
	_, err = db.Visits(t.Context(), tenancy.Scope{}, store.VisitPlace{}, 10)
	require.ErrorIs(t, err, tenancy.ErrNoGrant)
	_, err = db.VisitEvents(t.Context(), tenancy.Scope{}, "v", 10)
	require.ErrorIs(t, err, tenancy.ErrNoGrant)
	_, err = db.AuditOf(t.Context(), tenancy.Scope{}, 10)
	require.ErrorIs(t, err, tenancy.ErrNoGrant)
}
