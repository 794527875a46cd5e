package tenancy

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/clock"
)

// outcome is what a decision has found out so far. It stays on the stack: a decision
// that is remembered, and that nobody listens to, allocates nothing.
//
// A step that refuses sets code and cause, and returns false; an empty code at the end
// means that no step has refused.
type outcome struct {
	code   string
	cause  error
	site   string
	named  uint16 // bit i: Sources[i] named the site
	cached bool
	member *member    // nil until looked up
	addr   netip.Addr // set where addresses decided
	level  sallyport.Level
	maxAge time.Duration // level and maxAge are what a step-up demands
}

// refuse returns false, so that a step can end with it.
func (o *outcome) refuse(code string, cause error) bool {
	o.code, o.cause = code, cause
	return false
}

// check is the decision in order: who, which site, which role, from where, enough
// factors. The order is part of what the gate promises:
//
//   - Nobody is told anything, or causes a lookup, before it is known who asks.
//   - What is wrong with the request itself (400) is told before its object is looked
//     up, so it says nothing of the object.
//   - Whether the site exists, the user is a member and the role suffices is one answer
//     (404).
//   - Only who may do it is told from where (403) and with which factors (401).
func (g *Gate) check(r *http.Request, permission string) (proof, *sallyport.Refusal) {
	if !g.configured() {
		return proof{}, g.refuse(&outcome{})
	}
	var o outcome
	// A lookup that hangs would hold the request and its connection.
	ctx, cancel := context.WithTimeout(r.Context(), g.cfg.Timeout)
	defer cancel()
	timed := r.WithContext(ctx)
	who, ok := g.identify(timed, &o)
	if ok && g.claim(timed, &o) {
		g.decide(ctx, timed, &who, permission, &o)
	}
	if g.readsBody {
		r.Body = timed.Body // whole again
	}
	return g.settle(r.Context(), r, &who, permission, &o)
}

// authorize is check without a request.
func (g *Gate) authorize(
	ctx context.Context, who *sallyport.Principal, text, permission string,
) (proof, *sallyport.Refusal) {
	if !g.configured() {
		return proof{}, g.refuse(&outcome{})
	}
	var o outcome
	if !who.Proved() {
		o.refuse(CodeIdentityRequired, nil)
	} else if site, ok := g.parse(text); !ok {
		o.refuse(CodeSiteMalformed, nil)
	} else {
		o.site = site
		g.decide(ctx, nil, who, permission, &o)
	}
	return g.settle(ctx, nil, who, permission, &o)
}

// remembered is the short way for what is asked most: a member whom the cache knows,
// nobody who listens, and no condition but the role's level. It allows nothing that
// decide would not; whatever else there is to decide goes there.
func (g *Gate) remembered(who *sallyport.Principal, site, permission string) *member {
	if g == nil || g.cache == nil || g.cfg.OnEvent != nil ||
		who.Kind != sallyport.KindUser || who.Key != "" {
		return nil
	}
	// A site is in the cache under its one spelling, so it need not be parsed. Nobody has
	// no ID there, and the lowest level of a row is AAL1, so who gets through is proved.
	m := g.cache.find(who.ID, site)
	if m == nil || m.rights == nil || who.Level < m.rights.Level || len(m.networks) > 0 ||
		!m.rights.plain.has(permission) || !g.cache.fresh(m) {
		return nil
	}
	return m
}

// identify comes before the claim: a source may be a lookup, and strangers must not
// cause any. An identity that is absent without an error is refused as well; skipping
// the check for it is how a peer let API keys past (CVE-2026-44426).
func (g *Gate) identify(r *http.Request, o *outcome) (sallyport.Principal, bool) {
	who, err := g.cfg.Identify(r)
	switch {
	case err != nil && !errors.Is(err, ErrUnauthenticated):
		return sallyport.Principal{}, o.refuse(CodeUnavailable, err)
	case err != nil || !who.Proved():
		return sallyport.Principal{}, o.refuse(CodeIdentityRequired, err)
	}
	return who, true
}

var errService = errors.New("tenancy: a service has no membership; use AuthorizeService")

// decide is the decision once it is known who asks for which site. R is nil outside
// HTTP. What it finds is in o.
func (g *Gate) decide(
	ctx context.Context, r *http.Request, who *sallyport.Principal, permission string, o *outcome,
) {
	if who.Kind != sallyport.KindUser && who.Kind != sallyport.KindKey {
		o.refuse(CodeNotFound, errService) // its ID may well be some user's too
		return
	}
	if !g.membership(ctx, r, who.ID, o) {
		return
	}
	row := o.member.rights
	if row == nil { // 404 and not 403: the site's existence is not theirs to know
		o.refuse(CodeNotFound, o.member.absence())
		return
	}
	if !row.can[permission] || !inScope(who, permission) {
		o.refuse(CodeNotFound, ErrForbidden)
		return
	}
	if len(row.Networks)+len(o.member.networks) > 0 && !g.network(r, row, o) {
		return
	}
	g.factors(who, row, permission, o)
}

// inScope limits API keys: what a key may do is listed in it, and the user's role is not
// enough. Whatever is not plainly a user counts as a key: a Principal that has a key's id
// but a user's kind is somebody's mistake, and must not gain from it.
func inScope(who *sallyport.Principal, permission string) bool {
	if who.Kind == sallyport.KindUser && who.Key == "" {
		return true
	}
	return slices.Contains(who.Scopes, permission)
}

// network demands an address in the role's list and in the site's, where there are
// any. It comes after the permission: a stranger learns nothing from it.
func (g *Gate) network(r *http.Request, row *rights, o *outcome) bool {
	if r == nil {
		return o.refuse(CodeNetwork, errors.New("tenancy: no address outside HTTP"))
	}
	addr, err := g.cfg.Address(r)
	if err != nil {
		return o.refuse(CodeNetwork, err)
	}
	o.addr = addr.Unmap() // ::ffff:192.0.2.1 is 192.0.2.1
	if !listed(row.Networks, o.addr) || !listed(o.member.networks, o.addr) {
		return o.refuse(CodeNetwork, nil)
	}
	return true
}

// listed reports whether a list has the address; an empty list has all.
func listed(networks []netip.Prefix, addr netip.Addr) bool {
	return len(networks) == 0 || slices.ContainsFunc(networks, func(n netip.Prefix) bool {
		return n.Contains(addr)
	})
}

// maxSkew is how far ahead the clock may be that AuthTime was taken from.
const maxSkew = time.Minute

// factors refuses when they are too few or too long ago. It comes after the
// permission: what a user may not do at all, no second factor helps with.
func (g *Gate) factors(
	who *sallyport.Principal, row *rights, permission string, o *outcome,
) {
	need := row.Level
	if who.Kind == sallyport.KindKey { // a key has no second factor to show
		need = sallyport.AAL1
	}
	if maxAge, listed := g.cfg.StepUp[permission]; listed {
		need, o.maxAge = max(need, sallyport.AAL2), maxAge
	}
	o.level = need
	if who.Level < need {
		o.refuse(CodeStepUp, nil)
		return
	}
	if o.maxAge == 0 {
		return
	}
	age := clock.Elapsed(who.AuthTime, time.Now())
	if age > o.maxAge || age < -maxSkew { // the future would be fresh for ever
		o.refuse(CodeStepUp, nil)
	}
}

// settle ends a decision: the event, and the proof or the refusal. It is the one place
// where a proof is made, but for the short way of remembered.
func (g *Gate) settle(
	ctx context.Context, r *http.Request, who *sallyport.Principal, permission string, o *outcome,
) (proof, *sallyport.Refusal) {
	if o.code == "" {
		if g.cfg.OnEvent != nil {
			g.report(ctx, r, *who, permission, *o)
		}
		return proof{member: o.member, permission: permission, key: who.Key}, nil
	}
	refused := g.refuse(o)
	if g.cfg.OnEvent != nil || g.cfg.OnReject != nil {
		refused.Detail = g.report(ctx, r, *who, permission, *o)
	}
	return proof{}, refused
}

// report hands the decision to OnEvent, if there is one.
func (g *Gate) report(
	ctx context.Context, r *http.Request, who sallyport.Principal, permission string, o outcome,
) Decision {
	if o.code == "" {
		o.code = CodeGranted
	}
	d := g.decision(who, permission, o)
	if g.cfg.OnEvent != nil {
		g.cfg.OnEvent(ctx, sallyport.Event{
			Gate: gateName, Code: o.code, Allowed: o.code == CodeGranted, Policy: permission,
			Tenant: o.site, Actor: who.ID, Request: r, Err: o.cause, Detail: d,
		})
	}
	return d
}
