package apikey

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/refusal"
	"github.com/opsmantik/sallyport/tenancy"
)

// The codes of decisions that allow, and of what was done to keys.
const (
	// CodeAccepted: the key is good. Never a refusal.
	CodeAccepted = "api_key_accepted"
	// CodeIssued: a key was made. Never a refusal.
	CodeIssued = "api_key_issued"
	// CodeEnded: a key was revoked, or given its last hours by a rotation. Never a
	// refusal.
	CodeEnded = "api_key_ended"
	// CodeLeaked: GitHub found the key in public, and it was revoked. Never a refusal.
	CodeLeaked = "api_key_leaked"
)

// The codes of refusals.
const (
	// CodeRequired: the request has no key. 401.
	CodeRequired = "api_key_required"
	// CodeMalformed: not a key of this server, by its form alone. 401.
	CodeMalformed = "api_key_malformed"
	// CodeUnknown: no such key, or one that was revoked; not told apart. 401.
	CodeUnknown = "api_key_unknown"
	// CodeExpired: the key has reached its last day. 401.
	CodeExpired = "api_key_expired"
	// CodeNotIssued: whoever asks may not have such a key. 403.
	CodeNotIssued = "api_key_not_issued"
	// CodeReportUnsigned: a report of leaked keys that GitHub did not sign. 401.
	CodeReportUnsigned = "leak_report_unsigned"
	// CodeReportMalformed: a report that is none, or too long. 400.
	CodeReportMalformed = "leak_report_malformed"
	// CodeUnavailable: the store, or GitHub's keys, could not be asked. 503.
	CodeUnavailable = "api_keys_unavailable"
	// CodeNotConfigured: the gate was not made by New. 503.
	CodeNotConfigured = "apikey_not_configured"
)

const gateName = "apikey"

var notConfigured = refusal.Kind{
	Code: CodeNotConfigured, Status: http.StatusServiceUnavailable,
	Title: "API keys not configured",
}

// kinds is every refusal with what it tells the client.
func kinds() []refusal.Kind {
	return []refusal.Kind{
		{Code: CodeRequired, Status: http.StatusUnauthorized, Title: "API key required"},
		{Code: CodeMalformed, Status: http.StatusUnauthorized, Title: "API key malformed"},
		{Code: CodeUnknown, Status: http.StatusUnauthorized, Title: "API key not valid"},
		{Code: CodeExpired, Status: http.StatusUnauthorized, Title: "API key expired"},
		{Code: CodeNotIssued, Status: http.StatusForbidden, Title: "API key not issued"},
		{Code: CodeReportUnsigned, Status: http.StatusUnauthorized, Title: "Report not signed"},
		{Code: CodeReportMalformed, Status: http.StatusBadRequest, Title: "Report malformed"},
		{
			Code: CodeUnavailable, Status: http.StatusServiceUnavailable,
			Title: "API keys cannot be checked right now",
		},
		notConfigured,
	}
}

var errZero = errors.New("apikey: the gate was not made by New")

// retryAfter is how long a client waits after a failure of the store.
const retryAfter = 5 * time.Second

// The causes of refusals that mean "nobody" wrap tenancy.ErrUnauthenticated, so that
// tenancy.Config.Identify can return them as they are.
var (
	errNone    = nobody("no key")
	errTwo     = nobody("more than one field with a key")
	errForm    = nobody("not a key of this server")
	errUnknown = nobody("no such key")
	errRevoked = nobody("the key was revoked")
	errExpired = nobody("the key has expired")
)

func nobody(text string) error {
	return fmt.Errorf("apikey: %s: %w", text, tenancy.ErrUnauthenticated)
}

// refuse makes a refusal. G may be nil.
func (g *Gate) refuse(code string, cause error) *sallyport.Refusal {
	if !g.configured() {
		return notConfigured.Refusal(gateName, errZero)
	}
	refused := g.refusals.New(code, cause)
	switch code {
	case CodeRequired:
		refused.Challenge = "Bearer"
	case CodeMalformed, CodeUnknown, CodeExpired:
		// https://www.rfc-editor.org/rfc/rfc6750#section-3.1
		refused.Challenge = `Bearer error="invalid_token"`
	case CodeUnavailable:
		refused.RetryAfter = retryAfter
	}
	return refused
}
