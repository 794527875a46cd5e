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
	_     [0]func() // not comparable: two scopes of one site are two proofs
	proof *proof
}

// Scope returns what the grant's holder may pass to a store.
func (g Grant[P]) Scope() Scope { return Scope{proof: g.proof} }

// Check returns nil while the scope is good, else ErrNoGrant or ErrExpired.
func (s Scope) Check() error { return s.proof.check() }

// Site returns the site, or "", which is no site, when Check fails.
func (s Scope) Site() string {
	if s.Check() != nil {
		return ""
	}
	return s.proof.site
}

// User returns the user, or "" when Check fails.
func (s Scope) User() string {
	if s.Check() != nil {
		return ""
	}
	return s.proof.user
}

// Expires returns when the scope ends: the zero time for the zero Scope. A seal or
// a token made of the scope must not live longer.
func (s Scope) Expires() time.Time {
	if s.proof == nil {
		return time.Time{}
	}
	return s.proof.made.Add(s.proof.ttl)
}

// String names neither user nor site.
func (s Scope) String() string {
	if err := s.Check(); err != nil {
		return "[" + err.Error() + "]"
	}
	return "[scope]"
}

// MarshalText refuses: a scope that can be written down can be read back by others.
func (Scope) MarshalText() ([]byte, error) { return nil, ErrNotPortable }

// UnmarshalText refuses.
func (*Scope) UnmarshalText([]byte) error { return ErrNotPortable }

// MarshalBinary refuses.
func (Scope) MarshalBinary() ([]byte, error) { return nil, ErrNotPortable }

// UnmarshalBinary refuses.
func (*Scope) UnmarshalBinary([]byte) error { return ErrNotPortable }
