package server

import (
	"net/http"
	"net/url"
	"time"

	"github.com/opsmantik/sallyport/cors"
	"github.com/opsmantik/sallyport/examples/ingest/delivery"
	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/qstash"
)

// newCORS is the outermost gate. Requests without Origin pass unless the
// browser says that another site caused them: first-party proxies, curl and
// the queue send neither header.
func newCORS(s *settings.Settings, own []string, count counter) (*cors.Gate, error) {
	tenants := make(map[string][]string, len(s.Sites))
	for _, site := range s.Sites {
		tenants[site.ID] = site.Origins
	}
	return cors.New(cors.Config{
		Origins:        s.AllowedOrigins,
		OwnOrigins:     own,
		Tenants:        tenants,
		RequestHeaders: []string{"X-Ops-Signature", "X-Ops-Site-Id", "X-Ops-Ts", "Content-Type"},
		ExposedHeaders: []string{
			"Retry-After", "X-Opsmantik-Ratelimit", "X-Opsmantik-Quota-Exceeded",
			"X-Opsmantik-Consent-Missing",
		},
		MaxAge:            10 * time.Minute,
		NoOrigin:          cors.NoOriginPass,
		ResourceIsolation: true,
		ReportOnly:        s.CORSReportOnly,
		OnDecision: func(_ *http.Request, d cors.Decision) {
			count("cors", string(d.Reason), d.Allowed)
		},
	})
}

// newCallVerifier is the signature gate of call events.
func newCallVerifier(
	s *settings.Settings, replay hmacsig.ReplayStore, count counter,
) (*hmacsig.Verifier, error) {
	keys := make(hmacsig.StaticKeys, len(s.Sites))
	for _, site := range s.Sites {
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
		OnDecision:   countSignature("signature", count),
		OnReject:     rejectCall,
	})
}

// rejectCall speaks the codes of the wire contract.
func rejectCall(w http.ResponseWriter, _ *http.Request, rejection *hmacsig.Rejection) {
	switch rejection.Reason {
	case hmacsig.ReasonReplayed:
		reply.JSON(w, http.StatusOK, map[string]any{"status": "noop"})
	case hmacsig.ReasonMissing, hmacsig.ReasonMalformed:
		reply.Problem(w, http.StatusUnauthorized, "SIGNATURE_REQUIRED", "Signature required")
	case hmacsig.ReasonExpired, hmacsig.ReasonNotYetValid:
		reply.Problem(w, http.StatusUnauthorized, "SIGNATURE_TIMESTAMP_INVALID",
			"Signed too long ago, or ahead")
	case hmacsig.ReasonInvalid, hmacsig.ReasonClaims, hmacsig.ReasonDigest:
		reply.Problem(w, http.StatusUnauthorized, "SIGNATURE_INVALID", "Signature invalid")
	case hmacsig.ReasonBodyTooLarge:
		reply.TooLarge(w)
	case hmacsig.ReasonBodyUnreadable:
		reply.Incomplete(w)
	default:
		reply.Unavailable(w, "SIGNATURE_VERIFIER_UNAVAILABLE", "Signatures cannot be verified now")
	}
}

// newWorkerVerifier is the gate of POST /api/sync/worker.
func newWorkerVerifier(
	s *settings.Settings, workerURL string, replay hmacsig.ReplayStore, count counter,
) (*hmacsig.Verifier, error) {
	current, next, err := secrets(s.CurrentKey, s.NextKey)
	if err != nil {
		return nil, err
	}
	return qstash.New(qstash.Config{
		URL: workerURL, Current: current, Next: next, Leeway: 5 * time.Second,
		Replay: replay, MaxBodyBytes: delivery.MaxBody,
		OnDecision: countSignature("qstash", count),
		OnReject:   rejectDelivery,
	})
}

func rejectDelivery(w http.ResponseWriter, _ *http.Request, rejection *hmacsig.Rejection) {
	switch rejection.Reason {
	case hmacsig.ReasonReplayed:
		// Done already: a success, or the queue would send it for ever.
		reply.JSON(w, http.StatusOK, map[string]any{"ok": true, "status": "noop"})
	case hmacsig.ReasonMissing:
		reply.Problem(w, http.StatusForbidden, "QSTASH_SIGNATURE_MISSING", "Signature required")
	case hmacsig.ReasonNotConfigured:
		reply.Unavailable(w, "QSTASH_KEYS_MISSING", "The worker has no keys")
	case hmacsig.ReasonBodyTooLarge:
		reply.TooLarge(w)
	case hmacsig.ReasonBodyUnreadable:
		reply.Incomplete(w)
	case hmacsig.ReasonInFlight, hmacsig.ReasonReplayFull, hmacsig.ReasonReplayUnavailable,
		hmacsig.ReasonKeysUnavailable:
		reply.Unavailable(w, "QSTASH_VERIFIER_UNAVAILABLE", "Deliver again later")
	default:
		reply.Problem(w, http.StatusForbidden, "QSTASH_SIGNATURE_INVALID", "Signature invalid")
	}
}

func countSignature(gate string, count counter) func(*http.Request, hmacsig.Decision) {
	return func(_ *http.Request, d hmacsig.Decision) {
		if d.Rejection != nil {
			count(gate, string(d.Rejection.Reason), false)
			return
		}
		count(gate, "key_"+d.Proof.Key, true)
	}
}

// proxyHosts are the hosts that a site's own proxy may name.
func proxyHosts(origins []string) map[string]bool {
	hosts := make(map[string]bool, len(origins))
	for _, origin := range origins {
		if u, err := url.Parse(origin); err == nil {
			hosts[u.Host] = true
		}
	}
	return hosts
}
