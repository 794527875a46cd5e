package devicebound

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"time"
)

// Binding is what a session knows of its device. It is part of the session's data,
// so that every instance sees it and a change loses no other. Its fields are for
// JSON alone.
type Binding struct {
	// Key is the device's public key in PKIX form, once registered.
	Key []byte `json:"key,omitempty"`
	// Challenges are those that may still be answered, and Cookies the
	// short-lived ones that still work, as hashes. Both hold a few at most.
	Challenges []Ticket `json:"challenges,omitempty"`
	Cookies    []Ticket `json:"cookies,omitempty"`
}

// Ticket is a random value that works until a time.
type Ticket struct {
	Hash  []byte    `json:"hash"`
	Until time.Time `json:"until"`
}

// Answers may cross on their way: a browser may still sign the challenge before,
// and requests under way carry the cookie before.
const maxTickets = 4

// issue adds a ticket and returns its value. Values have 130 bits.
func issue(list *[]Ticket, now time.Time, life time.Duration) string {
	value := rand.Text()
	hash := sha256.Sum256([]byte(value))
	*list = slices.DeleteFunc(*list, func(t Ticket) bool { return !now.Before(t.Until) })
	if over := len(*list) - maxTickets + 1; over > 0 {
		*list = slices.Delete(*list, 0, over) // the oldest
	}
	// Without its monotonic reading, as it will be read again.
	*list = append(*list, Ticket{Hash: hash[:], Until: now.Add(life).Round(0)})
	return value
}

// find returns the place of a value that still works, or -1.
func find(list []Ticket, value string, now time.Time) int {
	hash := sha256.Sum256([]byte(value))
	return slices.IndexFunc(list, func(t Ticket) bool {
		return subtle.ConstantTimeCompare(t.Hash, hash[:]) == 1 && now.Before(t.Until)
	})
}

// spend removes a value that still works, or reports that there is none.
func spend(list *[]Ticket, value string, now time.Time) bool {
	i := find(*list, value, now)
	if i >= 0 {
		*list = slices.Delete(*list, i, i+1)
	}
	return i >= 0
}
