// Package hmacsig verifies and makes HMAC-SHA256 request signatures.
//
// # Threat
//
// Somebody on the network sends requests in another's name, alters them,
// sends captured ones again, or learns from answers and their timing which
// tenants exist or what a signature should have been.
//
// # Guarantees
//
// A request reaches the handler only if, in this order,
//
//  1. each signature header is there exactly once, is at most 4 KiB long, and
//     has the one spelling that its scheme accepts;
//  2. the KeySource knows the key id (an error of the source is 503, and an
//     unknown id is refused like a wrong signature, at the same cost in MACs);
//  3. an active key of that id made the signature, compared in constant time;
//  4. the timestamp is within the window, which has a bound to both sides;
//  5. the body is the one whose digest was signed, in schemes that sign a
//     digest (in the others step 3 covers it);
//  6. the replay store has handed this message to nobody else.
//
// So a forgery never touches the replay store, and in SignsDigest schemes it
// is refused before one byte of its body is read. The body is read once, up
// to Config.MaxBodyBytes, and the handler reads those very bytes; memory
// follows what arrives, not what Content-Length promises.
//
// # Replays and retries
//
// Senders retry. A request that was answered 503 comes again with the same
// signature, and must then be handled: answering "seen before" would lose its
// event. So a message is claimed before the handler runs and settled by the
// handler's answer, before the answer's header leaves:
//
//   - below 400 the claim is confirmed: the same message again is
//     ReasonReplayed (409, or what OnReject makes of it, such as 200 with
//     {"status":"noop"});
//   - from 400 on, or by a panic, it is released: the same message again is a
//     new one;
//   - in between, the same message again is ReasonInFlight (503 with
//     Retry-After): neither handled twice nor called done while it may fail.
//
// At no time do two handlers have the same message, and after one success
// there is never another. What is lost is this: if the process dies between
// claim and answer and the store outlives it (Redis), the message stays in
// flight until its window closes, unacknowledged, and the sender must sign it
// anew; a Signer's Transport does so on every retry. An application that
// cannot live with that, or with a crash between its effect and the
// confirmation, sets DangerouslyAllowReplay and claims Proof.Replay in the
// transaction that stores the effect. A lease that frees a claim after a time
// was considered and left out: a slow handler would then run twice.
//
// A handler that flushes, or answers 200 before it knows, has confirmed.
//
// # Not guaranteed
//
//   - Secrecy: nothing is encrypted. Use TLS.
//   - Headers that a scheme does not sign. OpsMantik, Stripe, GitHub, Slack
//     and Standard Webhooks sign neither method, path, host nor other headers:
//     a message for one endpoint verifies at another that shares its secret,
//     in whichever body-only scheme; never use one secret for two. RFC9421
//     signs all but other headers.
//   - A secret in a browser (data-ops-secret) is everybody's: it stops no
//     forger. Production pages sign on a first-party server.
//   - Replays after the window, for GitHub, which signs no time; replays after
//     a restart, with MemoryReplay; and, in schemes that allow several
//     signatures and sign no nonce (Stripe), one replay of each message in
//     its window whenever the first active key changes: a key put in front,
//     removed, or reaching its NotBefore or NotAfter. There, deduplicate by
//     the event's id as well, as those senders ask for anyway.
//   - That timing shows nothing of the network call behind a KeySource, or of
//     a cache miss; the number of MACs is what is equal.
//
// # Place among the gates
//
// After the address limit, which bounds what a forger can make this gate
// compute, and before anything that parses the body or counts per tenant, so
// that a forger cannot spend a tenant's budget. Outer body limits may be in
// front.
//
// # Memory
//
// MaxBodyBytes per request in flight (with SpoolAbove, that much, and the rest
// on disk), up to four times that while a body arrives; 32 to 96 bytes per
// live replay entry, 131,072 entries by default; about 500 bytes per id in a
// Cache of at most 2 x MaxEntries ids.
//
// # Secrets
//
// A Secret prints as [redacted] everywhere. Each key id has a Keyring, so a
// new secret is accepted before the old one goes:
//
//	ring, err := hmacsig.NewKeyring(
//		hmacsig.Key{Name: "2026-11", Secret: next},
//		hmacsig.Key{Name: "2026-08", Secret: old, NotAfter: december},
//	)
//
// and OnDecision counts how often the old one is still used (Proof.Retiring).
//
// # Subpackages
//
// qstash verifies Upstash-Signature; ephemeral makes signed URLs, session
// tokens and TURN credentials; redisreplay is a shared ReplayStore; storetest
// checks a ReplayStore of yours; hmacsigtest makes requests for your tests.
package hmacsig
