package sessions

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/refusal"
)

// Codes of allowed lookups.
const (
	// CodeLive: a session that may be used.
	CodeLive = "session_live"
	// CodeGrace: the token was replaced by a step-up less than [Grace] ago. It
	// still reads, with the level that it had, and changes nothing.
	CodeGrace = "session_grace"
)

// Codes of refusals.
const (
	// CodeRequired, 401: the request carries no session cookie.
	CodeRequired = "session_required"
	// CodeMalformed, 401: the cookie cannot be a token of ours; no store was asked.
	CodeMalformed = "session_malformed"
	// CodeDuplicate, 400: more than one session cookie; one may be planted.
	CodeDuplicate = "session_duplicate"
	// CodeEnded, 401: unknown, expired or ended. The three are not told apart.
	CodeEnded = "session_ended"
	// CodeReplaced, 401: a change with a token that a step-up has just replaced.
	// The browser has the newer one by now: repeat the request.
	CodeReplaced = "session_replaced"
	// CodeUnreadable, 401: the record did not decode into T and was ended.
	CodeUnreadable = "session_unreadable"
	// CodeUnavailable, 503: the store did not answer. The session may be alive.
	CodeUnavailable = "session_unavailable"
	// CodeNotLoaded, 503: a mistake of the program: the handler is not inside
	// [Manager.Load] or [Manager.Wrap], so there is no response to put a cookie in.
	CodeNotLoaded = "sessions_not_loaded"
	// CodeNotConfigured, 503: a nil or zero Manager.
	CodeNotConfigured = "sessions_not_configured"
)

// kinds are all refusals of this package.
var kinds = []refusal.Kind{
	{Code: CodeRequired, Status: http.StatusUnauthorized, Title: "Sign in to continue"},
	{Code: CodeMalformed, Status: http.StatusUnauthorized, Title: "Sign in to continue"},
	{Code: CodeDuplicate, Status: http.StatusBadRequest, Title: "More than one session cookie"},
	{Code: CodeEnded, Status: http.StatusUnauthorized, Title: "The session has ended"},
	{Code: CodeReplaced, Status: http.StatusUnauthorized, Title: "The session was renewed"},
	{Code: CodeUnreadable, Status: http.StatusUnauthorized, Title: "The session has ended"},
	{
		Code: CodeUnavailable, Status: http.StatusServiceUnavailable,
		Title: "Sessions are unavailable",
	},
	{
		Code: CodeNotLoaded, Status: http.StatusServiceUnavailable,
		Title: "Sessions are not available here",
	},
	notConfigured,
}

var notConfigured = refusal.Kind{
	Code: CodeNotConfigured, Status: http.StatusServiceUnavailable,
	Title: "Sessions are not configured",
}

// Errors of a [Manager]. The first two match refusals; the others leave
// everything as it was.
var (
	// ErrNoSession matches every refusal that means "not signed in". A [Store]
	// returns it when no live record has that key.
	ErrNoSession = errors.New("sessions: no session")
	// ErrUnavailable matches every refusal that means "could not tell".
	ErrUnavailable = errors.New("sessions: store unavailable")
	// ErrCommitted: the response header is out, so that no cookie can be set, and
	// no cache kept from storing a page that shows the session.
	ErrCommitted = errors.New("sessions: response already started")
	// ErrTooLarge: the encoded data exceeds Config.MaxData.
	ErrTooLarge = errors.New("sessions: data too large")
	// ErrInvalid: an argument that no session may have, or a handler that is not
	// inside [Manager.Load].
	ErrInvalid = errors.New("sessions: invalid argument")
)

// Further errors of a [Store].
var (
	// ErrConflict: the record changed since it was read.
	ErrConflict = errors.New("sessions: conflict")
	// ErrFull: the store holds as many sessions as it may.
	ErrFull = errors.New("sessions: store full")
)

var errNotLoaded = fmt.Errorf("%w: the handler is not inside Manager.Load", ErrInvalid)

// What a client is told to wait while the store is away.
const retryAfter = 5 * time.Second

// refuse makes a refusal. No scheme is registered for cookies, but RFC 9110
// section 15.5.2 wants a challenge, and clients ignore one that they do not know.
func (m *Manager[T]) refuse(code string, cause error) *sallyport.Refusal {
	if m == nil || m.refusals == nil {
		return notConfigured.Refusal(gate, ErrUnavailable)
	}
	refused := m.refusals.New(code, cause)
	switch {
	case refused.Status == http.StatusUnauthorized:
		refused.Challenge = `Cookie realm="session"`
	case code == CodeUnavailable:
		refused.RetryAfter = retryAfter
	}
	return refused
}

// none refuses because nobody is signed in.
func (m *Manager[T]) none(code string, cause error) *sallyport.Refusal {
	if !errors.Is(cause, ErrNoSession) {
		cause = errors.Join(ErrNoSession, cause)
	}
	return m.refuse(code, cause)
}

// unavailable refuses because nobody can tell.
func (m *Manager[T]) unavailable(cause error) *sallyport.Refusal {
	return m.refuse(CodeUnavailable, fmt.Errorf("%w: %w", ErrUnavailable, cause))
}

// failed keeps "it is over" apart from "could not tell".
func (m *Manager[T]) failed(err error) *sallyport.Refusal {
	if errors.Is(err, ErrNoSession) {
		return m.refuse(CodeEnded, err)
	}
	return m.unavailable(err)
}
