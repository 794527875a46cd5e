package ratelimit

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/refusal"
)

// Limiter decides whether requests may pass. The zero value refuses
// everything. It is safe for concurrent use.
type Limiter struct {
	store     Store
	memory    *Memory // store, when it is in process
	local     *Memory // the mirror for OnOutage Local
	instances int
	look      look
	answers   answers
	table     *refusal.Table
	policies  atomic.Pointer[[]func(*http.Request) Policy]

	onEvent  func(context.Context, sallyport.Event)
	onReject func(http.ResponseWriter, *http.Request, *sallyport.Refusal)
}

// Decide charges all policies or, if one refuses, none. Their names must
// differ. It can be called anywhere: in middleware, or in a handler once the
// tenant is known.
//
// Across a Redis Cluster, policies decided together must be in one tenant
// (Key.In); otherwise decide them one after the other.
func (l *Limiter) Decide(ctx context.Context, policies ...Policy) (d Decision) {
	l.decide(ctx, policies, &d)
	if l != nil && l.onEvent != nil {
		l.report(ctx, nil, policies, d)
	}
	return d
}

// Check decides the request by the configured policies. The error is nil or a
// *[sallyport.Refusal].
func (l *Limiter) Check(r *http.Request) (Decision, error) {
	d := l.check(r)
	if d.Allowed {
		return d, nil
	}
	return d, l.refusal(d)
}

func (l *Limiter) check(r *http.Request) (d Decision) {
	if l == nil || l.policies.Load() == nil {
		return Decision{Code: CodeNotConfigured}
	}
	var buf [4]Policy
	policies := buf[:0]
	for _, policy := range *l.policies.Load() {
		policies = append(policies, policy(r))
	}
	l.decide(r.Context(), policies, &d)
	if l.onEvent != nil {
		l.report(r.Context(), r, slices.Clone(policies), d)
	}
	return d
}

// Wrap applies the configured policies in front of next. Refused requests do
// not reach it.
func (l *Limiter) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.Answer(w, r, l.check(r)) {
			next.ServeHTTP(w, r)
		}
	})
}

// Answer adds the RateLimit fields to the response and reports whether the
// request may go on. If not, it has answered:
//
//	if !limiter.Answer(w, r, limiter.Decide(r.Context(), policy)) {
//		return
//	}
func (l *Limiter) Answer(w http.ResponseWriter, r *http.Request, d Decision) bool {
	if l == nil {
		unnamed.Answer(w, r, d.Refusal(), nil)
		return false
	}
	l.look.fields(w.Header(), &d)
	if d.Allowed {
		return true
	}
	d.RetryAfter = l.look.spread(d.RetryAfter)
	refused := l.refusal(d)
	if l.onReject == nil && len(d.Violated) == 1 {
		refused.SetHeader(w.Header())
		l.answers.find(refused, d.Violated[0]).Write(w)
		return false
	}
	l.table.Answer(w, r, refused, l.onReject)
	return false
}

// refusal is Decision.Refusal with this limiter's type URIs.
func (l *Limiter) refusal(d Decision) *sallyport.Refusal {
	refused := d.Refusal()
	if l != nil {
		refused.TypeBase = l.look.base
	}
	return refused
}

// Reload replaces the policies of Check and Wrap in one step. Buckets live on
// under the new limits. The error is as that of New.
func (l *Limiter) Reload(policies []func(*http.Request) Policy) error {
	if l == nil || l.store == nil {
		return errNotConfigured
	}
	if err := checkPolicies(policies); err != nil {
		return err
	}
	policies = slices.Clone(policies)
	l.policies.Store(&policies)
	return nil
}

// report tells OnEvent of a decision.
func (l *Limiter) report(ctx context.Context, r *http.Request, policies []Policy, d Decision) {
	e := sallyport.Event{
		Gate: gate, Code: d.Code, Allowed: d.Allowed, Policy: d.Policy, Request: r, Err: d.Err, Detail: d,
	}
	for i := range policies {
		if e.Tenant = policies[i].Key.tenant; e.Tenant != "" {
			break
		}
	}
	l.onEvent(ctx, e)
}

// scratch carries policies through the Store interface without allocating.
type scratch struct {
	policies [MaxPolicies]Policy
	results  [MaxPolicies]Result
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// decide fills d, which is zero. It is large enough that copies would show.
func (l *Limiter) decide(ctx context.Context, policies []Policy, d *Decision) {
	if l == nil || l.store == nil {
		d.Code = CodeNotConfigured
		return
	}
	if d.Code, d.Policy = examine(policies); d.Code != "" {
		return
	}
	if l.memory != nil && len(policies) == 1 {
		t := policies[0].terms()
		t.cost = max(t.cost, 1)
		r := l.memory.takeOne(&policies[0], t)
		d.concludeOne(&policies[0], t, &r)
		return
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	n := copy(s.policies[:], policies)
	for i := range s.policies[:n] {
		s.policies[i].Cost = max(s.policies[i].Cost, 1)
	}
	all, results := s.policies[:n], s.results[:n]
	outage, decided := l.Take(ctx, all, results)
	if decided {
		*d = conclude(all, results)
	} else {
		d.Code, d.RetryAfter = CodeUnavailable, outageRetry
		d.Policy, d.Limit = all[0].Name, all[0].Limit
	}
	if outage != nil {
		d.Degraded, d.Err = true, outage
		d.unknown(all)
	}
}

// examine refuses what no store should see.
func examine(policies []Policy) (code, policy string) {
	if len(policies) == 0 || len(policies) > MaxPolicies {
		return CodePolicyInvalid, ""
	}
	for i := range policies {
		p := &policies[i]
		if !p.valid() {
			return CodePolicyInvalid, ""
		}
		if p.Key.isZero() {
			return CodeNoKey, p.Name
		}
		for j := range policies[:i] {
			if policies[j].Name == p.Name {
				return CodePolicyInvalid, p.Name
			}
		}
	}
	return "", ""
}
