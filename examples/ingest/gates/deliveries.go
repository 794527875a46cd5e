package gates

import (
	"net/http"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/ingest/delivery"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/qstash"
)

// newDeliveries is the signature gate of POST /api/sync/worker.
func newDeliveries(cfg Config, replay hmacsig.ReplayStore) (*hmacsig.Verifier, error) {
	s := cfg.Settings
	current, next, err := secrets(s.CurrentKey, s.NextKey)
	if err != nil {
		return nil, err
	}
	return qstash.New(qstash.Config{
		URLs: []string{s.WorkerURL}, Current: current, Next: next, Leeway: 5 * time.Second,
		Replay: replay, MaxBodyBytes: delivery.MaxBody,
		OnEvent: cfg.OnEvent, OnReject: rejectDelivery,
	})
}

func rejectDelivery(w http.ResponseWriter, _ *http.Request, rejection *sallyport.Refusal) {
	switch rejection.Code {
	case hmacsig.CodeReplayed:
		// Done already: a success, or the queue would send it for ever.
		reply.JSON(w, http.StatusOK, map[string]any{"ok": true, "status": "noop"})
	case hmacsig.CodeSignatureMissing:
		reply.Problem(w, http.StatusForbidden, reply.CodeQStashSignatureMissing, "Signature required")
	case hmacsig.CodeNotConfigured:
		reply.Unavailable(w, reply.CodeQStashKeysMissing, "The worker has no keys")
	case hmacsig.CodeBodyTooLarge:
		reply.TooLarge(w)
	case hmacsig.CodeBodyIncomplete, hmacsig.CodeBodyUnreadable:
		reply.Incomplete(w)
	case hmacsig.CodeInFlight, hmacsig.CodeReplayShareFull, hmacsig.CodeReplayStoreFull,
		hmacsig.CodeReplayUnavailable, hmacsig.CodeKeysUnavailable, hmacsig.CodeBodyConsumed:
		reply.Unavailable(w, reply.CodeQStashVerifierUnavailable, "Deliver again later")
	default:
		reply.Problem(w, http.StatusForbidden, reply.CodeQStashSignatureInvalid, "Signature invalid")
	}
}

// Signer signs deliveries as the gate verifies them.
func Signer(cfg Config) (*hmacsig.Signer, error) {
	current, _, err := secrets(cfg.Settings.CurrentKey, cfg.Settings.NextKey)
	if err != nil {
		return nil, err
	}
	return qstash.NewSigner(qstash.SignerConfig{
		URL: cfg.Settings.WorkerURL, Secret: current, MaxBodyBytes: delivery.MaxBody,
	})
}
