package cors

import (
	"net/http"
	"time"
)

// Config configures a [Gate]. New copies it; changing it later has no effect.
//
// An origin is written as browsers send it: scheme://host, with :port unless
// it is the scheme's default, in lower case, punycode, no trailing slash.
type Config struct {
	_ [0]func() // keyed literals only; not comparable

	// Origins are the origins whose pages may send requests and read the
	// responses: exact ones; patterns such as "https://*.example.com" for
	// every subdomain at any depth, not the domain itself; or "*" alone, for
	// public data, without Credentials. Required, unless OwnOrigins or Tenant
	// is set. "null" is never an entry.
	Origins []string

	// OwnOrigins are the origins at which browsers reach this server, as seen
	// from outside the proxies. Their pages are same-origin: they pass, and
	// get no CORS headers. Browsers that send Sec-Fetch-Site: same-origin (all
	// since 2023, on HTTPS and loopback) are recognised without an entry, but
	// they leave that header out of WebSocket handshakes.
	OwnOrigins []string

	// Tenants are the origins of each tenant, exact or patterns. With Tenant
	// set they extend Origins for that tenant's requests. Without it they
	// narrow Origins for [Gate.TenantAllows], and have to be covered by it.
	Tenants map[string][]string

	// Tenant names the tenant of a request; "" means none, and then only
	// Origins count. It is asked at preflights too, which carry neither body
	// nor custom headers, so it has to decide by host or path. It may be
	// called concurrently and must not read the body.
	Tenant func(*http.Request) string

	// Methods are the methods that preflights may ask for, in upper case.
	// GET, HEAD and POST need no entry: browsers send them unasked.
	Methods []string

	// RequestHeaders are the header names that preflights may ask for. There
	// is no wildcard: it would not cover Authorization, and says nothing.
	RequestHeaders []string

	// ExposedHeaders are the response headers that scripts may read, besides
	// those that they always may (Fetch standard, section 2.2.2).
	ExposedHeaders []string

	// Credentials lets pages send cookies and read the responses to them.
	// Default: no. Not with "*".
	Credentials bool

	// MaxAge is how long browsers may remember a preflight, in whole seconds
	// up to 24 hours (Firefox's limit; Chromium and Safari stop earlier). Zero
	// leaves it to them: 5 seconds. Negative forbids remembering.
	MaxAge time.Duration

	// PreflightStatus is the status of a successful preflight: 200 to 299.
	// Default: 204.
	PreflightStatus int

	// NoOrigin says what happens to requests without an Origin header.
	// Default: NoOriginRefuseUnsafe.
	NoOrigin NoOrigin

	// ResourceIsolation refuses requests without Origin that Sec-Fetch-Site
	// places outside this origin: a script, image or frame of another site
	// that loads from this one without CORS. Links to this server still work
	// (top-level and frame navigations by GET). Default: off.
	ResourceIsolation bool

	// ReportOnly lets refused requests through to the handler, without CORS
	// headers and with Decision.ReportOnly set: to watch OnDecision before
	// enforcing. Default: off.
	ReportOnly bool

	// PublicSuffix returns the public suffix of a domain, so that patterns
	// over one ("https://*.github.io") are refused: anybody can get a name
	// there. Required with patterns. publicsuffix.PublicSuffix of
	// golang.org/x/net fits; so does a function that knows your own domains.
	// Its second result is ignored. It is asked about the base and about a
	// name below it; that the base has suffixes further down ("*.amazonaws.com"
	// covers every bucket) it cannot tell.
	PublicSuffix func(domain string) (suffix string, icann bool)

	// DangerouslyAllowInsecureOrigins admits http:// entries beyond loopback.
	// Whoever controls a network between browser and such a site is then a
	// listed origin.
	DangerouslyAllowInsecureOrigins bool

	// OnDecision, if set, is called by Wrap once per request, after the
	// decision, allow and refuse. It cannot change it. Label metrics with
	// Decision.Reason, never with the origin.
	OnDecision func(*http.Request, Decision)

	// OnReject, if set, replaces the problem+json answer to refused requests.
	// Vary is already set.
	OnReject func(http.ResponseWriter, *http.Request, *Rejection)
}

// NoOrigin is a policy for requests without an Origin header: navigations,
// same-origin GETs, no-cors loads, and every client that is not a browser.
type NoOrigin uint8

const (
	// NoOriginRefuseUnsafe passes GET, HEAD and OPTIONS, and other methods
	// only if Sec-Fetch-Site says same-origin or none. Browsers send Origin
	// with unsafe methods, so this costs them nothing.
	NoOriginRefuseUnsafe NoOrigin = iota
	// NoOriginPass passes them all: for servers whose other clients
	// authenticate themselves, such as a signing proxy.
	NoOriginPass
	// NoOriginRefuse refuses them all, navigations and a browser's own
	// same-origin GETs included: for endpoints with cross-origin callers only.
	NoOriginRefuse
)
