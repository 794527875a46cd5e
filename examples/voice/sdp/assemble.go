package sdp

import (
	"slices"
	"strconv"
)

// assemble checks the parts together.
func (d *Description) assemble(kind Kind, session *part, media []*part) *Violation {
	mids := map[string]bool{}
	why := &Violation{Rule: RuleNoAudio, Why: "no audio section"}
	for i, p := range media {
		mid, ok := p.once["mid"]
		switch {
		case ok:
		case kind == OwnAnswer && !p.live(): // pion leaves it out
			d.Sections = append(d.Sections, Section{Media: p.media})
			continue
		default:
			return p.head.violates(RuleMid, "every section has a mid")
		}
		if mids[mid.value] {
			return mid.violates(RuleMid, "used by two sections")
		}
		mids[mid.value] = true
		s := Section{Media: p.media, Mid: mid.value}
		if p.live() {
			if bad := p.protected(session); bad != nil {
				return bad
			}
		}
		if d.Audio < 0 && p.live() && p.media == "audio" {
			if bad := s.audio(session, p); bad != nil {
				why = bad
			} else {
				d.Audio = i
			}
		}
		d.Sections = append(d.Sections, s)
	}
	if d.Audio < 0 {
		return why
	}
	if kind == OwnAnswer {
		d.Lite, d.Candidates = session.lite, media[d.Audio].candidates
	}
	d.Bundle = slices.Contains(session.groups, d.Sections[d.Audio].Mid)
	return nil
}

// inherit returns the section's value, or else the session's.
func (p *part) inherit(session *part, name string) (line, bool) {
	if l, ok := p.once[name]; ok {
		return l, true
	}
	l, ok := session.once[name]
	return l, ok
}

// protected checks what every section needs that is to carry anything.
func (p *part) protected(session *part) *Violation {
	if !p.fingerprint && !session.fingerprint {
		return p.head.violates(RuleFingerprint, "no fingerprint")
	}
	if _, ok := p.inherit(session, "setup"); !ok {
		return p.head.violates(RuleSetup, "no DTLS role")
	}
	for _, name := range []string{"ice-ufrag", "ice-pwd"} {
		if _, ok := p.inherit(session, name); !ok {
			return p.head.violates(RuleICE, "no ICE credentials")
		}
	}
	if p.media != "application" && !p.mux {
		return p.head.violates(RuleMux, "RTCP belongs on the port of the media")
	}
	return nil
}

// audio takes what the one audio section is used with.
func (s *Section) audio(session, p *part) *Violation {
	for _, format := range p.formats {
		if p.codecs[format] != "opus/48000/2" {
			continue
		}
		// 64 to 95 would look like RTCP on the same port (RFC 5761 section 4).
		n, err := strconv.ParseUint(format, 10, 7)
		if err != nil || n >= 64 && n < 96 {
			return p.head.violates(RuleCodec, "not a payload type")
		}
		s.Opus = uint8(n)
		s.Direction = SendRecv
		if l, ok := p.inherit(session, "direction"); ok {
			s.Direction = Direction(l.name)
		}
		get := func(name string) string { l, _ := p.inherit(session, name); return l.value }
		s.Setup, s.Ufrag, s.Pwd = get("setup"), get("ice-ufrag"), get("ice-pwd")
		s.SSRC = p.ssrc
		return nil
	}
	return p.head.violates(RuleCodec, "Opus is the only codec")
}
