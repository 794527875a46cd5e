package ratelimit

import (
	"math/bits"
	"time"
)

// Limit is a rate: Count units per Window, of which up to Burst may come at
// once. It is a plain value, chosen per call: a limit per tenant or per plan
// needs no new object.
//
//	ratelimit.PerMinute(600)                                // 600 at once, 10 a second after that
//	ratelimit.Limit{Count: 600, Window: time.Minute, Burst: 20} // smoother: 20 at once
//	ratelimit.Limit{Count: 0, Window: time.Minute}          // nothing: a suspended tenant
//	ratelimit.Limit{Count: 600}                             // refused: no Window
//
// The bucket starts full and regains one unit every Window/Count, rounded up
// to a whole nanosecond. Within any span of time t it admits at most
// Burst + Count*t/Window units.
type Limit struct {
	Count  int           // units per Window; 0 refuses everything
	Window time.Duration // 1ms to 31 days
	Burst  int           // units at once; 0 means Count
}

// Bounds of a Limit. The last one keeps every sum of the Redis script below
// 2^53, where Lua's numbers stop being exact integers.
const (
	minWindow = time.Millisecond
	maxWindow = 31 * 24 * time.Hour
	maxRefill = 90 * 24 * time.Hour
)

// PerSecond is n units per second, all of which may come at once.
func PerSecond(n int) Limit { return Limit{Count: n, Window: time.Second} }

// PerMinute is n units per minute, all of which may come at once.
func PerMinute(n int) Limit { return Limit{Count: n, Window: time.Minute} }

// PerHour is n units per hour, all of which may come at once.
func PerHour(n int) Limit { return Limit{Count: n, Window: time.Hour} }

// Capacity returns how many units a full bucket holds.
func (l Limit) Capacity() int {
	switch {
	case l.Count <= 0:
		return 0
	case l.Burst > 0:
		return l.Burst
	}
	return l.Count
}

// Interval returns the time in which a bucket regains one unit: Window/Count
// rounded up, so that rounding never admits more than the limit says. It is 0
// for a limit that admits nothing.
func (l Limit) Interval() time.Duration {
	if l.Count <= 0 {
		return 0
	}
	n := time.Duration(l.Count)
	return (l.Window + n - 1) / n
}

// valid reports whether stores can honour the limit: Count and Burst not
// negative, Window in its bounds, at most 10^9 units per second, and a bucket
// that refills within 90 days.
func (l Limit) valid() bool {
	if l.Count < 0 || l.Burst < 0 || l.Window < minWindow || l.Window > maxWindow {
		return false
	}
	if time.Duration(l.Count) > l.Window {
		return false
	}
	if l.Burst == 0 || l.Count == 0 {
		return true // refills in one window, or never
	}
	// The product of two positive int64; a high word means overflow.
	hi, lo := bits.Mul64(uint64(l.Capacity()), uint64(l.Interval())) // #nosec G115 -- positive
	return hi == 0 && lo <= uint64(maxRefill)
}
