package delivery

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
)

// listLimit bounds a list.
const listLimit = 500

type (
	// View is the permission to see a site's dead letters.
	View struct{}
	// Replay is the permission to send them again.
	Replay struct{}
)

// Permission names the permission.
func (View) Permission() string { return "queue:view" }

// Permission names the permission.
func (Replay) Permission() string { return "queue:replay" }

// DeadLetters holds the handlers of what the worker refuses.
type DeadLetters struct {
	Letters store.DeadLetters
	Wake    func() // tells the dispatcher that there is work
	Log     *slog.Logger
}

// List answers GET /api/queue/dead?site_id=...
func (d *DeadLetters) List(w http.ResponseWriter, r *http.Request, g tenancy.Grant[View]) {
	rows, err := d.Letters.DeadOf(r.Context(), g.Scope(), listLimit)
	if err != nil {
		d.unavailable(r.Context(), w, err)
		return
	}
	reply.JSON(w, http.StatusOK, map[string]any{"dead": rows})
}

// Replay answers POST /api/queue/dead/replay?site_id=...
func (d *DeadLetters) Replay(w http.ResponseWriter, r *http.Request, g tenancy.Grant[Replay]) {
	n, err := d.Letters.Replay(r.Context(), g.Scope())
	if err != nil {
		d.unavailable(r.Context(), w, err)
		return
	}
	d.Wake()
	reply.JSON(w, http.StatusOK, map[string]any{"ok": true, "replayed": n})
}

func (d *DeadLetters) unavailable(ctx context.Context, w http.ResponseWriter, err error) {
	d.Log.ErrorContext(ctx, "dead letters unavailable", "error", err)
	reply.Unavailable(w, reply.CodeStoreUnavailable, "The store does not answer; try again")
}
