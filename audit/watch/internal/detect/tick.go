// Package detect holds the statistics of the watcher: what a series usually does, and
// when it does not. It knows neither events nor alerts, and reads no clock.
package detect

import "time"

// Tick is one bin of time, worked out once for all series.
type Tick struct {
	Bin  time.Duration // its length: a minute, unless a trace has longer ones
	Slot int           // the quarter-hour of the week
	Week int           // counts weeks
	Day  int           // counts days
}

const (
	// slotsPerDay is how many quarter-hours a day has.
	slotsPerDay = 96
	// Slots is how many a week has.
	Slots = 7 * slotsPerDay
	// Weeks is how many weeks are remembered.
	Weeks = 4
)

// At returns the tick of the bin that begins at a time, by the calendar of its
// location.
func At(at time.Time, bin time.Duration) Tick {
	year, month, day := at.Date()
	// The calendar's days, whatever the clock does in between.
	days := int(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / 86400)
	weekday := (int(at.Weekday()) + 6) % 7
	hour, minute, _ := at.Clock()
	return Tick{
		Bin: bin, Slot: weekday*slotsPerDay + hour*4 + minute/15,
		Week: (days - weekday + 7) / 7, Day: days,
	}
}

// decay is what a bin leaves of a sum with this half-life.
func decay(bin, halfLife time.Duration) float64 {
	return exp2(-float64(bin) / float64(halfLife))
}

func (t Tick) valid() bool { return t.Slot >= 0 && t.Slot < Slots && t.Week >= 0 && t.Bin >= 0 }
