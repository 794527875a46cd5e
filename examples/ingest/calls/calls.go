// Package calls lets people look at a site's calls and events, and seal, junk
// or undo a call. Every handler receives a grant: one that skips the check of
// site access does not compile.
package calls

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/examples/ingest/trail"
	"github.com/opsmantik/sallyport/tenancy"
)

// listLimit bounds a list.
const listLimit = 500

// The permissions. Which role holds which is in package gates.
type (
	// View is to see calls.
	View struct{}
	// ViewEvents is to see events and visits.
	ViewEvents struct{}
	// Seal is to confirm a call.
	Seal struct{}
	// Junk is to discard a call.
	Junk struct{}
	// Undo is to take a seal or a junk back.
	Undo struct{}
)

// Permission names the permission.
func (View) Permission() string { return "calls:view" }

// Permission names the permission.
func (ViewEvents) Permission() string { return "events:view" }

// Permission names the permission.
func (Seal) Permission() string { return "calls:seal" }

// Permission names the permission.
func (Junk) Permission() string { return "calls:junk" }

// Permission names the permission.
func (Undo) Permission() string { return "calls:undo" }

// Calls holds the handlers.
type Calls struct {
	Store interface {
		store.Calls
		store.Events
		store.Visits
		VerifyAudit(context.Context) (audit.Head, error)
	}
	Log *slog.Logger
}

// List answers GET /api/sites/{site_id}/calls.
func (c *Calls) List(w http.ResponseWriter, r *http.Request, g tenancy.Grant[View]) {
	rows, err := c.Store.Calls(r.Context(), g.Scope(), listLimit)
	c.list(w, r, "calls", rows, err)
}

// Events answers GET /api/sites/{site_id}/events.
func (c *Calls) Events(w http.ResponseWriter, r *http.Request, g tenancy.Grant[ViewEvents]) {
	rows, err := c.Store.Events(r.Context(), g.Scope(), listLimit)
	c.list(w, r, "events", rows, err)
}

// Verify answers POST /api/audit/verify?site_id=...: the log is checked against
// its head, and the tables against the log, as at every start.
func (c *Calls) Verify(w http.ResponseWriter, r *http.Request, _ tenancy.Grant[trail.View]) {
	head, err := c.Store.VerifyAudit(r.Context())
	if errors.Is(err, audit.ErrTampered) {
		c.Log.ErrorContext(r.Context(), "audit log or tables were tampered with", "error", err)
		reply.JSON(w, http.StatusOK, map[string]any{"ok": false})
		return
	}
	if err != nil {
		c.unavailable(w, r, err)
		return
	}
	reply.JSON(w, http.StatusOK, map[string]any{
		"ok": true, "entries": head.Size(), "root": head.Tree().Hash.String(),
	})
}

func (c *Calls) list(w http.ResponseWriter, r *http.Request, name string, rows any, err error) {
	if err != nil {
		c.unavailable(w, r, err)
		return
	}
	reply.JSON(w, http.StatusOK, map[string]any{name: rows})
}

// Seal answers POST /api/calls/{id}/seal.
func (c *Calls) Seal(w http.ResponseWriter, r *http.Request, g tenancy.Grant[Seal]) {
	c.act(w, r, g.Scope(), "seal")
}

// Junk answers POST /api/calls/{id}/junk.
func (c *Calls) Junk(w http.ResponseWriter, r *http.Request, g tenancy.Grant[Junk]) {
	c.act(w, r, g.Scope(), "junk")
}

// Undo answers POST /api/calls/{id}/undo.
func (c *Calls) Undo(w http.ResponseWriter, r *http.Request, g tenancy.Grant[Undo]) {
	c.act(w, r, g.Scope(), "undo")
}

// act does one thing to one call. The site is the grant's, so a call of
// another site is not found, whatever its id.
func (c *Calls) act(w http.ResponseWriter, r *http.Request, scope tenancy.Scope, name string) {
	act := store.Act{Name: name, Call: r.PathValue("id")}
	status, err := c.Store.Act(r.Context(), scope, act)
	switch {
	case errors.Is(err, store.ErrNoCall):
		reply.Problem(w, http.StatusNotFound, tenancy.CodeNotFound, "There is nothing here")
	case errors.Is(err, store.ErrCallState):
		reply.Problem(w, http.StatusConflict, reply.CodeCallState, "The call is in another state")
	case err != nil:
		c.unavailable(w, r, err)
	default:
		reply.JSON(w, http.StatusOK, map[string]any{"ok": true, "id": act.Call, "status": status})
	}
}

func (c *Calls) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	c.Log.ErrorContext(r.Context(), "store unavailable", "error", err)
	reply.Unavailable(w, reply.CodeStoreUnavailable, "The store does not answer; try again")
}
