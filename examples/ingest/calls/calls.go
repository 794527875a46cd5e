// Package calls lets people look at a site's calls and events, and seal, junk
// or undo a call. Every handler receives a grant: one that skips the check of
// site access does not compile.
package calls

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
)

// listLimit bounds a list.
const listLimit = 500

// The permissions. Which role holds which is in Roles.
type (
	// View is to see calls and events.
	View struct{}
	// Seal is to confirm a call.
	Seal struct{}
	// Junk is to discard a call.
	Junk struct{}
	// Undo is to take a seal or a junk back.
	Undo struct{}
	// ViewAudit is to see who did what.
	ViewAudit struct{}
)

// Permission names the permission.
func (View) Permission() string { return "calls:view" }

// Permission names the permission.
func (Seal) Permission() string { return "calls:seal" }

// Permission names the permission.
func (Junk) Permission() string { return "calls:junk" }

// Permission names the permission.
func (Undo) Permission() string { return "calls:undo" }

// Permission names the permission.
func (ViewAudit) Permission() string { return "audit:view" }

// Roles is the permission table: nothing is inherited. Who administers needs a
// second factor, which is what a row without a level says.
func Roles() map[tenancy.Role]tenancy.Rights {
	manager := []string{
		View{}.Permission(), Seal{}.Permission(), Junk{}.Permission(), Undo{}.Permission(),
	}
	admin := append([]string{ViewAudit{}.Permission()}, manager...)
	return map[tenancy.Role]tenancy.Rights{
		"superadmin": {Permissions: admin},
		"admin":      {Permissions: admin},
		"manager":    {Permissions: manager, Level: sallyport.AAL1},
		"rep":        {Permissions: []string{View{}.Permission()}, Level: sallyport.AAL1},
	}
}

// Calls holds the handlers.
type Calls struct {
	Store interface {
		store.Calls
		store.Events
	}
	Log *slog.Logger
}

// List answers GET /api/sites/{site_id}/calls.
func (c *Calls) List(w http.ResponseWriter, r *http.Request, g tenancy.Grant[View]) {
	rows, err := c.Store.Calls(r.Context(), g.Site(), listLimit)
	c.list(w, r, "calls", rows, err)
}

// Events answers GET /api/sites/{site_id}/events.
func (c *Calls) Events(w http.ResponseWriter, r *http.Request, g tenancy.Grant[View]) {
	rows, err := c.Store.Events(r.Context(), g.Site(), listLimit)
	c.list(w, r, "events", rows, err)
}

// Audit answers GET /api/audit?site_id=...: the site's part of the log, as it
// was recorded.
func (c *Calls) Audit(w http.ResponseWriter, r *http.Request, g tenancy.Grant[ViewAudit]) {
	rows, err := c.Store.AuditOf(r.Context(), g.Site(), listLimit)
	c.list(w, r, "entries", rows, err)
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
	c.act(w, r, store.Act{Name: "seal", Site: g.Site(), Actor: g.User()})
}

// Junk answers POST /api/calls/{id}/junk.
func (c *Calls) Junk(w http.ResponseWriter, r *http.Request, g tenancy.Grant[Junk]) {
	c.act(w, r, store.Act{Name: "junk", Site: g.Site(), Actor: g.User()})
}

// Undo answers POST /api/calls/{id}/undo.
func (c *Calls) Undo(w http.ResponseWriter, r *http.Request, g tenancy.Grant[Undo]) {
	c.act(w, r, store.Act{Name: "undo", Site: g.Site(), Actor: g.User()})
}

// act does one thing to one call. The site is the grant's, so a call of
// another site is not found, whatever its id.
func (c *Calls) act(w http.ResponseWriter, r *http.Request, act store.Act) {
	act.Call = r.PathValue("id")
	status, err := c.Store.Act(r.Context(), act)
	switch {
	case errors.Is(err, store.ErrNoCall):
		reply.Problem(w, http.StatusNotFound, "not_found", "There is nothing here")
	case errors.Is(err, store.ErrCallState):
		reply.Problem(w, http.StatusConflict, "call_state", "The call is in another state")
	case err != nil:
		c.unavailable(w, r, err)
	default:
		reply.JSON(w, http.StatusOK, map[string]any{"ok": true, "id": act.Call, "status": status})
	}
}

func (c *Calls) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	c.Log.ErrorContext(r.Context(), "store unavailable", "error", err)
	reply.Unavailable(w, "store_unavailable", "The store does not answer; try again")
}
