package detect

import (
	"math"
	"time"
)

const (
	ratioHalf = 24 * time.Hour
	// A notice is four times the usual odds, a page sixteen times rather than three.
	ratioNotice, ratioPage, ratioPageOver = 4, 16, 3
	// ratioPrior events say what the configuration said.
	ratioPrior = 200
	// ratioAdopt is how long a shift lasts until it is how things are.
	ratioAdopt = 24 * time.Hour
)

// Ratio watches which part of one count another is, such as refusals of requests.
type Ratio struct {
	Page, Notice Cusum
	K, N         float64 // of the last days, fading
	Age          int
	Last         Tick
	Usual        float64 // at the last bin
}

// Step takes the k of n of the next bin; prior is what is usual before anything is
// known.
func (r *Ratio) Step(t Tick, k, n, prior float64) {
	if r.Age > 0 && t.Day != r.Last.Day {
		r.Page.endDay()
		r.Notice.endDay()
	}
	r.Usual = min(max((r.K+prior*ratioPrior)/(r.N+ratioPrior), 0.002), 0.9)
	p, k := r.Usual, min(k, n)
	r.Page.add(odds(k, n, shift(p, ratioPageOver), shift(p, ratioPage)), riseShare)
	r.Notice.add(odds(k, n, p, shift(p, ratioNotice)), riseShare)
	if time.Duration(r.Notice.Bins)*t.Bin > ratioAdopt {
		r.K, r.N = 0, 0
		r.Notice.reset()
		r.Page.reset()
	}
	if !r.Page.Alarm && !r.Notice.Alarm {
		keep := decay(t.Bin, ratioHalf)
		r.K, r.N = keep*r.K+k, keep*r.N+n
	}
	r.Age++
	r.Last = t
}

// Gap says that bins are missing.
func (r *Ratio) Gap() {
	r.Page.reset()
	r.Notice.reset()
}

// shift multiplies the odds of a probability.
func shift(p, by float64) float64 { return by * p / (1 - p + by*p) }

// odds is the log-likelihood ratio of k out of n for the probability q against p.
func odds(k, n, p, q float64) float64 {
	return k*math.Log(q/p) + (n-k)*math.Log((1-q)/(1-p))
}

// Valid reports whether a ratio that was stored can be used.
func (r *Ratio) Valid() bool {
	return r.Page.valid() && r.Notice.valid() && r.Last.valid() && r.K >= 0 && r.N >= r.K
}
