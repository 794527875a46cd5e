package tenancy

import (
	"errors"
	"net/http"
	"net/url"
)

// Claim is a site id as the request has it, well formed and otherwise unproved.
// The id cannot be taken out: exchange the claim for a [Grant].
type Claim struct{ site string }

// NewClaim makes a claim outside HTTP, of an id from a job or a command line.
func NewClaim(site string) Claim { return Claim{site} }

// String hides the id, so that a claim in a query or a log is seen at once.
func (Claim) String() string { return "[unvalidated]" }

// GoString hides it from %#v.
func (Claim) GoString() string { return "[unvalidated]" }

// Source is one place where a request names its site.
type Source struct {
	name   string
	read   func(*http.Request) ([]string, error)
	lookup bool // what it names comes from the caller's data, not from the request
}

// FromPath reads a wildcard of the ServeMux pattern: "/api/sites/{site_id}/calls".
func FromPath(name string) Source {
	return source(name, func(r *http.Request) ([]string, error) {
		return optional(r.PathValue(name)), nil
	})
}

// FromQuery reads a query parameter. A query that does not parse is malformed.
func FromQuery(name string) Source {
	return source(name, func(r *http.Request) ([]string, error) {
		if r.URL == nil || r.URL.RawQuery == "" {
			return nil, nil
		}
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return nil, refuse(ReasonSiteMalformed, err)
		}
		return query[name], nil
	})
}

// FromHeader reads a header field.
func FromHeader(name string) Source {
	return source(name, func(r *http.Request) ([]string, error) {
		return r.Header.Values(name), nil
	})
}

// FromLookup asks the caller's own data: the site of the call, the export or the
// key that the request is about. It runs only for a signed-in user, and after all
// sources that read the request. ErrNotMember is 404, any other error 503; an empty
// id is no claim. A site other than what the request names is the same 404: the
// object is not on that site.
func FromLookup(name string, find func(*http.Request) (string, error)) Source {
	if find == nil {
		return Source{name: name}
	}
	s := source(name, func(r *http.Request) ([]string, error) {
		site, err := find(r)
		return optional(site), err
	})
	s.lookup = true
	return s
}

// source is nil-safe: New reports a source without a name or a reader.
func source(name string, read func(*http.Request) ([]string, error)) Source {
	if name == "" {
		return Source{}
	}
	return Source{name: name, read: read}
}

// optional turns the one-valued sources' "" into no value.
func optional(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

// claim reads every source. All that name a site must name the same one: code
// further in may read any of them. New put the lookups last, so what is wrong with
// the request itself is answered before its object is known; what is wrong after a
// lookup must not tell somebody else's object from none.
func (g *Gate) claim(r *http.Request) (Claim, *Rejection) {
	found := ""
	for _, s := range g.cfg.Sources {
		values, err := s.read(r)
		if err != nil {
			return Claim{}, sourceError(err)
		}
		if len(values) > 1 { // even if equal: the next reader may take them for a list
			return Claim{}, refuse(ReasonSiteConflict, nil)
		}
		if len(values) == 0 {
			continue
		}
		valid := g.cfg.ValidSite(values[0])
		agrees := found == "" || found == values[0]
		switch {
		case s.lookup && !(valid && agrees):
			return Claim{}, refuse(ReasonNotFound, ErrNotMember)
		case !valid:
			return Claim{}, refuse(ReasonSiteMalformed, nil)
		case !agrees:
			return Claim{}, refuse(ReasonSiteConflict, nil)
		}
		found = values[0]
	}
	if found == "" {
		return Claim{}, refuse(ReasonSiteRequired, nil)
	}
	return Claim{found}, nil
}

// sourceError keeps "there is no such thing" apart from "could not tell".
func sourceError(err error) *Rejection {
	if rej, ok := errors.AsType[*Rejection](err); ok {
		return rej
	}
	if errors.Is(err, ErrNotMember) {
		return refuse(ReasonNotFound, err)
	}
	return refuse(ReasonUnavailable, err)
}

// plainID accepts the ids of the tracker (32 hex digits, or a UUID) and their like:
// nothing that has a meaning in a path, a query, a log line or a shell.
func plainID(id string) bool {
	for _, c := range []byte(id) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return len(id) >= 1 && len(id) <= 64
}
