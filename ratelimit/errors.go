package ratelimit

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport/internal/problem"
)

// Reason says why a request was refused. The set is closed; codes never
// change, texts may.
type Reason string

const (
	// ReasonRateLimited: a policy's bucket does not hold the cost. 429.
	ReasonRateLimited Reason = "rate_limited"
	// ReasonCostExceedsLimit: the cost is above the burst, so waiting cannot
	// help. 422.
	ReasonCostExceedsLimit Reason = "cost_exceeds_limit"
	// ReasonInFlight: too many requests of this key are being served. 429.
	ReasonInFlight Reason = "too_many_in_flight"
	// ReasonLoginBlocked: too many failed logins from here. 429.
	ReasonLoginBlocked Reason = "login_blocked"
	// ReasonUnavailable: the store cannot answer and a policy is Closed. 503.
	ReasonUnavailable Reason = "limiter_unavailable"
	// ReasonNoKey: a policy's key is the zero Key. 400.
	ReasonNoKey Reason = "no_key"
	// ReasonPolicyInvalid: a policy cannot be honoured; a bug in the caller.
	// 500.
	ReasonPolicyInvalid Reason = "policy_invalid"
	// ReasonNotConfigured: the zero value was used. 500.
	ReasonNotConfigured Reason = "not_configured"
	// ReasonForwardedMalformed: a trusted proxy sent a chain or header that
	// holds no usable client address. 400.
	ReasonForwardedMalformed Reason = "forwarded_malformed"
	// ReasonPeerUnknown: the connection's own address does not parse. 400.
	ReasonPeerUnknown Reason = "peer_unknown"
)

// ConfigError is one problem in a configuration. New returns all of them,
// joined.
type ConfigError struct {
	Field, Value, Reason string
}

// Error names the field, the value and the fix.
func (e *ConfigError) Error() string {
	return fmt.Sprintf("ratelimit: %s: %q: %s", e.Field, e.Value, e.Reason)
}

// Rejection is a refusal.
type Rejection struct {
	Reason     Reason
	Status     int           // the HTTP status that Write sends
	RetryAfter time.Duration // 0 when waiting is no promise
	Decision   Decision      // zero when no policy was asked
	Err        error         // the cause, for hooks and logs only

	problem *problem.Problem // encoded already, or nil
}

// Error gives the reason code.
func (r *Rejection) Error() string { return "ratelimit: refused: " + string(r.Reason) }

// Unwrap returns the cause.
func (r *Rejection) Unwrap() error { return r.Err }

// Write answers with the default problem details and Retry-After. An OnReject
// that only adds a header ends with it.
func (r *Rejection) Write(w http.ResponseWriter) {
	if r.RetryAfter > 0 {
		w.Header()["Retry-After"] = []string{ceilSeconds(r.RetryAfter)}
	}
	p := r.problem
	if p == nil {
		p = newProblem(r.Reason, r.Decision.Violated)
	}
	p.Write(w)
}

var errNotConfigured = errors.New("ratelimit: zero value used; call its constructor")

func (r Reason) status() int {
	switch r {
	case ReasonRateLimited, ReasonInFlight, ReasonLoginBlocked:
		return http.StatusTooManyRequests
	case ReasonCostExceedsLimit:
		return http.StatusUnprocessableEntity
	case ReasonUnavailable:
		return http.StatusServiceUnavailable
	case ReasonNoKey, ReasonForwardedMalformed, ReasonPeerUnknown:
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

func (r Reason) title() string {
	switch r {
	case ReasonRateLimited:
		return "Too many requests"
	case ReasonInFlight:
		return "Too many requests at once"
	case ReasonLoginBlocked:
		return "Too many attempts"
	case ReasonCostExceedsLimit:
		return "The request costs more than the limit ever allows"
	case ReasonUnavailable:
		return "Rate limiting is temporarily unavailable"
	case ReasonNoKey, ReasonPeerUnknown:
		return "The client could not be identified"
	case ReasonForwardedMalformed:
		return "The forwarding headers could not be read"
	}
	return "Rate limiting is misconfigured"
}
