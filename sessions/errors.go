package sessions

import (
	"errors"
	"fmt"
	"net/http"
)

// Reason says why there is no usable session. The set is closed; codes never
// change, texts may.
type Reason string

const (
	// ReasonRequired: the request carries no session cookie.
	ReasonRequired Reason = "session_required"
	// ReasonMalformed: the cookie cannot be a token of ours; the store was not asked.
	ReasonMalformed Reason = "session_malformed"
	// ReasonDuplicate: more than one session cookie; somebody may have planted one.
	ReasonDuplicate Reason = "session_duplicate"
	// ReasonEnded: unknown, expired or ended. The three are not told apart.
	ReasonEnded Reason = "session_ended"
	// ReasonUnreadable: the record did not decode into T and was destroyed.
	ReasonUnreadable Reason = "session_unreadable"
	// ReasonUnavailable: the store did not answer. The session may well be alive.
	ReasonUnavailable Reason = "session_unavailable"
)

// reasons is the closed set.
func reasons() []Reason {
	return []Reason{
		ReasonRequired, ReasonMalformed, ReasonDuplicate, ReasonEnded, ReasonUnreadable,
		ReasonUnavailable,
	}
}

// status and title: what a refusal for this reason tells the client.
func (r Reason) status() int {
	switch r {
	case ReasonDuplicate:
		return http.StatusBadRequest
	case ReasonUnavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusUnauthorized
	}
}

func (r Reason) title() string {
	switch r {
	case ReasonDuplicate:
		return "More than one session cookie"
	case ReasonEnded, ReasonUnreadable:
		return "The session has ended"
	case ReasonUnavailable:
		return "Sessions are unavailable"
	default:
		return "Sign in to continue"
	}
}

var (
	// ErrNoSession matches every refusal that means "not signed in".
	ErrNoSession = errors.New("sessions: no session")
	// ErrUnavailable matches every refusal that means "could not tell".
	ErrUnavailable = errors.New("sessions: store unavailable")
	// ErrCommitted: the response header is out, so no cookie can be set. Nothing
	// was changed.
	ErrCommitted = errors.New("sessions: response already started")
	// ErrTooLarge: the encoded data exceeds Config.MaxData. Nothing was changed.
	ErrTooLarge = errors.New("sessions: data too large")
	// ErrInvalid: a user id or a level that no session may have.
	ErrInvalid = errors.New("sessions: invalid argument")
)

// Errors of a [Store].
var (
	// ErrNotFound: no live record under that key.
	ErrNotFound = errors.New("sessions: not found")
	// ErrConflict: the record changed since it was read.
	ErrConflict = errors.New("sessions: conflict")
	// ErrFull: the store holds as many sessions as it may.
	ErrFull = errors.New("sessions: store full")
)

// ConfigError is one problem in a [Config]. New returns all of them joined.
type ConfigError struct{ Field, Value, Reason string }

func (e *ConfigError) Error() string {
	return fmt.Sprintf("sessions: %s: %q: %s", e.Field, e.Value, e.Reason)
}

// Rejection is a refusal. It matches [ErrNoSession] or [ErrUnavailable].
type Rejection struct {
	Reason Reason
	Status int
	Err    error // the cause, for hooks and logs only
}

func (r *Rejection) Error() string { return "sessions: " + string(r.Reason) }

// Unwrap returns the cause.
func (r *Rejection) Unwrap() error { return r.Err }

// Is makes the two sentinels match without hiding the cause.
func (r *Rejection) Is(target error) bool {
	if r.Reason == ReasonUnavailable {
		return target == ErrUnavailable
	}
	return target == ErrNoSession
}

// refuse builds a refusal.
func refuse(reason Reason, cause error) *Rejection {
	return &Rejection{Reason: reason, Status: reason.status(), Err: cause}
}
