package detect

import (
	"math"
	"time"
)

// What the three tests of a series look for.
const (
	pageRatio   = 10  // ten times the usual rate
	pageOver    = 2   // rather than twice
	noticeRatio = 3   // three times
	stopRatio   = 0.1 // a tenth
	// A rise needs two bins, a stop five.
	riseShare, stopShare = 1.4, 4.5
)

const (
	levelHalf = time.Hour
	fastHalf  = 5 * time.Minute
	phiHalf   = 2 * 24 * time.Hour
	longHalf  = 14 * 24 * time.Hour
	// adoptAfter is how long a rise lasts until it is how things are now.
	adoptAfter = time.Hour
	// regimeEnds is when nobody waits any more for it to go away.
	regimeEnds = 24 * time.Hour
	// dormant is how long a stop lasts until the series starts anew.
	dormant = 7 * 24 * time.Hour
	// levelPrior events say that the level is 1, until there are more.
	levelPrior = 5
)

// Volume watches one series of counts.
type Volume struct {
	Base base

	// Notice looks for three times the usual, Surge for ten times, which shows sooner
	// where little comes, and Page for ten times rather than twice.
	Page, Surge, Notice, Stop Cusum

	Age   int // bins that were seen
	Slot  int // of the running quarter-hour
	Sum   float64
	Known int
	Taint bool    // the running quarter-hour has an alarm in it
	Usual float64 // what the base has for it, per bin
	Last  Tick

	Long             float64 // mean of weeks
	LevelX, LevelB   float64 // events and base of the last hour
	Fast, FastB      float64 // and of the last minutes
	PhiNum, PhiDen   float64
	AlarmX, AlarmB   float64 // events and base of the running alarm
	Before           float64 // the level before a rise was adopted, or 0
	RegimeBins       int
	Expected, Spread float64 // of the last bin
}

// Step takes the count of the next bin.
func (v *Volume) Step(t Tick, x float64) {
	v.turn(t)
	m, phi := v.mean(), v.phi()
	// To come back to what is usual is neither a rise nor a stop.
	high, low := max(m, v.Usual), min(m, v.Usual)
	v.Expected, v.Spread = m, math.Sqrt(m+phi*m*m)
	if v.Age >= int(24*time.Hour/t.Bin) {
		v.Page.add(evidence(x, pageOver*high, pageRatio*high, phi), riseShare)
		v.Surge.add(evidence(x, high, pageRatio*high, phi), riseShare)
		v.Notice.add(evidence(x, high, noticeRatio*high, phi), riseShare)
		v.Stop.add(evidence(x, low, stopRatio*low, phi), stopShare)
	}
	v.learn(t, x, m, phi)
	v.adopt(t, x)
	v.Age++
	v.Last = t
}

// Gap says that bins are missing: nothing was counted, which is not that there was
// nothing to count.
func (v *Volume) Gap() {
	for _, c := range v.tests() {
		c.reset()
	}
	v.Sum, v.Known, v.Taint = 0, 0, false
	v.AlarmX, v.AlarmB = 0, 0
}

func (v *Volume) tests() [4]*Cusum {
	return [...]*Cusum{&v.Page, &v.Surge, &v.Notice, &v.Stop}
}

// turn starts a new quarter-hour or day where the bin does.
func (v *Volume) turn(t Tick) {
	if v.Age > 0 && t.Day != v.Last.Day {
		for _, c := range v.tests() {
			c.endDay()
		}
	}
	if v.Age > 0 && t.Slot == v.Slot && t.Day == v.Last.Day {
		return
	}
	if v.Known*2*int(t.Bin/time.Minute) >= 15 && !v.Taint {
		v.Base.put(v.Last, v.Sum/float64(v.Known))
	}
	v.Slot, v.Sum, v.Known, v.Taint = t.Slot, 0, 0, false
	usual, known := v.Base.at(t.Slot)
	if !known {
		usual = v.Long
	}
	// Where next to nothing comes, the mean of weeks knows more.
	weight := usual / (usual + 0.25)
	v.Usual = max(weight*usual+(1-weight)*v.Long, 1e-3)
}

// mean is what is expected of the bin: the base, at the level of the last hour.
func (v *Volume) mean() float64 { return v.Usual * v.level() }

func (v *Volume) level() float64 {
	return (v.LevelX + levelPrior) / (v.LevelB + levelPrior)
}

// setLevel makes level return this.
func (v *Volume) setLevel(level float64) {
	v.LevelX = max(level*(v.LevelB+levelPrior)-levelPrior, 0)
}

// phi is how much more the counts vary than those of a Poisson process.
func (v *Volume) phi() float64 {
	const prior, weight = 0.05, 20
	return min(max((v.PhiNum+prior*weight)/(v.PhiDen+weight), 0.003), 4)
}

// Rises reports whether there is more than usual.
func (v *Volume) Rises() bool { return v.Page.Alarm || v.Surge.Alarm || v.Notice.Alarm }

func (v *Volume) alarmed() bool { return v.Rises() || v.Stop.Alarm }

// doubtful: there is too much evidence against the bin to learn from it.
func (v *Volume) doubtful() bool {
	for _, c := range v.tests() {
		if c.Alarm || c.C > c.threshold()/2 {
			return true
		}
	}
	return false
}

func (v *Volume) learn(t Tick, x, m, phi float64) {
	bins := float64(v.Age)
	keep := min(decay(t.Bin, longHalf), bins/(bins+1))
	if !v.alarmed() {
		v.Long = keep*v.Long + (1-keep)*x
		cut := min(x, m+5*v.Spread)
		keep = decay(t.Bin, phiHalf)
		v.PhiNum = keep*v.PhiNum + (cut-m)*(cut-m) - m
		v.PhiDen = keep*v.PhiDen + m*m
	} else {
		v.Taint = true
	}
	v.Sum += x
	v.Known++
	fast := decay(t.Bin, fastHalf)
	v.Fast, v.FastB = fast*v.Fast+x, fast*v.FastB+v.Usual
	if v.doubtful() {
		return
	}
	keep = decay(t.Bin, levelHalf)
	v.LevelX = keep*v.LevelX + min(x, m+3*math.Sqrt(m+phi*m*m))
	v.LevelB = keep*v.LevelB + v.Usual
}

// adopt takes a rise that lasts for how things are now, and drops it again as soon as
// it goes away.
func (v *Volume) adopt(t Tick, x float64) {
	if v.Before > 0 {
		v.RegimeBins++
		fast := v.Fast / max(v.FastB, 1e-9)
		over := time.Duration(v.RegimeBins)*t.Bin > regimeEnds
		if back := fast < math.Sqrt(v.level()*v.Before); back || over {
			if back {
				v.setLevel(v.Before)
			}
			v.Before, v.RegimeBins = 0, 0
		}
	}
	if time.Duration(v.Stop.Bins)*t.Bin > dormant {
		*v = Volume{}
		return
	}
	if !v.Rises() {
		v.AlarmX, v.AlarmB = 0, 0
		return
	}
	v.AlarmX += x
	v.AlarmB += v.Usual
	if time.Duration(max(v.Page.Bins, v.Surge.Bins, v.Notice.Bins))*t.Bin < adoptAfter {
		return
	}
	if v.Before == 0 {
		v.Before = v.level()
	}
	v.RegimeBins = 0
	v.setLevel(v.AlarmX / max(v.AlarmB, 1e-9))
	for _, c := range [...]*Cusum{&v.Page, &v.Surge, &v.Notice} {
		c.reset()
	}
	v.AlarmX, v.AlarmB = 0, 0
}

// Valid reports whether a volume that was stored can be used.
func (v *Volume) Valid() bool {
	for _, c := range v.tests() {
		if !c.valid() {
			return false
		}
	}
	return v.Last.valid() && v.Age >= 0 && v.Known >= 0 && v.LevelX >= 0 && v.LevelB >= 0 &&
		v.PhiDen >= 0 && v.Long >= 0
}
