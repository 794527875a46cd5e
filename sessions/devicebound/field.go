package devicebound

import (
	"net/http"
	"strings"
)

// one returns the value of a header field that must come once.
func one(h http.Header, name string) (string, bool) {
	values := h[http.CanonicalHeaderKey(name)]
	if len(values) != 1 {
		return "", false
	}
	return item(values[0])
}

// item reads a structured string (RFC 9651 section 3.3.3), or the bare word that
// some versions of Chromium send, and ignores parameters.
func item(value string) (string, bool) {
	value = strings.Trim(value, " ")
	if rest, quoted := strings.CutPrefix(value, `"`); quoted {
		text, rest, closed := strings.Cut(rest, `"`)
		// No proof or id of ours needs an escape.
		return text, closed && !strings.Contains(text, `\`) && (rest == "" || rest[0] == ';')
	}
	value, _, _ = strings.Cut(value, ";")
	return value, value != "" && !strings.ContainsAny(value, "\" ,\\")
}

// maxReasons bounds what a client can put into an event.
const maxReasons = 4

// skipped reads why a browser sends no fresh cookie.
func skipped(h http.Header) []string {
	var reasons []string
	for _, line := range h["Secure-Session-Skipped"] {
		for part := range strings.SplitSeq(line, ",") {
			reason, _, _ := strings.Cut(part, ";")
			switch reason = strings.Trim(reason, " \t"); reason {
			case "unreachable", "server_error", "quota_exceeded":
			default:
				reason = "other"
			}
			if reasons = append(reasons, reason); len(reasons) == maxReasons {
				return reasons
			}
		}
	}
	return reasons
}
