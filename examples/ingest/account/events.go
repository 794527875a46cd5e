package account

import (
	"context"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
)

// The codes of events that refuse nobody.
const (
	// codePassword: a password was right.
	codePassword = "password_accepted"
	// codeSecondFactor: a second factor was right.
	codeSecondFactor = "second_factor_accepted"
	// codeKeyAdded: a security key was registered.
	codeKeyAdded = "security_key_added"
	// codeKeyRemoved: a security key was removed.
	codeKeyRemoved = "security_key_removed"
	// codeSignedOut: a session was ended by its user.
	codeSignedOut = "signed_out"
)

// report tells the operator's log and metrics what happened.
func (a *Accounts) report(r *http.Request, user, code string, allowed bool) {
	a.OnEvent(r.Context(), sallyport.Event{
		Gate: "account", Code: code, Allowed: allowed, Actor: user, Request: r,
	})
}

// record appends to the audit log. What it must not lose does not happen without.
func (a *Accounts) record(r *http.Request, user, action string, outcome audit.Outcome) error {
	return a.Record(context.WithoutCancel(r.Context()), audit.Record{
		Time:    time.Now(),
		Actor:   audit.Ref{Kind: "user", ID: user},
		Action:  action,
		Target:  audit.Ref{Kind: "user", ID: user},
		Outcome: outcome,
	})
}

// ended records that somebody has ended a session. It is over whether or not that can be
// recorded: nobody must stay signed in for want of a log. Who had none leaves no record.
func (a *Accounts) ended(r *http.Request, user, action string) {
	if user == "" {
		return
	}
	if err := a.record(r, user, action, audit.OutcomeSuccess); err != nil {
		a.Log.ErrorContext(r.Context(), "account: the end of a session is not recorded", "error", err)
	}
}
