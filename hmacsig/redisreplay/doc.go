// Package redisreplay is an hmacsig.ReplayStore on Redis, for several instances
// behind a balancer.
//
// # Threat
//
// A captured message is sent to another instance than the first one; one tenant
// fills the shared memory; an answer of Redis is lost, and the message with it.
//
// # Guarantees
//
// A claim is one script, so it is atomic and tells in the same step whether
// somebody else is at it or was done:
//
//	Claim    GET entry          -> held by a token: in flight; "done": replayed
//	         ZCARD share        -> as many as PerKeyID: refused, nothing written
//	         SET entry token PX ttl, ZADD share
//	Confirm  GET entry = token  -> SET entry "done" KEEPTTL
//	Release  GET entry = token  -> DEL entry, ZREM share
//
// Only the token's holder can confirm or release it, however late that arrives.
// The time to live covers the whole remaining acceptance window and a margin for
// clocks that differ. Nothing is ever sent twice but what the server says it did
// not run (a cluster client resends after network errors, and a message whose
// claim was sent twice is refused as in flight): when an answer does not arrive,
// the outcome is unknown and the request is refused with
// hmacsig.CodeReplayUnavailable; the claim that may have been made is then given
// up by its token, so that the sender's retry is not stuck behind a claim that
// nobody holds. If that fails as well, the message stays in flight until it
// expires.
//
// New finds clients and servers that would break this: retries, contexts whose
// deadline is ignored, plaintext to another machine, a server that evicts keys,
// wrong passwords, forbidden commands.
//
// # Not guaranteed
//
// Redis replicates asynchronously: a failover can forget claims of the last
// moments, and a message from that moment be accepted once more. A server that
// loses keys on restart forgets as well: use appendfsync where a restart must not
// open the window. A redis.Ring forgets when one of its servers goes down or
// comes back, because keys move to another server.
//
// # Place among the gates
//
// Inside hmacsig, after the signature has been verified: nothing that is not
// genuine gets here.
//
// # Memory
//
// About 350 bytes of Redis memory per live entry, 200 for schemes without key
// ids; at most Config.PerKeyID entries for each key id. Two round trips per
// accepted request: the claim and its confirmation.
//
// # Format
//
// Prefix "{" hash of the key id "}" hash of the message, and the share of a key
// id beside its entries under Prefix "{" hash "}". So all keys of a tenant are in
// one slot of a cluster, and neither ids nor signatures can be read from them.
//
// # Example
//
//	client := redis.NewClient(&redis.Options{
//		Addr: "localhost:6379", MaxRetries: -1, ContextTimeoutEnabled: true,
//	})
//	store, err := redisreplay.New(redisreplay.Config{Client: client, Prefix: "shop:calls:"})
//	gate, err := hmacsig.New(hmacsig.Config{Scheme: scheme, Keys: keys, Replay: store})
package redisreplay
