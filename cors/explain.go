package cors

import (
	"strconv"
	"strings"
)

// maxQuoted bounds what a log line repeats of a client's header.
const maxQuoted = 100

// Explain says, for operators, which rule decided on which header and what to
// change if another outcome is wanted. It quotes, escaped and bounded, what
// the client sent: it is for logs, not for responses.
func (d Decision) Explain() string {
	s := d.Code + ": " + rules[d.Code]
	if d.Code == "" {
		s = "no decision" // the zero Decision
	}
	if d.detail != "" {
		s += "; got " + strconv.Quote(d.detail[:min(len(d.detail), maxQuoted)])
	}
	if change := d.advice(); change != "" {
		s += "; " + change
	}
	return s
}

// explained is a Decision as the cause of a refusal: its text is made when
// somebody reads it.
type explained Decision

func (d *explained) Error() string { return Decision(*d).Explain() }

// rules says what each code stands for. Nothing writes to it.
var rules = map[string]string{
	CodeOriginListed: "Config.Origins, or the tenant's list, has the Origin header",
	CodeSameOrigin:   "Sec-Fetch-Site is same-origin, or Config.OwnOrigins has the Origin header",
	CodeNoOrigin:     "there is no Origin header, and Config.NoOrigin passes that",

	CodeTenantOriginListed: "Config.Tenants has the Origin header for this tenant",

	CodeOriginNotListed: "neither Config.Origins nor the tenant's list has the Origin header",
	CodeOriginNull:      "the Origin header is null, and Sec-Fetch-Site is not same-origin",
	CodeOriginMalformed: "the Origin header is not one origin as browsers write it",
	CodeOriginRepeated:  "there is more than one Origin header",
	CodeOriginMissing:   "there is no Origin header, and Config.NoOrigin refuses that",
	CodeCrossSite: "there is no Origin header, Sec-Fetch-Site is not same-origin or none, " +
		"and Config.Embeddable is not set",
	CodeMethodNotListed: "Config.Methods does not have the preflight's " +
		"Access-Control-Request-Method",
	CodeHeaderNotListed: "Config.RequestHeaders does not have a name in the preflight's " +
		"Access-Control-Request-Headers",
	CodePreflightMalformed: "a header of the preflight is repeated, or longer than all that " +
		"is listed",
	CodeTenantOriginNotListed: "Config.Tenants does not have the Origin header for this tenant",
	CodeNotConfigured:         "the Gate is a zero value",
}

// advice says what to change for another outcome. It never names a change that
// New would refuse.
func (d Decision) advice() string {
	switch d.Code {
	case CodeOriginNotListed:
		return originAdvice(d.origin, d.Preflight)
	case CodeTenantOriginNotListed:
		if o, ok := parseEntry(d.origin); ok && !isSocket(o.scheme) {
			return "add it there if it is one of the tenant's"
		}
		return "no list can have it; look for a client that writes its own"
	case CodeOriginNull:
		return "look for a sandboxed frame, a file: or data: URL, a cross-site redirect, " +
			"or a form on a page with Referrer-Policy: no-referrer"
	case CodeOriginMalformed:
		return "look for a client or proxy that writes its own; no setting admits it"
	case CodeOriginRepeated:
		return "look for a proxy that adds one; no setting admits it"
	case CodeOriginMissing:
		return "send one; or, for webhooks, mobile apps and other programs that authenticate " +
			"themselves, wire the route outside this Gate or set NoOriginPass"
	case CodeCrossSite:
		return "load it with the crossorigin attribute from a listed origin, or set " +
			"Config.Embeddable for this route if any site may embed it"
	case CodeMethodNotListed:
		return methodAdvice(d.detail)
	case CodeHeaderNotListed:
		return headerAdvice(d.detail)
	case CodePreflightMalformed:
		return "look for a proxy that changes it, or a page that asks for many unlisted headers"
	case CodeNotConfigured:
		return "make it with cors.New"
	}
	return ""
}

// originAdvice tells a page from this server's own native clients, and both from
// what nobody sends. A preflight is never from an own page, so OwnOrigins would not
// help it.
func originAdvice(s string, preflight bool) string {
	o, ok := parseEntry(s)
	switch {
	case !ok:
		return "no browser writes it like this; look for a client that does"
	case isSocket(o.scheme) && preflight:
		return "no page has it; look for a client that writes its own"
	case isSocket(o.scheme):
		return "add it to Config.OwnOrigins if a native client of this server's WebSockets " +
			"sends it" + insecureAdvice(o)
	case preflight:
		return "add it to Config.Origins if its pages may call this server" + insecureAdvice(o)
	}
	return "add it to Config.Origins if its pages may call this server, or to " +
		"Config.OwnOrigins if this server serves them" + insecureAdvice(o)
}

// insecureAdvice completes what New would otherwise refuse.
func insecureAdvice(o origin) string {
	if !isInsecure(o) {
		return ""
	}
	return "; better move it to TLS first, or it needs Config.DangerouslyAllowInsecureOrigins"
}

// methodAdvice knows that the Fetch API upper-cases a few methods only: "patch" stays
// in lower case, and no list may have it.
func methodAdvice(method string) string {
	upper := strings.ToUpper(method)
	switch {
	case checkMethod(upper) != "":
		return "browsers never send it; look for a client that does"
	case method != upper:
		return "methods are case-sensitive: the page has to ask for " + strconv.Quote(upper) +
			", which Config.Methods can list"
	}
	return "add the method there if pages may use it"
}

// headerAdvice knows that browsers ask in lower case, once for each name.
func headerAdvice(name string) string {
	switch {
	case checkRequestHeader(name) != "" || name != strings.ToLower(name):
		return "browsers do not ask like this; look for a client that does"
	case name == "content-type":
		return "add the name there: a page cannot send JSON without it"
	}
	return "add the name there if pages may send it"
}
