package sessions

import (
	"context"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/clock"
)

// Grace is how long a token still reads after a step-up has replaced it, so that
// requests of other tabs, sent a moment before, are not signed out. It never
// writes, and never has the new level.
const Grace = 10 * time.Second

// Record is a session as a [Store] keeps it. Treat Data as read-only: stores
// share it between callers. The limits are part of the record, so a new setting
// applies to sessions that start after it.
type Record struct {
	Key      Key
	Level    sallyport.Level
	Remember bool // the cookie outlives the browser
	// Replaced is set by Load for a key that Replace has replaced less than Grace
	// ago. The rest of the record is as it was before that.
	Replaced bool

	ID     string // public handle, unique; survives a step-up
	User   string
	Client string // what Config.Client said when it began

	PerUser  int // Create ends the least recently used one beyond this many
	Idle     time.Duration
	Lifetime time.Duration
	Data     []byte // T in JSON

	// The store sets these by its own clock: applications' clocks differ.
	Version uint64    // grows with every Replace
	Started time.Time // the authentication event: when Key was first stored
	Seen    time.Time // last use
}

// Live reports whether the session may be used at now: less than Idle after its
// last use and less than Lifetime after its start.
func (r *Record) Live(now time.Time) bool {
	return clock.Elapsed(r.Seen, now) < r.Idle && clock.Elapsed(r.Started, now) < r.Lifetime
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
	Except   string // of those, all but the one with this ID, which must be live
	Everyone bool   // all sessions of all users; the other fields are ignored
}

// Store keeps sessions. Implementations are safe for concurrent use, and each
// method is one atomic step, on one clock, for all application instances. Any
// error other than those named means "could not tell", and is never answered as
// "no session". The suite in storetest checks an implementation.
//
// Create and Replace are two methods, because one that did both would bring an
// ended session back. There is no delete by key: End selects by user and ID, so
// that it finds a session whose key a step-up is just changing.
type Store interface {
	// Load returns the live record under key and, for Use, sets its Seen to now.
	// A record that is not [Record.Live] is ErrNoSession, whatever the store's
	// own expiry (a garbage collection, not the check) has done so far.
	//
	// A key that Replace has replaced less than Grace ago, in a session that
	// still lives, returns the record as it was before, with Replaced set and no
	// effect on Seen.
	Load(ctx context.Context, key Key, access Access) (Record, error)

	// Create stores rec under its key and returns it as stored. ErrFull if there
	// is no room, ErrConflict if the key is taken. Beyond rec.PerUser sessions of
	// that user (0: no limit) the least recently used one of them ends.
	Create(ctx context.Context, rec *Record) (Record, error)

	// Replace replaces what old addresses by next and returns next as stored. Old
	// must be live and not itself replaced (else ErrNoSession), and at
	// next.Version (else ErrConflict). Started and Seen stay, except under a new
	// key, which is a new authentication event and restarts both; from then on
	// the old key only reads.
	Replace(ctx context.Context, old Key, next *Record) (Record, error)

	// List returns the live sessions of a user, in no particular order.
	List(ctx context.Context, user string) ([]Record, error)

	// End deletes the selected sessions and returns how many it knows were alive.
	// No record that existed when End was called can be loaded or replaced after,
	// under no key that it ever had. With Except, ErrNoSession if that one is not
	// live: then nothing ends, because a dead session decides nothing.
	End(ctx context.Context, which Selection) (int, error)
}
