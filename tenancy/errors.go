package tenancy

import (
	"errors"
	"fmt"
	"net/http"
)

// Reason says why a request was refused. The set is closed; codes never change,
// texts may.
type Reason string

const (
	// ReasonIdentityRequired: nobody is signed in.
	ReasonIdentityRequired Reason = "identity_required"
	// ReasonSiteRequired: no source names a site.
	ReasonSiteRequired Reason = "site_required"
	// ReasonSiteMalformed: what a source names cannot be a site id.
	ReasonSiteMalformed Reason = "site_malformed"
	// ReasonSiteConflict: sources disagree, or one names a site twice.
	ReasonSiteConflict Reason = "site_conflict"
	// ReasonNotFound: unknown, not a member, or not permitted. Not told apart.
	ReasonNotFound Reason = "not_found"
	// ReasonStepUp: permitted, but only with a second or a fresher factor.
	ReasonStepUp Reason = "insufficient_user_authentication"
	// ReasonUnavailable: identity or membership could not be looked up.
	ReasonUnavailable Reason = "site_access_unavailable"
)

// reasons is the closed set.
func reasons() []Reason {
	return []Reason{
		ReasonIdentityRequired, ReasonSiteRequired, ReasonSiteMalformed, ReasonSiteConflict,
		ReasonNotFound, ReasonStepUp, ReasonUnavailable,
	}
}

// status and title are what a refusal tells the client.
func (r Reason) status() int {
	switch r {
	case ReasonIdentityRequired, ReasonStepUp:
		return http.StatusUnauthorized
	case ReasonNotFound:
		return http.StatusNotFound
	case ReasonUnavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusBadRequest
	}
}

func (r Reason) title() string {
	switch r {
	case ReasonIdentityRequired:
		return "Sign in to continue"
	case ReasonNotFound:
		return "Not found"
	case ReasonStepUp:
		return "Confirm your identity to continue"
	case ReasonUnavailable:
		return "Access cannot be checked right now"
	default:
		return "The request must name one site"
	}
}

var (
	// ErrUnauthenticated is for Config.Identify: nobody is signed in.
	ErrUnauthenticated = errors.New("tenancy: not signed in")
	// ErrNotMember is for Config.Member and lookups: no such site, or no role on it.
	ErrNotMember = errors.New("tenancy: not a member")
	// ErrForbidden is the cause when the role lacks the permission.
	ErrForbidden = errors.New("tenancy: role lacks the permission")
	// ErrNoGrant is what a zero or forged grant is.
	ErrNoGrant = errors.New("tenancy: no grant")
	// ErrExpired is what an old grant is.
	ErrExpired = errors.New("tenancy: grant expired")
	// ErrNotPortable refuses to write a grant down or read one back.
	ErrNotPortable = errors.New("tenancy: a grant cannot leave the process")
)

// ConfigError is one problem in a [Config]. New returns all of them joined.
type ConfigError struct{ Field, Value, Reason string }

func (e *ConfigError) Error() string {
	return fmt.Sprintf("tenancy: %s: %q: %s", e.Field, e.Value, e.Reason)
}

// Rejection is a refusal.
type Rejection struct {
	Reason Reason
	Status int
	Err    error // the cause, for hooks and logs only

	maxAge int // seconds; 0 for no demand
}

func (r *Rejection) Error() string { return "tenancy: " + string(r.Reason) }

// Unwrap returns the cause.
func (r *Rejection) Unwrap() error { return r.Err }

func refuse(reason Reason, cause error) *Rejection {
	return &Rejection{Reason: reason, Status: reason.status(), Err: cause}
}
