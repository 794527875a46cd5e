package devicebound

import "time"

// Registered and Refreshed verify proofs apart from any session.
func Registered(token string) (key []byte, challenge string, err error) {
	p, err := parse(token)
	if err != nil {
		return nil, "", err
	}
	key, err = p.register()
	return key, p.claims.Challenge, err
}

func Refreshed(token string, key []byte) (challenge string, err error) {
	p, err := parse(token)
	if err != nil {
		return "", err
	}
	return p.claims.Challenge, p.refresh(key)
}

// Item and Skipped read header fields.
var (
	Item    = item
	Skipped = skipped
)

// Issue adds a ticket; Works tells whether one does.
func Issue(list *[]Ticket, now time.Time, life time.Duration) string { return issue(list, now, life) }

func Works(list []Ticket, value string, now time.Time) bool { return find(list, value, now) >= 0 }
