package devicebound

import (
	"net/http"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/refusal"
)

// Codes of allowed requests.
const (
	// CodeBound: the device has proved itself within Config.Life.
	CodeBound = "device_bound"
	// CodeUnbound: the session is not bound, and its level does not ask for it, or
	// does not ask yet.
	CodeUnbound = "device_unbound"
	// CodeOff: the policy of the session's level is Off.
	CodeOff = "device_binding_off"
	// CodeRegistered: a browser has registered its key.
	CodeRegistered = "device_registered"
	// CodeRefreshed: a browser has proved itself and got its next cookie.
	CodeRefreshed = "device_refreshed"
)

// Codes of refusals.
const (
	// CodeRequired, 403: this session had to be bound to a device, and is not.
	CodeRequired = "device_binding_required"
	// CodeMissing, 401: a bound session without its short-lived cookie. It may
	// have been copied from the device.
	CodeMissing = "device_proof_missing"
	// CodeExpired, 401: a short-lived cookie that is over, or not this session's.
	CodeExpired = "device_proof_expired"
	// CodeChallenge, 403: prove yourself over the challenge in this answer.
	// Browsers do so by themselves.
	CodeChallenge = "device_challenge"
	// CodeProof, 400: the proof is malformed, or not signed by the device's key.
	// Browsers end their side of the binding.
	CodeProof = "device_proof_invalid"
	// CodeTwice, 409: the session is bound already. A key is registered once.
	CodeTwice = "device_bound_already"
	// CodeAgain, 503: a step-up has just replaced the session's token, and this
	// request still had the old one. Browsers try again with the new one.
	CodeAgain = "device_try_again"
	// CodeNoRoom, 503: a mistake of the program: with the binding, the session's data
	// exceeds its MaxData.
	CodeNoRoom = "device_binding_no_room"
	// CodeNotConfigured, 503: a nil or zero Gate.
	CodeNotConfigured = "devicebound_not_configured"
)

var notConfigured = refusal.Kind{
	Code: CodeNotConfigured, Status: http.StatusServiceUnavailable,
	Title: "Device binding is not configured",
}

var kinds = []refusal.Kind{
	{Code: CodeRequired, Status: http.StatusForbidden, Title: "The session must be bound to a device"},
	{Code: CodeMissing, Status: http.StatusUnauthorized, Title: "The device did not prove itself"},
	{Code: CodeExpired, Status: http.StatusUnauthorized, Title: "The device did not prove itself"},
	{Code: CodeChallenge, Status: http.StatusForbidden, Title: "Prove the device"},
	{Code: CodeProof, Status: http.StatusBadRequest, Title: "The device's proof is invalid"},
	{Code: CodeTwice, Status: http.StatusConflict, Title: "The session is bound already"},
	{Code: CodeAgain, Status: http.StatusServiceUnavailable, Title: "The session was just renewed"},
	{Code: CodeNoRoom, Status: http.StatusServiceUnavailable, Title: "The binding cannot be stored"},
	notConfigured,
}

// refuse makes a refusal. RFC 9110 section 15.5.2 wants a challenge with a 401.
func (g *Gate[T]) refuse(code string, cause error) *sallyport.Refusal {
	if g == nil || g.refusals == nil {
		return notConfigured.Refusal(gate, nil)
	}
	refused := g.refusals.New(code, cause)
	switch {
	case refused.Status == http.StatusUnauthorized:
		refused.Challenge = `Cookie realm="device"`
	case code == CodeAgain:
		refused.RetryAfter = time.Second
	}
	return refused
}
