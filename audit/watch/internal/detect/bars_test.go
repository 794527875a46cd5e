package detect_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/audit/watch/internal/detect"
	"github.com/opsmantik/sallyport/audit/watch/internal/traffic"
)

const day = 24 * 60

// soak is whether the long proofs run in full.
var soak = os.Getenv("SALLYPORT_SOAK") != ""

// pick is a number for a short run, and one for a full one.
func pick(short, full int) int {
	if soak {
		return full
	}
	return short
}

// runner plays a shape to a detector.
type runner struct {
	shape  traffic.Shape
	rand   *rand.Rand
	volume detect.Volume
	minute int
	missed int
}

func newRunner(shape traffic.Shape, seed uint64) *runner {
	return &runner{shape: shape, rand: rand.New(rand.NewPCG(seed, 7))}
}

// step plays a minute, of factor times the rate.
func (r *runner) step(factor float64) {
	if r.shape.Known(r.minute) {
		if r.missed > 0 {
			r.volume.Gap()
			r.missed = 0
		}
		t := detect.At(traffic.Start.Add(time.Duration(r.minute)*time.Minute), time.Minute)
		r.volume.Step(t, float64(r.shape.Count(r.rand, r.minute, factor)))
	} else {
		r.missed++
	}
	r.minute++
}

func (r *runner) until(minute int) {
	for r.minute < minute {
		r.step(1)
	}
}

// found counts minutes of an attack until alarm says so, or returns -1.
func (r *runner) found(factor float64, limit int, alarm func(*detect.Volume) bool) int {
	for n := 1; n <= limit; n++ {
		r.step(factor)
		if alarm(&r.volume) {
			return n
		}
	}
	return -1
}

func rises(v *detect.Volume) bool { return v.Rises() }
func pages(v *detect.Volume) bool { return v.Page.Alarm }
func stops(v *detect.Volume) bool { return v.Stop.Alarm }

// TestQuietTrafficIsQuiet: at most one page in 30 days for 100 series, over traffic
// with weekends, holidays, launches, growth and holes.
func TestQuietTrafficIsQuiet(t *testing.T) {
	t.Parallel()
	series, days := pick(20, 300), pick(28+30, 28+60)
	page, notice, stop := 0, 0, 0
	var worst []string
	for i, shape := range traffic.Fleet(rand.New(rand.NewPCG(19, 1)), series, days) {
		r := newRunner(shape, uint64(i))
		r.until(28 * day)
		var p, n, s bool
		for r.minute < days*day {
			r.step(1)
			v := &r.volume
			if v.Page.Alarm && !p {
				page++
				worst = append(worst, fmt.Sprintf("\nseries %d day %d minute %d: mean %.2f expected %.2f usual %.2f before %.2f phi %.2f",
					i, r.minute/day, r.minute%day, shape.Rate(r.minute-1), v.Expected, v.Usual, v.Before, shape.Phi))
			}
			if (v.Surge.Alarm || v.Notice.Alarm) && !n {
				notice++
			}
			if v.Stop.Alarm && !s {
				stop++
			}
			p, n, s = v.Page.Alarm, v.Surge.Alarm || v.Notice.Alarm, v.Stop.Alarm
		}
	}
	per := float64(series) / 100 * float64(days-28) / 30
	t.Logf("%d series, %d days: per 100 series and 30 days %.2f pages, %.1f notices, %.1f stops",
		series, days-28, float64(page)/per, float64(notice)/per, float64(stop)/per)
	require.LessOrEqual(t, float64(page), max(per, 1), worst)
}

// trial attacks at a local rate, after five weeks, at times of day spread over it.
type trial struct {
	name        string
	rate, phi   float64
	factor      float64
	within      int
	share       float64
	alarm       func(*detect.Volume) bool
	short, full int
}

func TestFoundInTime(t *testing.T) {
	t.Parallel()
	for _, row := range []trial{
		// 97.7% of 600; 99% is what a perfectly known base would make possible.
		{"3x at 10 a minute", 10, 0, 3, 3, 0.96, rises, 25, 600},
		{"3x at 10 a minute, phi 0.1", 10, 0.1, 3, 10, 0.95, rises, 25, 600},
		{"10x at 0.2 a minute", 0.2, 0, 10, 10, 0.90, rises, 25, 600},
		{"10x at 10 a minute pages", 10, 0.1, 10, 10, 0.98, pages, 15, 600},
		{"stop at 10 a minute", 10, 0, 0, 5, 0.99, stops, 15, 600},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			n := pick(row.short, row.full)
			found, slowest := 0, 0
			for i := range n {
				// Attacks come at the time of day that has the local rate: the mean.
				shape := traffic.Shape{
					PerMinute: row.rate, Swing: 0.8, Peak: 14, Weekend: 1, Holiday: 1, Phi: row.phi,
				}
				r := newRunner(shape, uint64(1000+i))
				r.until(35*day + 8*60 + (i%7)*day)
				at := r.found(row.factor, row.within, row.alarm)
				if at > 0 {
					found++
					slowest = max(slowest, at)
				}
			}
			t.Logf("found %d of %d, the slowest in %d minutes", found, n, slowest)
			require.GreaterOrEqual(t, float64(found), row.share*float64(n))
		})
	}
}

// TestDailyAttackIsNotLearned: six hours of ten times the rate, every day for eight
// days.
func TestDailyAttackIsNotLearned(t *testing.T) {
	t.Parallel()
	for i := range pick(3, 100) {
		shape := traffic.Shape{
			PerMinute: 5, Swing: 0.8, Peak: 14, Weekend: 0.7, Holiday: 1, Phi: 0.1,
		}
		r := newRunner(shape, uint64(5000+i))
		for d := range 8 {
			r.until((35+d)*day + 9*60)
			at := r.found(10, 10, rises)
			require.Positive(t, at, "run %d, day %d", i, d)
			for range 6*60 - at {
				r.step(10)
			}
			require.Negative(t, r.found(1, 120, stops), "the end of an attack is no outage")
		}
	}
}
