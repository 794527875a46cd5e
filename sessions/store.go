package sessions

import (
	"context"
	"time"
)

// Level is an authenticator assurance level (NIST SP 800-63B-4 section 2). Levels
// are ordered; the zero value is no authentication.
type Level uint8

const (
	// AAL1 is one factor: a password.
	AAL1 Level = 1
	// AAL2 is two factors: a password and a one-time code, or a passkey.
	AAL2 Level = 2
)

// String names the level as NIST does.
func (l Level) String() string {
	switch l {
	case AAL1:
		return "AAL1"
	case AAL2:
		return "AAL2"
	default:
		return "none"
	}
}

// Record is a session as a [Store] keeps it. Treat Data as read-only: stores
// share it between callers. The limits are part of the record, so a new setting
// applies to sessions that start after it.
type Record struct {
	Key      Key
	ID       string // public handle, unique; survives a step-up
	User     string
	Level    Level
	Idle     time.Duration
	Lifetime time.Duration
	Data     []byte // T in JSON

	// The store sets these by its own clock: applications' clocks differ.
	Version uint64    // grows with every swap
	Started time.Time // the authentication event: when Key was first stored
	Seen    time.Time // last use
}

// Live reports whether the session may be used at now: less than Idle after its
// last use and less than Lifetime after its start.
func (r *Record) Live(now time.Time) bool {
	return elapsed(r.Seen, now) < r.Idle && elapsed(r.Started, now) < r.Lifetime
}

// elapsed takes the longer of two measures. The monotonic clock stands still while
// a machine sleeps, the wall clock can be set back: neither may prolong a session.
func elapsed(from, to time.Time) time.Duration {
	return max(to.Sub(from), to.Round(0).Sub(from.Round(0)))
}

// Access says whether a lookup counts as activity.
type Access uint8

const (
	// Use counts: the idle time starts again.
	Use Access = iota
	// Peek does not.
	Peek
)

// Selection chooses sessions to end. The zero value chooses none.
type Selection struct {
	User     string // sessions of this user
	Only     string // of those, the one with this ID
	Except   string // of those, all but the one with this ID
	Everyone bool   // all sessions of all users; the other fields are ignored
}

// Store keeps sessions. Implementations are safe for concurrent use, and each
// method is one atomic step, on one clock, for all application instances. Any
// error other than those named means "could not tell", and is never answered as
// "no session". The suite in storetest checks an implementation.
type Store interface {
	// Load returns the live record under key and, for Use, sets its Seen to now.
	// Every use is recorded: throttling would shorten the idle limit. A record
	// that is not [Record.Live] is ErrNotFound, whatever the store's own
	// expiry (a garbage collection, not the check) has done so far.
	Load(ctx context.Context, key Key, access Access) (Record, error)

	// Swap replaces what old addresses by next and returns next as stored.
	//
	//   - old zero: create. ErrFull if there is no room.
	//   - next nil: delete old, whatever its version; deleting nothing is no error.
	//   - otherwise old must be live (else ErrNotFound) and at next.Version (else
	//     ErrConflict). Started and Seen stay, except under a new key, which is a
	//     new authentication event and restarts both; the old key is dead.
	Swap(ctx context.Context, old Key, next *Record) (Record, error)

	// List returns the live sessions of a user, in no particular order.
	List(ctx context.Context, user string) ([]Record, error)

	// End deletes the selected sessions and returns how many it knows were alive.
	// No record that existed when End was called can be loaded or swapped after.
	End(ctx context.Context, which Selection) (int, error)
}
