// Package cors blocks requests from origins that are not listed, before the
// handler runs, and answers preflights.
//
// # Threat
//
// A page on any site can make a visitor's browser send requests to this
// server. The CORS protocol alone only stops the page from reading the
// response: the handler has already run, and a form, a beacon, an image or a
// WebSocket never asked. This gate decides first and runs the handler after.
//
// # Guarantees
//
//   - A request whose Origin header is absent from [Config].Origins does not
//     reach the handler: fetches, form posts, WebSocket handshakes, plain
//     OPTIONS and preflights alike. It gets 403 and problem+json (RFC 9457).
//   - The header has to be one serialized origin of at most 330 bytes
//     (RFC 6454 section 6.1, with the hosts that the URL standard can produce).
//     Two headers, a list, userinfo, a path, a fragment, a bracketed name or
//     upper case are refused, whatever the list says.
//   - A browser on one of the server's own pages is never blocked:
//     [Config].OwnOrigins and Sec-Fetch-Site: same-origin both say so. The
//     request's own scheme and Host are not consulted; behind a proxy they lie.
//   - "null" is admitted only with Sec-Fetch-Site: same-origin. Sandboxed
//     frames, data: URLs and cross-site redirects send "null" as well.
//   - Nothing is implied: no "*", no default origin, no list that means
//     everything when empty. The zero Gate refuses every request.
//   - Every response, refusals too, varies by the headers that decided it.
//   - Response headers of one request share no memory with another's.
//
// # Non-guarantees
//
// This is not authentication. Only browsers are bound to tell the truth in
// Origin and Sec-Fetch-Site; curl sends what it likes, or nothing. It is not a
// defence against a listed origin with a script injection, nor against DNS
// rebinding on plain HTTP (check Host for that). Methods and headers are
// compared at the preflight only, as the protocol has it: routes still say
// which methods they serve. A handler that calls Header().Set("Vary", ...)
// removes what the gate added; use Add. Private network access is left out:
// browsers have withdrawn it.
//
// Some legitimate requests come from other origins by design: the form_post
// of an identity provider, SAML, payment callbacks. Wrap such a route in a
// Gate of its own that lists the sender. There are no path patterns in here,
// because two pattern languages that disagree are a bypass.
//
// # Order
//
// Outermost, right inside panic recovery: the gate sets its headers before it
// calls the next handler, so that a page may read the refusals of the gates
// further in.
//
// # Cost
//
// One map lookup for a listed origin, at most one per label of the host for
// patterns (a host has at most 127). Memory is bounded by the configuration:
// under 100 bytes per origin beside the caller's strings. Requests leave no
// state behind. Check does not allocate.
package cors
