// Package traffic makes the traffic on which the detectors are judged. It was
// written, and frozen, before the detectors were tuned: a change here makes every
// figure that was measured with it void.
//
// Counts per minute are Poisson or negative binomial around a rate that swings by 80%
// over the day, falls at weekends and on holidays, grows from week to week and rises
// when something is launched. Some stretches are missing altogether.
package traffic

import (
	"math"
	"math/rand/v2"
	"time"
)

// Start is midnight at the beginning of a Monday.
var Start = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// day is how many minutes a day has.
const day = 24 * 60

// Shape is one series. The zero Shape has no traffic.
type Shape struct {
	// PerMinute is the mean of an ordinary working day.
	PerMinute float64
	// Swing is how far the rate goes up and down over the day: 0.8 is 80%.
	Swing float64
	// Peak is the hour of the day at which the rate is highest.
	Peak float64
	// Weekend and Holiday multiply the rate of those days.
	Weekend, Holiday float64
	// Growth is by how much a week has more than the one before.
	Growth float64
	// Phi is the overdispersion: the variance is m + Phi*m*m. 0 is Poisson.
	Phi float64
	// Holidays are days since Start.
	Holidays []int
	// Launches are the occasions on which traffic jumps and falls off slowly.
	Launches []Launch
	// Missing are the stretches of which nothing is known.
	Missing []Stretch
}

// Launch is a rise to Factor times the rate within half an hour, half of which is gone
// after Half.
type Launch struct {
	Minute int
	Factor float64
	Half   time.Duration
}

// Stretch is a number of minutes from a first one.
type Stretch struct{ From, Minutes int }

// Rate is what is expected in a minute since Start.
func (s *Shape) Rate(minute int) float64 {
	hour := float64(minute%day) / 60
	rate := s.PerMinute * (1 + s.Swing*math.Cos(2*math.Pi*(hour-s.Peak)/24))
	today := minute / day
	if today%7 >= 5 {
		rate *= s.Weekend
	}
	for _, d := range s.Holidays {
		if d == today {
			rate *= s.Holiday
		}
	}
	rate *= math.Pow(1+s.Growth, float64(minute)/(7*day))
	for _, l := range s.Launches {
		rate *= l.at(minute)
	}
	return rate
}

func (l Launch) at(minute int) float64 {
	since := float64(minute - l.Minute)
	if since < 0 {
		return 1
	}
	rise := min(since/30, 1)
	return 1 + (l.Factor-1)*rise*math.Exp2(-since/l.Half.Minutes())
}

// Known reports whether the minute was counted at all.
func (s *Shape) Known(minute int) bool {
	for _, m := range s.Missing {
		if minute >= m.From && minute < m.From+m.Minutes {
			return false
		}
	}
	return true
}

// Count draws how many events a minute has. Factor is what an attack multiplies the
// rate by: 1 without one, 0 for an outage.
func (s *Shape) Count(r *rand.Rand, minute int, factor float64) int {
	return Draw(r, s.Rate(minute)*factor, s.Phi)
}

// Draw draws from the negative binomial distribution of mean m and variance
// m + phi*m*m; of phi 0, from the Poisson distribution.
func Draw(r *rand.Rand, m, phi float64) int {
	if m <= 0 {
		return 0
	}
	if phi > 0 {
		m *= gamma(r, 1/phi) * phi
	}
	return poisson(r, m)
}

// poisson counts exponential waits (Knuth); far from 0 it is as good as normal.
func poisson(r *rand.Rand, m float64) int {
	if m > 60 {
		return max(0, int(math.Round(m+math.Sqrt(m)*r.NormFloat64())))
	}
	n, limit := 0, math.Exp(-m)
	for p := r.Float64(); p > limit; p *= r.Float64() {
		n++
	}
	return n
}

// gamma draws from the gamma distribution of scale 1 (Marsaglia and Tsang, 2000).
func gamma(r *rand.Rand, shape float64) float64 {
	if shape < 1 {
		return gamma(r, shape+1) * math.Pow(r.Float64(), 1/shape)
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(1-r.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}

// Fleet draws n series of a service that lasts for days: rates from 0.05 to 200 a
// minute, a third of them Poisson, the others with a phi up to 0.3.
func Fleet(r *rand.Rand, n, days int) []Shape {
	all := make([]Shape, n)
	for i := range all {
		all[i] = ordinary(r, days)
	}
	return all
}

func ordinary(r *rand.Rand, days int) Shape {
	s := Shape{
		PerMinute: 0.05 * math.Pow(4000, r.Float64()),
		Swing:     0.8,
		Peak:      8 + 12*r.Float64(),
		Weekend:   0.4 + 0.8*r.Float64(),
		Holiday:   0.3 + 0.4*r.Float64(),
		Growth:    -0.02 + 0.07*r.Float64(),
		Phi:       [...]float64{0, 0.02, 0.1, 0.3}[r.IntN(4)],
	}
	for d := range days {
		if r.IntN(30) == 0 {
			s.Holidays = append(s.Holidays, d)
		}
		if r.IntN(30) == 0 {
			s.Launches = append(s.Launches, Launch{
				Minute: d*day + r.IntN(day),
				Factor: 1.5 + 1.5*r.Float64(),
				Half:   time.Duration(2+r.IntN(22)) * time.Hour,
			})
		}
		if r.IntN(15) == 0 {
			s.Missing = append(s.Missing, Stretch{d*day + r.IntN(day), 3 + r.IntN(180)})
		}
	}
	return s
}
