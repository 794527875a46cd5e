package cors

import (
	"net/http"

	"github.com/opsmantik/sallyport/internal/refusal"
)

// The codes of allowed requests: what [Decision].Code and the event say. None
// of them is ever sent to a client.
const (
	// CodeOriginListed: the origin is in Config.Origins, or in the list of the
	// request's tenant.
	CodeOriginListed = "origin_listed"
	// CodeSameOrigin: a page of this server sent the request.
	CodeSameOrigin = "same_origin"
	// CodeNoOrigin: there is no Origin header, and Config.NoOrigin passes that.
	CodeNoOrigin = "no_origin"
	// CodeTenantOriginListed: [Gate.CheckTenant] found the origin in the list of
	// the tenant.
	CodeTenantOriginListed = "tenant_origin_listed"
)

// The codes of refusals. The status is 403, with one exception.
const (
	// CodeOriginNotListed: 403. A proper origin that no list has.
	CodeOriginNotListed = "origin_not_listed"
	// CodeOriginNull: 403. "null" without Sec-Fetch-Site: same-origin.
	CodeOriginNull = "origin_null"
	// CodeOriginMalformed: 403. Not one serialized origin of at most 330 bytes.
	CodeOriginMalformed = "origin_malformed"
	// CodeOriginRepeated: 403. More than one Origin header.
	CodeOriginRepeated = "origin_repeated"
	// CodeOriginMissing: 403. No Origin header, and Config.NoOrigin wants one.
	CodeOriginMissing = "origin_missing"
	// CodeCrossSite: 403. A page of another site loads this without CORS, as an
	// image, a script or the like, and Config.Embeddable is not set.
	CodeCrossSite = "cross_site"
	// CodeMethodNotListed: 403. A preflight for a method not in Config.Methods.
	CodeMethodNotListed = "method_not_listed"
	// CodeHeaderNotListed: 403. A preflight for a header not in
	// Config.RequestHeaders.
	CodeHeaderNotListed = "header_not_listed"
	// CodePreflightMalformed: 403. A preflight that no browser sends.
	CodePreflightMalformed = "preflight_malformed"
	// CodeTenantOriginNotListed: 403. [Gate.CheckTenant] did not find the origin
	// in the list of the tenant.
	CodeTenantOriginNotListed = "tenant_origin_not_listed"
	// CodeNotConfigured: 503. The Gate was not made by New.
	CodeNotConfigured = "cors_not_configured"
)

const gateName = "cors"

// notConfigured is how the zero Gate refuses.
var notConfigured = refusal.Kind{
	Code: CodeNotConfigured, Status: http.StatusServiceUnavailable, Title: "Gate not configured",
}

// kinds are the refusals of a Gate that New made. Nothing writes to it.
var kinds = []refusal.Kind{
	forbid(CodeOriginNotListed, "Origin not allowed"),
	forbid(CodeOriginNull, "Opaque origin not allowed"),
	forbid(CodeOriginMalformed, "Origin malformed"),
	forbid(CodeOriginRepeated, "Origin repeated"),
	forbid(CodeOriginMissing, "Origin missing"),
	forbid(CodeCrossSite, "Cross-site load not allowed"),
	forbid(CodeMethodNotListed, "Method not allowed"),
	forbid(CodeHeaderNotListed, "Header not allowed"),
	forbid(CodePreflightMalformed, "Preflight malformed"),
	forbid(CodeTenantOriginNotListed, "Origin not allowed for this tenant"),
}

func forbid(code, title string) refusal.Kind {
	return refusal.Kind{Code: code, Status: http.StatusForbidden, Title: title}
}
