package cors

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// What a preflight may have beyond the listed names: proxies pad lists, split
// them and leave empty elements (RFC 9110 section 5.6.1.2).
const (
	spareBytes    = 256
	spareElements = 16
)

// askedMethods returns what a preflight asks for, and nothing for any other
// request: https://fetch.spec.whatwg.org/#cors-preflight-request, given one Origin.
func askedMethods(r *http.Request) []string {
	if r.Method != http.MethodOptions {
		return nil
	}
	return r.Header["Access-Control-Request-Method"]
}

// preflight decides on a preflight from a listed origin. The Private Network
// Access header is not looked at; see the package documentation.
func (p *policy) preflight(methods, lines []string) (code, detail string) {
	if len(methods) > 1 {
		return CodePreflightMalformed, methods[1]
	}
	if !slices.Contains(p.methods, methods[0]) {
		return CodeMethodNotListed, methods[0]
	}
	return p.checkHeaders(lines)
}

// checkHeaders looks every name up. Browsers send each once, in lower case,
// joined by commas. What is longer than all listed names is not read, and one
// unlisted name ends it: the cost is bounded by the configuration, not by the
// client.
func (p *policy) checkHeaders(lines []string) (code, detail string) {
	bytes, elements := p.headerBytes, len(p.headers)+spareElements
	for _, line := range lines {
		if bytes -= len(line); bytes < 0 {
			return CodePreflightMalformed, line
		}
		for more := true; more; {
			if elements--; elements < 0 {
				return CodePreflightMalformed, line
			}
			var name string
			name, line, more = strings.Cut(line, ",")
			if name = textproto.TrimString(name); name == "" {
				continue
			}
			if _, listed := p.headers[name]; !listed {
				return CodeHeaderNotListed, name
			}
		}
	}
	return CodeOriginListed, ""
}

// checkMethod says why a method cannot be asked for
// (https://fetch.spec.whatwg.org/#methods). The Fetch API upper-cases only some
// methods: "patch" in a page and "PATCH" in a list never meet, which has cost
// many an afternoon.
func checkMethod(method string) string {
	switch {
	case method == "*":
		return "there is no wildcard; name the methods"
	case !isToken(method):
		return "is not a method"
	case method != strings.ToUpper(method):
		return "methods are case-sensitive; want upper case"
	case slices.Contains([]string{"CONNECT", "TRACE", "TRACK"}, method):
		return "browsers never send it"
	}
	return ""
}

// checkRequestHeader refuses the forbidden request-headers
// (https://fetch.spec.whatwg.org/#forbidden-request-header): a script cannot set
// them, so listing one is a misunderstanding.
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
