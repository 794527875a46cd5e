package cors

import (
	"strings"

	"github.com/opsmantik/sallyport"
)

// originSet is an exact map plus a walk over the suffixes of a host: clever
// search trees for this have admitted strangers and refused friends
// (GHSA-vhxv-fg4m-p2w8). Immutable once built.
//
// Looking up "https://b.a.example.com:8443" in a set with one pattern of two
// dots asks for, in this order:
//
//	exact      https://b.a.example.com:8443
//	patterns   https  .com:8443
//	patterns   https  .example.com:8443      "https://*.example.com:8443"
type originSet struct {
	any   bool
	exact map[string]struct{}

	hasPatterns bool
	patterns    suffixes // of the authority: "https://*.example.com:8443"
	anyPort     suffixes // of the host: "http://localhost:*"
}

// suffixes are what origins may end with. Looking one up copies nothing: the
// keys are made of parts of a request's header.
type suffixes struct {
	keys map[suffix]struct{}
	dots int // the most that one key has: the walk is no longer
}

// suffix is the scheme and what follows the asterisk, or a whole host:
// "https://*.example.com:8443" is "https" and ".example.com:8443".
type suffix struct{ scheme, text string }

// add reports whether the key was new.
func (s *suffixes) add(key suffix) (isNew bool) {
	if s.keys == nil {
		s.keys = make(map[suffix]struct{})
	}
	_, dup := s.keys[key]
	s.keys[key] = struct{}{}
	s.dots = max(s.dots, strings.Count(key.text, "."))
	return !dup
}

// match looks for every suffix of text that starts at a dot of the host, which
// text begins with, the shortest first, and for no more dots than the longest
// key has. Labels are never empty, so something always stands in for the
// asterisk.
func (s *suffixes) match(scheme, host, text string) bool {
	end := len(host)
	for range s.dots {
		end = strings.LastIndexByte(host[:end], '.')
		if end < 0 {
			return false
		}
		if _, ok := s.keys[suffix{scheme, text[end:]}]; ok {
			return true
		}
	}
	return false
}

// lists reports whether the set has an origin by name. Any string may be
// asked for: what is in the set has been parsed.
func (set *originSet) lists(s string) bool {
	_, ok := set.exact[s]
	return ok
}

// matches reports whether the set has a pattern for an origin.
func (set *originSet) matches(o origin) bool {
	return set.any || set.hasPatterns && set.walk(o)
}

// walk tries what is left when the origin is not listed by name.
func (set *originSet) walk(o origin) bool {
	if set.patterns.match(o.scheme, o.host, o.authority) {
		return true
	}
	_, ok := set.anyPort.keys[suffix{o.scheme, o.host}]
	return ok || set.anyPort.match(o.scheme, o.host, o.host)
}

// add puts an entry in and says what is wrong with it, if anything is. The map
// keeps the caller's string; strings do not change.
func (set *originSet) add(entry string) (o origin, f flaw) {
	o, ok := parseEntry(entry)
	if !ok {
		return origin{}, diagnose(entry)
	}
	var isNew bool
	rest, isPattern := strings.CutPrefix(o.host, "*")
	switch { // both kinds of asterisk together are of the first
	case o.port == "*":
		isNew = set.anyPort.add(suffix{o.scheme, rest})
	case isPattern:
		isNew = set.patterns.add(suffix{o.scheme, o.authority[len("*"):]})
	default:
		isNew = !set.lists(entry)
		set.exact[entry] = struct{}{}
	}
	set.hasPatterns = set.hasPatterns || isPattern || o.port == "*"
	if !isNew {
		return origin{}, flaw{sallyport.ConfigDuplicate, "is listed twice"}
	}
	return o, flaw{}
}

// parseEntry is parseOrigin for entries of a list: a leading "*" may stand in
// for labels and, on loopback, one for the port; and what no page's Origin can
// be is refused.
func parseEntry(entry string) (o origin, ok bool) {
	const wildcard = "://*."
	bare, anyPort := strings.CutSuffix(entry, ":*")
	isPattern := strings.Contains(bare, wildcard)
	if isPattern {
		o, ok = parseOrigin(strings.ReplaceAll(bare, wildcard, "://x."))
	} else {
		o, ok = parseOrigin(bare)
	}
	if !ok || o.scheme == "file" || !isCanonical(o.host) || anyPort && o.port != "" {
		return origin{}, false
	}
	if isPattern {
		if o.host == "x." { // "https://*." has no domain below which to match
			return origin{}, false
		}
		o.authority = bare[len(o.scheme)+len("://"):]
		o.host = o.authority[:len(o.host)]
	}
	if anyPort {
		o.port, o.authority = "*", o.authority+":*"
		if !isLoopback(o.host) {
			return origin{}, false
		}
	}
	return o, !isPattern && !anyPort || o.scheme == "https" || o.scheme == "http"
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

// flaw is what is wrong with a value: a code of sallyport.ConfigError and what
// to write instead. The zero flaw is none.
type flaw struct{ code, fix string }

// diagnose says what is wrong with an entry that parseEntry refused, most
// telling cause first. It explains and does not decide: whatever it misses is
// refused all the same.
func diagnose(entry string) flaw {
	switch {
	case entry == "":
		return flaw{sallyport.ConfigRequired, "is empty; remove the entry or the stray comma"}
	case entry == "*":
		return flaw{
			sallyport.ConfigInsecure,
			`"*" is not one origin among others, and not for the environment; name the origins`,
		}
	case entry == "null":
		return flaw{
			sallyport.ConfigInsecure,
			"every sandboxed page sends null; a same-origin one needs no entry",
		}
	case strings.HasPrefix(entry, "file:"):
		return flaw{
			sallyport.ConfigInsecure,
			"every file on a disk would be it, whoever made it; serve the page from loopback, " +
				"or from a scheme of the app's own",
		}
	}
	return flaw{sallyport.ConfigMalformed, misspelling(entry)}
}

// misspelling tells what keeps an entry from being an origin.
func misspelling(entry string) string {
	scheme, rest, hasScheme := strings.Cut(entry, "://")
	switch {
	case strings.ContainsFunc(entry, func(r rune) bool { return r > 0x7e }):
		return "is not ASCII; write the host in punycode (xn--...)"
	case strings.ContainsFunc(entry, func(r rune) bool { return r <= ' ' }):
		return "has a space or a control character"
	case strings.ToLower(entry) != entry:
		return "has upper case letters; browsers send lower case"
	case !hasScheme:
		return "has no scheme; want scheme://host[:port]"
	case strings.Contains(rest, "@"):
		return "has userinfo; want scheme://host[:port]"
	case strings.IndexByte(rest, '/') == len(rest)-1 && rest != "":
		return "has a trailing slash; want scheme://host[:port]"
	case strings.ContainsAny(rest, "/?#"):
		return "has a path, query or fragment; want scheme://host[:port]"
	case strings.HasSuffix(rest, ":"+defaultPort(scheme)):
		return "has the scheme's default port; leave it out"
	case strings.HasSuffix(rest, ":*"):
		return "any port is for loopback only (http://localhost:*), where nobody else listens"
	case strings.Contains(rest, "*"):
		return "an asterisk stands for whole leading labels of https and http: https://*.example.com"
	}
	return "is not an origin that a browser sends; want scheme://host[:port]"
}
