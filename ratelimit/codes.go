package ratelimit

import (
	"errors"
	"net/http"

	"github.com/opsmantik/sallyport/internal/refusal"
)

// The codes of this package's decisions.
const (
	// CodeWithinLimit: every policy had room. Allowed.
	CodeWithinLimit = "within_limit"
	// CodeDegraded: allowed without the shared store, as OnOutage says.
	CodeDegraded = "limiter_degraded"
	// CodeRateLimited: a policy's bucket does not hold the cost. 429.
	CodeRateLimited = "rate_limited"
	// CodeCostExceedsLimit: the cost is above the burst, so waiting cannot
	// help. 422.
	CodeCostExceedsLimit = "cost_exceeds_limit"
	// CodeInFlight: too many requests of this key are being served. 429.
	CodeInFlight = "too_many_in_flight"
	// CodeUnavailable: the store cannot answer, and a policy does not go on
	// without it. 503.
	CodeUnavailable = "limiter_unavailable"
	// CodeNoKey: a policy's key is the zero Key. 400.
	CodeNoKey = "no_key"
	// CodePolicyInvalid: a policy cannot be honoured; a bug in the caller. 500.
	CodePolicyInvalid = "policy_invalid"
	// CodeNotConfigured: the zero value was used. 503.
	CodeNotConfigured = "ratelimit_not_configured"
)

const gate = "ratelimit"

var kinds = []refusal.Kind{
	{Code: CodeRateLimited, Status: http.StatusTooManyRequests, Title: "Too many requests"},
	{
		Code: CodeCostExceedsLimit, Status: http.StatusUnprocessableEntity,
		Title: "The request costs more than the limit ever allows",
	},
	{Code: CodeInFlight, Status: http.StatusTooManyRequests, Title: "Too many requests at once"},
	{
		Code: CodeUnavailable, Status: http.StatusServiceUnavailable,
		Title: "Rate limiting is temporarily unavailable",
	},
	{Code: CodeNoKey, Status: http.StatusBadRequest, Title: "The client could not be identified"},
	{
		Code: CodePolicyInvalid, Status: http.StatusInternalServerError,
		Title: "Rate limiting is misconfigured",
	},
	{
		Code: CodeNotConfigured, Status: http.StatusServiceUnavailable,
		Title: "Rate limiting is not configured",
	},
}

// unnamed are the refusals of a zero Limiter, and of decisions that no Limiter
// renders.
var unnamed = refusal.NewTable(gate, "", kinds...)

var errNotConfigured = errors.New("ratelimit: zero value used; call its constructor")
