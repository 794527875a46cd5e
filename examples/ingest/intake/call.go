package intake

import (
	"net/http"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/hmacsig"
)

// Call answers POST /api/call-event/v2, behind the signature gate. The site is
// the one whose secret signed; the body has to agree.
//
// A call event carries no consent fields, and is refused with them: the site
// that holds the secret answers for the consent of what it signs.
func (in *Intake) Call(w http.ResponseWriter, r *http.Request) {
	proof, ok := hmacsig.FromContext(r.Context())
	if !ok {
		reply.Unavailable(w, reply.CodeSignatureVerifierUnavailable, "The signature was not verified")
		return
	}
	caller, ok := in.caller(w, r, event.NormalSite(proof.KeyID))
	if !ok || !in.CallLimit(w, r, caller) {
		return
	}
	text, ok := body(w, r, event.MaxCallBody, false) // what is signed is what was sent
	if !ok {
		return
	}
	call, err := event.ParseCall(text, proof.KeyID)
	if err != nil {
		refuse(w, err)
		return
	}
	call.NameAfter(r.Header.Get("X-Ops-Ts"), text)
	in.accept(w, r, []event.Received{{Site: call.Site, At: receipt(), Call: call}}, nil)
}
