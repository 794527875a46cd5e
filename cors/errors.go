package cors

import "fmt"

// Reason says why a request was allowed or refused. The set is closed; codes
// never change, texts may. The same code is in the Decision, the Rejection and
// the problem+json answer, and makes a metric label of bounded cardinality.
type Reason string

// Reasons to allow.
const (
	// ReasonOriginListed: the origin is in Origins, or in its tenant's list.
	ReasonOriginListed Reason = "origin_listed"
	// ReasonSameOrigin: a page of this server sent the request.
	ReasonSameOrigin Reason = "same_origin"
	// ReasonNoOrigin: no Origin header, and the policy lets that pass.
	ReasonNoOrigin Reason = "no_origin"
)

// Reasons to refuse, with status 403.
const (
	// ReasonOriginNotListed: a proper origin that no list has.
	ReasonOriginNotListed Reason = "origin_not_listed"
	// ReasonOriginNull: "null" without Sec-Fetch-Site: same-origin.
	ReasonOriginNull Reason = "origin_null"
	// ReasonOriginMalformed: not one serialized origin of at most 330 bytes.
	ReasonOriginMalformed Reason = "origin_malformed"
	// ReasonOriginRepeated: more than one Origin header.
	ReasonOriginRepeated Reason = "origin_repeated"
	// ReasonOriginMissing: no Origin header, and the policy wants one.
	ReasonOriginMissing Reason = "origin_missing"
	// ReasonCrossSite: no Origin header, and ResourceIsolation applies.
	ReasonCrossSite Reason = "cross_site"
	// ReasonMethodNotListed: a preflight for a method not in Methods.
	ReasonMethodNotListed Reason = "method_not_listed"
	// ReasonHeaderNotListed: a preflight for a header not in RequestHeaders.
	ReasonHeaderNotListed Reason = "header_not_listed"
	// ReasonPreflightMalformed: a preflight no browser sends.
	ReasonPreflightMalformed Reason = "preflight_malformed"
	// ReasonNotConfigured: the Gate was not made by New.
	ReasonNotConfigured Reason = "not_configured"
)

// ConfigError is one problem in a Config, or in the environment. New and
// FromEnv return all of them, joined.
type ConfigError struct {
	Field  string // of Config, or the name of the environment variable
	Value  string // the entry at fault, without userinfo; may be empty
	Reason string // what is wrong with it, and what to write instead
}

func (e *ConfigError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("cors: %s: %s", e.Field, e.Reason)
	}
	return fmt.Sprintf("cors: %s: %q: %s", e.Field, e.Value, e.Reason)
}

// Rejection is a refusal, for OnReject.
type Rejection struct {
	Reason Reason
	Status int
	Err    error // Decision.Explain as an error: for logs, not for clients
}

func (r *Rejection) Error() string { return "cors: " + string(r.Reason) }

// Unwrap returns Err.
func (r *Rejection) Unwrap() error { return r.Err }
