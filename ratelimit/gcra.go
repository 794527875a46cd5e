package ratelimit

import "time"

// The generic cell rate algorithm (ITU-T I.371, annex A) keeps one number per
// bucket: the time at which it will be full again. What is left until then is
// called busy here. It grows with every unit that is taken and shrinks with the
// clock:
//
//	empty                                                        full
//	|<------------------- interval * capacity ------------------->|
//	                         |<-------- busy --------------------->|
//	 units that can be taken | units that are on their way back
//
// All of it is in whole nanoseconds. Package redislimit has the same arithmetic
// once more, in Lua.

// terms are the numbers of a policy that the arithmetic needs.
type terms struct{ interval, capacity, cost int64 }

func (p *Policy) terms() terms {
	return terms{int64(p.Limit.Interval()), int64(p.Limit.Capacity()), int64(p.Cost)}
}

// full is the time in which an empty bucket becomes full.
func (t terms) full() int64 { return t.interval * t.capacity }

// possible reports whether any bucket of this limit can hold the cost. The
// product with the interval overflows only where it does not.
func (t terms) possible() bool { return t.cost <= t.capacity }

// fits reports whether a bucket that is busy so long holds the cost.
func (t terms) fits(busy int64) bool {
	return t.cost <= 0 || t.possible() && busy+t.interval*t.cost <= t.full()
}

// take returns the time until full after the cost was taken or, if it is
// negative, given back.
func (t terms) take(busy int64) int64 {
	if t.cost < 0 {
		return max(busy-t.interval*min(-t.cost, t.capacity), 0)
	}
	return busy + t.interval*t.cost
}

// result describes a bucket that is busy so long.
func (t terms) result(busy int64, fits bool) Result {
	r := Result{Fits: fits, Reset: time.Duration(busy)}
	if t.interval > 0 {
		r.Remaining = int(max(t.full()-busy, 0) / t.interval)
	}
	if !fits && t.possible() {
		r.RetryAfter = time.Duration(busy + t.interval*t.cost - t.full())
	}
	return r
}

// Result describes a bucket of this policy that will be full after busy: whether
// it holds the cost, and what remains. Stores call it, so that the arithmetic
// stands in one place.
func (p *Policy) Result(busy time.Duration) Result {
	t := p.terms()
	return t.result(int64(busy), t.fits(int64(busy)))
}
