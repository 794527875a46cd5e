package cors

import (
	"context"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport"
)

// Config configures a [Gate]. New copies it; changing it later has no effect.
// New refuses what is called refused below, and says what to write instead.
//
// # Origins and patterns
//
// An origin is written as browsers send it (the [ASCII serialization] of a
// canonical URL):
//
//	https://app.example.com          // permitted
//	https://app.example.com:8443     // permitted
//	https://203.0.113.7              // permitted
//	https://[2001:db8::1]            // permitted
//	https://xn--bcher-kva.example    // permitted
//	https://bücher.example           // refused: not ASCII
//	https://App.example.com          // refused: upper case
//	https://app.example.com/         // refused: a slash at the end
//	https://app.example.com:443      // refused: the default port
//	https://[0:0:0:0:0:0:0:1]        // refused: not how a browser writes it
//	https://user@app.example.com     // refused: userinfo
//	app.example.com                  // refused: no scheme
//	null                             // refused: every sandboxed page sends it
//
// An asterisk in front stands for one or more whole labels. It needs
// Config.PublicSuffix, except on loopback:
//
//	https://*.example.com            // permitted: a.example.com, b.a.example.com
//	https://*.example.com:8443       // permitted
//	https://*.com                    // refused: strangers register below it
//	https://*.github.io              // refused: likewise
//	https://a*.example.com           // refused: not a whole label
//	https://example.*                // refused
//
// http is for loopback, where nobody is between the page and its server. There,
// an asterisk may stand for any port, or none:
//
//	http://localhost:3000            // permitted
//	http://localhost:*               // permitted
//	http://*.localhost:*             // permitted
//	http://127.0.0.1:*               // permitted
//	http://app.example.com           // refused without DangerouslyAllowInsecureOrigins
//	https://app.example.com:*        // refused
//
// Apps send origins as well:
//
//	capacitor://localhost            // permitted: Capacitor on iOS
//	ionic://localhost                // permitted: Ionic's older web view
//	https://localhost                // permitted: Capacitor on Android
//	tauri://localhost                // permitted: Tauri on macOS and Linux
//	app://.                          // permitted: Electron, with a scheme of its own
//	chrome-extension://abcdefgh      // permitted: the id is the same everywhere
//	moz-extension://3c9e-...         // in vain: every installation has another id
//	wss://api.example.com            // permitted in OwnOrigins only; see there
//	file://                          // refused: it is every file of everybody
//
// [ASCII serialization]: https://html.spec.whatwg.org/multipage/browsers.html#ascii-serialisation-of-an-origin
type Config struct {
	_ [0]func() // keyed literals only; not comparable

	// Origins are the origins whose pages may send requests and read the
	// responses. Listing one is trust: who can run a script there, can do here
	// what its visitors can.
	//
	//	Origins: []string{"https://app.example.com", "https://*.shop.example"}
	//	Origins: []string{"*"} // public data: everybody may read it
	//
	// "*" stands alone, and goes without Credentials. Every answer then says
	// Access-Control-Allow-Origin: *, so that a cache may keep one for all.
	//
	// Required, unless OwnOrigins or Tenant is set.
	Origins []string

	// OwnOrigins are the origins at which browsers and apps reach this server,
	// as seen from outside the proxies. Requests from them pass, as those of the
	// server's own pages, and get no CORS headers.
	//
	//	OwnOrigins: []string{"https://api.example.com"}
	//	OwnOrigins: []string{"https://api.example.com", "wss://api.example.com"}
	//	OwnOrigins: []string{"none"} // no pages, no apps; or pages that
	//	                             // Sec-Fetch-Site alone recognises
	//
	// Required, except with Origins "*". Browsers that send Sec-Fetch-Site (all
	// since 2023, on HTTPS and loopback) are recognised without, but not all that
	// they send has it: WebSocket handshakes and the uploads of the Reporting API
	// and NEL do not. React Native on Android sends the server's own https
	// origin; native WebSocket clients such as Starscream its wss origin.
	OwnOrigins []string

	// Tenants are the origins of each tenant, exact or patterns. With Tenant
	// set they extend Origins for that tenant's requests. Without it they
	// narrow Origins for [Gate.CheckTenant], and have to be covered by it.
	Tenants map[string][]string

	// Tenant names the tenant of a request; "" means none, and then only
	// Origins count. It is asked at preflights too, which carry neither body
	// nor custom headers, so it has to decide by host or path. It may be
	// called concurrently and must not read the body.
	Tenant func(*http.Request) string

	// Methods are the methods that preflights may ask for, in upper case.
	// GET, HEAD and POST need no entry: browsers send them unasked.
	//
	//	"PUT", "PATCH", "DELETE"   // permitted
	//	"patch"                    // refused: methods are case-sensitive
	//	"*"                        // refused: name them
	//	"CONNECT", "TRACE"         // refused: browsers never send them
	Methods []string

	// RequestHeaders are the header names that preflights may ask for, in any
	// case. A page that posts JSON needs "Content-Type" here, and one that sends
	// a bearer token "Authorization".
	//
	//	"Content-Type", "X-Ops-Ts" // permitted
	//	"*"                        // refused: it would not cover Authorization
	//	"Cookie", "Origin"         // refused: scripts cannot set them
	RequestHeaders []string

	// ExposedHeaders are the response headers that scripts may read, besides
	// those that they always may
	// (https://fetch.spec.whatwg.org/#cors-safelisted-response-header-name).
	//
	//	"Retry-After", "Etag"      // permitted
	//	"*", "Set-Cookie"          // refused
	ExposedHeaders []string

	// Credentials lets pages send cookies and read the responses to them.
	// Default: no. Not with "*". Pages that send "Authorization" themselves do
	// not need it.
	//
	// It does not make cookies travel: a browser sends those with SameSite=Strict
	// or Lax, the session cookies of this module among them, from pages of the
	// same site only (https://app.example.com to https://api.example.com). A page
	// of another site signs in and is signed out at once; give it a token.
	Credentials bool

	// MaxAge is how long browsers may remember a preflight, in whole seconds
	// up to 24 hours (Firefox's limit; Chromium stops at 2 hours). Zero leaves
	// it to them: 5 seconds. Negative forbids remembering.
	MaxAge time.Duration

	// PreflightStatus is the status of a successful preflight: 200 to 299.
	// Default: 204.
	PreflightStatus int

	// NoOrigin says what happens to requests without an Origin header: those of
	// webhooks, curl and mobile apps among them. Default: NoOriginRefuseUnsafe,
	// which refuses their POST with origin_missing.
	NoOrigin NoOrigin

	// Embeddable lets pages of other sites load from this server without CORS:
	// by <img>, <script>, <iframe> in part, or a no-cors fetch. The handler then
	// runs for them, with cookies that are SameSite=None. By default such loads
	// are refused, by Sec-Fetch-Site; links to this server always work
	// (top-level and frame navigations by GET). Set it for the routes of images,
	// fonts and scripts that others embed. "*" in Origins implies it.
	Embeddable bool

	// ReportOnly refuses nothing, answers no preflight and sets no header: Wrap
	// only tells OnEvent what it would have done. For a first week in front of a
	// service that has visitors, or its own CORS. Default: off.
	ReportOnly bool

	// DebugOnLoopback adds an explanation for the developer of a page ("detail",
	// [Decision.Explain]) to the answer of a refusal, for requests that come from
	// this machine and ask for localhost. Nobody else sees it. Default: off.
	DebugOnLoopback bool

	// PublicSuffix returns the public suffix of a domain, so that patterns
	// over one ("https://*.github.io") are refused: anybody can get a name
	// there. Required with patterns, except on loopback.
	//
	//	PublicSuffix: publicsuffix.PublicSuffix // golang.org/x/net/publicsuffix
	//
	// A function that knows your own domains fits as well. Its second result is
	// ignored. It is asked about the base and about a name below it; that the
	// base has suffixes further down ("*.amazonaws.com" covers every bucket) it
	// cannot tell.
	PublicSuffix func(domain string) (suffix string, icann bool)

	// DangerouslyAllowInsecureOrigins admits http:// and ws:// entries beyond
	// loopback. Whoever controls a network between browser and such a site is
	// then a listed origin.
	DangerouslyAllowInsecureOrigins bool

	// OnEvent, if set, is called once per decision, allow and refuse, by Wrap,
	// Check and CheckTenant. Event.Detail is a *[Decision]. Label metrics with
	// Event.Code, never with the origin.
	OnEvent func(context.Context, sallyport.Event)

	// OnReject, if set, replaces the problem+json answer to refused requests.
	// Vary is already set. If it answers nothing, the default answer is sent.
	OnReject func(http.ResponseWriter, *http.Request, *sallyport.Refusal)

	// ProblemBase is what the type URI of a problem begins with; the code is
	// appended. Default: this project's docs/problems.md.
	ProblemBase string
}

// NoOrigin is a policy for requests without an Origin header: navigations,
// same-origin GETs, no-cors loads, and every client that is not a browser.
//
//	                                   RefuseUnsafe   Pass     Refuse
//	link to this server, any GET       passes         passes   refused
//	GET of an own page's script        passes         passes   refused
//	POST of a webhook, curl or an app  refused        passes   refused
//	image of another site              refused, unless Embeddable
//
// What passes here has proved nothing: anybody can leave a header out.
type NoOrigin uint8

const (
	// NoOriginRefuseUnsafe passes GET, HEAD and OPTIONS, and other methods
	// only if Sec-Fetch-Site says same-origin or none. Browsers send Origin
	// with unsafe methods, so this costs them nothing.
	NoOriginRefuseUnsafe NoOrigin = iota
	// NoOriginPass passes them all: for servers whose other clients
	// authenticate themselves, by a signature or a token.
	NoOriginPass
	// NoOriginRefuse refuses them all, navigations and a browser's own
	// same-origin GETs included: for endpoints with cross-origin callers only.
	NoOriginRefuse
)
