package cors

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opsmantik/sallyport/internal/problem"
)

// policy is a validated Config: an immutable snapshot, shared by all requests.
// What a response needs is joined and encoded here, once, so that a request
// only points at it.
type policy struct {
	Config   // for the switches and hooks; the lists live on in the fields below
	listed   originSet
	own      originSet
	tenants  map[string]originSet
	methods  []string
	headers  map[string]struct{}
	problems map[Reason]*problem.Problem

	headerBytes int // of Access-Control-Request-Headers: worth reading

	// Values of response headers; "" means no such header.
	allowMethods, allowHeaders, exposeHeaders string
	allowCredentials, maxAge                  string
	vary, varyOptions                         string
}

// compiler collects every problem of a Config while it builds the policy.
type compiler struct {
	*policy
	errs []error
}

func (c *compiler) fail(field, value, reason string) {
	c.errs = append(c.errs, &ConfigError{field, value, reason})
}

// compile validates and translates. It goes on after a problem, so that an
// operator sees all of them at the first start, not one per attempt.
func compile(cfg Config) (*policy, error) {
	c := &compiler{policy: &policy{Config: cfg, problems: newProblems()}}
	c.origins()
	c.preflights()
	c.switches()
	c.Origins, c.OwnOrigins, c.Tenants = nil, nil, nil // the caller may change these
	c.Methods, c.RequestHeaders, c.ExposedHeaders = nil, nil, nil
	return c.policy, errors.Join(c.errs...)
}

// origins builds the lists. The tenants come after the platform's list, which
// may have to cover them; they come in order, so that errors do too.
func (c *compiler) origins() {
	if len(c.Origins) == 0 && len(c.OwnOrigins) == 0 && c.Tenant == nil {
		c.fail("Origins", "", "is empty, and so are OwnOrigins and Tenant; list the allowed origins")
	}
	if len(c.Origins) == 1 && c.Origins[0] == "*" {
		c.listed.any = true
		if c.Credentials {
			c.fail("Credentials", "", `any site could act as its visitors; name Origins instead of "*"`)
		}
	} else {
		c.listed = c.set("Origins", c.Origins)
	}
	c.own = c.set("OwnOrigins", c.OwnOrigins)
	c.tenants = make(map[string]originSet, len(c.Tenants))
	for _, tenant := range slices.Sorted(maps.Keys(c.Tenants)) {
		if tenant == "" {
			c.fail("Tenants", "", `the key "" means no tenant; use Origins`)
		}
		field := "Tenants[" + strconv.Quote(tenant) + "]"
		c.tenants[tenant] = c.set(field, c.Tenants[tenant])
		if c.Tenant == nil {
			c.checkCovered(field, c.Tenants[tenant])
		}
	}
}

// set builds one list of origins. Two entries that mean the same are an error:
// one of them is usually a typing mistake for a third.
func (c *compiler) set(field string, entries []string) originSet {
	set := originSet{exact: make(map[string]struct{}, len(entries))}
	for _, entry := range entries {
		o, flaw := set.add(entry)
		if flaw == "" {
			flaw = c.objection(o)
		}
		if flaw != "" {
			c.fail(field, redact(entry), flaw)
		}
	}
	return set
}

// objection says why a well-formed entry does not go with this Config. These
// are the mistakes that have become advisories elsewhere: an attacker on the
// network speaks for an http origin, and anybody registers below github.io.
func (c *compiler) objection(o origin) string {
	if o.scheme == "http" && !isLoopback(o.host) && !c.DangerouslyAllowInsecureOrigins {
		return "is http beyond loopback, so anybody on the way can be it; use https"
	}
	if base, isPattern := strings.CutPrefix(o.host, "*."); isPattern {
		if c.PublicSuffix == nil {
			return "needs PublicSuffix, to tell whether strangers can register below it"
		}
		base = strings.TrimSuffix(base, ".") // lists of suffixes do not know "com."
		// Rules such as "*.kawasaki.jp" show one label further down only.
		for _, name := range []string{base, "x." + base} {
			if suffix, _ := c.PublicSuffix(name); suffix == name {
				return "is a public suffix: strangers can register below it; name the origins"
			}
		}
	}
	return ""
}

// checkCovered reports what a tenant lists in vain: the gate in front, which
// does not know the tenant, goes by Origins alone.
func (c *compiler) checkCovered(field string, entries []string) {
	for _, entry := range entries {
		if o, ok := parseEntry(entry); ok && !c.listed.lists(entry) && !c.listed.matches(o) {
			c.fail(field, entry, "is not covered by Origins, so it would never get this far")
		}
	}
}

// preflights allows the methods that need no permission (Fetch standard,
// section 2.2.1), so that a browser that asks nevertheless is not refused.
func (c *compiler) preflights() {
	c.methods = append([]string{"GET", "HEAD", "POST"}, c.Methods...)
	for _, method := range c.Methods {
		if reason := checkMethod(method); reason != "" {
			c.fail("Methods", method, reason)
		}
	}
	c.headers = make(map[string]struct{}, len(c.RequestHeaders))
	c.headerBytes = spareBytes
	for _, name := range c.RequestHeaders {
		if reason := checkRequestHeader(name); reason != "" {
			c.fail("RequestHeaders", name, reason)
		}
		c.headers[strings.ToLower(name)] = struct{}{}
		c.headerBytes += len(name) + len(", ")
	}
	for _, name := range c.ExposedHeaders {
		if reason := checkExposedHeader(name); reason != "" {
			c.fail("ExposedHeaders", name, reason)
		}
	}
	c.checkUnique("Methods", c.Methods)
	c.checkUnique("RequestHeaders", c.RequestHeaders)
	c.checkUnique("ExposedHeaders", c.ExposedHeaders)
	c.allowMethods = strings.Join(c.Methods, ",")
	c.allowHeaders = strings.ToLower(strings.Join(c.RequestHeaders, ","))
	c.exposeHeaders = strings.Join(c.ExposedHeaders, ",")
}

// checkUnique folds case, as header names do; methods are all upper case by
// then.
func (c *compiler) checkUnique(field string, entries []string) {
	seen := make(map[string]bool, len(entries))
	for _, entry := range entries {
		key := strings.ToLower(entry)
		if seen[key] {
			c.fail(field, entry, "is listed twice")
		}
		seen[key] = true
	}
}

// switches validates what is not a list.
func (c *compiler) switches() {
	if c.Credentials {
		c.allowCredentials = "true"
	}
	switch {
	case c.MaxAge < 0:
		c.maxAge = "0"
	case c.MaxAge > 24*time.Hour:
		c.fail("MaxAge", c.MaxAge.String(), "no browser remembers beyond 24h")
	case c.MaxAge%time.Second != 0:
		c.fail("MaxAge", c.MaxAge.String(), "want whole seconds")
	case c.MaxAge > 0:
		c.maxAge = strconv.Itoa(int(c.MaxAge / time.Second))
	}
	if c.PreflightStatus == 0 {
		c.PreflightStatus = http.StatusNoContent
	}
	if c.PreflightStatus < 200 || c.PreflightStatus > 299 {
		c.fail("PreflightStatus", strconv.Itoa(c.PreflightStatus), "browsers want 200 to 299")
	}
	if c.NoOrigin > NoOriginRefuse {
		c.fail("NoOrigin", fmt.Sprint(c.NoOrigin), "is not one of the three policies")
	}
	// Sec-Fetch-Site decides for null and for requests without Origin: a cache
	// that ignored it would serve a same-origin answer to another site.
	c.vary = "Origin, Sec-Fetch-Site"
	if c.ResourceIsolation {
		c.vary += ", Sec-Fetch-Mode, Sec-Fetch-Dest"
	}
	c.varyOptions = c.vary + ", Access-Control-Request-Method, Access-Control-Request-Headers"
}

// newProblems encodes the answer to every refusal.
func newProblems() map[Reason]*problem.Problem {
	all := make(map[Reason]*problem.Problem)
	for reason, e := range explanations {
		if e.title != "" {
			all[reason] = newProblem(reason)
		}
	}
	return all
}

func newProblem(reason Reason) *problem.Problem {
	title := explanations[reason].title
	return problem.New("", http.StatusForbidden, string(reason), title, nil)
}
