package ratelimit

import (
	"time"

	"github.com/opsmantik/sallyport"
)

// Decision is the outcome of one Decide, Check or Acquire. The zero Decision
// is a refusal.
type Decision struct {
	Allowed bool
	// Code says why: one of the Code constants.
	Code string
	// Policy is the one that refused or, when allowed, the one with the smallest
	// share of its burst left. Limit is its limit. Policies that only try a limit
	// out (Shadow) are not named here, so that clients never hear of them.
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

// Refusal returns the refusal that d stands for, or nil when allowed.
func (d Decision) Refusal() *sallyport.Refusal {
	if d.Allowed {
		return nil
	}
	code := d.Code
	if code == "" {
		code = CodeNotConfigured
	}
	refused := unnamed.New(code, d.Err)
	refused.RetryAfter, refused.Detail = d.RetryAfter, d
	if len(d.Violated) > 0 {
		// draft-ietf-httpapi-ratelimit-headers-10 section 5.
		refused.Members = map[string]any{"violated-policies": d.Violated}
	}
	return refused
}

// conclude turns the results of a Take into a decision.
func conclude(policies []Policy, results []Result) Decision {
	d := Decision{Allowed: true, Code: CodeWithinLimit}
	tightest := -1
	var share float64 = 2 // above any
	for i := range policies {
		p, r := &policies[i], &results[i]
		switch {
		case p.Shadow:
			if !r.Fits {
				d.Shadowed = append(d.Shadowed, p.Name)
			}
		case r.Fits:
			left := float64(r.Remaining) / float64(max(p.Limit.Capacity(), 1))
			if d.Allowed && left < share {
				tightest, share = i, left
			}
		default:
			if d.refuse(p.Name, p.terms(), r) {
				tightest = i
			}
		}
	}
	if tightest >= 0 {
		d.show(&policies[tightest], &results[tightest])
	}
	return d
}

// concludeOne is conclude for the common case, into a zero d.
func (d *Decision) concludeOne(p *Policy, t terms, r *Result) {
	d.Allowed, d.Code = true, CodeWithinLimit
	switch {
	case p.Shadow:
		if !r.Fits {
			d.Shadowed = []string{p.Name}
		}
		return
	case !r.Fits:
		d.refuse(p.Name, t, r)
	}
	d.show(p, r)
}

// unknown hides, of a decision to allow without the store, what nobody counted.
func (d *Decision) unknown(policies []Policy) {
	if !d.Allowed {
		return
	}
	d.Code = CodeDegraded
	for i := range policies {
		if policies[i].Name == d.Policy && policies[i].OnOutage != Local {
			d.Policy, d.Limit, d.Remaining, d.Reset = "", Limit{}, 0, 0
		}
	}
}

// show makes a policy the one that the decision speaks of.
func (d *Decision) show(p *Policy, r *Result) {
	d.Policy, d.Limit, d.Remaining, d.Reset = p.Name, p.Limit, r.Remaining, r.Reset
}

// refuse records that a policy refused and reports whether it binds: a cost
// that never fits does, else the longest wait.
func (d *Decision) refuse(name string, t terms, r *Result) bool {
	first := d.Allowed
	d.Allowed = false
	d.Violated = append(d.Violated, name)
	switch {
	case !t.possible():
		d.Code, d.RetryAfter = CodeCostExceedsLimit, 0
		return true
	case first, d.Code == CodeRateLimited && r.RetryAfter > d.RetryAfter:
		d.Code, d.RetryAfter = CodeRateLimited, r.RetryAfter
		return true
	}
	return false
}
