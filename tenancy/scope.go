package tenancy

import "time"

// Scope is what a grant tells a store: whose rows, on whose behalf, until when. It
// is not generic, so a store has one signature for all permissions; only a grant
// makes one that names a site.
//
//	func (s *Store) Calls(ctx context.Context, scope tenancy.Scope) ([]Call, error)
//
// A store calls Check, or takes Site for what it is: "" once the grant has expired.
// "" must match no row.
type Scope struct {
	_ [0]func() // not comparable: two scopes of one site are two proofs
	unportable
	proof proof
}

// Check returns nil while the scope is good, else [ErrNoGrant] or [ErrExpired].
func (s Scope) Check() error { return s.proof.check() }

// Site returns the site, or "", which is no site, when Check fails.
func (s Scope) Site() string {
	if s.Check() != nil {
		return ""
	}
	return s.proof.member.site
}

// User returns the user, or "" when Check fails.
func (s Scope) User() string {
	if s.Check() != nil {
		return ""
	}
	return s.proof.member.user
}

// Key returns the id of the API key that the user acts with, or "" for none, and
// when Check fails.
func (s Scope) Key() string {
	if s.Check() != nil {
		return ""
	}
	return s.proof.key
}

// Expires returns when the scope ends at the latest: the zero time for the zero
// Scope. A seal or a token made of the scope must not live longer.
func (s Scope) Expires() time.Time {
	if s.proof.member == nil {
		return time.Time{}
	}
	return s.proof.member.looked.Add(s.proof.member.gate.cfg.GrantTTL)
}

// String names neither user nor site.
func (s Scope) String() string {
	if err := s.Check(); err != nil {
		return "[" + err.Error() + "]"
	}
	return "[scope]"
}
