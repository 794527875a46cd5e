package cors

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/opsmantik/sallyport"
)

// Gate admits requests by their origin. Its methods may be called
// concurrently. The zero Gate and a nil one refuse everything with status 503;
// do not copy a Gate.
type Gate struct {
	policy atomic.Pointer[policy]
}

// New makes a Gate. The error joins one *sallyport.ConfigError for every
// problem of cfg.
func New(cfg Config) (*Gate, error) {
	g := new(Gate)
	if err := g.Reload(cfg); err != nil {
		return nil, err
	}
	return g, nil
}

// Reload replaces the whole configuration, in one atomic step: a request is
// decided by the old one or by the new one. If cfg has problems, the old one
// stays and the error is as New's.
func (g *Gate) Reload(cfg Config) error {
	if g == nil {
		return errors.New("cors: Reload of a nil Gate")
	}
	p, err := compile(cfg)
	if err != nil {
		return err
	}
	g.policy.Store(p)
	return nil
}

// snapshot returns the policy in force, or nil.
func (g *Gate) snapshot() *policy {
	if g == nil {
		return nil
	}
	return g.policy.Load()
}

// Check decides on a request and reports to Config.OnEvent. It renders nothing.
// The error is a *sallyport.Refusal, and nil for what Wrap would not refuse:
// with ReportOnly that is everything. Whoever renders by himself answers a
// Decision that is a Preflight, and does not run the handler.
func (g *Gate) Check(r *http.Request) (Decision, error) {
	p := g.snapshot()
	if p == nil {
		d := Decision{Code: CodeNotConfigured}
		err := notConfigured.Refusal(gateName, (*explained)(&d))
		return d, err
	}
	var d Decision
	p.decide(r, &d)
	err := p.conclude(r, &d)
	return d, err
}

// CheckTenant is the second question of a server that learns the tenant only
// from the body, after Wrap in front has said yes by Config.Origins: is the
// request's origin in the tenant's own list in Config.Tenants? What Origins has
// does not count. A request without an Origin header is decided by
// Config.NoOrigin, as in front. Hooks and ReportOnly are as for Check.
func (g *Gate) CheckTenant(r *http.Request, tenant string) error {
	p := g.snapshot()
	if p == nil {
		return notConfigured.Refusal(gateName, &explained{Code: CodeNotConfigured})
	}
	var d Decision
	p.decideTenant(r, tenant, &d)
	return p.conclude(r, &d)
}

// conclude reports a decision and turns it into an error.
func (p *policy) conclude(r *http.Request, d *Decision) error {
	p.report(r, d)
	if d.Allowed || d.ReportOnly {
		return nil
	}
	return p.refusal(r, d)
}

// report hands the decision to the hook.
func (p *policy) report(r *http.Request, d *Decision) {
	if p.OnEvent == nil {
		return
	}
	kept := *d // the caller's stays on its stack
	e := sallyport.Event{
		Gate: gateName, Code: d.Code, Allowed: d.Allowed, Tenant: d.tenant, Request: r,
		Detail: &kept,
	}
	if !d.Allowed {
		e.Err = (*explained)(&kept)
	}
	p.OnEvent(r.Context(), e)
}

// refusal is the error of a decision, with the explanation for operators and, on
// loopback and if asked for, for the developer of the page.
func (p *policy) refusal(r *http.Request, d *Decision) *sallyport.Refusal {
	kept := *d
	refused := p.refusals.New(d.Code, (*explained)(&kept))
	refused.Detail = &kept
	if p.DebugOnLoopback && isLocal(r) {
		refused.Members = map[string]any{"detail": d.Explain()}
	}
	return refused
}

// Wrap returns a handler that refuses requests, answers preflights, and adds
// CORS headers before it calls next. With ReportOnly it only reports. Each
// request is decided by one snapshot of the configuration, from the decision to
// the last header.
func (g *Gate) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := g.snapshot()
		if p == nil {
			notConfigured.Refusal(gateName, nil).Write(w)
			return
		}
		var d Decision
		p.decide(r, &d)
		p.report(r, &d)
		switch {
		case d.ReportOnly:
			next.ServeHTTP(w, r)
		case !d.Allowed:
			p.reject(w, r, &d)
		case d.Preflight:
			p.answer(w.Header(), r, &d)
			w.WriteHeader(p.PreflightStatus)
		default:
			p.share(w.Header(), r, &d)
			next.ServeHTTP(w, r)
		}
	})
}

// reject answers with what the client needs to branch on, the code, and keeps
// the explanation for the hooks. The default answer needs no Refusal.
func (p *policy) reject(w http.ResponseWriter, r *http.Request, d *Decision) {
	free := p.addVary(w.Header(), r, make([]string, 1+3))
	if p.OnReject == nil && !p.DebugOnLoopback {
		p.refusals.Problem(d.Code).WriteWith(w, free)
		return
	}
	p.refusals.Answer(w, r, p.refusal(r, d), p.OnReject)
}

// isLocal reports whether the request comes from this machine and asks for it
// by name. A proxy that runs here makes every peer local; the public name in
// Host, or the headers that it adds, tell.
func isLocal(r *http.Request) bool {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr) // or the zero address, which is nowhere
	if !peer.Addr().Unmap().IsLoopback() {
		return false
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "Via"} {
		if r.Header[name] != nil {
			return false
		}
	}
	o, ok := parseOrigin("http://" + strings.TrimSuffix(strings.ToLower(r.Host), ":80"))
	return ok && isLoopback(o.host)
}

// share lets the page read the response, if it may
// (https://fetch.spec.whatwg.org/#http-responses).
func (p *policy) share(h http.Header, r *http.Request, d *Decision) {
	if !d.share {
		p.addVary(h, r, make([]string, 1))
		return
	}
	free := p.addVary(h, r, make([]string, 4))
	free = p.shareOrigin(h, d, free)
	set(h, "Access-Control-Expose-Headers", p.exposeHeaders, free)
}

// answer completes a preflight. The lists go out whole, not just the part
// that was asked for, so that one answer serves the browser's next requests.
func (p *policy) answer(h http.Header, r *http.Request, d *Decision) {
	free := p.addVary(h, r, make([]string, 6))
	free = p.shareOrigin(h, d, free)
	free = set(h, "Access-Control-Allow-Methods", p.allowMethods, free)
	free = set(h, "Access-Control-Allow-Headers", p.allowHeaders, free)
	set(h, "Access-Control-Max-Age", p.maxAge, free)
}

// shareOrigin names the one origin that asked, never a list, which browsers do
// not understand, or "*" for public data.
func (p *policy) shareOrigin(h http.Header, d *Decision, free []string) []string {
	allowed := d.origin
	if p.listed.any {
		allowed = "*"
	}
	free = set(h, "Access-Control-Allow-Origin", allowed, free)
	return set(h, "Access-Control-Allow-Credentials", p.allowCredentials, free)
}

// addVary names what decided, next to what outer handlers have named: a cache
// must not give one origin's answer, or a refusal, to another
// (https://fetch.spec.whatwg.org/#cors-protocol-and-http-caches).
func (p *policy) addVary(h http.Header, r *http.Request, free []string) []string {
	vary := p.vary
	if r.Method == http.MethodOptions {
		vary = p.varyOptions
	}
	if outer := h["Vary"]; len(outer) > 0 && vary != "" {
		h["Vary"] = append(slices.Clip(outer), vary)
		return free
	}
	return set(h, "Vary", vary, free)
}

// set sets a header, unless the value is empty, and returns what is left of
// free. That backs all the values of one response with one allocation; each
// slice is capped and none is shared, so a handler that appends to a value, or
// overwrites it, reaches neither its neighbour nor another response.
func set(h http.Header, name, value string, free []string) []string {
	if value == "" {
		return free
	}
	free[0] = value
	h[name] = free[:1:1]
	return free[1:]
}
