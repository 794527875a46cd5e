package cors

import (
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
)

// Gate admits requests by their origin. Its methods may be called
// concurrently. The zero Gate refuses everything; do not copy a Gate.
type Gate struct {
	policy atomic.Pointer[policy]
}

// New makes a Gate. The error joins one *ConfigError for every problem of cfg.
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
	p, err := compile(cfg)
	if err != nil {
		return err
	}
	g.policy.Store(p)
	return nil
}

// Check decides on a request. It calls no hook, changes nothing and, apart
// from what Config.Tenant does, does not allocate.
func (g *Gate) Check(r *http.Request) Decision {
	p := g.policy.Load()
	if p == nil {
		return Decision{Reason: ReasonNotConfigured}
	}
	return p.decide(r)
}

// TenantAllows reports whether the origin, as the header has it, is in the
// tenant's own list in Config.Tenants; what Origins has does not count. It is
// the second question of a server that learns the tenant only from the body,
// after the gate in front has said yes by Origins. A request without Origin
// has no origin to ask for: "" is in no list.
func (g *Gate) TenantAllows(tenant, origin string) bool {
	p := g.policy.Load()
	if p == nil {
		return false
	}
	o, ok := parseOrigin(origin)
	return ok && (p.tenants[tenant].lists(origin) || p.tenants[tenant].matches(o))
}

// Wrap returns a handler that refuses requests, answers preflights, and adds
// CORS headers before it calls next. Each request is decided by one snapshot
// of the configuration, from the decision to the last header.
func (g *Gate) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := g.policy.Load()
		if p == nil {
			newProblem(ReasonNotConfigured).Write(w)
			return
		}
		d := p.decide(r)
		if p.OnDecision != nil {
			p.OnDecision(r, d)
		}
		switch {
		case !d.Allowed && !d.ReportOnly:
			p.reject(w, r, d)
		case d.Allowed && d.Preflight:
			p.answer(w.Header(), r, d)
			w.WriteHeader(p.PreflightStatus)
		default:
			p.share(w.Header(), r, d)
			next.ServeHTTP(w, r)
		}
	})
}

// reject answers with what the client needs to branch on, the code, and keeps
// the explanation for the hook.
func (p *policy) reject(w http.ResponseWriter, r *http.Request, d Decision) {
	free := p.addVary(w.Header(), r, make([]string, 1+3))
	if p.OnReject == nil {
		p.problems[d.Reason].WriteWith(w, free)
		return
	}
	p.OnReject(w, r, &Rejection{d.Reason, http.StatusForbidden, errors.New(d.Explain())})
}

// share lets the page read the response, if it may (Fetch standard, section
// 3.3.3).
func (p *policy) share(h http.Header, r *http.Request, d Decision) {
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
func (p *policy) answer(h http.Header, r *http.Request, d Decision) {
	free := p.addVary(h, r, make([]string, 6))
	free = p.shareOrigin(h, d, free)
	free = set(h, "Access-Control-Allow-Methods", p.allowMethods, free)
	free = set(h, "Access-Control-Allow-Headers", p.allowHeaders, free)
	set(h, "Access-Control-Max-Age", p.maxAge, free)
}

// shareOrigin names the one origin that asked, never a list (Fetch standard,
// section 3.3.3), or "*" for public data.
func (p *policy) shareOrigin(h http.Header, d Decision, free []string) []string {
	allowed := d.origin
	if p.listed.any {
		allowed = "*"
	}
	free = set(h, "Access-Control-Allow-Origin", allowed, free)
	return set(h, "Access-Control-Allow-Credentials", p.allowCredentials, free)
}

// addVary names what decided, next to what outer handlers have named: a cache
// must not give one origin's answer, or a refusal, to another.
func (p *policy) addVary(h http.Header, r *http.Request, free []string) []string {
	vary := p.vary
	if r.Method == http.MethodOptions {
		vary = p.varyOptions
	}
	if outer := h["Vary"]; len(outer) > 0 {
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
