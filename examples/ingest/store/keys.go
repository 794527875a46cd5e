package store

import (
	"context"
	"errors"
	"time"
)

// SecurityKeys remembers the security keys that people have registered.
type SecurityKeys interface {
	// AddKey keeps a key of a user who has exactly have others, else it fails with
	// ErrKeysChanged: what the caller decided from the list still holds when the
	// key is kept. A key that is registered already, for whomever, is ErrKeyExists.
	AddKey(ctx context.Context, key SecurityKey, have int) error
	// Keys lists a user's keys, oldest first.
	Keys(ctx context.Context, user string) ([]SecurityKey, error)
	// UseKey records that a user's key has signed, with its counter. It reports
	// false, and records nothing, if the user has no such key, or if the counter is
	// not beyond the last one: of two requests with one signature, one gets in. A
	// key that does not count says 0 each time, which is no repetition.
	UseKey(ctx context.Context, user, id string, counter uint32, now time.Time) (used bool, err error)
	// RemoveKey forgets a user's key. It reports false if the user has no such key.
	RemoveKey(ctx context.Context, user, id string) (removed bool, err error)
}

// SecurityKey is what is kept of a security key (a credential record of WebAuthn).
// None of it is a secret.
type SecurityKey struct {
	ID         string // follows from Credential
	User       string
	Name       string // its owner's word for it
	Credential []byte // at most 1023 bytes
	PublicKey  []byte // COSE
	Counter    uint32
	Created    time.Time
	Used       time.Time // zero: never yet
}

var (
	// ErrKeyExists is returned for a key that is registered already.
	ErrKeyExists = errors.New("store: security key is registered already")
	// ErrKeysChanged means that the user's keys are no longer as many as the
	// caller has seen.
	ErrKeysChanged = errors.New("store: security keys have changed meanwhile")
)
