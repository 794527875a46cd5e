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
	if p == nil || p.tenants[tenant] == nil {
		return false
	}
	o, ok := parseOrigin(origin)
	return ok && p.tenants[tenant].has(origin, o)
}

// Wrap returns a handler that refuses requests, answers preflights, and adds
// CORS headers before it calls next.
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
		v := new(values)
		v.addVary(w.Header(), p.varyFor(r))
		switch {
		case !d.Allowed && !d.ReportOnly:
			p.reject(w, r, d)
		case d.Allowed && d.Preflight:
			p.answer(w, r, v)
		default:
			if d.cors {
				p.share(w.Header(), r, v)
			}
			next.ServeHTTP(w, r)
		}
	})
}

func (p *policy) reject(w http.ResponseWriter, r *http.Request, d Decision) {
	if p.OnReject == nil {
		p.problems[d.Reason].Write(w)
		return
	}
	p.OnReject(w, r, &Rejection{d.Reason, http.StatusForbidden, errors.New(d.Explain())})
}

// share lets the page read the response (Fetch standard, section 3.3.3).
func (p *policy) share(h http.Header, r *http.Request, v *values) {
	p.shareOrigin(h, r, v)
	v.set(h, "Access-Control-Expose-Headers", p.exposeHeaders)
}

func (p *policy) shareOrigin(h http.Header, r *http.Request, v *values) {
	allowed := "*"
	if !p.listed.any {
		allowed = r.Header["Origin"][0]
	}
	v.set(h, "Access-Control-Allow-Origin", allowed)
	v.set(h, "Access-Control-Allow-Credentials", p.allowCredentials)
}

// answer completes a preflight. The lists go out whole, not just the part
// that was asked for, so that one answer serves the browser's next requests.
func (p *policy) answer(w http.ResponseWriter, r *http.Request, v *values) {
	h := w.Header()
	p.shareOrigin(h, r, v)
	v.set(h, "Access-Control-Allow-Methods", p.allowMethods)
	v.set(h, "Access-Control-Allow-Headers", p.allowHeaders)
	v.set(h, "Access-Control-Max-Age", p.maxAge)
	w.WriteHeader(p.PreflightStatus)
}

// varyFor names what decided: a cache must not give one origin's answer, or a
// refusal, to another.
func (p *policy) varyFor(r *http.Request) string {
	if r.Method == http.MethodOptions {
		return p.varyOptions
	}
	return p.vary
}

// values backs the header values of one response: one allocation for all of
// them, and capped slices, so that a handler that appends to a value or
// overwrites it reaches neither its neighbour nor another response.
type values struct {
	array [6]string
	n     int
}

// set sets a header, unless the value is empty.
func (v *values) set(h http.Header, name, value string) {
	if value == "" {
		return
	}
	v.array[v.n] = value
	h[name] = v.array[v.n : v.n+1 : v.n+1]
	v.n++
}

// addVary keeps what outer handlers have put there.
func (v *values) addVary(h http.Header, value string) {
	if outer := h["Vary"]; len(outer) > 0 {
		h["Vary"] = append(slices.Clip(outer), value)
		return
	}
	v.set(h, "Vary", value)
}
