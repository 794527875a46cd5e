package cors

import "strings"

// originSet is an exact map plus a walk over the suffixes of a host: clever
// search trees for this have admitted strangers and refused friends
// (GHSA-vhxv-fg4m-p2w8). Immutable once built.
type originSet struct {
	any      bool
	exact    map[string]struct{}
	patterns map[pattern]struct{}
}

// pattern is a key made of parts of a request's header, so that looking it up
// copies nothing: "https://*.example.com:8443" as "https", ".example.com:8443".
type pattern struct{ scheme, suffix string }

// lists reports whether the set has an origin by name. Any string may be
// asked for: what is in the set has been parsed.
func (set originSet) lists(s string) bool {
	_, ok := set.exact[s]
	return ok
}

// matches reports whether the set has a pattern for an origin.
func (set originSet) matches(o origin) bool {
	return set.any || set.patterns != nil && set.hasSuffix(o)
}

// hasSuffix looks for every suffix of the authority that starts at a dot.
// Labels are never empty, so something always stands in for the asterisk.
func (set originSet) hasSuffix(o origin) bool {
	for i := range len(o.host) {
		if o.host[i] != '.' {
			continue
		}
		if _, ok := set.patterns[pattern{o.scheme, o.authority[i:]}]; ok {
			return true
		}
	}
	return false
}

// add puts an entry in and says what is wrong with it, if anything is. The map
// keeps the caller's string; strings do not change.
func (set *originSet) add(entry string) (o origin, flaw string) {
	o, ok := parseEntry(entry)
	if !ok {
		return o, diagnose(entry)
	}
	if rest, isPattern := strings.CutPrefix(o.authority, "*"); isPattern {
		key := pattern{o.scheme, rest}
		if _, dup := set.patterns[key]; dup {
			return o, "is listed twice"
		}
		if set.patterns == nil {
			set.patterns = make(map[pattern]struct{})
		}
		set.patterns[key] = struct{}{}
		return o, ""
	}
	if _, dup := set.exact[entry]; dup {
		return o, "is listed twice"
	}
	set.exact[entry] = struct{}{}
	return o, ""
}

// parseEntry is parseOrigin for entries of a list: a leading "*" may stand in
// for labels, and what no page's Origin can be is refused.
func parseEntry(entry string) (o origin, ok bool) {
	const wildcard = "://*."
	if !strings.Contains(entry, wildcard) {
		o, ok = parseOrigin(entry)
		return o, ok && isCanonical(o.host) && o.scheme != "ws" && o.scheme != "wss"
	}
	o, ok = parseOrigin(strings.Replace(entry, wildcard, "://x.", 1))
	if !ok || o.host == "x." { // "https://*." has no domain below which to match
		return o, false
	}
	o.authority = entry[len(o.scheme)+len("://"):]
	o.host = o.authority[:len(o.host)]
	return o, o.scheme == "https" || o.scheme == "http"
}

// redact hides what stands where a password does in a URL: errors get logged.
func redact(entry string) string {
	end := strings.LastIndexByte(entry, '@')
	if end < 0 {
		return entry
	}
	scheme, _, _ := strings.Cut(entry[:end], "://")
	if len(scheme) == end {
		return "..." + entry[end:]
	}
	return scheme + "://..." + entry[end:]
}

// diagnose says what is wrong with an entry that parseEntry refused, most
// telling cause first. It explains and does not decide: whatever it misses is
// refused all the same.
func diagnose(entry string) string {
	scheme, rest, hasScheme := strings.Cut(entry, "://")
	switch {
	case entry == "":
		return "is empty; remove the entry or the stray comma"
	case entry == "*":
		return `"*" is not one origin among others, and not for the environment; name the origins`
	case entry == "null":
		return "every sandboxed page sends null; a same-origin one needs no entry"
	case strings.ContainsFunc(entry, func(r rune) bool { return r > 0x7e }):
		return "is not ASCII; write the host in punycode (xn--...)"
	case strings.ContainsFunc(entry, func(r rune) bool { return r <= ' ' }):
		return "has a space or a control character"
	case strings.ToLower(entry) != entry:
		return "has upper case letters; browsers send lower case"
	case !hasScheme:
		return "has no scheme; want scheme://host[:port]"
	case scheme == "ws" || scheme == "wss":
		return "WebSocket handshakes carry the page's origin; want https://host[:port]"
	case strings.Contains(rest, "@"):
		return "has userinfo; want scheme://host[:port]"
	case strings.IndexByte(rest, '/') == len(rest)-1 && rest != "":
		return "has a trailing slash; want scheme://host[:port]"
	case strings.ContainsAny(rest, "/?#"):
		return "has a path, query or fragment; want scheme://host[:port]"
	case strings.HasSuffix(rest, ":"+defaultPort(scheme)):
		return "has the scheme's default port; leave it out"
	case strings.Contains(rest, "*"):
		return "an asterisk stands for whole leading labels of https and http: https://*.example.com"
	}
	return "is not an origin that a browser sends; want scheme://host[:port]"
}
