// Package media connects the people of a room: WebRTC audio that cannot be downgraded.
//
// # Threat
//
// A description that was changed on its way asks for media in the clear, or brings
// another certificate. A stolen token is used by somebody else, twice, or for another
// room. A handshake settles for DTLS 1.0, NULL, CBC or a short RSA key. Candidates make
// the server send packets to addresses of the attacker's choice. Somebody who was shut
// out keeps listening.
//
// # Guarantees
//
//   - Only audio that package sdp accepts, and only what it wrote anew, reaches
//     pion/webrtc. The answer passes the same gate, and is written anew, too.
//   - DTLS 1.2 with two ECDHE-ECDSA suites of AES-GCM and the extended master secret;
//     SRTP with AES-GCM. Nothing else is offered or taken.
//   - After the handshake the peer's certificate is held against the token's again,
//     and its key must be ECDSA P-256 or P-384, or RSA of 2048 bits. Until then no audio
//     goes in or out.
//   - The server is an ICE lite agent on one UDP port. It sends nothing to candidates:
//     it answers who can prove to know its ICE password. No mDNS, no TCP.
//   - A session ends when its token or its user is revoked, and a token from before the
//     revocation opens no other.
//   - Every admission and every refusal, those of handshakes included, is an Event; and
//     what Config.Record cannot record does not happen.
//
// # Not guaranteed
//
// The certificate's binding stops thieves and intermediaries, and not this server: it
// holds the keys and hears everything. A peer that was admitted can have its audio
// sent to another address for as long as ICE takes to notice that nobody answers there.
// Sessions and revocations are those of this process. Nobody is hidden: peers' addresses
// are known to the server, and not to each other.
//
// # Place among the gates
//
// Behind the session token (hmacsig/ephemeral), which is behind the limit by address.
//
// # Memory
//
// At most Config.MaxSessions sessions, of about 200 KB and a dozen
// goroutines each, and for each revocation one
// entry for as long as a token lives.
//
// # Example
//
//	rooms, err := media.New(media.Config{Conn: udp, OnEvent: events})
//	...
//	answer, err := rooms.Offer(r.Context(), session, string(offer))
package media
