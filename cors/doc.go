// Package cors refuses requests from origins that are not listed, before the
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
//   - What a page of another site loads without an Origin header, such as an
//     image, does not reach it either, if the browser sends Sec-Fetch-Site (all
//     since 2023, on HTTPS and loopback) and [Config].Embeddable is not set.
//   - The header has to be one serialized origin of at most 330 bytes.
//     Two headers, a list, userinfo, a path, a fragment, a bracketed name or
//     upper case are refused, whatever the list says.
//   - A browser on one of the server's own pages is never refused:
//     [Config].OwnOrigins and Sec-Fetch-Site: same-origin both say so. The
//     request's own scheme and Host are not consulted; behind a proxy they lie.
//   - "null" is admitted only with Sec-Fetch-Site: same-origin, or as one of
//     everybody ("*"). Sandboxed frames, data: URLs and cross-site redirects
//     send "null" as well.
//   - Nothing is implied: no "*", no default origin, no list that means
//     everything when empty. The zero Gate refuses every request with 503.
//   - Every response, refusals too, varies by the headers that decided it.
//     Public data ("*") does not vary, and its refusals are not stored.
//   - Response headers of one request share no memory with another's.
//
// # Not guaranteed
//
// This is not authentication. Only browsers are bound to tell the truth in
// Origin and Sec-Fetch-Site; curl sends what it likes, or nothing.
//
// A link from anywhere is followed, so a handler for GET must not change
// anything. A browser that sends no Sec-Fetch-Site, an old one or one on plain
// HTTP, loads images and scripts from here for any page.
//
// This is no defence against a listed origin with a script injection, nor
// against DNS rebinding on plain HTTP (check Host for that). Methods and headers
// are compared at the preflight only, as the protocol has it: routes still say
// which methods they serve. A handler that calls Header().Set("Vary", ...)
// removes what the gate added; use Add. An upstream behind a reverse proxy that
// sets CORS headers of its own adds a second Access-Control-Allow-Origin, and
// browsers then refuse both; delete them in ModifyResponse. Private network
// access is left out: browsers have withdrawn it.
//
// # Place among the gates
//
// Outermost, right inside panic recovery: the gate sets its headers before it
// calls the next handler, so that a page may read the refusals of the gates
// further in. Around the router and not around one of its method routes: a
// router that knows only "PUT /api" answers the preflight, an OPTIONS, with 405.
//
// What other programs call stands outside. A webhook, a queue's delivery or a
// mobile app sends no Origin header, and its POST would be refused with
// origin_missing:
//
//	site := http.NewServeMux()
//	site.Handle("/", gate.Wrap(pages))
//	site.Handle("POST /webhooks/stripe", verifier.Wrap(webhook)) // a signature, no origin
//
// Some requests come from other origins by design: the form_post of an identity
// provider, SAML, payment callbacks. Wrap such a route in a Gate of its own that
// lists the sender. There are no path patterns in here, because two pattern
// languages that disagree are a bypass.
//
// There is no FromContext: what the gate proved is the Origin header itself.
// [Gate.CheckTenant] asks more about it, once the tenant is known.
//
// # Memory
//
// Bounded by the configuration: under 100 bytes per origin beside the caller's
// strings. Requests leave no state behind. An allowed request costs one map
// lookup and one allocation; patterns cost one more lookup for each dot that
// the longest of them has. A megabyte of hostile header costs what a short
// refusal does: lengths are checked before anything is read.
//
// # Format
//
// The first rule that applies decides:
//
//  1. Without an Origin header, Embeddable and then the NoOrigin policy decide,
//     by Sec-Fetch-Site and the method.
//  2. More than one Origin header: refused.
//  3. An origin in Origins, or in the list of the request's tenant: allowed;
//     if it is a preflight, Methods and RequestHeaders have to allow it too.
//  4. "null", or any well-formed origin, with Sec-Fetch-Site: same-origin:
//     allowed as same-origin.
//  5. An origin in OwnOrigins, unless it is a preflight: allowed as
//     same-origin. Pages do not preflight their own origin.
//  6. Anything else: refused, and the code tells how it failed.
//
// A preflight, and the request that it allows, as a page on
// https://app.example.com makes them and the gate answers:
//
//	OPTIONS /orders/7
//	Origin: https://app.example.com
//	Access-Control-Request-Method: PUT             in Methods?
//	Access-Control-Request-Headers: content-type   each in RequestHeaders?
//
//	204 No Content                                 the handler has not run
//	Access-Control-Allow-Origin: https://app.example.com
//	Access-Control-Allow-Methods: PUT,DELETE       the whole list, so that the
//	Access-Control-Allow-Headers: content-type     browser may remember it
//	Access-Control-Max-Age: 7200
//
//	PUT /orders/7
//	Origin: https://app.example.com                in Origins?
//
//	200 OK                                         the handler's answer
//	Access-Control-Allow-Origin: https://app.example.com
//	Access-Control-Expose-Headers: Retry-After
//
// An origin is scheme "://" host [":" port]
// (https://www.rfc-editor.org/rfc/rfc6454#section-6.2), limited as the URL
// standard has it: a lower-case scheme; a host of lower-case letters, digits,
// hyphens and underscores in labels of at most 63 bytes, at most 253 in all, or
// an IPv4 or bracketed IPv6 address in canonical form; a port without leading
// zeros that is not the scheme's default.
//
// # Example
//
//	origins, err := cors.FromEnv("ALLOWED_ORIGINS")
//	if err != nil {
//		return err // names the entry and what to write instead
//	}
//	gate, err := cors.New(cors.Config{
//		Origins:        origins,
//		OwnOrigins:     []string{"https://api.example.com"},
//		RequestHeaders: []string{"Content-Type", "X-Ops-Site-Id", "X-Ops-Ts"},
//		ExposedHeaders: []string{"Retry-After"},
//		MaxAge:         2 * time.Hour,
//		ReportOnly:     true, // until OnEvent is quiet
//		OnEvent: func(ctx context.Context, e sallyport.Event) {
//			if !e.Allowed {
//				slog.WarnContext(ctx, "origin", "err", e.Err)
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
// enforce once it names only strangers. A gate that refuses customers on its
// first day is taken out on its second.
package cors
