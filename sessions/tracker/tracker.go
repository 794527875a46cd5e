package tracker

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
)

const gate = "tracker"

// Visit is a run of events from one page's visitor. It authenticates nobody.
type Visit struct {
	// ID names the visit, unlike the visitor's own id, which begins another visit
	// after a pause. It is made by the store and unique.
	ID string
	// Site and Visitor are what the visit is kept under.
	Site, Visitor string
	// Started and Seen are the first and the last event.
	Started, Seen time.Time
	// Events is how many there were, this one included. The first one is New.
	Events int
}

// New reports whether the visit begins with this event.
func (v Visit) New() bool { return v.Events == 1 }

var (
	// ErrFull: the site, or the store, has as many visits as it may. The event
	// belongs to none.
	ErrFull = errors.New("tracker: too many visits")
	// ErrInvalid: no site, or an id that is no UUID.
	ErrInvalid = errors.New("tracker: invalid id")
)

// Store keeps visits. Implementations are safe for concurrent use; Touch is one
// atomic step, on one clock for all application instances.
type Store interface {
	// Touch returns the visit of this site and visitor with one event more, or
	// begins one, named id, if there is none whose last event is less than idle
	// ago. ErrFull if there is no room for another.
	Touch(ctx context.Context, site, visitor, id string, idle time.Duration) (Visit, error)
}

// Config configures a [Tracker].
type Config struct {
	_ [0]func() // keyed literals only

	// Store keeps the visits. Required. See [NewMemory] and
	// redissession.NewVisits.
	Store Store

	// Idle ends a visit that had no event for this long. Default 30 minutes; from
	// a second to a day.
	Idle time.Duration
}

// Tracker finds the visit that an event belongs to. It is safe for concurrent use.
// Nil and the zero value know of none.
type Tracker struct{ cfg Config }

// New returns a tracker, or every problem of cfg at once.
func New(cfg Config) (*Tracker, error) {
	if cfg.Idle == 0 {
		cfg.Idle = 30 * time.Minute
	}
	bad := configerr.For(gate)
	if cfg.Store == nil {
		bad.Add("Store", "", sallyport.ConfigRequired, "want a store, such as tracker.NewMemory")
	}
	if cfg.Idle < time.Second || cfg.Idle > 24*time.Hour {
		bad.Add("Idle", cfg.Idle.String(), sallyport.ConfigOutOfRange,
			"want between a second and a day")
	}
	if err := bad.Err(); err != nil {
		return nil, err
	}
	return &Tracker{cfg: cfg}, nil
}

var errZero = errors.New("tracker: zero Tracker; use New")

// Touch counts an event of a visitor at a site. The site must be proved, and at most
// 128 bytes; the visitor's id is whatever the page sent, and must be a UUID. Case
// makes no difference.
func (t *Tracker) Touch(ctx context.Context, site, visitor string) (Visit, error) {
	if t == nil || t.cfg.Store == nil {
		return Visit{}, errZero
	}
	visitor, ok := canonical(visitor)
	if !ok || site == "" || len(site) > 128 {
		return Visit{}, ErrInvalid
	}
	return t.cfg.Store.Touch(ctx, site, visitor, rand.Text(), t.cfg.Idle)
}

// canonical returns the one spelling of a UUID (RFC 9562 section 4).
func canonical(id string) (string, bool) {
	if len(id) != 36 {
		return "", false
	}
	var b [36]byte
	for i := range b {
		c := id[i]
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return "", false
			}
		case 'A' <= c && c <= 'F':
			c += 'a' - 'A'
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f':
		default:
			return "", false
		}
		b[i] = c
	}
	return string(b[:]), true
}
