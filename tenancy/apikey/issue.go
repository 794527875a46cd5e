package apikey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/opsmantik/sallyport"
)

// The limits of a key.
const (
	maxName    = 100
	maxScopes  = 100
	maxScope   = 100
	maxOverlap = 7 * day
	idLen      = 16 // base62: 95 bits
)

// skew is how far behind another instance's clock may be: what is revoked now is
// dated back by it, so that no instance waits for its own clock to get there.
const skew = time.Minute

// Issue makes a key for a user who has authenticated with two factors: a key is not
// asked for any, so one made with a password alone would be a way around the second.
// For the same reason a key cannot make keys. The scopes must be the user's to hand
// on (Config.Permitted). TTL 0 is Config.MaxAge, which is also the most.
//
// The key is returned this once; the store has its hash only. The error is a
// *[sallyport.Refusal].
func (g *Gate) Issue(
	ctx context.Context, by sallyport.Principal, name string, scopes []string, ttl time.Duration,
) (key string, record Record, err error) {
	if !g.configured() {
		return "", Record{}, g.refuse(CodeNotConfigured, nil)
	}
	if ttl == 0 {
		ttl = g.cfg.MaxAge
	}
	ctx, cancel := context.WithTimeout(ctx, g.cfg.Timeout)
	defer cancel()
	now := time.Now().UTC().Truncate(time.Microsecond) // as exact as databases are
	key = newKey(g.cfg.Prefix)
	record = Record{
		ID: string(appendRandom(nil, idLen)), Hash: Hash(key), User: by.ID, Name: name,
		Scopes: slices.Clone(scopes), Created: now, Expires: now.Add(ttl),
	}
	code, err := g.mayIssue(ctx, by, record)
	if code == CodeIssued {
		if err = g.cfg.Store.Create(ctx, record); err != nil {
			code = CodeUnavailable
		}
	}
	if g.cfg.OnEvent != nil {
		g.cfg.OnEvent(ctx, sallyport.Event{
			Gate: gateName, Code: code, Allowed: code == CodeIssued, Actor: by.ID, Err: err,
			Detail: record.public(),
		})
	}
	if code != CodeIssued {
		return "", Record{}, g.refuse(code, err)
	}
	return key, record.public(), nil
}

var (
	errPerson  = errors.New("apikey: keys are made by a user with two factors")
	errName    = errors.New("apikey: a name has 1 to 100 bytes of printable text")
	errScopes  = errors.New("apikey: a key has 1 to 100 scopes, each once, of 1 to 100 bytes")
	errTTL     = errors.New("apikey: a key lives longer than nothing and at most MaxAge")
	errOverlap = errors.New("apikey: an overlap is 0 to 7 days")
	errOwner   = errors.New("apikey: the key is somebody else's, or has ended")
)

// mayIssue returns CodeIssued, or the code of a refusal and its cause. First who asks and
// what for, then each scope: what is wrong in itself costs no lookup.
func (g *Gate) mayIssue(ctx context.Context, by sallyport.Principal, r Record) (string, error) {
	ttl := r.Expires.Sub(r.Created)
	switch {
	case !by.Proved() || by.Kind != sallyport.KindUser || by.Key != "" || by.Level < sallyport.AAL2:
		return CodeNotIssued, errPerson
	case !validName(r.Name):
		return CodeNotIssued, errName
	case !validScopes(r.Scopes):
		return CodeNotIssued, errScopes
	case ttl <= 0 || ttl > g.cfg.MaxAge:
		return CodeNotIssued, errTTL
	}
	for _, scope := range r.Scopes {
		ok, err := g.cfg.Permitted(ctx, by, scope)
		if err != nil {
			return CodeUnavailable, err
		}
		if !ok {
			return CodeNotIssued, fmt.Errorf("apikey: scope %q is not the user's", scope)
		}
	}
	return CodeIssued, nil
}

func validName(name string) bool {
	for _, c := range name {
		if !unicode.IsPrint(c) {
			return false
		}
	}
	return name != "" && len(name) <= maxName && utf8.ValidString(name)
}

func validScopes(scopes []string) bool {
	for i, scope := range scopes {
		if scope == "" || len(scope) > maxScope || slices.Contains(scopes[:i], scope) {
			return false
		}
	}
	return len(scopes) >= 1 && len(scopes) <= maxScopes
}

// Rotate makes a key like old, of the same user, and ends old after an overlap of at
// most 7 days, in which both work; 0 ends it at once, as after a leak. Nothing but
// old's name, scopes and span is taken over, and all of it is checked as Issue does.
//
// If ending old fails, so does Rotate: old lives on, and nobody has the new key.
func (g *Gate) Rotate(
	ctx context.Context, by sallyport.Principal, old Record, overlap time.Duration,
) (key string, record Record, err error) {
	if !g.configured() {
		return "", Record{}, g.refuse(CodeNotConfigured, nil)
	}
	now := time.Now()
	switch code, _ := g.judge(&old, now); {
	case overlap < 0 || overlap > maxOverlap:
		err = errOverlap
	case old.User != by.ID || code != CodeAccepted:
		err = errOwner
	}
	if err != nil {
		return "", Record{}, g.settle(ctx, nil, CodeNotIssued, err, old)
	}
	ttl := min(old.Expires.Sub(old.Created), g.cfg.MaxAge)
	key, record, err = g.Issue(ctx, by, old.Name, old.Scopes, ttl)
	if err != nil {
		return "", Record{}, err
	}
	at := now.Add(overlap)
	if overlap == 0 {
		at = now.Add(-skew)
	}
	if err := g.end(ctx, old.User, old.ID, at); err != nil {
		return "", Record{}, err
	}
	return key, record, nil
}

// Revoke ends a user's key at once, everywhere: the next use asks the store, and finds
// it ended. Revoking twice is no error. A key that is not the user's is [ErrNotFound],
// any other failure a *[sallyport.Refusal].
func (g *Gate) Revoke(ctx context.Context, user, id string) error {
	if !g.configured() {
		return g.refuse(CodeNotConfigured, nil)
	}
	return g.end(ctx, user, id, time.Now().Add(-skew))
}

// end ends a key at a time, never later than it ends already, and reports it. A key that
// is not the user's is no event: nothing happened to it.
func (g *Gate) end(ctx context.Context, user, id string, at time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.Timeout)
	defer cancel()
	at = at.UTC().Truncate(time.Microsecond)
	err := g.cfg.Store.End(ctx, user, id, at)
	if errors.Is(err, ErrNotFound) {
		return ErrNotFound
	}
	code := CodeEnded
	if err != nil {
		code = CodeUnavailable
	}
	if g.cfg.OnEvent != nil {
		g.cfg.OnEvent(ctx, sallyport.Event{
			Gate: gateName, Code: code, Allowed: err == nil, Actor: user, Err: err,
			Detail: Record{ID: id, User: user, Revoked: at},
		})
	}
	if err != nil {
		return g.refuse(code, err)
	}
	return nil
}
