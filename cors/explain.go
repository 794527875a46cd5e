package cors

import "strconv"

// maxQuoted bounds what a log line repeats of a client's header.
const maxQuoted = 100

// Explain says, for operators, which rule decided on which header and what to
// change if another outcome is wanted. It quotes, escaped and bounded, what
// the client sent: it is for logs, not for responses.
func (d Decision) Explain() string {
	e, ok := explanations[d.Reason]
	if !ok {
		e = explanations[ReasonNotConfigured] // the zero Decision
	}
	s := string(d.Reason) + ": " + e.rule
	if d.detail != "" {
		s += "; got " + strconv.Quote(d.detail[:min(len(d.detail), maxQuoted)])
	}
	if e.change != "" {
		s += "; " + e.change
	}
	return s
}

// explanation is what there is to say about a Reason. Only the title goes to
// the client; reasons to allow have none.
type explanation struct{ title, rule, change string }

// explanations has every Reason. Nothing writes to it.
var explanations = map[Reason]explanation{
	ReasonOriginListed: {rule: "Config.Origins, or the tenant's list, has the Origin header"},
	ReasonSameOrigin: {
		rule: "Sec-Fetch-Site is same-origin, or Config.OwnOrigins has the Origin header",
	},
	ReasonNoOrigin: {rule: "there is no Origin header, and Config.NoOrigin passes that"},
	ReasonOriginNotListed: {
		title: "Origin not allowed",
		rule:  "neither Config.Origins nor the tenant's list has the Origin header",
		change: "add it there if its pages may call this server, " +
			"or to Config.OwnOrigins if this server serves them",
	},
	ReasonOriginNull: {
		title: "Opaque origin not allowed",
		rule:  "the Origin header is null, and Sec-Fetch-Site is not same-origin",
		change: "look for a sandboxed frame, a file: or data: URL, a cross-site redirect, " +
			"or a form on a page with Referrer-Policy: no-referrer",
	},
	ReasonOriginMalformed: {
		title:  "Origin malformed",
		rule:   "the Origin header is not one origin as browsers write it",
		change: "look for a client or proxy that writes its own; no setting admits it",
	},
	ReasonOriginRepeated: {
		title:  "Origin repeated",
		rule:   "there is more than one Origin header",
		change: "look for a proxy that adds one; no setting admits it",
	},
	ReasonOriginMissing: {
		title:  "Origin missing",
		rule:   "there is no Origin header, and Config.NoOrigin refuses that",
		change: "send one, or wrap the route in a Gate with another NoOrigin policy",
	},
	ReasonCrossSite: {
		title: "Cross-site load not allowed",
		rule: "there is no Origin header, Sec-Fetch-Site is not same-origin or none, " +
			"and Config.ResourceIsolation refuses that",
		change: "load it with the crossorigin attribute from a listed origin, " +
			"or wrap the route in a Gate without isolation",
	},
	ReasonMethodNotListed: {
		title:  "Method not allowed",
		rule:   "Config.Methods does not have the preflight's Access-Control-Request-Method",
		change: "add it there, in upper case, if pages may use it",
	},
	ReasonHeaderNotListed: {
		title:  "Header not allowed",
		rule:   "Config.RequestHeaders does not have a name in Access-Control-Request-Headers",
		change: "add it there if pages may send it",
	},
	ReasonPreflightMalformed: {
		title:  "Preflight malformed",
		rule:   "a header of the preflight is repeated, or longer than all that is listed",
		change: "look for a proxy that changes it, or a page that asks for many unlisted headers",
	},
	ReasonNotConfigured: {
		title:  "Gate not configured",
		rule:   "the Gate is a zero value",
		change: "make it with cors.New",
	},
}
