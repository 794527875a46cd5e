package tenancy

import (
	"errors"
	"net/http"
	"net/url"
)

// Source is one place where a request names its site. A source that finds nothing names
// none, which is fine as long as another one does.
type Source struct {
	name string
	read func(*http.Request) ([]string, error)
	cost int // the order of reading: what is cheap first, lookups last
}

// The costs of a source.
const (
	costHeader = iota // in memory already
	costBody          // has to be read from the connection
	costLookup        // asks the caller's data: not from the request at all
)

// FromPath reads a wildcard of the ServeMux pattern: "/api/sites/{site_id}/calls".
// A gate in front of the ServeMux finds nothing there: use it on the routes.
func FromPath(name string) Source {
	return source(name, costHeader, func(r *http.Request) ([]string, error) {
		return optional(r.PathValue(name)), nil
	})
}

// FromQuery reads a query parameter. A query that does not parse is malformed: other
// readers may take what is left of it for something else.
//
//	?site=s1           names s1
//	?site=s1&site=s1   400 site_conflict: the next reader may take the last, or a list
//	?site=             400 site_malformed
//	?site=s1;site=s2   400 site_malformed
func FromQuery(name string) Source {
	return source(name, costHeader, func(r *http.Request) ([]string, error) {
		if r.URL == nil {
			return nil, nil
		}
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return nil, &sourceError{CodeSiteMalformed, err}
		}
		return query[name], nil
	})
}

// FromHeader reads a header field, such as X-Site-ID. A second field of that name is a
// conflict, and a list in one is malformed.
func FromHeader(name string) Source {
	return source(name, costHeader, func(r *http.Request) ([]string, error) {
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
	return source(name, costLookup, func(r *http.Request) ([]string, error) {
		site, err := find(r)
		return optional(site), err
	})
}

// source is nil-safe: New reports a source without a name or a reader.
func source(name string, cost int, read func(*http.Request) ([]string, error)) Source {
	if name == "" {
		return Source{}
	}
	return Source{name: name, read: read, cost: cost}
}

// optional turns the one-valued sources' "" into no value.
func optional(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

// sourceError is a source that read something wrong, rather than nothing.
type sourceError struct {
	code  string
	cause error
}

func (e *sourceError) Error() string { return e.code }

func (e *sourceError) Unwrap() error { return e.cause }

// claim reads every source into o. All that name a site must name the same one:
// code further in may read any of them. Lookups come last, so what is wrong with
// the request itself is answered before its object is known; what is wrong after a
// lookup must not tell somebody else's object from none.
func (g *Gate) claim(r *http.Request, o *outcome) bool {
	for i, s := range g.cfg.Sources {
		values, err := s.read(r)
		if err != nil {
			return o.failed(err)
		}
		if len(values) > 1 { // even if equal: the next reader may take them for a list
			return o.refuse(CodeSiteConflict, nil)
		}
		if len(values) == 0 {
			continue
		}
		site, valid := g.parse(values[0])
		agrees := o.site == "" || o.site == site
		switch {
		case s.cost == costLookup && !(valid && agrees):
			return o.refuse(CodeNotFound, ErrNotMember)
		case !valid:
			return o.refuse(CodeSiteMalformed, nil)
		case !agrees:
			return o.refuse(CodeSiteConflict, nil)
		}
		o.site = site
		o.named |= 1 << i
	}
	if o.site == "" {
		return o.refuse(CodeSiteMissing, nil)
	}
	return true
}

// failed keeps "there is no such thing" apart from "could not tell".
func (o *outcome) failed(err error) bool {
	if wrong, ok := errors.AsType[*sourceError](err); ok {
		return o.refuse(wrong.code, wrong.cause)
	}
	if errors.Is(err, ErrNotMember) {
		return o.refuse(CodeNotFound, err)
	}
	return o.refuse(CodeUnavailable, err)
}

// parse returns the one spelling of a site id.
func (g *Gate) parse(text string) (string, bool) {
	site, ok := g.cfg.ParseSite(text)
	return site, ok && site != ""
}

// maxID bounds the ids of the default ParseSite.
const maxID = 64

// plainID accepts the ids of the tracker (32 hex digits, or a UUID) and their like:
// nothing that has a meaning in a path, a query, a log line or a shell. Each has one
// spelling: case matters.
func plainID(id string) (string, bool) {
	for _, c := range []byte(id) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' {
			return id, false
		}
	}
	return id, len(id) <= maxID
}
