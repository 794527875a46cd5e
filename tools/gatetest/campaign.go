package gatetest

import (
	"slices"
	"testing"
)

// campaign is one run of all attacks on all routes.
type campaign struct {
	tb      testing.TB
	suite   *Suite
	excuses map[excuse]bool // those that an attack has needed
	// What tenants can do to each other on a route, found once for several attacks.
	outcomes map[*Route]*outcome
}

// excuse is an entry of Route.Accept.
type excuse struct{ route, name string }

// run plays every attack on every route that it applies to.
func (c *campaign) run() []Finding {
	found := c.undeclared()
	// Floods come last: what they leave in a store that a server shares with the
	// next one must not answer for another gate.
	for _, late := range []bool{false, true} {
		for i := range c.suite.Routes {
			route := &c.suite.Routes[i]
			for _, a := range attacks() {
				if a.late == late && a.applies(c.suite, route) {
					found = append(found, c.play(route, a)...)
				}
			}
		}
	}
	return append(found, c.needless()...)
}

// play runs one attack on one route, against a fresh server.
func (c *campaign) play(route *Route, a attack) (found []Finding) {
	t := newTrial(c.tb, c.suite, route)
	t.campaign = c
	defer t.close()
	for _, got := range a.run(t) {
		found = append(found, Finding{
			Route: route.Pattern, Gate: a.gate, Attack: a.name, Got: got, Fix: a.fix,
		})
	}
	for _, name := range []string{a.name, a.gate} {
		if reason, ok := route.Accept[name]; ok && len(found) > 0 {
			key := excuse{route.Pattern, name}
			if !c.excuses[key] {
				c.tb.Logf("%s: %s passes, accepted: %s", route.Pattern, name, reason)
			}
			c.excuses[key] = true
			return nil
		}
	}
	return found
}

// undeclared compares what is served with what is declared.
func (c *campaign) undeclared() (found []Finding) {
	for _, pattern := range c.suite.Served {
		declared := func(r Route) bool { return r.Pattern == pattern }
		if !slices.ContainsFunc(c.suite.Routes, declared) {
			found = append(found, Finding{
				pattern, "gatetest", "undeclared route", "nobody says what is true of it",
				"declare it in Suite.Routes, or remove the route",
			})
		}
	}
	for _, r := range c.suite.Routes {
		if !slices.Contains(c.suite.Served, r.Pattern) {
			found = append(found, Finding{
				r.Pattern, "gatetest", "route that is not served", "Suite.Served does not have it",
				"spell Pattern as the router has it, or remove the declaration",
			})
		}
	}
	return found
}

// needless returns the excuses that no attack has needed: the next one that does
// would pass unseen.
func (c *campaign) needless() (found []Finding) {
	for _, r := range c.suite.Routes {
		for name := range r.Accept {
			if !c.excuses[excuse{r.Pattern, name}] {
				found = append(found, Finding{
					r.Pattern, "gatetest", "needless excuse", "every attack of " + name + " is refused",
					"remove it from Route.Accept",
				})
			}
		}
	}
	return found
}
