package hmacsig

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
)

// maxKeys bounds the MACs that one request can cost.
const maxKeys = 8

// Key is one secret of a Keyring and when it counts.
type Key struct {
	// Name tells keys apart in Proof and hooks: "current", "next", "2026-11".
	// It is a metric label; never put the secret's text here.
	Name   string
	Secret Secret
	// NotBefore and NotAfter bound the time in which the key is accepted, both
	// inclusive and by this machine's clock. Zero: unbounded. A key with a
	// NotAfter is retiring, and its use shows as Proof.Retiring, so that an
	// operator can see when the last sender has moved on.
	NotBefore, NotAfter time.Time
}

func (k *Key) active(now time.Time) bool {
	return (k.NotBefore.IsZero() || !now.Before(k.NotBefore)) &&
		(k.NotAfter.IsZero() || !now.After(k.NotAfter))
}

// Keyring is an immutable set of 1 to 8 keys of one key id, tried in order.
// The zero Keyring holds none and accepts nothing. A rotation, from the receiver's
// side:
//
//	            day 0        day 1         day 8
//	old         signs        is accepted   NotAfter
//	new         unknown      signs         signs
//	the ring    {old}        {new, old}    {new}
//
// The ring gets both keys before any sender changes, and loses the old one when
// Proof.Retiring has not been seen for as long as senders keep messages.
type Keyring struct {
	keys []Key
}

// NewKeyring checks and copies keys. Every problem is reported at once.
func NewKeyring(keys ...Key) (Keyring, error) {
	list := configerr.For(gateName)
	if len(keys) == 0 || len(keys) > maxKeys {
		list.Add("Keyring", fmt.Sprint(len(keys)), sallyport.ConfigOutOfRange,
			fmt.Sprintf("wants 1 to %d keys", maxKeys))
	}
	for i, k := range keys {
		bad := func(code, fix string) { list.Add(fmt.Sprintf("Keyring[%d]", i), "", code, fix) }
		if k.Secret.IsZero() {
			bad(sallyport.ConfigRequired, "has no secret")
		}
		if k.Name == "" {
			bad(sallyport.ConfigRequired, "has no name")
		}
		if !k.NotBefore.IsZero() && !k.NotAfter.IsZero() && k.NotAfter.Before(k.NotBefore) {
			bad(sallyport.ConfigConflict, "ends before it begins")
		}
		for _, other := range keys[:i] {
			if k.Name == other.Name {
				bad(sallyport.ConfigDuplicate, "repeats a name")
			}
			if k.Secret.Equal(other.Secret) {
				bad(sallyport.ConfigDuplicate, "repeats a secret")
			}
		}
	}
	if err := list.Err(); err != nil {
		return Keyring{}, err
	}
	return Keyring{keys: append([]Key(nil), keys...)}, nil
}

// Len returns the number of keys.
func (k Keyring) Len() int { return len(k.keys) }

// Signing returns the first key that is active at a moment: the one to sign
// with.
func (k Keyring) Signing(at time.Time) (Key, bool) {
	for i := range k.keys {
		if k.keys[i].active(at) {
			return k.keys[i], true
		}
	}
	return Key{}, false
}

// NewRotation is the keyring of a contract with a current and a next secret.
// Next may be the zero Secret: no rotation is under way. Their names are
// "current" and "next".
func NewRotation(current, next Secret) (Keyring, error) {
	keys := []Key{{Name: "current", Secret: current}}
	if !next.IsZero() {
		keys = append(keys, Key{Name: "next", Secret: next})
	}
	return NewKeyring(keys...)
}

// KeySource finds the keys of a key id: a site, a tenant, a sender. Keys
// returns ErrUnknownKey when there is no such id, and any other error when it
// could not find out, which is answered 503 and never 401. A keyring beside an
// error is not looked at. The id is what an unauthenticated client sent: at
// most 256 bytes, checked by the scheme and otherwise untrusted.
// Implementations are safe for concurrent use.
//
// A source that makes a network call belongs behind NewCache.
type KeySource interface {
	Keys(ctx context.Context, keyID string) (Keyring, error)
}

// StaticKeys is a KeySource over a map from key id to keyring. The map is
// used as it is and must not change afterwards. Schemes without a key id
// (Stripe, GitHub, Slack, Standard Webhooks) ask for the id "".
type StaticKeys map[string]Keyring

// Keys looks the id up.
func (s StaticKeys) Keys(_ context.Context, keyID string) (Keyring, error) {
	ring, ok := s[keyID]
	if !ok {
		return Keyring{}, ErrUnknownKey
	}
	return ring, nil
}

// problems refuses ids that the scheme can never ask for: every genuine message
// of theirs would be refused.
func (s StaticKeys) problems(list *configerr.List, scheme *Scheme) {
	for _, id := range slices.Sorted(maps.Keys(s)) {
		switch {
		case scheme.KeyID == nil && id != "":
			list.Add("Keys", id, sallyport.ConfigConflict,
				"is never asked for: the scheme has no key ids; write StaticKeys{\"\": keys}")
		case scheme.KeyID != nil && !scheme.KeyID(id):
			list.Add("Keys", id, sallyport.ConfigMalformed, "is no key id of the scheme")
		}
		for i := range s[id].keys {
			if problem := scheme.misfit(s[id].keys[i].Secret); problem != "" {
				list.Add("Keys", id, sallyport.ConfigConflict, "holds a secret that "+problem)
			}
		}
	}
}
