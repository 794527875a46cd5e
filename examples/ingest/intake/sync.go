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
	in.accept(w, r, received, batch.Rejected)
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
