package hmacsig

import (
	"context"
	"crypto/sha256"
	"time"
)

// ReplayKey identifies one signed message: the SHA-256 over the scheme, the
// key id (so that tenants never collide) and either the signed nonce or the
// decoded MAC, never the header's text, which has several spellings.
type ReplayKey [sha256.Size]byte

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
// by itself. A store that is full returns ErrReplayFull and must never drop a
// live entry. The package storetest checks all of this.
type ReplayStore interface {
	// Claim takes key until the given time, if nobody has it.
	Claim(ctx context.Context, key ReplayKey, until time.Time) (ClaimState, error)
	// Confirm makes the caller's claim final: from now on Replayed.
	Confirm(ctx context.Context, key ReplayKey) error
	// Release gives the caller's claim up, as if it had never been made.
	Release(ctx context.Context, key ReplayKey) error
}

// replayKey appends its input to scratch and hashes it. Lengths go first, so
// that no two inputs give the same bytes.
func replayKey(scratch []byte, scheme, keyID string, id []byte) (ReplayKey, []byte) {
	scratch = append(scratch, byte(len(scheme)))
	scratch = append(scratch, scheme...)
	scratch = append(scratch, byte(len(keyID)>>8), byte(len(keyID)))
	scratch = append(scratch, keyID...)
	scratch = append(scratch, id...)
	return sha256.Sum256(scratch), scratch
}
