package reply

// The codes of the server's own refusals. Those in upper case are the wire
// contract's.
const (
	// CodeBodyIncomplete: 400. The body ended early.
	CodeBodyIncomplete = "body_incomplete"
	// CodeBodyTooLarge: 413. The body is above the limit of the route.
	CodeBodyTooLarge = "body_too_large"
	// CodeCallState: 409. The call is not in the state that the action starts from.
	CodeCallState = "call_state"
	// CodeCodeInvalid: 401. The second factor is wrong, or was used before.
	CodeCodeInvalid = "code_invalid"
	// CodeCredentialsInvalid: 401. E-mail address or password is wrong.
	CodeCredentialsInvalid = "credentials_invalid"
	// CodeInternalError: 500. A fault of the server.
	CodeInternalError = "internal_error"
	// CodeLoginBusy: 503. Too many sign-ins at once.
	CodeLoginBusy = "login_busy"
	// CodeQStashKeysMissing: 503. The worker has no keys.
	CodeQStashKeysMissing = "QSTASH_KEYS_MISSING"
	// CodeQStashSignatureInvalid: 403. The delivery is signed by somebody else.
	CodeQStashSignatureInvalid = "QSTASH_SIGNATURE_INVALID"
	// CodeQStashSignatureMissing: 403. The delivery is not signed.
	CodeQStashSignatureMissing = "QSTASH_SIGNATURE_MISSING"
	// CodeQStashVerifierUnavailable: 503. Deliveries cannot be verified now.
	CodeQStashVerifierUnavailable = "QSTASH_VERIFIER_UNAVAILABLE"
	// CodeQueueUnavailable: 503. The events were not stored.
	CodeQueueUnavailable = "queue_unavailable"
	// CodeSecondFactorRequired: 401. The session still lacks the second factor.
	CodeSecondFactorRequired = "second_factor_required"
	// CodeSessionNotFound: 404. The caller has no such session.
	CodeSessionNotFound = "session_not_found"
	// CodeSignatureInvalid: 401. The signature does not match.
	CodeSignatureInvalid = "SIGNATURE_INVALID"
	// CodeSignatureRequired: 401. A signature header is missing or malformed.
	CodeSignatureRequired = "SIGNATURE_REQUIRED"
	// CodeSignatureTimestampInvalid: 401. Signed too long ago, or ahead.
	CodeSignatureTimestampInvalid = "SIGNATURE_TIMESTAMP_INVALID"
	// CodeSignatureVerifierUnavailable: 503. Signatures cannot be verified now.
	CodeSignatureVerifierUnavailable = "SIGNATURE_VERIFIER_UNAVAILABLE"
	// CodeSiteNotFound: 400. No site has this id.
	CodeSiteNotFound = "site_not_found"
	// CodeStoreUnavailable: 503. The store does not answer.
	CodeStoreUnavailable = "store_unavailable"
	// CodeTOTPUnavailable: 503. The one-time password could not be recorded as used.
	CodeTOTPUnavailable = "totp_unavailable"
)
