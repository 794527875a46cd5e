// Package password checks passwords against argon2id hashes (RFC 9106) kept as
// PHC strings: $argon2id$v=19$m=65536,t=3,p=4$salt$hash.
package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Bounds on the cost a hash may ask for: below, it is too weak to accept
// (OWASP Password Storage Cheat Sheet); above, one login could exhaust memory.
const (
	minMemory, maxMemory = 19 << 10, 256 << 10 // KiB
	maxTime, maxThreads  = 16, 16
	minSalt, minKey      = 8, 16
	maxSalt, maxKey      = 64, 64
	// MaxLength bounds a password in bytes.
	MaxLength = 1024
)

// Hash is a parsed PHC string. It prints redacted.
type Hash struct {
	memory, time uint32
	threads      uint8
	salt, key    []byte
}

// String hides the hash: it is what an offline attack starts from.
func (h *Hash) String() string { return "[password hash]" }

// GoString hides the hash from %#v.
func (h *Hash) GoString() string { return h.String() }

// New hashes a password with a fresh salt and the policy's parameters.
func New(password string) *Hash {
	h := &Hash{memory: 64 << 10, time: 3, threads: 4, salt: make([]byte, 16)}
	_, _ = rand.Read(h.salt) // never fails: crypto/rand aborts the program instead
	h.key = h.derive(password, 32)
	return h
}

// Decoy returns a hash of no password, for accounts that do not exist: checking
// against it takes as long as against the costliest of hashes.
func Decoy(hashes ...*Hash) *Hash {
	h := &Hash{memory: minMemory, time: 1, threads: 1, salt: make([]byte, 16), key: make([]byte, 32)}
	for _, other := range hashes {
		if cost(other) > cost(h) {
			h.memory, h.time, h.threads = other.memory, other.time, other.threads
		}
	}
	_, _ = rand.Read(h.salt)
	_, _ = rand.Read(h.key)
	return h
}

// cost is proportional to the time that a check takes.
func cost(h *Hash) uint64 { return uint64(h.memory) * uint64(h.time) }

// Parse reads a PHC string. The error never quotes it.
func Parse(phc string) (*Hash, error) {
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v=19" {
		return nil, errors.New("want $argon2id$v=19$m=65536,t=3,p=4$salt$hash")
	}
	var h Hash
	n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads)
	if err != nil || n != 3 || parts[3] != h.parameters() {
		return nil, errors.New("want parameters m=,t=,p= in decimal")
	}
	h.salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	if err != nil || len(h.salt) < minSalt || len(h.salt) > maxSalt {
		return nil, errors.New("want a salt of 8 to 64 bytes in unpadded base64")
	}
	h.key, err = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if err != nil || len(h.key) < minKey || len(h.key) > maxKey {
		return nil, errors.New("want a hash of 16 to 64 bytes in unpadded base64")
	}
	if h.memory < minMemory || h.memory > maxMemory || h.time < 1 || h.time > maxTime ||
		h.threads < 1 || h.threads > maxThreads {
		return nil, errors.New("want m from 19456 to 262144 KiB, t and p from 1 to 16")
	}
	if h.PHC() != phc { // encoding/base64 skips line breaks
		return nil, errors.New("want no line break")
	}
	return &h, nil
}

// Matches reports whether password is the hashed one. It takes as long for a
// wrong password as for a right one, and about 64 MiB of memory meanwhile:
// bound how many run at once.
func (h *Hash) Matches(password string) bool {
	if len(password) > MaxLength {
		return false
	}
	key := h.derive(password, uint32(len(h.key))) // #nosec G115 -- at most maxKey
	return subtle.ConstantTimeCompare(key, h.key) == 1
}

// PHC returns the string that Parse reads.
func (h *Hash) PHC() string {
	encode := base64.RawStdEncoding.EncodeToString
	return "$argon2id$v=19$" + h.parameters() + "$" + encode(h.salt) + "$" + encode(h.key)
}

func (h *Hash) parameters() string {
	return fmt.Sprintf("m=%d,t=%d,p=%d", h.memory, h.time, h.threads)
}

func (h *Hash) derive(password string, size uint32) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, size)
}
