package cors

import (
	"net/http"
	"slices"
	"strings"
)

const (
	// maxMethodLen bounds what is hashed of a hostile method.
	maxMethodLen = 32
	// emptyBudget allows for list elements and lines that proxies leave empty
	// (RFC 9110 section 5.6.1.2).
	emptyBudget = 16
)

// isPreflight follows the Fetch standard, section 3.3.2; that there is one
// Origin has been established.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && len(r.Header["Access-Control-Request-Method"]) > 0
}

// preflight decides on a preflight from a listed origin.
func (p *policy) preflight(h http.Header) (Reason, string) {
	methods := h["Access-Control-Request-Method"]
	if len(methods) > 1 || len(methods[0]) > maxMethodLen {
		return ReasonPreflightMalformed, "Access-Control-Request-Method"
	}
	if _, ok := p.methods[methods[0]]; !ok {
		return ReasonMethodNotListed, methods[0]
	}
	// Browsers send the names once each, in lower case, joined by commas;
	// proxies may add space or split the line. More bytes than that takes
	// cannot be a list of allowed names, so they are not read.
	budget := p.budget
	for _, line := range h["Access-Control-Request-Headers"] {
		if budget -= len(line) + 1; budget < 0 {
			return ReasonPreflightMalformed, "Access-Control-Request-Headers"
		}
		for more := true; more; {
			var name string
			name, line, more = strings.Cut(line, ",")
			name = strings.Trim(name, " \t")
			if _, ok := p.headers[name]; !ok && name != "" {
				return ReasonHeaderNotListed, name
			}
		}
	}
	return ReasonOriginListed, ""
}

func checkMethod(method string) string {
	switch {
	case method == "*":
		return "there is no wildcard; name the methods"
	case !isToken(method):
		return "is not a method"
	case len(method) > maxMethodLen:
		return "is longer than any method"
	case method != strings.ToUpper(method):
		return "methods are case-sensitive; want upper case"
	case slices.Contains([]string{"CONNECT", "TRACE", "TRACK"}, method):
		return "browsers never send it"
	}
	return ""
}

// checkRequestHeader refuses the forbidden request-headers of the Fetch
// standard, section 2.2.2: a script cannot set them, so listing one is a
// misunderstanding.
func checkRequestHeader(name string) string {
	lower := strings.ToLower(name)
	forbidden := []string{
		"accept-charset", "accept-encoding", "connection", "content-length", "cookie", "cookie2",
		"date", "dnt", "expect", "host", "keep-alive", "origin", "referer", "set-cookie", "te",
		"trailer", "transfer-encoding", "upgrade", "via",
	}
	switch {
	case name == "*":
		return "there is no wildcard; name the headers"
	case !isToken(name):
		return "is not a header name"
	case slices.Contains(forbidden, lower),
		strings.HasPrefix(lower, "sec-"), strings.HasPrefix(lower, "proxy-"),
		strings.HasPrefix(lower, "access-control-"):
		return "browsers do not let scripts send it"
	}
	return ""
}

// checkExposedHeader refuses what no script can read, whatever the server says.
func checkExposedHeader(name string) string {
	lower := strings.ToLower(name)
	switch {
	case name == "*":
		return "there is no wildcard; name the headers"
	case !isToken(name):
		return "is not a header name"
	case lower == "set-cookie" || lower == "set-cookie2":
		return "browsers do not let scripts read it"
	}
	return ""
}

// isToken follows RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20 // fold letters; moves no other byte into a letter but those
		if !isLower(c) && !isDigit(s[i]) && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(s[i])) {
			return false
		}
	}
	return s != ""
}
