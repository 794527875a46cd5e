package gatetest

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Tenant is one of those who share the server and must not meet in it.
type Tenant struct {
	_ [0]func() // keyed literals only

	// Name is what findings call it. Required.
	Name string
	// Users sign in, one for each role that is worth trying. The first may ask for
	// everything that the routes name. Required.
	Users []SignIn
	// IDs are what the tenant owns on this server, by kind:
	//
	//	{"site": {"fedc..."}, "call": {"33a1...", "71bb..."}}
	//
	// A kind is the name of a place in routes. In "GET /sites/{site}/calls" the kit
	// puts the first id of the kind site, percent-encoded, and likewise where a query,
	// a header or a body has {site}: `{"calls":["{call}"]}`. A number of a JSON body is
	// {call} without quotes. The kit also adds each kind to requests that do not name
	// it: as site, its names with Id and _id, and X-Site-Id. Required.
	IDs map[string][]string
	// Canaries are texts in the tenant's data that are nowhere else, such as the
	// names of its customers. The ids above need not be repeated. Default: none.
	Canaries []string
	// Nowhere are ids that no tenant owns, by kind, where the kit cannot make them
	// up from the form of the others: digits for digits, letters for letters.
	// Default: made up.
	Nowhere map[string]string
}

// hole is a place for an id in the request of a route.
type hole struct {
	part string // path, query, header NAME, body
	nth  int    // among those of the part
	kind string
}

// String is what findings call the place.
func (h hole) String() string { return h.part + " {" + h.kind + "}" }

var (
	holeForm = regexp.MustCompile(`\{([A-Za-z0-9_]+)\}`)
	// In a body, the quotes around a hole belong to it: what is put there may be an
	// array.
	quotedForm = regexp.MustCompile(`"\{[A-Za-z0-9_]+\}"|\{[A-Za-z0-9_]+\}`)
)

// filler says what to put into a hole; quoted holes of a body want a JSON value.
type filler func(h hole, quoted bool) string

// fill puts ids into the holes of one part of a request.
func (t Tenant) fill(part, text string, put filler) string {
	form := holeForm
	if part == "body" {
		form = quotedForm
	}
	nth := map[string]int{}
	return form.ReplaceAllStringFunc(text, func(found string) string {
		kind := strings.Trim(found, `"{}`)
		if len(t.IDs[kind]) == 0 {
			return found
		}
		h := hole{part, nth[kind], kind}
		nth[kind]++
		return put(h, strings.HasPrefix(found, `"`))
	})
}

// filled returns the route as a tenant asks for it.
func (r *Route) filled(t Tenant, put filler) *Route {
	method, target := r.line()
	path, query, asks := strings.Cut(target, "?")
	if path = t.fill("path", path, put); asks {
		path += "?" + t.fill("query", query, put)
	}
	with := *r
	with.Request, with.Header = method+" "+path, http.Header{}
	for name, values := range r.Header {
		for _, value := range values {
			with.Header[name] = append(with.Header[name], t.fill("header "+name, value, put))
		}
	}
	with.Body = t.fill("body", r.Body, put)
	return &with
}

// holes are the places of the route for what a tenant owns, in their order.
func (r *Route) holes(t Tenant) (all []hole) {
	r.filled(t, func(h hole, _ bool) string {
		all = append(all, h)
		return ""
	})
	slices.SortStableFunc(all, func(a, b hole) int { return strings.Compare(a.part, b.part) })
	return all
}

// own fills holes with what the tenant owns.
func (t Tenant) own(h hole, quoted bool) string {
	return h.escape(t.IDs[h.kind][0], quoted)
}

// escape writes a text as it is written in the part.
func (h hole) escape(text string, quoted bool) string {
	switch {
	case h.part == "path":
		return url.PathEscape(text)
	case h.part == "query":
		return url.QueryEscape(text)
	case h.part == "body" && quoted:
		return quote(text)
	}
	return text
}

// settle asks the suite what is on a fresh server, and fills the route with it.
func (t *trial) settle() {
	t.tb.Helper()
	if t.suite.Tenants == nil {
		return
	}
	t.tenants = t.suite.Tenants(t.tb, t.server)
	for _, problem := range tenantProblems(t.tenants) {
		t.tb.Fatalf("gatetest: Suite.Tenants: %s", problem)
	}
	t.members = make([][]func(*http.Request), len(t.tenants))
	for i, tenant := range t.tenants {
		for _, signIn := range tenant.Users {
			t.members[i] = append(t.members[i], t.lazily(signIn))
		}
	}
	for i := range t.users {
		if t.suite.SignIn[i] == nil {
			t.users[i] = t.members[i][0]
		}
	}
	if t.signIn == nil {
		t.signIn = t.tenants[0].Users[0]
	}
	raw := t.route
	t.route = raw.filled(t.tenants[0], t.tenants[0].own)
	if _, target := t.route.line(); strings.ContainsAny(target, "{}") {
		t.tb.Fatalf("gatetest: %s: no tenant owns what %s names", raw.Pattern, target)
	}
	if raw.Other == "" && raw.hasHoles() && !raw.Public {
		_, t.route.Other = raw.filled(t.tenants[1], t.tenants[1].own).line()
	}
}

// hasHoles reports whether the target of the route names what a tenant owns.
func (r *Route) hasHoles() bool {
	_, target := r.line()
	return holeForm.MatchString(target)
}

func tenantProblems(tenants []Tenant) (all []string) {
	if len(tenants) < 2 {
		return []string{"isolation needs two tenants"}
	}
	for _, t := range tenants {
		if t.Name == "" || len(t.Users) == 0 || len(t.IDs) == 0 {
			all = append(all, t.Name+": Name, Users and IDs are required")
		}
		for kind, ids := range t.IDs {
			if len(tenants[0].IDs[kind]) == 0 || len(ids) == 0 || slices.Contains(ids, "") {
				all = append(all, t.Name+": every tenant owns something of each kind, also "+kind)
			}
		}
		for _, text := range t.Canaries {
			if len(text) < minCanary {
				all = append(all, t.Name+": canary is too short to be nowhere else: "+text)
			}
		}
	}
	return all
}

// minCanary is how long a text is that turns up nowhere by chance.
const minCanary = 6

// lazily signs a user in when he is needed: signing in is made to be slow.
func (t *trial) lazily(signIn SignIn) func(*http.Request) {
	var user func(*http.Request)
	return func(r *http.Request) {
		if user == nil {
			user = signIn(t.tb, t.server)
		}
		user(r)
	}
}

// fresh is another server for the same route.
func (t *trial) fresh(tb testing.TB) *trial { return newTrial(tb, t.suite, t.declared) }
