// Package qstash verifies and makes the Upstash-Signature of QStash
// deliveries.
//
// Both sides are package hmacsig with a Scheme of their own: New returns an
// *hmacsig.Verifier, NewSigner an *hmacsig.Signer, and the proof of a request
// comes from hmacsig.FromContext (Nonce is the jti, Key is "current" or
// "next").
//
// # Format
//
// The header is a compact JWS (RFC 7515), signed with HS256 under the current
// signing key, or under the next one during a rotation:
//
//	header   {"alg":"HS256","typ":"JWT"} and nothing else
//	iss      "Upstash"
//	sub      the destination URL, byte for byte the configured one
//	exp, nbf integers, Unix seconds: accepted from nbf up to and without exp
//	iat      integer, Unix seconds
//	jti      unique id of the token, at most 128 bytes
//	body     base64url of the SHA-256 of the body; padding optional
//
// Every claim is required, exactly once and of that type; others are ignored
// if they are flat. Base64url has one accepted spelling. A token that is valid
// for longer than 24 hours, from nbf to exp, is refused. The signature is checked before
// any JSON is looked at, and all of the above before one byte of the body is
// read.
//
// # Redelivery
//
// QStash delivers at least once. It retries whatever is not answered 2xx,
// with growing pauses (12 s, 2.5 min, 30 min, hours), and may deliver again
// what was answered 2xx when it lost the answer. A token lives for five
// minutes, so late retries carry a new one; whether an early retry reuses its
// jti is not documented, and this package does not depend on it. The jti is
// claimed before the handler runs and released when the handler answers 400
// or more or panics, so a retry with the same jti is processed; it is
// confirmed otherwise, so the same jti again is CodeReplayed.
//
// Answer CodeReplayed with a 2xx from OnReject (409 makes QStash retry what
// is already done), and leave CodeInFlight at 503, so that a concurrent
// double is tried again once the outcome is known. A retry under a new jti is
// a new message to this package: the handler must still recognise its content.
//
// # Refusals
//
// They are hmacsig's reasons, with 403 where hmacsig answers 401. The zero
// Verifier answers 503 with hmacsig.CodeNotConfigured, for a worker whose
// keys are not set.
package qstash
