// Package delivery carries events from the durable queue to the worker that
// stores them: at least once on the way, exactly once in effect, because the
// worker recognises what it already holds.
package delivery

import (
	"errors"
	"io"
	"log/slog"
	"net/http"

	"github.com/go-json-experiment/json"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/examples/ingest/store"
)

// MaxBody bounds a delivery, in bytes. A batch is cut well below it.
const MaxBody = 8 << 20

// batch is the body of POST /api/sync/worker.
type batch struct {
	Events *[]event.Received `json:"events"` // required
}

// Worker answers POST /api/sync/worker. It must stand behind the gate that
// verifies Upstash-Signature: it trusts the body.
type Worker struct {
	Events store.Events
	Log    *slog.Logger
}

func (wk *Worker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		reply.BodyError(w, err)
		return
	}
	var delivered batch
	if err := json.Unmarshal(body, &delivered); err != nil || delivered.Events == nil {
		// Signed and yet not ours: trying again will not change it.
		reply.Problem(w, http.StatusUnprocessableEntity, event.CodeWrongShape, "The delivery has another shape")
		return
	}
	stored, err := wk.Events.Store(r.Context(), *delivered.Events)
	if errors.Is(err, store.ErrUnstorable) {
		reply.Problem(w, http.StatusUnprocessableEntity, event.CodeWrongShape,
			"The delivery holds what cannot be stored")
		return
	}
	if err != nil {
		wk.Log.ErrorContext(r.Context(), "delivery not stored", "error", err)
		reply.Unavailable(w, reply.CodeStoreUnavailable, "The delivery was not stored; deliver it again")
		return
	}
	if stored.Conflicts > 0 { // their senders were answered before the store was asked
		wk.Log.WarnContext(r.Context(), "calls not stored: their event ids are those of other calls",
			"calls", stored.Conflicts)
	}
	reply.JSON(w, http.StatusOK, map[string]any{
		"ok": true, "stored": stored.New, "duplicates": stored.Duplicates,
	})
}
