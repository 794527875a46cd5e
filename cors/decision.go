package cors

import "net/http"

// Decision is what the gate makes of one request. Reason says why; what happens
// depends on the booleans too: a listed origin's preflight is answered, its
// request is passed on, and ReportOnly passes on what is refused.
type Decision struct {
	Allowed    bool   // the rules allow it
	Preflight  bool   // it is a preflight, which the gate answers if allowed
	ReportOnly bool   // if not Allowed, the handler runs nevertheless
	Reason     Reason // why, for either outcome

	share  bool   // the page at origin may read the response
	origin string // the Origin header, if there is exactly one
	detail string // the header value that decided, as the client sent it
}

// decide is the whole of the rules, in order.
func (p *policy) decide(r *http.Request) Decision {
	d := Decision{ReportOnly: p.ReportOnly}
	switch origins := r.Header["Origin"]; len(origins) {
	case 0:
		d.Reason = p.withoutOrigin(r)
		d.Allowed = d.Reason == ReasonNoOrigin
		return d
	case 1:
		d.origin, d.detail = origins[0], origins[0]
	default:
		d.Reason = ReasonOriginRepeated
		return d
	}
	methods := askedMethods(r)
	d.Reason = p.withOrigin(r, d.origin, len(methods) > 0)
	d.Preflight = len(methods) > 0 && d.Reason != ReasonSameOrigin
	if d.Preflight && d.Reason == ReasonOriginListed {
		d.Reason, d.detail = p.preflight(methods, r.Header["Access-Control-Request-Headers"])
	}
	d.share = d.Reason == ReasonOriginListed
	d.Allowed = d.share || d.Reason == ReasonSameOrigin
	return d
}

// withOrigin applies rules 3 to 6 of the package documentation. What costs
// most comes last: most requests end at the first lookup.
func (p *policy) withOrigin(r *http.Request, s string, preflight bool) Reason {
	if len(s) > maxOriginLen {
		return ReasonOriginMalformed // before anything hashes it
	}
	if p.listed.lists(s) {
		return ReasonOriginListed
	}
	var tenant originSet
	if p.Tenant != nil {
		tenant = p.tenants[p.Tenant(r)]
	}
	if tenant.lists(s) {
		return ReasonOriginListed
	}
	sameOrigin := fetchSite(r.Header) == "same-origin"
	if s == "null" {
		// A page with no-referrer sends this to its own origin (Fetch
		// standard, section 3.2); so does a sandboxed stranger, but then the
		// browser calls the request cross-site.
		if sameOrigin {
			return ReasonSameOrigin
		}
		return ReasonOriginNull
	}
	o, ok := parseOrigin(s)
	switch {
	case !ok:
		return ReasonOriginMalformed
	case p.listed.matches(o) || tenant.matches(o):
		return ReasonOriginListed
	case sameOrigin:
		return ReasonSameOrigin
	case preflight:
		// Preflights are for cross-origin requests only: a page on one of
		// several own origins that calls another needs an entry in Origins.
		return ReasonOriginNotListed
	case p.own.lists(s) || p.own.matches(o):
		return ReasonSameOrigin
	}
	return ReasonOriginNotListed
}

// withoutOrigin applies rule 1. Browsers send Origin with everything but
// navigations by GET, same-origin GET and HEAD, and no-cors GET (Fetch
// standard, section 3.2), so what is left here is those and other programs.
func (p *policy) withoutOrigin(r *http.Request) Reason {
	site := fetchSite(r.Header)
	inside := site == "same-origin" || site == "none"
	if p.ResourceIsolation && site != "" && !inside && !isNavigation(r) {
		return ReasonCrossSite
	}
	if p.NoOrigin == NoOriginPass {
		return ReasonNoOrigin
	}
	if p.NoOrigin == NoOriginRefuse || !inside && !isSafe(r.Method) {
		return ReasonOriginMissing
	}
	return ReasonNoOrigin
}

// isSafe leaves out TRACE, which browsers refuse to send.
func isSafe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// isNavigation is the exception in the usual resource isolation policy
// (https://web.dev/articles/fetch-metadata): following a link, not embedding.
func isNavigation(r *http.Request) bool {
	dest := r.Header.Get("Sec-Fetch-Dest")
	return r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" &&
		dest != "object" && dest != "embed"
}

// fetchSite returns Sec-Fetch-Site: "" if absent, and what no browser sends if
// it is ambiguous, so that only an unambiguous claim counts.
func fetchSite(h http.Header) string {
	values := h["Sec-Fetch-Site"]
	if len(values) == 0 {
		return ""
	}
	if len(values) > 1 || values[0] == "" {
		return "ambiguous"
	}
	return values[0]
}
