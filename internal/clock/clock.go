// Package clock compares readings of the clock.
package clock

import "time"

// Elapsed returns how much time has passed, by whichever of the two clocks says
// more. The monotonic clock stands still while a machine sleeps; the wall clock
// may be set back. What expires must do so by either.
func Elapsed(from, to time.Time) time.Duration {
	return max(to.Sub(from), to.Round(0).Sub(from.Round(0)))
}
