package hmacsig

import (
	"errors"
	"net/http"

	"github.com/opsmantik/sallyport/internal/refusal"
)

const gateName = "hmacsig"

// CodeSignatureVerified is the code of a request that was let through, in
// events and metrics.
const CodeSignatureVerified = "signature_verified"

// The codes of a refusal, in the order in which a request meets them. The
// status is the default one; a Scheme may replace 401 by its own (QStash
// answers 403).
const (
	// CodeNotConfigured (503): the Verifier was not made by New.
	CodeNotConfigured = "hmacsig_not_configured"
	// CodeSignatureMissing (401): a signature header is absent or empty.
	CodeSignatureMissing = "signature_missing"
	// CodeSignatureMalformed (401): a signature header is repeated, too long, or
	// not in the one spelling that its scheme accepts.
	CodeSignatureMalformed = "signature_malformed"
	// CodeKeysUnavailable (503): the KeySource failed. Retry later.
	CodeKeysUnavailable = "keys_unavailable"
	// CodeBodyTooLarge (413): the body is over Config.MaxBodyBytes, or over a
	// limit further out.
	CodeBodyTooLarge = "signed_body_too_large"
	// CodeBodyIncomplete (400): the client sent less than its Content-Length.
	CodeBodyIncomplete = "signed_body_incomplete"
	// CodeBodyConsumed (503): something in front of this gate has read or closed
	// the body. The signature covers the bytes as they arrived: no middleware
	// may read them first.
	CodeBodyConsumed = "signed_body_consumed"
	// CodeBodyUnreadable (400): reading the body failed in another way.
	CodeBodyUnreadable = "signed_body_unreadable"
	// CodeSignatureInvalid (401): no active key of this key id made the
	// signature. An unknown key id answers the same, at the same cost.
	CodeSignatureInvalid = "signature_invalid"
	// CodeSignatureExpired (401): signed too long ago.
	CodeSignatureExpired = "signature_expired"
	// CodeSignatureNotYetValid (401): signed too far in the future.
	CodeSignatureNotYetValid = "signature_not_yet_valid"
	// CodeSignatureClaims (401): the signature is genuine but made for something
	// else: another issuer, another destination, a longer life than allowed.
	CodeSignatureClaims = "signature_claims_mismatch"
	// CodeBodyDigest (401): the body is not the one whose digest was signed.
	CodeBodyDigest = "body_digest_mismatch"
	// CodeReplayed (409): this very request was accepted before. Answer it
	// idempotently from OnReject where the contract wants that.
	CodeReplayed = "request_replayed"
	// CodeInFlight (503): this very request is being handled right now and its
	// outcome is not known yet. The sender retries later.
	CodeInFlight = "request_in_flight"
	// CodeReplayShareFull (429): this key id has as many live entries in the
	// replay store as it may. Other key ids are not affected.
	CodeReplayShareFull = "replay_share_full"
	// CodeReplayStoreFull (503): the replay store holds as many live entries as
	// it may. It never drops one to make room.
	CodeReplayStoreFull = "replay_store_full"
	// CodeReplayUnavailable (503): the replay store failed, or its answer did
	// not arrive. The outcome is unknown, so the request is refused.
	CodeReplayUnavailable = "replay_store_unavailable"
)

// CodeClaimNotSettled is the code of an event that is no decision: a request
// was let through and its claim could neither be confirmed nor released. The
// message stays in flight until its time is over. Event.Err says why.
const CodeClaimNotSettled = "claim_not_settled"

// ErrUnknownKey is what a KeySource returns for a key id that does not exist.
// Any other error means that it could not find out.
var ErrUnknownKey = errors.New("hmacsig: unknown key id")

// Fault is the error with which a Scheme refuses: one of the codes from
// CodeSignatureMissing to CodeSignatureClaims. Any other error of a Scheme
// counts as CodeSignatureMalformed.
//
//	const malformed = hmacsig.Fault(hmacsig.CodeSignatureMalformed)
//	return fmt.Errorf("Acme-Time is no number: %w", malformed)
type Fault string

// Error returns the code.
func (f Fault) Error() string { return gateName + ": " + string(f) }

// What the schemes of this package refuse with.
const (
	missing   = Fault(CodeSignatureMissing)
	malformed = Fault(CodeSignatureMalformed)
)

// faultCode is the code of a scheme's error, if it is one of those that a
// scheme may give.
func faultCode(err error) string {
	fault, _ := errors.AsType[Fault](err)
	switch fault {
	case CodeSignatureMissing, CodeSignatureExpired, CodeSignatureNotYetValid, CodeSignatureClaims:
		return string(fault)
	}
	return CodeSignatureMalformed
}

// The causes that operators see in Refusal.Err.
var (
	errBodyTooLarge = errors.New("hmacsig: body over MaxBodyBytes")
	errBodyConsumed = errors.New("hmacsig: the body was read or closed in front of this gate")
	errNoVerifier   = errors.New("hmacsig: the Verifier was not made by New")
	errNoSigner     = errors.New("hmacsig: the Signer was not made by NewSigner")
	errNoStore      = errors.New("hmacsig: the MemoryReplay was not made by NewMemoryReplay")
	errNoCache      = errors.New("hmacsig: the Cache was not made by NewCache")
	errTooLong      = errors.New("hmacsig: valid for longer than 24 hours from now")
	errAbandoned    = errors.New("hmacsig: http.TimeoutHandler answered for a handler that may " +
		"still run; put it around the gate, not inside")
	errNoState = errors.New("hmacsig: the replay store returned no state")
)

// notConfigured is the one kind of a Verifier that has no table.
var notConfigured = refusal.Kind{
	Code: CodeNotConfigured, Status: http.StatusServiceUnavailable,
	Title: "Signature verifier not configured",
}

// kinds lists every refusal. Status is the scheme's own, for a request that
// fails to prove its origin.
func kinds(status int) []refusal.Kind {
	const unavailable = http.StatusServiceUnavailable
	return []refusal.Kind{
		notConfigured,
		{Code: CodeSignatureMissing, Status: status, Title: "Signature required"},
		{Code: CodeSignatureMalformed, Status: status, Title: "Signature headers malformed"},
		{Code: CodeKeysUnavailable, Status: unavailable, Title: "Signature verifier unavailable"},
		{Code: CodeBodyTooLarge, Status: http.StatusRequestEntityTooLarge, Title: "Body too large"},
		{Code: CodeBodyIncomplete, Status: http.StatusBadRequest, Title: "Body incomplete"},
		{Code: CodeBodyConsumed, Status: unavailable, Title: "Body not available"},
		{Code: CodeBodyUnreadable, Status: http.StatusBadRequest, Title: "Body unreadable"},
		{Code: CodeSignatureInvalid, Status: status, Title: "Signature invalid"},
		{Code: CodeSignatureExpired, Status: status, Title: "Signature expired"},
		{Code: CodeSignatureNotYetValid, Status: status, Title: "Signature not yet valid"},
		{Code: CodeSignatureClaims, Status: status, Title: "Signature made for something else"},
		{Code: CodeBodyDigest, Status: status, Title: "Body does not match its digest"},
		{Code: CodeReplayed, Status: http.StatusConflict, Title: "Request already accepted"},
		{Code: CodeInFlight, Status: unavailable, Title: "Request in progress"},
		{
			Code: CodeReplayShareFull, Status: http.StatusTooManyRequests,
			Title: "Too many requests remembered",
		},
		{Code: CodeReplayStoreFull, Status: unavailable, Title: "Replay store full"},
		{Code: CodeReplayUnavailable, Status: unavailable, Title: "Replay store unavailable"},
	}
}
