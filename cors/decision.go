package cors

import "net/http"

// Decision is what the gate makes of one request. The code says why; what
// happens depends on the booleans too. Wrap does, in this order:
//
//	ReportOnly   runs the handler, and changes nothing
//	!Allowed     answers 403 with the code
//	Preflight    answers it
//	otherwise    sets the headers and runs the handler
type Decision struct {
	Allowed    bool   // the rules allow it
	Preflight  bool   // it is a preflight: Wrap answers it, and the handler does not run
	ReportOnly bool   // Config.ReportOnly: nothing is refused or answered, whatever Allowed says
	Code       string // why, for either outcome: one of the Code constants

	share  bool   // the page may read the response
	origin string // the Origin header, if there is exactly one
	detail string // the header value that decided, as the client sent it
	tenant string // what Config.Tenant said, or CheckTenant asked about
}

// decide applies the rules of the package documentation, in their order.
func (p *policy) decide(r *http.Request, d *Decision) {
	if p.begin(r, d); d.Code != "" {
		return
	}
	methods := askedMethods(r)
	d.Code, d.tenant = p.withOrigin(r, d.origin, len(methods) > 0)
	d.Preflight = len(methods) > 0 && d.Code != CodeSameOrigin
	if d.Preflight && d.Code == CodeOriginListed {
		d.Code, d.detail = p.preflight(methods, r.Header["Access-Control-Request-Headers"])
	}
	d.share = d.Code == CodeOriginListed
	d.Allowed = d.share || d.Code == CodeSameOrigin
}

// decideTenant answers the second question about a request: is its origin in
// this tenant's own list?
func (p *policy) decideTenant(r *http.Request, tenant string, d *Decision) {
	d.tenant = tenant
	if p.begin(r, d); d.Code != "" {
		return
	}
	d.Code = CodeTenantOriginNotListed
	o, ok := parseOrigin(d.origin)
	list := p.tenants[tenant]
	if d.Allowed = ok && (list.lists(d.origin) || list.matches(o)); d.Allowed {
		d.Code = CodeTenantOriginListed
	}
}

// begin decides what has no origin to look up: rules 1 and 2. Otherwise the
// Decision has no code yet.
func (p *policy) begin(r *http.Request, d *Decision) {
	d.ReportOnly = p.ReportOnly
	switch origins := r.Header["Origin"]; len(origins) {
	case 0:
		d.Code = p.withoutOrigin(r)
		d.Allowed = d.Code == CodeNoOrigin
		// Public data says so to everybody: caches keep one answer for all.
		d.share = p.listed.any
	case 1:
		d.origin, d.detail = origins[0], origins[0]
	default:
		d.Code = CodeOriginRepeated
	}
}

// withOrigin applies rules 3 to 6. What costs most comes last: most requests
// end at the first lookup.
func (p *policy) withOrigin(r *http.Request, s string, preflight bool) (code, tenant string) {
	if len(s) > maxOriginLen {
		return CodeOriginMalformed, "" // before anything hashes it
	}
	if p.listed.lists(s) {
		return CodeOriginListed, ""
	}
	if p.Tenant == nil {
		return p.unlisted(r, s, nil, preflight), ""
	}
	tenant = p.Tenant(r)
	extra := p.tenants[tenant]
	if extra.lists(s) {
		return CodeOriginListed, tenant
	}
	return p.unlisted(r, s, &extra, preflight), tenant
}

// unlisted decides on an origin that no list has word for word. Extra is the
// list of the tenant, or nil.
func (p *policy) unlisted(r *http.Request, s string, extra *originSet, preflight bool) string {
	sameOrigin := fetchSite(r.Header) == "same-origin"
	if s == "null" {
		switch {
		case p.listed.any:
			return CodeOriginListed
		case sameOrigin:
			// A page with no-referrer sends this to its own origin
			// (https://fetch.spec.whatwg.org/#append-a-request-origin-header); so
			// does a stranger in a sandbox, but the browser calls that cross-site.
			return CodeSameOrigin
		}
		return CodeOriginNull
	}
	o, ok := parseOrigin(s)
	switch {
	case !ok:
		return CodeOriginMalformed
	case p.listed.matches(o) || extra != nil && extra.matches(o):
		return CodeOriginListed
	case sameOrigin:
		return CodeSameOrigin
	case preflight:
		// Preflights are for cross-origin requests only: a page on one of
		// several own origins that calls another needs an entry in Origins.
		return CodeOriginNotListed
	case p.own.lists(s) || p.own.matches(o):
		return CodeSameOrigin
	}
	return CodeOriginNotListed
}

// withoutOrigin applies rule 1. Browsers send Origin with everything but
// navigations by GET, same-origin GET and HEAD, and no-cors GET
// (https://fetch.spec.whatwg.org/#append-a-request-origin-header), so what is
// left here is those and other programs.
func (p *policy) withoutOrigin(r *http.Request) string {
	site := fetchSite(r.Header)
	inside := site == "same-origin" || site == "none"
	if p.isolate && site != "" && !inside && !isNavigation(r) {
		return CodeCrossSite
	}
	if p.NoOrigin == NoOriginPass {
		return CodeNoOrigin
	}
	if p.NoOrigin == NoOriginRefuse || !inside && !isSafe(r.Method) {
		return CodeOriginMissing
	}
	return CodeNoOrigin
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

// fetchSite returns Sec-Fetch-Site (https://www.w3.org/TR/fetch-metadata/): ""
// if absent, and what no browser sends if it is ambiguous, so that only an
// unambiguous claim counts.
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
