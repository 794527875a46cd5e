package ratelimit

import "time"

// Decision is the outcome of one Decide, Check or Acquire. The zero Decision
// is a refusal.
type Decision struct {
	Allowed bool
	// Reason is empty when allowed.
	Reason Reason
	// Policy is the one that refused or, when allowed, the one with the
	// smallest share of its burst left. Limit is its limit.
	Policy string
	Limit  Limit
	// Remaining units of that policy, and the time until its bucket is full.
	Remaining int
	Reset     time.Duration
	// RetryAfter is the time until the same request can pass, or 0 when it
	// passed or never will.
	RetryAfter time.Duration
	// Violated names every policy that refused; nil when allowed.
	Violated []string
	// Shadowed names every shadow policy that would have refused.
	Shadowed []string
	// Degraded: the store could not answer and OnOutage decided. Err is the
	// cause, for hooks and logs only.
	Degraded bool
	Err      error
}

// Rejection returns the refusal that d stands for, or nil when allowed.
func (d Decision) Rejection() *Rejection {
	if d.Allowed {
		return nil
	}
	reason := d.Reason
	if reason == "" {
		reason = ReasonNotConfigured
	}
	return &Rejection{
		Reason: reason, Status: reason.status(), RetryAfter: d.RetryAfter, Decision: d, Err: d.Err,
	}
}

// conclude turns the results of a Take into a decision.
func conclude(policies []Policy, results []Result) Decision {
	d := Decision{Allowed: true}
	var tightest int
	var share float64 = 2 // above any
	for i := range policies {
		p, r := &policies[i], &results[i]
		switch {
		case r.Fits:
			left := float64(r.Remaining) / float64(max(p.Limit.Capacity(), 1))
			if d.Allowed && left < share && !p.Shadow {
				tightest, share = i, left
			}
		case p.Shadow:
			d.Shadowed = append(d.Shadowed, p.Name)
		default:
			tightest = d.refuse(tightest, i, p, r)
		}
	}
	p, r := &policies[tightest], &results[tightest]
	d.Policy, d.Limit, d.Remaining, d.Reset = p.Name, p.Limit, r.Remaining, r.Reset
	return d
}

// concludeOne is conclude for the common case.
func concludeOne(p *Policy, r Result) Decision {
	d := Decision{
		Allowed: true, Policy: p.Name, Limit: p.Limit, Remaining: r.Remaining, Reset: r.Reset,
	}
	switch {
	case r.Fits:
	case p.Shadow:
		d.Shadowed = []string{p.Name}
	default:
		d.refuse(0, 0, p, &r)
	}
	return d
}

// refuse records that policy i refused and returns the one that binds: a cost
// that never fits, else the longest wait.
func (d *Decision) refuse(binding, i int, p *Policy, r *Result) int {
	first := d.Allowed
	d.Allowed = false
	d.Violated = append(d.Violated, p.Name)
	switch {
	case p.Cost > p.Limit.Capacity():
		d.Reason, d.RetryAfter = ReasonCostExceedsLimit, 0
		return i
	case first, d.Reason == ReasonRateLimited && r.RetryAfter > d.RetryAfter:
		d.Reason, d.RetryAfter = ReasonRateLimited, r.RetryAfter
		return i
	}
	return binding
}
