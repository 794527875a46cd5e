package sallyport

import (
	"net/http"
	"strconv"
	"time"

	"github.com/opsmantik/sallyport/internal/problem"
)

// Refusal is the error with which every gate refuses. [errors.As] finds it in
// what Check returns, and OnReject receives it.
//
//	var refusal *sallyport.Refusal
//	if errors.As(err, &refusal) && refusal.Code == ratelimit.CodeRateLimited { ... }
//
// Everything but Err and Detail may be shown to the client. A Refusal belongs
// to one request; Write does not change it.
type Refusal struct {
	// Gate is the package that refused: "cors", "hmacsig", "sessions".
	Gate string
	// Code is the reason, in lower_snake form: what a client branches on, a
	// metric is labelled with and an alert is written for. No two gates share a
	// code, and a code never changes its meaning. The packages declare theirs as
	// constants that begin with Code; docs/problems.md explains each.
	Code string
	// Status is the HTTP status, 400 to 599.
	Status int
	// Title says the same in words. It is constant for a code.
	Title string
	// RetryAfter is how long to wait before the same request can succeed, or 0
	// where waiting is no promise. It is sent in whole seconds, rounded up.
	RetryAfter time.Duration
	// Challenge is the value of WWW-Authenticate (RFC 9110 section 11.6.1), or "".
	Challenge string
	// Members are further members of the problem document (RFC 9457 section
	// 3.2), such as "violated-policies". They cannot replace type, title, status
	// and code. Usually nil.
	Members map[string]any
	// TypeBase is what the problem's type URI begins with; the code is appended.
	// Empty means this project's docs/problems.md. It comes from the gate's
	// Config.ProblemBase.
	TypeBase string
	// Err is the cause, for operators only: never send it to a client. It holds
	// no secret.
	Err error
	// Detail is the gate's own decision, as in [Event.Detail], or nil.
	Detail any
}

// Error returns the gate, the code and the cause: for logs, not for clients.
func (r *Refusal) Error() string {
	text := r.Gate + ": " + r.Code
	if r.Err != nil {
		text += ": " + r.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (r *Refusal) Unwrap() error { return r.Err }

// SetHeader sets Retry-After and WWW-Authenticate, where the refusal has them.
// Gates call it before OnReject, so an OnReject need not.
func (r *Refusal) SetHeader(h http.Header) {
	if r.RetryAfter > 0 {
		// Rounded up: a client that comes back as told must not be refused again.
		seconds := (r.RetryAfter + time.Second - 1) / time.Second
		h["Retry-After"] = []string{strconv.FormatInt(int64(seconds), 10)}
	}
	if r.Challenge != "" {
		h["Www-Authenticate"] = []string{r.Challenge}
	}
}

// Write answers with the default problem document (RFC 9457,
// application/problem+json). An OnReject that only logs, or only adds a header,
// ends with it.
func (r *Refusal) Write(w http.ResponseWriter) {
	r.SetHeader(w.Header())
	problem.New(r.TypeBase, r.Status, r.Code, r.Title, r.Members).Write(w)
}
