package sdp_test

import (
	"crypto/sha256"
	"strings"

	"github.com/opsmantik/sallyport/examples/voice/sdp"
)

// cert stands for the certificate that a token names.
var (
	cert  = sha256.Sum256([]byte("the peer's certificate"))
	other = sha256.Sum256([]byte("another certificate"))
	print = sdp.Fingerprint(cert)
	wrong = sdp.Fingerprint(other)
)

// shape makes a description of lines. PRINT stands for the fingerprint.
func shape(lines string) string {
	lines = strings.ReplaceAll(strings.TrimSpace(lines), "\n", "\r\n") + "\r\n"
	return strings.ReplaceAll(lines, "PRINT", print)
}

// What browsers send, written anew: in their order, with attributes of every kind that
// they have.
var (
	chromium = shape(`
v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=extmap-allow-mixed
a=msid-semantic: WMS 5d1e
m=audio 54609 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 192.0.2.7
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:1 1 udp 2122260223 192.0.2.7 54609 typ host generation 0 network-id 1
a=candidate:2 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active generation 0
a=ice-ufrag:Xk2F
a=ice-pwd:9uQn3cVrD1m5GfYxW0ZtB7ea
a=ice-options:trickle
a=fingerprint:sha-256 PRINT
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=msid:5d1e 7c40
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:3735928559 cname:q0Jd
a=ssrc:3735928559 msid:5d1e 7c40
`)
	firefox = shape(`
v=0
o=mozilla...THIS_IS_SDPARTA-99.0 7730112233445566778 0 IN IP4 0.0.0.0
s=-
t=0 0
a=sendrecv
a=fingerprint:sha-256 PRINT
a=group:BUNDLE 0
a=ice-options:trickle
a=msid-semantic:WMS *
m=audio 9 UDP/TLS/RTP/SAVPF 109 9 0 8 101
c=IN IP4 0.0.0.0
a=candidate:0 1 UDP 2122252543 2f4e0a8c-9f0e-4f9a-8a80-5a1d2c3b4e5f.local 49152 typ host
a=sendrecv
a=end-of-candidates
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level
a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1
a=fmtp:101 0-15
a=ice-pwd:7d0b1f4c9a6e25883d0b1f4c9a6e2588
a=ice-ufrag:3a9c01fe
a=mid:0
a=msid:{0c1d} {4f2a}
a=rtcp-mux
a=rtpmap:109 opus/48000/2
a=rtpmap:9 G722/8000/1
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=setup:actpass
a=ssrc:424242 cname:{6d1a}
`)
	video = strings.ReplaceAll(chromium, "BUNDLE 0", "BUNDLE 0 1 2") + shape(`
m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=ice-ufrag:Xk2F
a=ice-pwd:9uQn3cVrD1m5GfYxW0ZtB7ea
a=fingerprint:sha-256 PRINT
a=setup:actpass
a=mid:1
a=recvonly
a=rtcp-mux
a=rtpmap:96 VP8/90000
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:Xk2F
a=ice-pwd:9uQn3cVrD1m5GfYxW0ZtB7ea
a=fingerprint:sha-256 PRINT
a=setup:actpass
a=mid:2
a=sctp-port:5000
a=max-message-size:262144
`)
	answer = strings.ReplaceAll(firefox, "actpass", "active")
)

// accepted are the descriptions that pass, each with what is expected to be different.
var accepted = []struct {
	name string
	kind sdp.Kind
	text string
}{
	{"Chromium", sdp.Offer, chromium},
	{"Firefox", sdp.Offer, firefox},
	{"Safari names candidates by mDNS", sdp.Offer, edit(
		chromium, "192.0.2.7 54609", "8f1b2c3d-0000-4000-8000-000000000001.local 54609",
	)},
	{"an answer", sdp.Answer, answer},
	{"an answer of the passive side", sdp.Answer, edit(answer, "setup:active", "setup:passive")},
	{"our own answer", sdp.OwnAnswer, edit(
		answer, "setup:active", "setup:passive", "s=-\r\nt=0 0", "s=-\r\nt=0 0\r\na=ice-lite",
	)},
	{"video and data beside it", sdp.Offer, video},
	{"line feeds alone", sdp.Offer, strings.ReplaceAll(chromium, "\r", "")},
	{"no line feed at the end", sdp.Offer, strings.TrimSuffix(chromium, "\r\n")},
	{"a fingerprint in small letters", sdp.Offer, edit(chromium, print, strings.ToLower(print))},
	{"the same fingerprint twice", sdp.Offer, edit(
		firefox, "a=rtcp-mux", "a=rtcp-mux\r\na=fingerprint:sha-256 "+print,
	)},
	{"only to listen", sdp.Offer, edit(chromium, "a=sendrecv", "a=recvonly")},
	{"no direction is both", sdp.Offer, edit(chromium, "a=sendrecv\r\n", "")},
	{"Opus is not the first codec", sdp.Offer, edit(chromium, "SAVPF 111 63 9", "SAVPF 9 63 111")},
	{"no source is announced", sdp.Offer, edit(chromium, "a=ssrc:3735928559 cname:q0Jd\r\n"+
		"a=ssrc:3735928559 msid:5d1e 7c40\r\n", "")},
	{"ICE and role for the whole session", sdp.Offer, edit(edit(edit(
		firefox, "a=setup:actpass\r\n", ""), "a=ice-ufrag:3a9c01fe\r\n", ""),
		"a=msid-semantic", "a=setup:actpass\r\na=ice-ufrag:3a9c01fe\r\na=msid-semantic",
	)},
	{"bundled without a port", sdp.Offer, edit(
		chromium, "m=audio 54609", "m=audio 0", "a=rtcp-mux", "a=rtcp-mux\r\na=bundle-only",
	)},
	{"a bandwidth", sdp.Offer, edit(chromium, "a=rtcp:9", "b=AS:64\r\na=rtcp:9")},
	{"a closed section in front", sdp.Offer, edit(chromium, "m=audio 54609", "m=video 0 "+
		"UDP/TLS/RTP/SAVPF 0\r\na=mid:gone\r\na=inactive\r\nm=audio 54609")},
	{"candidates of every special range", sdp.Offer, chromium + special},
}

// special are candidates that a server must never send to.
var special = func() string {
	var b strings.Builder
	for _, addr := range []string{
		"0.0.0.0", "127.0.0.1", "10.0.0.1", "100.64.0.1", "169.254.169.254", "172.16.0.1",
		"192.168.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "::1", "::",
		"::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "fe80::1", "fc00::1", "ff02::1",
		"localhost",
	} {
		b.WriteString("a=candidate:1 1 udp 2122260223 " + addr + " 9 typ host\r\n")
	}
	return b.String()
}()

// edit replaces pairs, each of which must be there.
func edit(text string, pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			panic("nothing to edit: " + pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}
