package gates

import (
	"net/http"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/hmacsig"
)

// newCalls is the signature gate of POST /api/call-event/v2.
func newCalls(cfg Config, replay hmacsig.ReplayStore) (*hmacsig.Verifier, error) {
	keys := make(hmacsig.StaticKeys, len(cfg.Settings.Sites))
	for _, site := range cfg.Settings.Sites {
		ring, err := keyring(site.Secret, site.NextSecret)
		if err != nil {
			return nil, err
		}
		keys[site.ID] = ring
	}
	return hmacsig.New(hmacsig.Config{
		Scheme:       oneSpelling(hmacsig.OpsMantik()),
		Keys:         keys,
		Replay:       replay,
		MaxBodyBytes: event.MaxCallBody,
		OnEvent:      cfg.OnEvent,
		OnReject:     rejectCall,
	})
}

// oneSpelling folds the spellings of a site id into one before anything uses
// it: the header is not signed, and a replay under another spelling would be a
// new message to the replay store.
func oneSpelling(scheme hmacsig.Scheme) hmacsig.Scheme {
	read := scheme.Read
	scheme.Read = func(r *http.Request, m *hmacsig.Message) error {
		err := read(r, m)
		m.KeyID = event.NormalSite(m.KeyID)
		return err
	}
	return scheme
}

// rejectCall speaks the codes of the wire contract.
func rejectCall(w http.ResponseWriter, _ *http.Request, rejection *sallyport.Refusal) {
	switch rejection.Code {
	case hmacsig.CodeReplayed:
		reply.JSON(w, http.StatusOK, map[string]any{"status": "noop"})
	case hmacsig.CodeSignatureMissing, hmacsig.CodeSignatureMalformed:
		reply.Problem(w, http.StatusUnauthorized, reply.CodeSignatureRequired, "Signature required")
	case hmacsig.CodeSignatureExpired, hmacsig.CodeSignatureNotYetValid:
		reply.Problem(w, http.StatusUnauthorized, reply.CodeSignatureTimestampInvalid,
			"Signed too long ago, or ahead")
	case hmacsig.CodeSignatureInvalid, hmacsig.CodeSignatureClaims, hmacsig.CodeBodyDigest:
		reply.Problem(w, http.StatusUnauthorized, reply.CodeSignatureInvalid, "Signature invalid")
	case hmacsig.CodeReplayShareFull:
		w.Header().Set("X-Opsmantik-Ratelimit", "1")
		rejection.Write(w)
	case hmacsig.CodeBodyTooLarge:
		reply.TooLarge(w)
	case hmacsig.CodeBodyIncomplete, hmacsig.CodeBodyUnreadable:
		reply.Incomplete(w)
	default:
		reply.Unavailable(w, reply.CodeSignatureVerifierUnavailable, "Signatures cannot be verified now")
	}
}
