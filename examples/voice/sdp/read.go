package sdp

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
)

// Bounds of a description. Chromium's longest, with every codec, has 9 KiB.
const (
	MaxSize     = 64 << 10 // bytes of the text
	MaxLine     = 2048     // bytes of a line
	MaxSections = 32
)

// The two profiles that DTLS protects, over UDP (RFC 8827 section 6.5, RFC 8841).
const (
	profileMedia = "UDP/TLS/RTP/SAVPF"
	profileData  = "UDP/DTLS/SCTP"
)

// Read reads a description from the peer whose certificate has the SHA-256 cert. The
// error is nil or a [*Violation].
func Read(kind Kind, text string, cert [sha256.Size]byte) (*Description, error) {
	lines, bad := split(text)
	if bad != nil {
		return nil, bad
	}
	parts, bad := divide(lines)
	if bad != nil {
		return nil, bad
	}
	d := &Description{Fingerprint: Fingerprint(cert), Audio: -1}
	if d.ID, d.Version, bad = origin(lines[1]); bad != nil {
		return nil, bad
	}
	for _, p := range parts {
		if bad := p.read(kind, d.Fingerprint); bad != nil {
			return nil, bad
		}
	}
	if bad := d.assemble(kind, parts[0], parts[1:]); bad != nil {
		return nil, bad
	}
	return d, nil
}

// Fingerprint writes a certificate's SHA-256 as RFC 8122 section 5 does: "AB:CD:...".
func Fingerprint(cert [sha256.Size]byte) string {
	return strings.ReplaceAll(fmt.Sprintf("% X", cert), " ", ":")
}

// line is one line of the text: "m=audio ..." or "a=name:value".
type line struct {
	n     int
	kind  byte
	name  string // of an attribute
	value string
}

func (l line) violates(rule, why string) *Violation {
	name := string(l.kind) + "="
	if l.kind == 'a' && len(l.name) <= 32 {
		name += l.name
	}
	return &Violation{Line: l.n, Name: name, Rule: rule, Why: why}
}

// split makes lines of the text.
func split(text string) ([]line, *Violation) {
	if len(text) > MaxSize {
		return nil, &Violation{Rule: RuleSize, Why: "longer than 64 KiB"}
	}
	var lines []line
	for raw := range strings.Lines(text) {
		n := len(lines) + 1
		raw = strings.TrimSuffix(strings.TrimSuffix(raw, "\n"), "\r")
		if len(raw) > MaxLine {
			return nil, &Violation{Line: n, Rule: RuleSize, Why: "a line longer than 2048 bytes"}
		}
		if len(raw) < 2 || raw[0] < 'a' || raw[0] > 'z' || raw[1] != '=' {
			return nil, &Violation{Line: n, Rule: RuleSyntax, Why: "not of the form x=value"}
		}
		l := line{n: n, kind: raw[0], value: raw[2:]}
		if strings.ContainsFunc(l.value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return nil, l.violates(RuleSyntax, "a control character")
		}
		if l.kind == 'a' {
			l.name, l.value, _ = strings.Cut(l.value, ":")
			if !isToken(l.name) {
				return nil, line{n: n, kind: 'a'}.violates(RuleSyntax, "no attribute name")
			}
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// The order of lines (RFC 8866 section 9): v=, o=, s= begin, and these may follow.
const (
	beginning   = "vos"
	sessionRest = "iuepcbtrzka"
	mediaRest   = "icbka"
)

// divide makes parts of the lines: the session's first, and one per m= line.
func divide(lines []line) ([]*part, *Violation) {
	for i, kind := range []byte(beginning) {
		if i >= len(lines) || lines[i].kind != kind {
			return nil, &Violation{
				Line: min(i+1, len(lines)), Rule: RuleOrder, Why: "a description begins with v=, o=, s=",
			}
		}
	}
	if lines[0].value != "0" {
		return nil, lines[0].violates(RuleSyntax, "version 0 is the only one")
	}
	current, allowed := &part{}, sessionRest
	parts := []*part{current}
	for _, l := range lines[len(beginning):] {
		switch {
		case l.kind == 'm':
			if len(parts) > MaxSections {
				return nil, l.violates(RuleSize, "more than 32 sections")
			}
			current, allowed = &part{head: l}, mediaRest
			parts = append(parts, current)
		case !strings.ContainsRune(allowed, rune(l.kind)):
			return nil, l.violates(RuleOrder, "a line of this type may not stand here")
		default:
			current.lines = append(current.lines, l)
		}
	}
	return parts, nil
}

func origin(l line) (id, version uint64, bad *Violation) {
	fields := strings.Split(l.value, " ")
	if len(fields) != 6 {
		return 0, 0, l.violates(RuleSyntax, "the origin has six fields")
	}
	id, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil {
		return 0, 0, l.violates(RuleSyntax, "the session id is a number")
	}
	version, err = strconv.ParseUint(fields[2], 10, 64)
	if err != nil {
		return 0, 0, l.violates(RuleSyntax, "the session version is a number")
	}
	return id, version, nil
}

func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"(),/:;<=>?@[\\]", r)
	})
}

// isICE reports whether s consists of n to 256 of the characters of RFC 8839 section 5.4.
func isICE(s string, n int) bool {
	return len(s) >= n && len(s) <= 256 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') &&
			r != '+' && r != '/'
	})
}
