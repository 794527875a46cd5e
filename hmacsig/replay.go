package hmacsig

import (
	"context"
	"crypto/sha256"
	"time"
)

// ReplayEntry identifies one signed message and says how long it matters.
type ReplayEntry struct {
	// KeyID is whose message it is, so that tenants never collide, and each has
	// a share of its own.
	KeyID string
	// ID is the decoded MAC that matched, or a SHA-256 of the scheme's name and
	// the signed nonce: never a header's text, which has several spellings.
	ID [sha256.Size]byte
	// At is the moment of the decision, and Until the first moment at which
	// the message can no longer be accepted.
	At, Until time.Time
}

// ClaimState is what a ReplayStore says of a message. The zero value is no
// answer and is treated as a failure.
type ClaimState int

const (
	// Claimed: nobody had it; it is now the caller's to confirm or release.
	Claimed ClaimState = iota + 1
	// InFlight: another caller claimed it and has not settled it yet.
	InFlight
	// Replayed: it was confirmed before.
	Replayed
	// ShareFull: its key id has as many live entries as it may.
	ShareFull
	// StoreFull: the store has as many live entries as it may.
	StoreFull
)

// ReplayStore remembers messages for as long as they could be accepted again.
//
// A claim is made before the handler runs and settled after it. One bit would
// not do: senders retry what was answered 5xx with the same signature, and a
// store that only knew "seen" would call that retry a replay and lose the
// event. A claim that is neither confirmed nor released (the process died)
// stays in flight until it expires: that costs the sender a new signature and
// never accepts a message twice.
//
// Every method is atomic and safe for concurrent use. Claim must return
// Claimed to at most one caller until that caller releases. When it cannot
// know whether its write happened it returns an error and must not try again
// by itself. A store that is full says so and must never drop a live entry.
// One key id must not be able to fill it for the others. The package storetest
// checks this.
//
// Verifiers of several senders that sign nonces under no key id (two accounts
// of Standard Webhooks) need a store each, or a prefix each in a shared one:
// otherwise one sender could use up the nonces of the other.
type ReplayStore interface {
	// Claim takes a message until e.Until, if nobody has it. Keep entries a few
	// seconds longer: the decision at e.At takes a moment to get here.
	Claim(ctx context.Context, e ReplayEntry) (ClaimState, error)
	// Confirm makes the caller's claim final: from now on Replayed. It and
	// Release get the entry just as it was claimed; At tells the claims of one
	// message apart, and what is not the present holder's stays as it is.
	Confirm(ctx context.Context, e ReplayEntry) error
	// Release gives the caller's claim up, as if it had never been made.
	Release(ctx context.Context, e ReplayEntry) error
}

// nonceSpace is what the nonces of a scheme are hashed under: its name, with
// its length in front, so that no name and nonce give the same bytes as another
// pair. A name has at most 255 bytes.
func nonceSpace(scheme string) []byte {
	return append([]byte{byte(len(scheme))}, scheme...) // #nosec G115 -- at most 255
}

// nonceID hashes a nonce.
func nonceID(space []byte, nonce string) [sha256.Size]byte {
	var scratch [512]byte // enough for every shipped scheme: no allocation
	return sha256.Sum256(append(append(scratch[:0], space...), nonce...))
}
