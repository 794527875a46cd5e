package intake

import (
	"net/http"

	"github.com/opsmantik/sallyport/examples/ingest/event"
)

// Sync answers POST /api/sync.
func (in *Intake) Sync(w http.ResponseWriter, r *http.Request) {
	text, ok := body(w, r, event.MaxSyncBody, true)
	if !ok {
		return
	}
	batch, err := event.ParseSync(text)
	if err != nil {
		refuse(w, err)
		return
	}
	caller, ok := in.caller(w, r, batch.Events[0].Site)
	if !ok || !in.SyncLimit(w, r, caller) {
		return
	}
	received := consented(batch.Events)
	if len(received) == 0 {
		w.Header().Set("X-Opsmantik-Consent-Missing", "analytics")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	in.stitch(r, received)
	in.accept(w, r, received, batch.Rejected)
}

// stitch says which visit each event belongs to. One body counts once for a visitor,
// however many of his events it holds.
func (in *Intake) stitch(r *http.Request, received []event.Received) {
	visits := map[string]string{}
	for i := range received {
		session := received[i].Event.Session
		if session == "" {
			continue
		}
		visit, ok := visits[session]
		if !ok {
			visit = in.Visit(r.Context(), received[i].Site, session)
			visits[session] = visit
		}
		received[i].Visit = visit
	}
}

// consented keeps the events whose visitors agreed to analytics. The rest is
// forgotten here, before anything is written.
func consented(events []event.Event) (received []event.Received) {
	now := receipt()
	for i := range events {
		if events[i].HasAnalyticsConsent() {
			received = append(received, event.Received{Site: events[i].Site, At: now, Event: &events[i]})
		}
	}
	return received
}
