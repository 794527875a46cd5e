package tenancy

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/refusal"
)

// The codes of decisions that allow.
const (
	// CodeGranted: the user may do this on this site. Never a refusal.
	CodeGranted = "site_access_granted"
	// CodeServiceGranted: the service may do this on every site. Never a refusal.
	CodeServiceGranted = "service_access_granted"
)

// The codes of refusals.
const (
	// CodeIdentityRequired: nobody is signed in. 401.
	CodeIdentityRequired = "identity_required"
	// CodeSiteMissing: no source names a site. 400.
	CodeSiteMissing = "site_missing"
	// CodeSiteMalformed: what a source names cannot be a site id. 400.
	CodeSiteMalformed = "site_malformed"
	// CodeSiteConflict: sources disagree, or one names a site twice. 400.
	CodeSiteConflict = "site_conflict"
	// CodeSiteBodyTooLarge: the body that should name the site is too long. 413.
	CodeSiteBodyTooLarge = "site_body_too_large"
	// CodeNotFound: unknown, not a member, or not permitted; not told apart. 404.
	CodeNotFound = "resource_not_found"
	// CodeNetwork: permitted, but not from this address. 403.
	CodeNetwork = "network_not_listed"
	// CodeStepUp: permitted, but only with a second or a fresher factor. 401. The
	// name is that of RFC 9470.
	CodeStepUp = "insufficient_user_authentication"
	// CodeUnavailable: identity, site or membership could not be looked up. 503.
	CodeUnavailable = "site_access_unavailable"
	// CodeServiceRefused: no such service, or not its permission. 403.
	CodeServiceRefused = "service_access_refused"
	// CodeNotConfigured: the gate was not made by New. 503.
	CodeNotConfigured = "tenancy_not_configured"
)

const gateName = "tenancy"

var notConfigured = refusal.Kind{
	Code: CodeNotConfigured, Status: http.StatusServiceUnavailable,
	Title: "Access gate not configured",
}

const stepUpTitle = "Confirm your identity to continue"

// kinds is every refusal with what it tells the client.
func kinds() []refusal.Kind {
	const nameOne = "The request must name one site"
	return []refusal.Kind{
		{Code: CodeIdentityRequired, Status: http.StatusUnauthorized, Title: "Sign in to continue"},
		{Code: CodeSiteMissing, Status: http.StatusBadRequest, Title: nameOne},
		{Code: CodeSiteMalformed, Status: http.StatusBadRequest, Title: nameOne},
		{Code: CodeSiteConflict, Status: http.StatusBadRequest, Title: nameOne},
		{
			Code: CodeSiteBodyTooLarge, Status: http.StatusRequestEntityTooLarge,
			Title: "Request body too large",
		},
		{Code: CodeNotFound, Status: http.StatusNotFound, Title: "Not found"},
		{Code: CodeNetwork, Status: http.StatusForbidden, Title: "Not allowed from this network"},
		{Code: CodeStepUp, Status: http.StatusUnauthorized, Title: stepUpTitle},
		{
			Code: CodeUnavailable, Status: http.StatusServiceUnavailable,
			Title: "Access cannot be checked right now",
		},
		{Code: CodeServiceRefused, Status: http.StatusForbidden, Title: "Not for this service"},
		notConfigured,
	}
}

var (
	// ErrUnauthenticated is for Config.Identify: nobody is signed in.
	ErrUnauthenticated = errors.New("tenancy: not signed in")
	// ErrNotMember is for Config.Member and lookups: no such site, or no role on it.
	ErrNotMember = errors.New("tenancy: not a member")
	// ErrForbidden is the cause when the role, or the scope of the key, lacks the
	// permission.
	ErrForbidden = errors.New("tenancy: the permission is missing")
	// ErrNoGrant is what a zero or forged grant is.
	ErrNoGrant = errors.New("tenancy: no grant")
	// ErrExpired is what an old grant is, or one that Forget has ended.
	ErrExpired = errors.New("tenancy: grant expired")
)

// retryAfter is how long a client waits after a failed lookup.
const retryAfter = 5 * time.Second

// refuse makes the refusal of an outcome. G may be nil.
func (g *Gate) refuse(o *outcome) *sallyport.Refusal {
	if !g.configured() {
		return notConfigured.Refusal(gateName, errZero)
	}
	refused := g.refusals.New(o.code, o.cause)
	switch o.code {
	case CodeIdentityRequired:
		refused.Challenge = "Bearer"
	case CodeStepUp:
		refused.Challenge = challenge(o.level, o.maxAge)
	case CodeUnavailable:
		refused.RetryAfter = retryAfter
	}
	return refused
}

// challenge is the WWW-Authenticate value of a step-up:
// https://www.rfc-editor.org/rfc/rfc9470#section-3
func challenge(level sallyport.Level, maxAge time.Duration) string {
	text := fmt.Sprintf("Bearer error=%q, error_description=%q, acr_values=\"aal%d\"",
		CodeStepUp, stepUpTitle, level)
	if maxAge > 0 {
		text += `, max_age="` + strconv.Itoa(int(maxAge.Seconds())) + `"`
	}
	return text
}
