package gatetest

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// Suite is a server and what is true of it.
type Suite struct {
	_ [0]func() // keyed literals only

	// New makes the server, with empty stores and its access log on log. It is
	// called before each attack, so that none finds what another left. What has
	// to be closed goes to tb.Cleanup, which runs after the attack. Required.
	New func(tb testing.TB, log io.Writer) http.Handler

	// Routes are the routes, each declared once. Required.
	Routes []Route

	// Served are the patterns of every route that the router has, as in
	// Route.Pattern: those that Routes lacks are findings. A chi router tells them
	// by chi.Walk; of an http.ServeMux keep the list from which it was filled.
	// Required.
	Served []string

	// Listed is an origin whose pages may call the routes that are Browser, and
	// Own is where the server's own pages are. Default: none, and no such route.
	Listed, Own string

	// SignIn signs two users in who share nothing. Routes that are not Public are
	// asked as the first. Default: none, and every route is Public.
	SignIn [2]SignIn

	// Tenants signs nobody in and says who shares a fresh server, and what they own on
	// it: what New has put there, or what this function adds through the server. At
	// least two. Each is then played against each other, with every id of the other
	// in every place, method and spelling (see Tenant). Default: none, and that is not
	// tried. With it, SignIn and Route.Other may be left out.
	Tenants func(tb testing.TB, server http.Handler) []Tenant

	// SignOut signs a user out, as the server's own button does. What the user had
	// before must then be worth nothing. Default: none, and that is not tried.
	SignOut func(tb testing.TB, server http.Handler, user func(*http.Request))

	// Code reads the code of an answer. Default: the member "code" of a JSON body.
	Code func(status int, header http.Header, body []byte) string

	// Codes are what the server answers instead of a gate's code, such as
	// {"SIGNATURE_REQUIRED": {"signature_missing", "signature_malformed"}}.
	Codes map[string][]string

	// Loopback sends the requests to a listener on 127.0.0.1, through a client's
	// and a server's whole stack, instead of calling the handler. It is slower,
	// and sees what net/http itself refuses or changes.
	Loopback bool
}

// SignIn signs a user in at a fresh server and returns what makes a request his:
// a cookie, a token. It may call the handler, or fail the test.
type SignIn func(tb testing.TB, server http.Handler) func(*http.Request)

// Route is what is true of one route.
type Route struct {
	_ [0]func() // keyed literals only

	// Pattern names the route: "GET /orders/{id}". Required.
	Pattern string
	// Request is a method and a target that the first user may ask for:
	// "GET /orders/17?full=1". Default: Pattern, if it has no wildcard, or only those
	// that Tenant.IDs fills.
	Request string
	// Header and Body go with the request. A Body without a Content-Type is JSON.
	Header http.Header
	Body   string
	// Status are the answers to the genuine request. Default: 200 to 299.
	Status []int

	// Public routes need nobody signed in.
	Public bool
	// Browser routes are for pages on Suite.Listed. Others are for the server's
	// own pages and for programs.
	Browser bool
	// Sign signs a request at a time, after all else about it is settled. Nil
	// means that the route does not ask for a signature.
	Sign func(r *http.Request, body []byte, at time.Time) error
	// Other is the target of the same request for an object of the second user.
	// Empty means that the route has no object of a user.
	Other string
	// Limit is how many requests from one address pass before the next is refused.
	// Zero means that the route has no limit of its own.
	Limit int
	// MaxBody is the longest body that the route reads, in bytes. Default: 1 MiB.
	// Routes without a Body are not tried.
	MaxBody int

	// Accept excuses attacks on this route.
	Accept Accepted
}

// Accepted are reasons by the name of an attack, or of a gate for all of its
// attacks: why it does not matter that they pass.
type Accepted map[string]string

// Finding is something that is wrong.
type Finding struct {
	Route  string // Route.Pattern
	Gate   string // the package that should have refused
	Attack string
	Got    string // what came back
	Fix    string
}

// String returns the finding on three lines.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s: %s\n\tgot: %s\n\tfix: %s", f.Route, f.Gate, f.Attack, f.Got, f.Fix)
}

// Run attacks the server and fails the test with every finding.
func Run(t *testing.T, s Suite) {
	t.Helper()
	for _, f := range Check(t, s) {
		t.Error(f)
	}
}

// Check attacks the server and returns the findings, in the order of the routes,
// floods last. It fails tb only if the suite itself is wrong.
func Check(tb testing.TB, s Suite) []Finding {
	tb.Helper()
	if problems := s.problems(); len(problems) > 0 {
		tb.Fatalf("gatetest:\n%s", strings.Join(problems, "\n"))
	}
	c := &campaign{
		tb: tb, suite: &s, excuses: map[excuse]bool{}, outcomes: map[*Route]*outcome{},
	}
	return c.run()
}

// problems says what keeps the suite from being run.
func (s *Suite) problems() (all []string) {
	if s.New == nil {
		all = append(all, "Suite.New is nil: it makes the server")
	}
	if len(s.Routes) == 0 {
		all = append(all, "Suite.Routes is empty")
	}
	if len(s.Served) == 0 {
		all = append(all, "Suite.Served is empty: list every pattern of the router")
	}
	seen := map[string]bool{}
	for i := range s.Routes {
		r := &s.Routes[i]
		if seen[r.Pattern] {
			all = append(all, r.Pattern+" is declared twice")
		}
		seen[r.Pattern] = true
		for _, problem := range r.problems(s) {
			all = append(all, r.Pattern+": "+problem)
		}
	}
	return all
}

func (r *Route) problems(s *Suite) (all []string) {
	odd := "{} "
	if s.Tenants != nil {
		odd = " " // they fill what is in braces
	}
	if _, target := r.line(); !strings.HasPrefix(target, "/") || strings.ContainsAny(target, odd) {
		all = append(all, `Request is not a method and a target, such as "GET /orders/17"`)
	}
	if r.Browser && s.Listed == "" {
		all = append(all, "is Browser, and Suite.Listed is empty")
	}
	if !r.Public && s.SignIn[0] == nil && s.Tenants == nil {
		all = append(all, "is not Public, and Suite.SignIn[0] is nil")
	}
	if r.Other != "" && (r.Public || s.SignIn[1] == nil && s.Tenants == nil) {
		all = append(all, "has Other, and needs two users: not Public, and both of Suite.SignIn")
	}
	for name, reason := range r.Accept {
		known := slices.ContainsFunc(attacks(), func(a attack) bool {
			return a.name == name || a.gate == name
		})
		if !known {
			all = append(all, fmt.Sprintf("Accept names no attack and no gate: %q", name))
		}
		if reason == "" {
			all = append(all, fmt.Sprintf("Accept[%q] has no reason", name))
		}
	}
	return all
}

// line returns the method and the target of the genuine request.
func (r *Route) line() (method, target string) {
	request := r.Request
	if request == "" {
		request = r.Pattern
	}
	method, target, _ = strings.Cut(request, " ")
	return method, target
}
