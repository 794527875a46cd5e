package hmacsig

import (
	"crypto/sha256"
	"crypto/subtle"
)

// Equal is for secrets that are compared and not verified by a MAC: tokens, API
// keys, one-time codes. Never use == on those: it stops at the first byte that
// differs, and so tells how many were right.
//
// Equal reports whether a and b hold the same bytes. The time it takes
// depends on their lengths alone, never on where they differ, and what it
// shows of the lengths is no more than the cost of hashing each: both are
// hashed first, so that no early return tells "wrong length" from "wrong
// value" (crypto/subtle returns at once on unequal lengths).
func Equal[T ~string | ~[]byte](a, b T) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
