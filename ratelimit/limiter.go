package ratelimit

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
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
	policies  atomic.Pointer[[]func(*http.Request) Policy]

	onDecision func(context.Context, Decision)
	onReject   func(http.ResponseWriter, *http.Request, *Rejection)
}

// Decide charges all policies or, if one refuses, none. Their names must
// differ. It can be called anywhere: in middleware, or in a handler once the
// tenant is known.
//
// Across a Redis Cluster, policies decided together must be in one tenant
// (Key.In); otherwise decide them one after the other.
func (l *Limiter) Decide(ctx context.Context, policies ...Policy) (d Decision) {
	l.decide(ctx, policies, &d)
	if l != nil && l.onDecision != nil {
		l.onDecision(ctx, d)
	}
	return d
}

// Check decides the request by the configured policies. The error is nil or a
// *Rejection.
func (l *Limiter) Check(r *http.Request) (Decision, error) {
	d := l.check(r)
	if d.Allowed {
		return d, nil
	}
	return d, d.Rejection()
}

func (l *Limiter) check(r *http.Request) Decision {
	if l == nil || l.policies.Load() == nil {
		return Decision{Reason: ReasonNotConfigured}
	}
	var buf [4]Policy
	policies := buf[:0]
	for _, policy := range *l.policies.Load() {
		policies = append(policies, policy(r))
	}
	return l.Decide(r.Context(), policies...)
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
		d.Rejection().Write(w)
		return false
	}
	l.look.fields(w.Header(), &d)
	if d.Allowed {
		return true
	}
	rejection := d.Rejection()
	rejection.RetryAfter = l.look.spread(rejection.RetryAfter)
	rejection.problem = l.answers.find(rejection.Reason, d.Violated)
	if l.onReject != nil {
		l.onReject(w, r, rejection)
		return false
	}
	rejection.Write(w)
	return false
}

// Reload replaces the policies of Check and Wrap in one step. Buckets live on
// under the new limits.
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

func (l *Limiter) report(ctx context.Context, d Decision) {
	if l != nil && l.onDecision != nil {
		l.onDecision(ctx, d)
	}
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
		d.Reason = ReasonNotConfigured
		return
	}
	if d.Reason, d.Policy = examine(policies); d.Reason != "" {
		return
	}
	if l.memory != nil && len(policies) == 1 {
		c := policies[0].charge()
		c.cost = max(c.cost, 1)
		r := l.memory.takeOne(&policies[0], c)
		d.concludeOne(&policies[0], c, &r)
		return
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	n := copy(s.policies[:], policies)
	for i := range s.policies[:n] {
		s.policies[i].Cost = max(s.policies[i].Cost, 1)
	}
	if l.memory != nil {
		_ = l.memory.Take(ctx, s.policies[:n], s.results[:n]) // fails on a zero Memory only
		*d = conclude(s.policies[:n], s.results[:n])
		return
	}
	*d = l.ask(ctx, s.policies[:n], s.results[:n])
}

// examine refuses what no store should see.
func examine(policies []Policy) (Reason, string) {
	if len(policies) == 0 || len(policies) > MaxPolicies {
		return ReasonPolicyInvalid, ""
	}
	for i := range policies {
		p := &policies[i]
		if !p.valid() {
			return ReasonPolicyInvalid, ""
		}
		if p.Key.isZero() {
			return ReasonNoKey, p.Name
		}
		for j := range policies[:i] {
			if policies[j].Name == p.Name {
				return ReasonPolicyInvalid, p.Name
			}
		}
	}
	return "", ""
}
