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
//   - The header has to be one serialized origin of at most 330 bytes.
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
// # The rules
//
// The first that applies decides:
//
//  1. Without an Origin header, ResourceIsolation and then the NoOrigin
//     policy decide, by Sec-Fetch-Site and the method.
//  2. More than one Origin header: refused.
//  3. An origin in Origins, or in the list of the request's tenant: allowed;
//     if it is a preflight, Methods and RequestHeaders have to allow it too.
//  4. "null", or any well-formed origin, with Sec-Fetch-Site: same-origin:
//     allowed as same-origin.
//  5. An origin in OwnOrigins, unless it is a preflight: allowed as
//     same-origin. Pages do not preflight their own origin.
//  6. Anything else: refused, and the [Reason] tells how it failed.
//
// An origin is scheme "://" host [":" port], as RFC 6454 section 6.2 writes it
// and the URL standard limits it: a lower-case scheme; a host of lower-case
// letters, digits, hyphens and underscores in labels of at most 63 bytes, at
// most 253 in all, or an IPv4 or bracketed IPv6 address in canonical form; a
// port without leading zeros that is not the scheme's default.
//
// # Use
//
//	origins, err := cors.FromEnv("ALLOWED_ORIGINS")
//	if err != nil {
//		return err // names the entry and what to write instead
//	}
//	gate, err := cors.New(cors.Config{
//		Origins:        origins,
//		OwnOrigins:     []string{"https://api.example.com"},
//		RequestHeaders: []string{"X-Ops-Signature", "X-Ops-Site-Id", "X-Ops-Ts"},
//		ExposedHeaders: []string{"Retry-After"},
//		MaxAge:         2 * time.Hour,
//		ReportOnly:     true, // until OnDecision is quiet
//		OnDecision: func(r *http.Request, d cors.Decision) {
//			if !d.Allowed {
//				slog.WarnContext(r.Context(), d.Explain())
//			}
//		},
//	})
//	if err != nil {
//		return err // every problem at once
//	}
//	return http.ListenAndServe(addr, gate.Wrap(mux))
//
// To put the gate in front of a service that already has visitors, start with
// ReportOnly, add the origins that the hook names and that you know, and
// enforce once it names only strangers. A gate that blocks on its first day
// is taken out on its second.
//
// There is no FromContext: what the gate proved is the Origin header itself.
// [Gate.TenantAllows] asks more about it, once the tenant is known.
//
// # Cost
//
// One map lookup for a listed origin, at most one per label of the host for
// patterns (a host has at most 127). Memory is bounded by the configuration:
// under 100 bytes per origin beside the caller's strings. Requests leave no
// state behind. Check does not allocate. A megabyte of hostile header costs
// what a short refusal does: lengths are checked before anything is read.
package cors
