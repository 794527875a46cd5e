// Package hmacsig verifies and makes HMAC-SHA256 request signatures.
//
// # Threat
//
// Somebody on the network sends requests in another's name, alters them, sends
// captured ones again, or learns from answers and their timing which tenants
// exist or what a signature should have been.
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
//  4. the timestamp is within the window, which has a bound to both sides, and
//     before the end that the message names itself;
//  5. the body is the one whose digest was signed, in schemes that sign a
//     digest (in the others step 3 covers it);
//  6. the replay store has handed this message to nobody else.
//
// So a forgery never touches the replay store, and in SignsDigest schemes it
// is refused before one byte of its body is read. The body is read once, up
// to Config.MaxBodyBytes, and the handler reads those very bytes; memory
// follows what arrives, not what Content-Length promises.
//
// Senders retry: a request that was answered 503 comes again with the same
// signature, and must then be handled. Answering "seen before" would lose its
// event. So a message is claimed before the handler runs, held while it runs,
// and settled by its answer when it has returned:
//
//	sender               gate                        replay store      handler
//	  |-- message -------->| verify                        |              |
//	  |                    |-- Claim --------------------->| in flight    |
//	  |                    |------------------- ServeHTTP ----------------->|
//	  |-- message again -->|-- Claim --------------------->|              |
//	  |<-- 503 in flight --|<-- InFlight ------------------|              |
//	  |                    |<------------------ 202, returns --------------|
//	  |                    |-- Confirm ------------------->| replayed     |
//	  |<-- 202 ------------|                               |              |
//	  |-- message again -->|-- Claim --------------------->|              |
//	  |<-- 409 replayed ---|<-- Replayed ------------------|              |
//
// A success that left confirms; an error, a redirect, a panic, silence towards a
// client that has hung up, and a failed gRPC call release, so that the retry is
// a new message (see Verifier.Wrap for every case). At no time do two handlers
// have the same message, and after one success that left there is never another.
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
//   - One effect per message, where the handler and its answer disagree. A
//     handler that has had its effect and answers with an error, or whose
//     success could not leave because the client hung up first, gets the
//     sender's retry and must know it again by its content. What leaves in the
//     last write cannot be known: a client that hangs up between the handler's
//     success and the wire is told 409 when it tries again.
//   - Messages of a process that dies between claim and answer, when the store
//     outlives it (Redis): they stay in flight until their window closes,
//     unacknowledged, and the sender must sign anew; a Signer's Transport does
//     so on every retry. A lease that frees a claim after a time was left out: a
//     slow handler would then run twice. An application that cannot live with
//     that, or with a crash between its effect and the confirmation, sets
//     DangerouslyAllowReplay and claims Proof.Replay in the transaction that
//     stores the effect.
//   - Answers that come from elsewhere: a handler that leaves work to a goroutine
//     and answers before it is done; a framework that renders a returned error
//     after the gate has seen the handler return (echo.WrapMiddleware: render
//     inside the wrapped handler); errors inside a body, as in GraphQL, gRPC-Web
//     and Connect's streams.
//   - That timing shows nothing of the network call behind a KeySource, or of
//     a cache miss; the number of MACs is what is equal.
//   - Schemes with another hash, or that sign what is inside the body. The
//     algorithm is HMAC-SHA256 and nothing else, so that no message can choose
//     a weaker one: Twilio, Intercom and Trello sign with SHA-1, Paystack with
//     SHA-512, Mailgun and Adyen sign members of the body. Verify those in the
//     handler with the vendor's own library.
//
// # Place among the gates
//
// After the address limit, which bounds what a forger can make this gate
// compute, and before anything that parses the body or counts per tenant, so
// that a forger cannot spend a tenant's budget. Nothing in front may read or
// decompress the body. http.TimeoutHandler belongs around this gate, a ServeMux
// that redirects as well.
//
// # Memory
//
// MaxBodyBytes per request in flight, up to four times that while a body
// arrives; at most 100 bytes per live replay entry, 131,072 entries by default;
// about 500 bytes per id in a Cache of at most 2 x MaxEntries ids.
//
// # Format
//
// Each Scheme documents what it reads, what it signs and how. A key id has a
// Keyring, so a new secret is accepted before the old one goes:
//
//	ring, err := hmacsig.NewKeyring(
//		hmacsig.Key{Name: "2026-11", Secret: next},
//		hmacsig.Key{Name: "2026-08", Secret: old, NotAfter: december},
//	)
//
// and OnEvent counts how often the old one is still used (Proof.Retiring). A
// Secret prints as [redacted] everywhere.
//
// # Example
//
//	ring, err := hmacsig.NewRotation(current, next)
//	gate, err := hmacsig.New(hmacsig.Config{
//		Scheme: hmacsig.OpsMantik(),
//		Keys:   hmacsig.StaticKeys{"site-1": ring},
//	})
//	mux.Handle("POST /api/call-event/v2", gate.Wrap(calls))
//
// Subpackages: qstash verifies Upstash-Signature; ephemeral makes signed URLs,
// session tokens and TURN credentials; redisreplay is a shared ReplayStore;
// storetest checks a ReplayStore of yours; hmacsigtest makes requests for your
// tests.
package hmacsig
