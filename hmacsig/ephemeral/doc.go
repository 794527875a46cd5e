// Package ephemeral makes and checks credentials that live for minutes: signed
// URLs, tokens that open a WebRTC session, and TURN credentials.
//
// URLs and session tokens are package hmacsig with a Scheme of their own:
// their verifiers are *hmacsig.Verifier, with its hooks, refusals, replay
// store and hmacsig.FromContext. Keys rotate through a Keyring: put the new
// key first when signing with it, leave the old one in until what it signed
// has expired.
//
// # Threat
//
// A link is passed on, found in a log or tried with another path; a token is
// stolen on its way, used twice, or used for another room or another's peer.
//
// # Guarantees
//
// A URL opens what it was signed for, with the method it was signed for, until
// its time is over. A session token opens one session in one room of one site, for
// the peer with one certificate, within 5 minutes. Clocks may differ by a Leeway,
// which lengthens neither. A credential whose use was answered with 5xx or 4xx may
// be used again; one that was answered with a redirect has been used.
//
//	browser                     your API                       media server
//	  | generateCertificate        |                                |
//	  |-- fingerprint, room ------>| may this user in?              |
//	  |<-- session token ----------| Issue                          |
//	  |-- offer, Bearer token ------------------------------------->| Verifier
//	  |                            |          fingerprint = SessionOf.Certificate?
//	  |<-- answer --------------------------------------------------|
//	  |== DTLS with that certificate ==============================>| the same again
//
// # Not guaranteed
//
// A URL is a bearer credential: it ends up in histories, logs and Referer headers,
// so it is short-lived, bound to one scope, and can be single-use. Multiple use is
// the default, because a player fetches one recording in many ranges. Host and
// body are not covered.
//
// A token and TURN credentials end nothing: a session or an allocation that is
// open stays open when they expire. The binding to a certificate stops thieves and
// intermediaries, and not the issuer, who could bind a token to any certificate.
//
// # Place among the gates
//
// As hmacsig. A route with a signed URL or a session token has no other
// credentials, so it comes instead of the session gate.
//
// # Memory
//
// As hmacsig: at most 100 bytes per single-use credential that is still alive.
//
// # Format
//
// Signed URLs:
//
//	/recordings/42.ogg?expires=UNIX&nonce=N&scope=S&sig=BASE64URL
//	signed: "GET" LF everything in front of "&sig="
//
// The signature is the last parameter and covers the method, the path and the
// whole query as they are on the request line, byte for byte.
//
// Session tokens: a JWT (RFC 7519) with alg HS256 and exactly these claims, sent
// as "Authorization: Bearer":
//
//	iss, aud        as configured
//	sub             for whom
//	site, room      what it opens
//	cnf             {"x5t#S256": base64url of the SHA-256 of the peer's DER
//	                certificate} (RFC 7800, RFC 8705 section 3.1)
//	iat, nbf, exp   integers, Unix seconds
//	jti             unique id of the token, which is claimed
//
// TURN: the REST credentials that coturn and pion/turn understand
// (draft-uberti-behave-turn-rest-00): the user name is "EXPIRY:USER", the password
// base64(HMAC-SHA1(secret, user name)). SHA-1 is the protocol's; HMAC with it is
// not broken, and there is no other choice. Expiry does not end an allocation that
// exists: the TURN server decides at the next refresh, and some never ask again.
//
// # Example
//
//	issuer, err := ephemeral.NewSessionIssuer(cfg)
//	token, err := issuer.Issue(ephemeral.Session{
//		Site: site, Room: room, Subject: user, Certificate: fingerprint,
//	})
//
//	gate, err := ephemeral.NewSessionVerifier(cfg)
//	mux.Handle("POST /offer", gate.Wrap(offers)) // SessionOf in the handler
package ephemeral
