package sallyport

import "time"

// Principal is who acts: a user, an API key or a service. sessions and
// tenancy/apikey yield one, tenancy takes one, so that nothing has to be
// translated between them. The zero Principal is nobody.
type Principal struct {
	// Kind is one of the Kind constants. Nobody has none.
	Kind string
	// ID names the user or the service; for a key, the user it acts for.
	ID string
	// Key is the id of the API key, which is no secret; "" for others.
	Key string
	// Scopes are what a key may do, as names of permissions: never more than
	// its user may. They limit keys only.
	Scopes []string
	// Level is how strongly the principal authenticated, and AuthTime when.
	Level    Level
	AuthTime time.Time
}

// The kinds of principals.
const (
	KindUser    = "user"
	KindKey     = "key"
	KindService = "service"
)

// Proved reports whether somebody authenticated: there is a kind, an id and at
// least AAL1. Whoever decides on a Principal asks this first; an absent
// identity must not skip a check (CVE-2026-44426 was a check inside
// `if id != ""`).
func (p Principal) Proved() bool {
	return p.Kind != "" && p.ID != "" && p.Level >= AAL1
}

// Level is an authentication assurance level (NIST SP 800-63B-4 section 2).
// The zero Level is no authentication.
type Level uint8

// The assurance levels.
const (
	// AAL1 is one factor, such as a password, or an API key.
	AAL1 Level = 1
	// AAL2 is two factors, such as a password and a one-time code.
	AAL2 Level = 2
	// AAL3 is two factors with a hardware key that resists phishing.
	AAL3 Level = 3
)
