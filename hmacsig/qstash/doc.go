// Package qstash verifies and makes the Upstash-Signature of QStash deliveries.
//
// Both sides are package hmacsig with a Scheme of their own: New returns an
// *hmacsig.Verifier, NewSigner an *hmacsig.Signer, and the proof of a request
// comes from hmacsig.FromContext (Nonce is the jti, Key is "current" or "next").
//
// # Threat
//
// Somebody who knows the worker's URL posts tasks to it, alters one on its way,
// or sends a captured one again, here or to another worker of the same account.
//
// # Guarantees
//
// Those of hmacsig. Beyond what Upstash's own libraries check: HS256 and nothing
// else, every claim required, the destination compared with the configured one and
// never with the request's Host, the jti accepted once, and keys that are never
// empty. The signature is checked before any JSON is looked at, and all claims
// before one byte of the body is read.
//
//	QStash                        worker
//	  |-- POST, jti 1 ------------->| claimed, handled
//	  |<-- 503 ---------------------| released
//	  |-- POST, jti 1 or 2 -------->| claimed, handled
//	  |<-- 200 ---------------------| confirmed
//	  |-- POST, jti of that one --->| request_replayed: answer 200
//
// # Not guaranteed
//
// One effect per task. QStash delivers at least once: it retries whatever is not
// answered 2xx, with growing pauses (12 s, 2.5 min, 30 min, hours), and may
// deliver again what was answered 2xx when it lost the answer. A token lives for
// five minutes, so late retries carry a new one, which is a new message to this
// package: the handler must still recognise its content. Whether an early retry
// reuses its jti is not documented, and this package does not depend on it.
//
// # Place among the gates
//
// As hmacsig: behind the address limit, in front of everything that reads the
// body. Answer CodeReplayed with a 2xx from OnReject (409 makes QStash retry what
// is already done), and leave CodeInFlight at 503, so that a concurrent double is
// tried again once the outcome is known.
//
// # Memory
//
// As hmacsig: at most 100 bytes per jti that is still alive.
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
// Every claim is required, exactly once and of that type; others are ignored if
// they are texts, numbers or literals. Base64url has one accepted spelling. A
// token that is valid for longer than 24 hours, from nbf to exp, is refused.
//
// Refusals have hmacsig's codes, with 403 where hmacsig answers 401. The zero
// Verifier answers 503 with hmacsig.CodeNotConfigured, for a worker whose keys are
// not set.
//
// # Example
//
//	gate, err := qstash.New(qstash.Config{
//		URLs:    []string{"https://ingest.example.com/api/sync/worker"},
//		Current: current, Next: next,
//	})
//	mux.Handle("POST /api/sync/worker", gate.Wrap(worker))
package qstash
