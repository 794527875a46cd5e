package reply

// The codes of the server's own refusals. Those in upper case are the wire
// contract's.
//
// #nosec G101 -- names of refusals, and no credentials
const (
	// CodeAPIKeysFull: 409. The site has as many API keys as it may have.
	CodeAPIKeysFull = "api_keys_full"
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
	// CodePageUnknown: 400. The page of a list that is asked for cannot be one.
	CodePageUnknown = "page_unknown"
	// CodeQStashKeysMissing: 503. The worker has no keys.
	CodeQStashKeysMissing = "QSTASH_KEYS_MISSING"
	// CodeQStashSignatureInvalid: 403. The delivery is signed by somebody else.
	CodeQStashSignatureInvalid = "QSTASH_SIGNATURE_INVALID"
	// CodeQStashSignatureMissing: 403. The delivery is not signed.
	CodeQStashSignatureMissing = "QSTASH_SIGNATURE_MISSING"
	// CodeQStashVerifierUnavailable: 503. Deliveries cannot be verified now.
	CodeQStashVerifierUnavailable = "QSTASH_VERIFIER_UNAVAILABLE"
	// CodeQueueBacklog: 503. More events wait than can be stored soon.
	CodeQueueBacklog = "queue_backlog"
	// CodeQueueUnavailable: 503. The events were not stored.
	CodeQueueUnavailable = "queue_unavailable"
	// CodeSecondFactorRequired: 401. The session still lacks the second factor.
	CodeSecondFactorRequired = "second_factor_required"
	// CodeSecurityKeyExists: 409. The security key is registered already.
	CodeSecurityKeyExists = "security_key_exists"
	// CodeSecurityKeyInvalid: 401. What a security key has signed is not accepted.
	CodeSecurityKeyInvalid = "security_key_invalid"
	// CodeSecurityKeyNotFound: 404. The caller has no such security key.
	CodeSecurityKeyNotFound = "security_key_not_found"
	// CodeSecurityKeyRequired: 401. A security key has to be used first, or again.
	CodeSecurityKeyRequired = "security_key_required"
	// CodeSecurityKeySynced: 422. The passkey can be copied to other devices.
	CodeSecurityKeySynced = "security_key_synced"
	// CodeSecurityKeysChanged: 409. Keys were added or removed at the same time.
	CodeSecurityKeysChanged = "security_keys_changed"
	// CodeSecurityKeysFull: 409. The caller has as many security keys as one may have.
	CodeSecurityKeysFull = "security_keys_full"
	// CodeSecurityKeysOff: 404. This server has no name that security keys accept.
	CodeSecurityKeysOff = "security_keys_off"
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
