package tenancy

import (
	"context"
	"errors"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/clock"
)

// ServiceGrant proves that a service, and no user, may do P on every site. It is
// another type than [Grant], so a handler of users cannot pass one on, and a function
// that serves all sites has to say so in its signature:
//
//	func purge(ctx context.Context, grant tenancy.ServiceGrant[PurgeExpired]) error
//
// Like a Grant, only a [Gate] makes one, and its zero value proves nothing.
type ServiceGrant[P Permission] struct {
	_ [0]func(P)
	unportable
	permission string
	service    *service
}

// ServiceScope is what a service grant tells a store. It does not convert to [Scope].
type ServiceScope struct {
	_ [0]func()
	unportable
	service *service
}

// service is what a gate found about a service.
type service struct {
	name, reason string
	made         time.Time
	gate         *Gate
	epoch        uint64
}

// maxReason bounds a reason, in bytes.
const maxReason = 200

var (
	errNoReason  = errors.New("tenancy: a reason has 1 to 200 bytes of printable text")
	errNoService = errors.New("tenancy: not a service of Config.Services with this permission")
)

// AuthorizeService decides whether a service may do P on all sites, for a reason that
// goes to the audit log with Event.Detail: "nightly purge", "ticket 1234". Who must be
// of KindService and proved, as by the signature of a queue. The error is a
// *[sallyport.Refusal].
//
//	who := sallyport.Principal{Kind: sallyport.KindService, ID: "purge", Level: sallyport.AAL1}
//	grant, err := tenancy.AuthorizeService[PurgeExpired](ctx, gate, who, "nightly purge")
//
// A service that works for one site should ask [Authorize] for a user instead: what it
// gets then is bounded by that site.
func AuthorizeService[P Permission](
	ctx context.Context, g *Gate, who sallyport.Principal, reason string,
) (ServiceGrant[P], error) {
	permission := name[P]()
	s, refused := g.service(ctx, who, permission, reason)
	if refused != nil {
		return ServiceGrant[P]{}, refused
	}
	return ServiceGrant[P]{permission: permission, service: s}, nil
}

func (g *Gate) service(
	ctx context.Context, who sallyport.Principal, permission, reason string,
) (*service, *sallyport.Refusal) {
	var o outcome
	if !g.configured() {
		return nil, g.refuse(&o)
	}
	o.code = CodeServiceGranted
	switch {
	case !who.Proved():
		o.refuse(CodeIdentityRequired, nil)
	case who.Kind != sallyport.KindService || permission == "" ||
		!g.services[who.ID][permission]:
		o.refuse(CodeServiceRefused, errNoService)
	case !printable(reason):
		o.refuse(CodeServiceRefused, errNoReason)
		reason = ""
	}
	d := g.decision(who, permission, o)
	d.Reason = reason
	if g.cfg.OnEvent != nil {
		g.cfg.OnEvent(ctx, sallyport.Event{
			Gate: gateName, Code: o.code, Allowed: o.code == CodeServiceGranted,
			Policy: permission, Actor: who.ID, Err: o.cause, Detail: d,
		})
	}
	if o.code != CodeServiceGranted {
		refused := g.refuse(&o)
		refused.Detail = d
		return nil, refused
	}
	return &service{
		name: who.ID, reason: reason, made: time.Now(), gate: g, epoch: g.epoch.Load(),
	}, nil
}

// printable keeps a reason to one line of a log.
func printable(reason string) bool {
	if reason == "" || len(reason) > maxReason || !utf8.ValidString(reason) {
		return false
	}
	for _, c := range reason {
		if !unicode.IsPrint(c) {
			return false
		}
	}
	return true
}

func (s *service) check() error {
	switch {
	case s == nil:
		return ErrNoGrant
	case s.epoch != s.gate.epoch.Load(),
		clock.Elapsed(s.made, time.Now()) >= s.gate.cfg.GrantTTL:
		return ErrExpired
	}
	return nil
}

// Check returns nil while the grant proves access, else [ErrNoGrant] or [ErrExpired].
func (g ServiceGrant[P]) Check() error {
	if g.permission != name[P]() {
		return ErrNoGrant
	}
	return g.service.check()
}

// Scope returns what the grant's holder may pass to a store for services.
func (g ServiceGrant[P]) Scope() ServiceScope {
	if g.permission != name[P]() {
		return ServiceScope{}
	}
	return ServiceScope{service: g.service}
}

// String names the permission alone.
func (g ServiceGrant[P]) String() string {
	if err := g.Check(); err != nil {
		return "[" + err.Error() + "]"
	}
	return "[service grant " + g.permission + "]"
}

// Check returns nil while the scope is good, else [ErrNoGrant] or [ErrExpired].
func (s ServiceScope) Check() error { return s.service.check() }

// Service returns the name of the service, or "" when Check fails.
func (s ServiceScope) Service() string {
	if s.Check() != nil {
		return ""
	}
	return s.service.name
}

// Reason returns why it acts, or "" when Check fails.
func (s ServiceScope) Reason() string {
	if s.Check() != nil {
		return ""
	}
	return s.service.reason
}

// Expires returns when the scope ends at the latest: the zero time for the zero one.
func (s ServiceScope) Expires() time.Time {
	if s.service == nil {
		return time.Time{}
	}
	return s.service.made.Add(s.service.gate.cfg.GrantTTL)
}

// String names nothing.
func (s ServiceScope) String() string {
	if err := s.Check(); err != nil {
		return "[" + err.Error() + "]"
	}
	return "[service scope]"
}
