// Package relay is a TURN server that leads to the media server and nowhere else.
//
// # Threat
//
// A TURN server sends datagrams wherever its users ask: to loopback, to the metadata
// service of the cloud, into the private network, to a victim (CVE-2020-26262,
// CVE-2026-27624). Credentials are shared, or leak, and somebody relays at our cost. A
// session has ended, and its relay goes on for an hour.
//
// # Guarantees
//
//   - An allow-list of addresses and ports, usually of the one media server. It is asked
//     for each datagram, in both directions, at the socket itself; a permission or a
//     channel for another address is refused already.
//   - Credentials of one session, made by hmacsig/ephemeral and known to this process
//     alone. They open a relay within their time, and keep it while the session is open;
//     when that ends, so does the relay, whatever lifetime the client has asked for.
//   - A session has a few relays, a rate and a number of bytes; what is above is dropped.
//     How many bytes each has relayed is an Event, every minute and at its end.
//   - UDP alone: TCP allocations (RFC 6062), and reserved and even ports, which WebRTC does
//     not ask for, are refused.
//
// # Not guaranteed
//
// The protocol's password is HMAC-SHA1, and its integrity MD5 and HMAC-SHA1; the media
// inside is DTLS-SRTP all the same. Who asks without credentials, or in the name of another
// address, gets 68 bytes for his 20. A page sees its own credentials, as TURN needs it to.
//
// # Place among the gates
//
// Beside the media server. Credentials come with the session token.
//
// # Memory
//
// At most Config.MaxRelays relays, and one entry per session with credentials.
//
// # Example
//
//	turn, err := relay.New(relay.Config{
//		Conn: udp, Address: public, Allow: []netip.AddrPort{mediaServer},
//	})
//	credentials, err := turn.Grant(session) // with the token
//	turn.Open(session)                      // the session is connected
//	turn.End(session)                       // and over
package relay
