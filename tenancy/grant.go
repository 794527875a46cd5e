package tenancy

import (
	"errors"
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
//
//	func seal(w http.ResponseWriter, r *http.Request, grant tenancy.Grant[SealCall])
//
// says what the handler needs, and cannot be called without it.
type Grant[P Permission] struct {
	// Without P among the fields, Grant[View] would convert to Grant[Delete].
	_ [0]func(P)
	unportable
	proof proof
}

// proof is what a gate found. Code outside the package cannot make one that has a
// member.
type proof struct {
	member     *member
	permission string
	key        string // the API key that asked, or ""
}

// check returns nil while the proof is good. It looks at the clock each time: a grant
// that was good when the handler began may have ended since.
func (p *proof) check() error {
	switch m := p.member; {
	case m == nil:
		return ErrNoGrant
	case m.gone.Load(), m.epoch != m.gate.epoch.Load(),
		clock.Elapsed(m.looked, time.Now()) >= m.gate.cfg.GrantTTL:
		return ErrExpired
	}
	return nil
}

// Check returns nil while the grant proves access, else [ErrNoGrant] or
// [ErrExpired]. A grant that package reflect or unsafe has turned into one for
// another permission is none.
func (g Grant[P]) Check() error {
	if g.proof.permission != name[P]() {
		return ErrNoGrant
	}
	return g.proof.check()
}

// Site returns the site, or "", which is no site, when Check fails.
func (g Grant[P]) Site() string {
	if g.Check() != nil {
		return ""
	}
	return g.proof.member.site
}

// User returns the user, or "" when Check fails. For an API key it is the user it
// acts for.
func (g Grant[P]) User() string {
	if g.Check() != nil {
		return ""
	}
	return g.proof.member.user
}

// Key returns the id of the API key that the user acts with, or "" for none, and
// when Check fails.
func (g Grant[P]) Key() string {
	if g.Check() != nil {
		return ""
	}
	return g.proof.key
}

// Role returns the role of the user on the site, or "" when Check fails.
func (g Grant[P]) Role() Role {
	if g.Check() != nil {
		return ""
	}
	return g.proof.member.role
}

// Scope returns what the grant's holder may pass to a store.
func (g Grant[P]) Scope() Scope {
	if g.proof.permission != name[P]() {
		return Scope{}
	}
	return Scope{proof: g.proof}
}

// String names neither user nor site.
func (g Grant[P]) String() string {
	if err := g.Check(); err != nil {
		return "[" + err.Error() + "]"
	}
	return "[grant " + g.proof.permission + "]"
}

// unportable keeps a grant in the process: what can be written down can be read back
// by somebody else. Text covers JSON, XML, YAML and slog; binary covers gob.
type unportable struct{}

var errNotPortable = errors.New("tenancy: a grant cannot leave the process")

// MarshalText refuses.
func (unportable) MarshalText() ([]byte, error) { return nil, errNotPortable }

// UnmarshalText refuses.
func (*unportable) UnmarshalText([]byte) error { return errNotPortable }

// MarshalBinary refuses.
func (unportable) MarshalBinary() ([]byte, error) { return nil, errNotPortable }

// UnmarshalBinary refuses.
func (*unportable) UnmarshalBinary([]byte) error { return errNotPortable }

// name returns the name of P; "" for an interface or a pointer, which have no zero
// value to ask.
func name[P Permission]() (permission string) {
	defer func() {
		if recover() != nil {
			permission = ""
		}
	}()
	var p P
	if any(p) == nil {
		return ""
	}
	return p.Permission()
}
