package sdp

import "fmt"

// The rules that a description can break: few and fixed, so they make good labels.
const (
	RuleSize        = "size"        // the text, a line or the number of sections is too large
	RuleSyntax      = "syntax"      // not a description (RFC 8866 section 9)
	RuleOrder       = "order"       // a line of this type may not stand here
	RuleRepeated    = "repeated"    // given twice, with two meanings
	RuleProfile     = "profile"     // media that is not UDP/TLS/RTP/SAVPF (RFC 8827 section 6.5)
	RuleKey         = "key"         // a key in the text (k=, a=crypto, a=key-mgmt)
	RuleAlternative = "alternative" // another profile as an alternative (RFC 5939)
	RuleFingerprint = "fingerprint" // not the SHA-256 of the certificate that the token names
	RuleSetup       = "setup"       // a DTLS role that is not the one of this kind
	RuleICE         = "ice"         // credentials that are missing, short or malformed
	RuleICELite     = "ice-lite"    // two lite agents never connect
	RuleMux         = "rtcp-mux"    // RTCP on a port of its own
	RuleDirection   = "direction"   // two directions
	RuleMid         = "mid"         // missing, malformed, or used twice
	RuleNoAudio     = "no-audio"    // nothing that this server can use
	RuleCodec       = "codec"       // no Opus, or a payload type that means two things
)

// Violation is why a description was refused. It quotes nothing of the text: a line
// may hold a key or a password.
type Violation struct {
	Line int    // from 1; 0 where no single line is to blame
	Name string // the kind of line: "m=", "a=crypto"
	Rule string // one of the Rule constants
	Why  string // for people; constant for a place in the code
}

// Error implements error.
func (v *Violation) Error() string {
	if v.Line == 0 {
		return fmt.Sprintf("sdp: %s: %s", v.Rule, v.Why)
	}
	return fmt.Sprintf("sdp: line %d (%s): %s: %s", v.Line, v.Name, v.Rule, v.Why)
}
