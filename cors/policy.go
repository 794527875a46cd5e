package cors

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
	"github.com/opsmantik/sallyport/internal/refusal"
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
	refusals *refusal.Table
	isolate  bool // refuse what other sites load without CORS

	headerBytes int // of Access-Control-Request-Headers: worth reading

	// Values of response headers; "" means no such header.
	allowMethods, allowHeaders, exposeHeaders string
	allowCredentials, maxAge                  string
	vary, varyOptions                         string
}

// compiler collects every problem of a Config while it builds the policy. A
// policy with problems is never used.
type compiler struct {
	*policy
	problems *configerr.List
}

// fail notes a problem. The value is shown to operators, so what may hold a
// secret goes through redact first.
func (c *compiler) fail(field, value string, f flaw) {
	c.problems.Add(field, value, f.code, f.fix)
}

// compile validates and translates. It goes on after a problem, so that an
// operator sees all of them at the first start, not one per attempt.
func compile(cfg Config) (*policy, error) {
	c := &compiler{
		policy: &policy{
			Config: cfg, refusals: refusal.NewTable(gateName, cfg.ProblemBase, kinds...),
		},
		problems: configerr.For(gateName),
	}
	c.origins()
	c.tenantOrigins()
	c.preflights()
	c.switches()
	c.varies()
	c.Origins, c.OwnOrigins, c.Tenants = nil, nil, nil // the caller may change these
	c.Methods, c.RequestHeaders, c.ExposedHeaders = nil, nil, nil
	return c.policy, c.problems.Err()
}

// origins builds the lists of the platform and of the server itself.
func (c *compiler) origins() {
	if len(c.Origins) == 0 && len(c.OwnOrigins) == 0 && c.Tenant == nil {
		c.fail("Origins", "", flaw{
			sallyport.ConfigRequired,
			"is empty, and so are OwnOrigins and Tenant; list the allowed origins",
		})
	}
	if len(c.Origins) == 1 && c.Origins[0] == "*" {
		c.listed.any = true
		if c.Credentials {
			c.fail("Credentials", "", flaw{
				sallyport.ConfigInsecure,
				`any site could act as its visitors; name Origins instead of "*"`,
			})
		}
	} else {
		c.listed = c.set("Origins", c.Origins)
	}
	switch {
	case len(c.OwnOrigins) == 1 && c.OwnOrigins[0] == "none":
	case len(c.OwnOrigins) > 0:
		c.own = c.set("OwnOrigins", c.OwnOrigins)
	case !c.listed.any:
		c.fail("OwnOrigins", "", flaw{
			sallyport.ConfigRequired,
			`is empty; list where browsers and apps reach this server ` +
				`(https://api.example.com), or "none" if it has no pages and no apps`,
		})
	}
}

// tenantOrigins comes after the platform's list, which may have to cover them;
// in order, so that errors are too.
func (c *compiler) tenantOrigins() {
	c.tenants = make(map[string]originSet, len(c.Tenants))
	for _, tenant := range slices.Sorted(maps.Keys(c.Tenants)) {
		if tenant == "" {
			c.fail("Tenants", "", flaw{
				sallyport.ConfigMalformed, `the key "" means no tenant; use Origins`,
			})
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
	for i, entry := range entries {
		o, bad := set.add(entry)
		if bad == (flaw{}) && field != "OwnOrigins" {
			bad = pageFlaw(o)
		}
		if bad == (flaw{}) {
			bad = c.objection(o)
		}
		if bad != (flaw{}) {
			c.fail(indexed(field, i), redact(entry), bad)
		}
	}
	return set
}

// indexed names one entry of a list as Go writes it.
func indexed(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }

// pageFlaw says why no page has a well-formed origin.
func pageFlaw(o origin) flaw {
	if !isSocket(o.scheme) {
		return flaw{}
	}
	return flaw{
		sallyport.ConfigMalformed,
		"WebSocket handshakes carry the page's origin, https://host[:port]; " +
			"for native clients, which send the server's own, use OwnOrigins",
	}
}

// objection says why a well-formed entry does not go with this Config. These
// are the mistakes that have become advisories elsewhere: an attacker on the
// network speaks for an http origin, and anybody registers below github.io.
func (c *compiler) objection(o origin) flaw {
	if isInsecure(o) && !c.DangerouslyAllowInsecureOrigins {
		return flaw{
			sallyport.ConfigInsecure,
			"is " + o.scheme + " beyond loopback, so anybody on the way can be it; use " +
				o.scheme + "s, or DangerouslyAllowInsecureOrigins",
		}
	}
	base, isPattern := strings.CutPrefix(o.host, "*.")
	if !isPattern || isLoopback(o.host) {
		return flaw{}
	}
	if c.PublicSuffix == nil {
		return flaw{
			sallyport.ConfigRequired,
			"needs PublicSuffix, to tell whether strangers can register below it",
		}
	}
	base = strings.TrimSuffix(base, ".") // lists of suffixes do not know "com."
	// Rules such as "*.kawasaki.jp" show one label further down only.
	for _, name := range []string{base, "x." + base} {
		if suffix, _ := c.PublicSuffix(name); suffix == name {
			return flaw{
				sallyport.ConfigInsecure,
				"is a public suffix: strangers can register below it; name the origins",
			}
		}
	}
	return flaw{}
}

// checkCovered reports what a tenant lists in vain: the gate in front, which
// does not know the tenant, goes by Origins alone.
func (c *compiler) checkCovered(field string, entries []string) {
	for i, entry := range entries {
		if o, ok := parseEntry(entry); ok && !c.listed.lists(entry) && !c.listed.matches(o) {
			c.fail(indexed(field, i), entry, flaw{
				sallyport.ConfigConflict, "is not covered by Origins, so it would never get this far",
			})
		}
	}
}

// preflights allows the methods that need no permission
// (https://fetch.spec.whatwg.org/#cors-safelisted-method), so that a browser that
// asks nevertheless is not refused.
func (c *compiler) preflights() {
	c.methods = append([]string{"GET", "HEAD", "POST"}, c.Methods...)
	c.check("Methods", c.Methods, checkMethod)
	c.check("RequestHeaders", c.RequestHeaders, checkRequestHeader)
	c.check("ExposedHeaders", c.ExposedHeaders, checkExposedHeader)
	c.headers = make(map[string]struct{}, len(c.RequestHeaders))
	c.headerBytes = spareBytes
	for _, name := range c.RequestHeaders {
		c.headers[strings.ToLower(name)] = struct{}{}
		c.headerBytes += len(name) + len(", ")
	}
	c.allowMethods = strings.Join(c.Methods, ",")
	c.allowHeaders = strings.ToLower(strings.Join(c.RequestHeaders, ","))
	c.exposeHeaders = strings.Join(c.ExposedHeaders, ",")
}

// check looks at each entry by itself and then for a second of the same name.
// That folds case, as header names do; methods are all upper case by then.
func (c *compiler) check(field string, entries []string, problem func(string) string) {
	seen := make(map[string]bool, len(entries))
	for i, entry := range entries {
		if text := problem(entry); text != "" {
			c.fail(indexed(field, i), entry, flaw{sallyport.ConfigMalformed, text})
		}
		key := strings.ToLower(entry)
		if seen[key] {
			c.fail(indexed(field, i), entry, flaw{sallyport.ConfigDuplicate, "is listed twice"})
		}
		seen[key] = true
	}
}

// switches validates what is not a list.
func (c *compiler) switches() {
	if c.Credentials {
		c.allowCredentials = "true"
	}
	age := c.MaxAge.String()
	switch {
	case c.MaxAge < 0:
		c.maxAge = "0"
	case c.MaxAge > 24*time.Hour:
		c.fail("MaxAge", age, flaw{sallyport.ConfigOutOfRange, "no browser remembers beyond 24h"})
	case c.MaxAge%time.Second != 0:
		c.fail("MaxAge", age, flaw{sallyport.ConfigMalformed, "want whole seconds"})
	case c.MaxAge > 0:
		c.maxAge = strconv.Itoa(int(c.MaxAge / time.Second))
	}
	if c.PreflightStatus == 0 {
		c.PreflightStatus = http.StatusNoContent
	}
	if c.PreflightStatus < 200 || c.PreflightStatus > 299 {
		c.fail("PreflightStatus", strconv.Itoa(c.PreflightStatus),
			flaw{sallyport.ConfigOutOfRange, "browsers want 200 to 299"})
	}
	if c.NoOrigin > NoOriginRefuse {
		c.fail("NoOrigin", strconv.Itoa(int(c.NoOrigin)),
			flaw{sallyport.ConfigUnknown, "is not one of the three policies"})
	}
}

// varies says which request headers a cache has to tell apart. Sec-Fetch-Site
// decides for null and for requests without Origin: a cache that ignored it
// would serve a same-origin answer to another site. Public data is one answer
// for everybody, and its refusals are not stored.
func (c *compiler) varies() {
	const asked = "Access-Control-Request-Method, Access-Control-Request-Headers"
	c.isolate = !c.Embeddable && !c.listed.any
	switch {
	case c.listed.any:
		c.varyOptions = asked
		return
	case c.isolate:
		c.vary = "Origin, Sec-Fetch-Site, Sec-Fetch-Mode, Sec-Fetch-Dest"
	default:
		c.vary = "Origin, Sec-Fetch-Site"
	}
	c.varyOptions = c.vary + ", " + asked
}
