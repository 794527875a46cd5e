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
			if d.refuse(p.Name, p.charge(), r) {
				tightest = i
			}
		}
	}
	p, r := &policies[tightest], &results[tightest]
	d.Policy, d.Limit, d.Remaining, d.Reset = p.Name, p.Limit, r.Remaining, r.Reset
	return d
}

// concludeOne is conclude for the common case, into a zero d.
func (d *Decision) concludeOne(p *Policy, c charge, r *Result) {
	d.Policy, d.Limit, d.Remaining, d.Reset = p.Name, p.Limit, r.Remaining, r.Reset
	d.Allowed = true
	switch {
	case r.Fits:
	case p.Shadow:
		d.Shadowed = []string{p.Name}
	default:
		d.refuse(p.Name, c, r)
	}
}

// refuse records that a policy refused and reports whether it binds: a cost
// that never fits does, else the longest wait.
func (d *Decision) refuse(name string, c charge, r *Result) bool {
	first := d.Allowed
	d.Allowed = false
	d.Violated = append(d.Violated, name)
	switch {
	case c.cost > c.capacity:
		d.Reason, d.RetryAfter = ReasonCostExceedsLimit, 0
		return true
	case first, d.Reason == ReasonRateLimited && r.RetryAfter > d.RetryAfter:
		d.Reason, d.RetryAfter = ReasonRateLimited, r.RetryAfter
		return true
	}
	return false
}
