package rls

import "time"

// Seal makes a sealed setting by hand.
func Seal(key []byte, site, user string, expires time.Time, pid uint32) string {
	return newSealer(key).seal(site, user, expires, pid)
}
