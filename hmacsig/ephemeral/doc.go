// Package ephemeral makes and checks credentials that live for minutes: signed
// URLs, tokens that open a WebRTC session, and TURN credentials.
//
// URLs and session tokens are package hmacsig with a Scheme of their own:
// their verifiers are *hmacsig.Verifier, with its hooks, refusals, replay
// store and hmacsig.FromContext. Keys rotate through a Keyring: put the new
// key first when signing with it, leave the old one in until what it signed
// has expired.
//
// # Signed URLs
//
//	/recordings/42.ogg?expires=UNIX&nonce=N&scope=S&sig=BASE64URL
//	signed: "GET" LF everything in front of "&sig="
//
// The signature is the last parameter and covers the method, the path and the
// whole query as they are on the request line, byte for byte. Host and body
// are not covered. A URL is a bearer credential: it ends up in histories,
// logs and Referer headers, so it is short-lived (5 minutes), bound to one
// scope, and can be single-use. Multiple use is the default, because a player
// fetches one recording in many ranges.
//
// # Session tokens
//
// A JWT (RFC 7519) with alg HS256 and exactly the claims iss, aud, sub, scope,
// iat, nbf, exp and jti, sent as "Authorization: Bearer". It lives for at most
// 5 minutes unless configured otherwise, and opens one session: the jti is
// claimed. It ends nothing: a session that is open stays open when its token
// expires.
//
// # TURN
//
// The TURN REST credentials that coturn and pion/turn understand
// (draft-uberti-behave-turn-rest-00): the user name is "EXPIRY:USER", the
// password base64(HMAC-SHA1(secret, user name)). SHA-1 is the protocol's; HMAC
// with it is not broken, and there is no other choice. Expiry does not end an
// allocation that exists: the TURN server decides at the next refresh, and
// some never ask again.
package ephemeral
