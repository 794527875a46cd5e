package detect

import (
	"math"
	"slices"
)

// history is how many days the threshold is taken from.
const history = 28

// Cusum adds up how much better the observed counts agree with R times the usual rate
// than with the usual rate itself (Page, 1954; the log-likelihood ratio of two negative
// binomials). It alarms at a threshold that the series' own days have set.
type Cusum struct {
	C      float64          // the evidence so far
	H      float64          // the threshold
	Alarm  bool             // it is exceeded, and was not settled since
	Bins   int              // how long the alarm has lasted
	Top    float64          // the most evidence of the day
	Maxima [history]float32 // of days without an alarm
	Days   int              // how many of them
	Dirty  bool             // the day had an alarm
}

const (
	// floor is the lowest threshold.
	floor = 15
	// novice is the threshold before a week is known.
	novice = 25
)

// reset forgets the evidence, as after a gap.
func (c *Cusum) reset() { c.C, c.Alarm, c.Bins = 0, false, 0 }

// threshold is H, which is 0 before the first day.
func (c *Cusum) threshold() float64 { return max(c.H, floor) }

// add takes the evidence of a bin. No bin alone makes more than a part of the
// threshold: one burst is no attack.
func (c *Cusum) add(evidence float64, share float64) {
	h := c.threshold()
	c.C = min(max(c.C+min(evidence, h/share), 0), 1.5*h)
	c.Top = max(c.Top, c.C)
	switch {
	case c.C >= h:
		c.Alarm = true
	case c.C < h/3:
		c.Alarm, c.Bins = false, 0
	}
	if c.Alarm {
		c.Bins++
		c.Dirty = true
	}
}

// endDay sets the threshold from the days so far. A day with an alarm does not count:
// or who attacks daily would become usual.
func (c *Cusum) endDay() {
	if !c.Dirty {
		c.Maxima[c.Days%history] = float32(c.Top)
		c.Days++
	}
	c.Top, c.Dirty = c.C, c.Alarm
	var all [history]float32
	known := all[:min(c.Days, history)]
	copy(known, c.Maxima[:])
	if len(known) < 7 {
		c.H = novice
		return
	}
	slices.Sort(known)
	median := float64(known[len(known)/2])
	spread := max(float64(known[len(known)*3/4])-median, 0.5)
	c.H = max(floor, median+4*spread)
}

// evidence is the log-likelihood ratio of x events for the mean other against usual.
func evidence(x, usual, other, phi float64) float64 {
	n := 1 / phi
	return x*math.Log(other/usual) + (x+n)*math.Log((usual+n)/(other+n))
}

func (c *Cusum) valid() bool { return c.Days >= 0 && c.C >= 0 && c.H >= 0 && c.Bins >= 0 }
