package sdp

import (
	"fmt"
	"strings"
)

// Kind is what a description is for.
type Kind uint8

// The kinds of descriptions. Each has its own DTLS roles.
const (
	// Offer comes from a peer: a=setup:actpass (RFC 8829 section 5.2.1).
	Offer Kind = iota
	// Answer comes from a peer: a=setup:active or passive.
	Answer
	// OwnAnswer is what this server is about to send: a=setup:passive, and it may be
	// an ICE lite agent.
	OwnAnswer
)

// Direction is who sends audio, seen from whoever wrote the description.
type Direction string

// The directions of RFC 8866 section 6.7.
const (
	SendRecv Direction = "sendrecv"
	SendOnly Direction = "sendonly"
	RecvOnly Direction = "recvonly"
	Inactive Direction = "inactive"
)

// Description is what was understood. Everything in it has been checked.
type Description struct {
	ID, Version uint64 // of the o= line
	Fingerprint string // "AB:CD:...", SHA-256
	Bundle      bool
	Sections    []Section
	Audio       int // index of the one section that is used

	// Where this server is reached; of an OwnAnswer alone. A peer's candidates are
	// not here: the server sends nothing to them.
	Lite       bool
	Candidates []string
}

// Section is one m= line and what belongs to it.
type Section struct {
	Media string // "audio"; video, application, text, message are never used
	Mid   string // empty for what pion has closed in an OwnAnswer

	// The rest is set for the audio section that is used.
	Direction  Direction
	Setup      string
	Ufrag, Pwd string
	Opus       uint8  // payload type
	SSRC       uint32 // or 0
}

// String is the description as WebRTC gets it: what was understood, and no more.
// Sections that are not used are there, because answers count them, and closed.
func (d *Description) String() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("v=0")
	line("o=- %d %d IN IP4 0.0.0.0", d.ID, d.Version)
	line("s=-")
	line("t=0 0")
	if d.Lite {
		line("a=ice-lite")
	}
	if d.Bundle {
		line("a=group:BUNDLE %s", d.Sections[d.Audio].Mid)
	}
	line("a=fingerprint:sha-256 %s", d.Fingerprint)
	for i, s := range d.Sections {
		if i == d.Audio {
			s.write(line)
			for _, c := range d.Candidates {
				line("a=candidate:%s", c)
			}
			continue
		}
		if s.Media == "application" {
			line("m=application 0 %s webrtc-datachannel", profileData)
		} else {
			line("m=%s 0 %s 0", s.Media, profileMedia)
		}
		line("c=IN IP4 0.0.0.0")
		line("a=mid:%s", s.Mid)
		line("a=inactive")
	}
	return b.String()
}

func (s *Section) write(line func(string, ...any)) {
	line("m=audio 9 %s %d", profileMedia, s.Opus)
	line("c=IN IP4 0.0.0.0")
	line("a=mid:%s", s.Mid)
	line("a=%s", s.Direction)
	line("a=setup:%s", s.Setup)
	line("a=ice-ufrag:%s", s.Ufrag)
	line("a=ice-pwd:%s", s.Pwd)
	line("a=rtcp-mux")
	line("a=rtpmap:%d opus/48000/2", s.Opus)
	line("a=fmtp:%d minptime=10;useinbandfec=1", s.Opus)
	if s.SSRC != 0 {
		line("a=ssrc:%d cname:voice", s.SSRC)
	}
}
