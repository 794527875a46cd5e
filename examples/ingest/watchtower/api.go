package watchtower

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/opsmantik/sallyport/audit/watch"
	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/tenancy"
)

// The permissions.
type (
	// View is to see alerts.
	View struct{}
	// Decide is to acknowledge and silence them.
	Decide struct{}
)

// Permission names the permission.
func (View) Permission() string { return "watch:view" }

// Permission names the permission.
func (Decide) Permission() string { return "watch:decide" }

const (
	// platform is the role that sees what concerns all sites at once.
	platform = "superadmin"
	maxBody  = 4096
)

// API holds the handlers.
type API struct {
	Tower *Tower
	// Alone is whether there is one site only: its admins run the server.
	Alone bool
	Log   *slog.Logger
}

// sees: alerts of a site are its admins'; those of everything, with addresses that may
// be another site's visitors, are the platform's.
func (a *API) sees(alert watch.Alert, site string, role tenancy.Role) bool {
	return alert.Tenant == site || role == platform || a.Alone
}

// List answers GET /watchtower/alerts?site_id=...
func (a *API) List(w http.ResponseWriter, _ *http.Request, g tenancy.Grant[View]) {
	all := slices.DeleteFunc(a.Tower.Alerts(), func(alert watch.Alert) bool {
		return !a.sees(alert, g.Site(), g.Role())
	})
	health := a.Tower.Health()
	reply.JSON(w, http.StatusOK, map[string]any{
		"alerts": all, "beat": health.Beat, "dropped": health.Dropped,
	})
}

// Decide answers POST /watchtower/alerts?site_id=... {"alert","action","reason","hours"}.
// Actions are acknowledge, silence, expected, and for the platform breach and notified.
func (a *API) Decide(w http.ResponseWriter, r *http.Request, g tenancy.Grant[Decide]) {
	var given struct {
		Alert  string `json:"alert"`
		Action string `json:"action"`
		Reason string `json:"reason"`
		Hours  int    `json:"hours"`
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		reply.BodyError(w, err)
		return
	}
	if json.Unmarshal(text, &given, json.RejectUnknownMembers(true)) != nil ||
		given.Hours < 0 || given.Hours > 30*24 || given.Alert == "" || given.Reason == "" {
		a.wrong(w)
		return
	}
	breach := given.Action == string(watch.Breach)
	visible := slices.ContainsFunc(a.Tower.Alerts(), func(alert watch.Alert) bool {
		return alert.ID == given.Alert && a.sees(alert, g.Site(), g.Role())
	})
	if !visible && (!breach || g.Role() != platform && !a.Alone) {
		a.absent(w)
		return
	}
	now := time.Now()
	err = a.Tower.Decide(r.Context(), watch.Decision{
		Alert: given.Alert, Action: watch.Action(given.Action), Actor: g.User(),
		Reason: given.Reason, Time: now, Until: now.Add(time.Duration(given.Hours) * time.Hour),
	})
	switch {
	case err == nil:
		reply.JSON(w, http.StatusOK, map[string]any{"ok": true})
	case errors.Is(err, watch.ErrNoAlert):
		a.absent(w)
	case errors.Is(err, watch.ErrDecision):
		a.wrong(w)
	default:
		a.Log.ErrorContext(r.Context(), "decision not recorded", "error", err)
		reply.Unavailable(w, reply.CodeStoreUnavailable, "The decision was not recorded; try again")
	}
}

func (a *API) wrong(w http.ResponseWriter) {
	reply.Problem(w, http.StatusUnprocessableEntity, event.CodeWrongShape,
		"Want an alert, an action, a reason and, for silence and expected, hours")
}

func (a *API) absent(w http.ResponseWriter) {
	reply.Problem(w, http.StatusNotFound, tenancy.CodeNotFound, "There is no such alert")
}
