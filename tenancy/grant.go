package tenancy

import (
	"time"

	"github.com/opsmantik/sallyport/internal/clock"
)

// Permission is a type that names one thing a role may be allowed to do:
//
//	type SealCall struct{}
//
//	func (SealCall) Permission() string { return "calls:seal" }
//
// The method is called on the zero value and must return a constant.
type Permission interface{ Permission() string }

// Grant proves that a user may do P on a site. Only a [Gate] makes one that
// proves anything; everything refuses the zero value. It may be copied and used
// by several goroutines, within the process and until it expires.
type Grant[P Permission] struct {
	// Without P among the fields, Grant[View] would convert to Grant[Delete].
	_     [0]func(P)
	proof *proof
}

// proof is what a gate found. Code outside the package cannot make one.
type proof struct {
	permission string
	user, site string
	role       Role
	made       time.Time
	ttl        time.Duration
}

// Check returns nil while the grant proves access, else ErrNoGrant or ErrExpired.
func (g Grant[P]) Check() error { return g.proof.check() }

func (p *proof) check() error {
	if p == nil {
		return ErrNoGrant
	}
	if clock.Elapsed(p.made, time.Now()) >= p.ttl {
		return ErrExpired
	}
	return nil
}

// Site returns the site, or "", which is no site, when Check fails.
func (g Grant[P]) Site() string {
	if g.Check() != nil {
		return ""
	}
	return g.proof.site
}

// User returns the user, or "" when Check fails.
func (g Grant[P]) User() string {
	if g.Check() != nil {
		return ""
	}
	return g.proof.user
}

// Role returns the role of the user on the site, or "" when Check fails.
func (g Grant[P]) Role() Role {
	if g.Check() != nil {
		return ""
	}
	return g.proof.role
}

// String names neither user nor site.
func (g Grant[P]) String() string {
	if err := g.Check(); err != nil {
		return "[" + err.Error() + "]"
	}
	return "[grant " + g.proof.permission + "]"
}

// A grant that can be written down can be read back by somebody else. Text covers
// JSON, XML, YAML and slog; binary covers gob.

// MarshalText refuses.
func (Grant[P]) MarshalText() ([]byte, error) { return nil, ErrNotPortable }

// UnmarshalText refuses.
func (*Grant[P]) UnmarshalText([]byte) error { return ErrNotPortable }

// MarshalBinary refuses.
func (Grant[P]) MarshalBinary() ([]byte, error) { return nil, ErrNotPortable }

// UnmarshalBinary refuses.
func (*Grant[P]) UnmarshalBinary([]byte) error { return ErrNotPortable }

// name returns the name of P; "" for an interface, which has no zero value to ask.
func name[P Permission]() string {
	var p P
	if any(p) == nil {
		return ""
	}
	return p.Permission()
}
