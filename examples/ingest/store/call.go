package store

import (
	"errors"
	"strconv"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/tenancy"
)

var (
	// ErrNoCall means that the site has no such call.
	ErrNoCall = errors.New("store: no such call")
	// ErrCallState means that the call cannot go from where it is to there.
	ErrCallState = errors.New("store: the call is in another state")
)

// The states of a call. It begins as an intent, undecided.
const (
	Intent = "intent"
	Sealed = "sealed"
	Junk   = "junk"
)

// Act is one administrative action on one call.
type Act struct {
	Name string // "seal", "junk" or "undo"
	Call string
}

// Next is the state that an action leads to, or ErrCallState. Seal and junk
// start from an undecided call; undo takes either back.
//
//	            seal             undo
//	intent ------------> sealed ------> intent
//	        \-----------> junk  ------> intent
//	            junk             undo
func (a Act) Next(status string) (string, error) {
	switch {
	case a.Name == "seal" && status == Intent:
		return Sealed, nil
	case a.Name == "junk" && status == Intent:
		return Junk, nil
	case a.Name == "undo" && status != Intent:
		return Intent, nil
	default:
		return "", ErrCallState
	}
}

// Record is what an action leaves in the audit log.
func (a Act) Record(now time.Time, scope tenancy.Scope, previous, status string) audit.Record {
	return audit.Record{
		Time:    now,
		Actor:   audit.Ref{Kind: "user", ID: scope.User()},
		Tenant:  scope.Site(),
		Action:  "calls." + a.Name,
		Target:  audit.Ref{Kind: "call", ID: a.Call},
		Outcome: audit.OutcomeSuccess,
		Fields: []audit.Field{
			{Name: "from", Value: previous, Class: sallyport.Internal},
			{Name: "to", Value: status, Class: sallyport.Internal},
		},
	}
}

// ReplayRecord is what replaying a site's dead letters leaves in the audit log.
func ReplayRecord(now time.Time, scope tenancy.Scope, n int64) audit.Record {
	return audit.Record{
		Time:    now,
		Actor:   audit.Ref{Kind: "user", ID: scope.User()},
		Tenant:  scope.Site(),
		Action:  "queue.replay",
		Target:  audit.Ref{Kind: "site", ID: scope.Site()},
		Outcome: audit.OutcomeSuccess,
		Fields:  []audit.Field{{Name: "letters", Value: strconv.FormatInt(n, 10), Class: sallyport.Internal}},
	}
}
