package hmacsig

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/opsmantik/sallyport/internal/problem"
)

// Reason says why a request was refused. The set is closed; codes never
// change, texts may. The status in parentheses is the default answer; a
// Scheme may replace 401 by its own (QStash answers 403).
type Reason string

// The reasons, in the order in which a request meets them.
const (
	// ReasonNotConfigured (503): the Verifier was not made by New.
	ReasonNotConfigured Reason = "verifier_not_configured"
	// ReasonMissing (401): a signature header is absent.
	ReasonMissing Reason = "signature_missing"
	// ReasonMalformed (401): a signature header is repeated, too long, or not
	// in the one spelling that its scheme accepts.
	ReasonMalformed Reason = "signature_malformed"
	// ReasonKeysUnavailable (503): the KeySource failed. Retry later.
	ReasonKeysUnavailable Reason = "keys_unavailable"
	// ReasonBodyTooLarge (413): the body is over Config.MaxBodyBytes.
	ReasonBodyTooLarge Reason = "body_too_large"
	// ReasonBodyUnreadable (400): the body ended early or could not be read.
	ReasonBodyUnreadable Reason = "body_unreadable"
	// ReasonSpool (503): the body could not be kept in a temporary file.
	ReasonSpool Reason = "body_spool_failed"
	// ReasonInvalid (401): no active key of this key id made the signature.
	// An unknown key id answers the same, at the same cost.
	ReasonInvalid Reason = "signature_invalid"
	// ReasonExpired (401): signed too long ago.
	ReasonExpired Reason = "signature_expired"
	// ReasonNotYetValid (401): signed too far in the future.
	ReasonNotYetValid Reason = "signature_not_yet_valid"
	// ReasonClaims (401): the signature is genuine but made for something
	// else: another issuer, another destination.
	ReasonClaims Reason = "signature_claims_mismatch"
	// ReasonDigest (401): the body is not the one whose digest was signed.
	ReasonDigest Reason = "body_digest_mismatch"
	// ReasonReplayed (409): this very request was accepted before. Answer it
	// idempotently from OnReject where the contract wants that.
	ReasonReplayed Reason = "request_replayed"
	// ReasonInFlight (503): this very request is being handled right now and
	// its outcome is not known yet. The sender retries later.
	ReasonInFlight Reason = "request_in_flight"
	// ReasonReplayFull (503): the replay store holds as many live entries as
	// it may. It never drops one to make room.
	ReasonReplayFull Reason = "replay_store_full"
	// ReasonReplayUnavailable (503): the replay store failed, or its answer
	// did not arrive. The outcome is unknown, so the request is refused.
	ReasonReplayUnavailable Reason = "replay_store_unavailable"
)

// Sentinels that schemes, key sources and stores return. A Scheme's Read
// returns ErrMissing or ErrMalformed; its Open also ErrExpired,
// ErrNotYetValid and ErrClaims.
var (
	ErrMissing     = errors.New("hmacsig: signature header missing")
	ErrMalformed   = errors.New("hmacsig: signature header malformed")
	ErrExpired     = errors.New("hmacsig: signed too long ago")
	ErrNotYetValid = errors.New("hmacsig: signed in the future")
	ErrClaims      = errors.New("hmacsig: signed for something else")
	// ErrDigest is what a body under DangerouslyStreamBody returns instead of
	// io.EOF when it is not the one that was signed.
	ErrDigest = errors.New("hmacsig: body does not match its digest")
	// ErrUnknownKey is what a KeySource returns for a key id that does not
	// exist. Any other error means that it could not find out.
	ErrUnknownKey = errors.New("hmacsig: unknown key id")
	// ErrReplayFull is what a ReplayStore returns instead of evicting.
	ErrReplayFull = errors.New("hmacsig: replay store is full")
)

// ConfigError is one problem in a configuration. New returns all of them
// joined. Value never holds a secret.
type ConfigError struct {
	Field  string
	Value  string
	Reason string
}

func (e *ConfigError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("hmacsig: %s: %s", e.Field, e.Reason)
	}
	return fmt.Sprintf("hmacsig: %s: %q %s", e.Field, e.Value, e.Reason)
}

// Rejection is a refusal. Err is the cause, for hooks and logs only: it may
// name a key id and never holds a secret or an expected signature.
type Rejection struct {
	Reason Reason
	Status int
	Err    error
}

func (r *Rejection) Error() string {
	if r.Err == nil {
		return "hmacsig: " + string(r.Reason)
	}
	return "hmacsig: " + string(r.Reason) + ": " + r.Err.Error()
}

// Unwrap returns the cause.
func (r *Rejection) Unwrap() error { return r.Err }

// refusals lists every reason with its status and title. Status 0 stands for
// the scheme's own.
var refusals = [...]struct {
	reason Reason
	status int
	title  string
}{
	{ReasonNotConfigured, http.StatusServiceUnavailable, "Signature verifier not configured"},
	{ReasonMissing, 0, "Signature required"},
	{ReasonMalformed, 0, "Signature headers malformed"},
	{ReasonKeysUnavailable, http.StatusServiceUnavailable, "Signature verifier unavailable"},
	{ReasonBodyTooLarge, http.StatusRequestEntityTooLarge, "Body too large"},
	{ReasonBodyUnreadable, http.StatusBadRequest, "Body unreadable"},
	{ReasonSpool, http.StatusServiceUnavailable, "Body could not be kept"},
	{ReasonInvalid, 0, "Signature invalid"},
	{ReasonExpired, 0, "Signature expired"},
	{ReasonNotYetValid, 0, "Signature not yet valid"},
	{ReasonClaims, 0, "Signature made for something else"},
	{ReasonDigest, 0, "Body does not match its digest"},
	{ReasonReplayed, http.StatusConflict, "Request already accepted"},
	{ReasonInFlight, http.StatusServiceUnavailable, "Request in progress"},
	{ReasonReplayFull, http.StatusServiceUnavailable, "Replay store full"},
	{ReasonReplayUnavailable, http.StatusServiceUnavailable, "Replay store unavailable"},
}

// problems encodes every refusal once; status is the scheme's own.
func problems(status int) map[Reason]*problem.Problem {
	all := make(map[Reason]*problem.Problem, len(refusals))
	for _, f := range refusals {
		s := f.status
		if s == 0 {
			s = status
		}
		all[f.reason] = problem.New("", s, string(f.reason), f.title, nil)
	}
	return all
}

// notConfigured answers for the zero Verifier, which has no table.
func notConfigured() *problem.Problem {
	return problem.New("", http.StatusServiceUnavailable, string(ReasonNotConfigured),
		"Signature verifier not configured", nil)
}
