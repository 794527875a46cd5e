package ratelimit

import (
	"context"
	"time"
)

// outageRetry is what a refused client is told while the store is out: long
// enough not to add to the trouble, short enough to find it healed.
const outageRetry = 5 * time.Second

// Take asks the store for all policies or none and, should it not answer, does
// as each policy's OnOutage says. It is for packages that build on buckets and
// need more than a Decision, such as loginguard: costs are taken literally, as
// in [Store], and policies are not examined.
//
// Outage is the store's error, or nil. Decided is false when the results mean
// nothing: a Closed policy was among them, or the caller has gone.
func (l *Limiter) Take(
	ctx context.Context, policies []Policy, results []Result,
) (outage error, decided bool) {
	if l == nil || l.store == nil {
		return errNotConfigured, false
	}
	clear(results) // what a store leaves out refuses; the array was used before
	if outage = l.store.Take(ctx, policies, results); outage == nil {
		l.mirror(ctx, policies, results)
		return nil, true
	}
	return outage, l.bear(ctx, policies, results)
}

// Forget makes the buckets of the policies full, in the store and in what this
// process remembers of it.
func (l *Limiter) Forget(ctx context.Context, policies ...Policy) error {
	if l == nil || l.store == nil {
		return errNotConfigured
	}
	if l.memory == nil {
		_ = l.local.Forget(ctx, policies) // it has one, so it cannot fail
	}
	return l.store.Forget(ctx, policies)
}

// bears returns how an outage is borne, once for every kind of decision. Whoever
// has gone away is refused whatever was configured: nobody waits for the answer.
func bears(ctx context.Context, o Outage) Outage {
	if ctx.Err() != nil {
		return Closed
	}
	return o
}

// bear decides without the store, and reports whether it could. One Closed policy
// closes the request.
func (l *Limiter) bear(ctx context.Context, policies []Policy, results []Result) bool {
	var local [MaxPolicies]Policy
	var index [MaxPolicies]int
	n := 0
	for i := range policies {
		p := policies[i]
		switch how := bears(ctx, p.OnOutage); {
		case how == Closed && (!p.Shadow || ctx.Err() != nil):
			return false
		case how == Local && p.terms().possible():
			l.share(&p)
			local[n], index[n] = p, i
			n++
		default:
			// Nobody counts: as a full bucket that stays full.
			results[i] = p.Result(0)
		}
	}
	if n == 0 {
		return true
	}
	var got [MaxPolicies]Result
	_ = l.local.Take(ctx, local[:n], got[:n]) // fails on a zero Memory only
	for i, r := range got[:n] {
		if !r.Fits && r.RetryAfter == 0 && !local[i].Shadow {
			// The cost fits into the limit, and not into this process's share of it.
			// That passes with the outage: no reason to say that it never will.
			return false
		}
		results[index[i]] = r
	}
	return true
}

// share turns a policy into this process's part of it. A burst that does not
// divide is rounded up: with more instances than units, each may admit one.
func (l *Limiter) share(p *Policy) {
	n := l.instances
	burst := (p.Limit.Capacity() + n - 1) / n
	// The interval is bounded first: the product would overflow.
	p.Limit.Window = min(p.Limit.Interval(), maxWindow/time.Duration(n)+1) * time.Duration(n)
	p.Limit.Burst = burst
	p.Limit.Count = min(p.Limit.Count, 1)
}

// mirror keeps this process's buckets as long busy as those of the store, for
// policies that will be decided here in an outage: it does not begin with fresh
// full buckets. The time until full is the same for a part as for the whole.
func (l *Limiter) mirror(ctx context.Context, policies []Policy, results []Result) {
	if l.memory != nil {
		return
	}
	for i := range policies {
		if policies[i].OnOutage == Local {
			if policies[i].Cost < 0 { // given back, also of what is remembered here
				_ = l.local.Forget(ctx, policies[i:i+1])
			}
			l.local.follow(&policies[i], int64(results[i].Reset))
		}
	}
}
