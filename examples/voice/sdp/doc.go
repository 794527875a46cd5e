// Package sdp is the gate that every session description passes before WebRTC sees
// it: offers, answers and renegotiations.
//
// # Threat
//
// Whoever can change a description on its way, or writes one for a stolen token, asks
// for media in the clear, brings a certificate of his own, or has the server send
// packets to an address of his choice. pion/webrtc, as it comes, accepts RTP/AVP beside
// a fingerprint, takes the wrong one of two fingerprints, and sends to every candidate.
//
// # Guarantees
//
// [Read] accepts a description only if every part that carries media is
// UDP/TLS/RTP/SAVPF, its only fingerprint is the SHA-256 one of the expected
// certificate, it holds no key, and it offers no alternative. What it accepts it
// returns as a [Description], whose String is written anew from the few values that
// were understood: candidates, addresses, unknown attributes and other codecs than
// Opus are not in it. So nobody downstream can read the text in another way.
//
// A description that is refused has a [Violation]: the rule and the line.
//
// # Not guaranteed
//
// A description says what somebody intends. That the peer has the certificate is
// proved by the handshake, and package media looks again then.
//
// # Place among the gates
//
// Behind the session token, which says whose certificate is expected.
//
// # Memory
//
// At most [MaxSize] bytes and [MaxSections] sections are read.
//
// # Example
//
//	offer, err := sdp.Read(sdp.Offer, body, session.Certificate)
//	if violation, ok := errors.AsType[*sdp.Violation](err); ok { ... }
//	pc.SetRemoteDescription(webrtc.SessionDescription{
//		Type: webrtc.SDPTypeOffer, SDP: offer.String(),
//	})
package sdp
