package sdp

import (
	"slices"
	"strconv"
	"strings"
)

// part is the session's lines, or those of one m= line.
type part struct {
	head  line // the m= line; its n is 0 for the session
	lines []line

	media   string
	port    uint64
	formats []string

	once        map[string]line // mid, setup, ice-ufrag, ice-pwd, direction
	codecs      map[string]string
	groups      []string // mids of BUNDLE groups
	fingerprint bool
	mux, only   bool // rtcp-mux, bundle-only
	lite        bool
	ssrc        uint32
	candidates  []string
}

// live reports whether the section is meant to carry something (RFC 8843 section 6).
func (p *part) live() bool { return p.port != 0 || p.only }

// read checks each line by itself.
func (p *part) read(kind Kind, want string) *Violation {
	p.once, p.codecs = map[string]line{}, map[string]string{}
	if p.head.n != 0 {
		if bad := p.readHead(); bad != nil {
			return bad
		}
	}
	for _, l := range p.lines {
		if l.kind == 'k' {
			return l.violates(RuleKey, "a key in the text")
		}
		if l.kind != 'a' {
			continue
		}
		if bad := p.readAttribute(kind, l, want); bad != nil {
			return bad
		}
	}
	return nil
}

// readHead reads "audio 9 UDP/TLS/RTP/SAVPF 111 9".
func (p *part) readHead() *Violation {
	fields := strings.Split(p.head.value, " ")
	if len(fields) < 4 || slices.Contains(fields, "") {
		return p.head.violates(RuleSyntax, "media, port, profile and formats are needed")
	}
	want := profileMedia
	switch p.media = fields[0]; p.media {
	case "application":
		want = profileData
	case "audio", "video", "text", "message":
	default:
		return p.head.violates(RuleSyntax, "not a kind of media")
	}
	if fields[2] != want {
		return p.head.violates(RuleProfile, "only media that DTLS protects, over UDP")
	}
	port, err := strconv.ParseUint(fields[1], 10, 16)
	if err != nil {
		return p.head.violates(RuleSyntax, "not a port")
	}
	p.port, p.formats = port, fields[3:]
	return nil
}

// readAttribute keeps what is used, and refuses what contradicts it or weakens
// protection. Other attributes go no further: nobody is handed them.
func (p *part) readAttribute(kind Kind, l line, want string) *Violation {
	switch l.name {
	case "crypto", "key-mgmt":
		return l.violates(RuleKey, "a key in the text")
	case "tcap", "acap", "pcfg", "acfg", "csup", "creq", "rmcap", "mfcap", "mscap", "lcfg":
		return l.violates(RuleAlternative, "one profile, without alternatives")
	case "fingerprint":
		return p.readFingerprint(l, want)
	case "ice-lite":
		if kind != OwnAnswer {
			return l.violates(RuleICELite, "the server is the lite agent")
		}
		p.lite = true
	case "candidate":
		p.candidates = append(p.candidates, l.value) // used of our own answer alone
	case "setup":
		return p.readSetup(kind, l)
	case "ice-ufrag":
		return p.keep(l, isICE(l.value, 4), RuleICE, "4 to 256 letters, digits, '+', '/'")
	case "ice-pwd":
		return p.keep(l, isICE(l.value, 22), RuleICE, "22 to 256 letters, digits, '+', '/'")
	case "mid":
		ok := isToken(l.value) && len(l.value) <= 64
		return p.keep(l, ok, RuleMid, "a token of at most 64 characters")
	case "sendrecv", "sendonly", "recvonly", "inactive":
		return p.readDirection(l)
	case "rtpmap":
		return p.readCodec(l)
	case "group":
		if fields := strings.Fields(l.value); len(fields) > 0 && fields[0] == "BUNDLE" {
			p.groups = append(p.groups, fields[1:]...)
		}
	case "ssrc":
		return p.readSSRC(l)
	case "rtcp-mux":
		p.mux = true
	case "bundle-only":
		p.only = true
	}
	return nil
}

// keep keeps a value that is valid. The same one again is no harm.
func (p *part) keep(l line, valid bool, rule, why string) *Violation {
	before, twice := p.once[l.name]
	switch {
	case !valid:
		return l.violates(rule, why)
	case twice && before.value != l.value:
		return l.violates(RuleRepeated, "given twice, with two values")
	}
	p.once[l.name] = l
	return nil
}

func (p *part) readFingerprint(l line, want string) *Violation {
	hash, value, _ := strings.Cut(l.value, " ")
	switch {
	case !strings.EqualFold(hash, "sha-256"):
		return l.violates(RuleFingerprint, "SHA-256 is the only hash")
	case len(value) != len(want) || !strings.EqualFold(value, want):
		return l.violates(RuleFingerprint, "not the certificate of the session token")
	}
	p.fingerprint = true
	return nil
}

func (p *part) readSetup(kind Kind, l line) *Violation {
	valid, why := l.value == "actpass", "an offer leaves the role open: actpass"
	switch kind {
	case Answer:
		valid, why = l.value == "active" || l.value == "passive", "an answer is active or passive"
	case OwnAnswer:
		valid, why = l.value == "passive", "the server is passive"
	case Offer:
	}
	return p.keep(l, valid, RuleSetup, why)
}

func (p *part) readDirection(l line) *Violation {
	if before, twice := p.once["direction"]; twice && before.name != l.name {
		return l.violates(RuleDirection, "two directions")
	}
	p.once["direction"] = l
	return nil
}

// readCodec reads "111 opus/48000/2".
func (p *part) readCodec(l line) *Violation {
	format, codec, ok := strings.Cut(l.value, " ")
	if !ok {
		return l.violates(RuleSyntax, "a payload type and a codec are needed")
	}
	codec = strings.ToLower(codec)
	if before, twice := p.codecs[format]; twice && before != codec {
		return l.violates(RuleCodec, "one payload type, two codecs")
	}
	p.codecs[format] = codec
	return nil
}

// readSSRC keeps the first of "a=ssrc:1234 cname:x".
func (p *part) readSSRC(l line) *Violation {
	id, _, _ := strings.Cut(l.value, " ")
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return l.violates(RuleSyntax, "not a source")
	}
	if p.ssrc == 0 {
		p.ssrc = uint32(n)
	}
	return nil
}
