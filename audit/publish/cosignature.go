package publish

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// algCosignature is the kind of key of https://c2sp.org/tlog-cosignature in a vkey.
const algCosignature = 4

type cosignatureVerifier struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

// NewCosignatureVerifier returns the verifier of an Ed25519 cosignature
// (https://c2sp.org/tlog-cosignature) from a witness's vkey,
// "witness.example/w1+1c4a92f6+BJ2...".
func NewCosignatureVerifier(vkey string) (note.Verifier, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	hash16, key64, _ := strings.Cut(rest, "+")
	hash, errHash := strconv.ParseUint(hash16, 16, 32)
	key, errKey := base64.StdEncoding.DecodeString(key64)
	switch {
	case errHash != nil || errKey != nil || len(hash16) != 8 || !validName(name):
		return nil, errors.New("publish: malformed vkey")
	case len(key) != 1+ed25519.PublicKeySize || key[0] != algCosignature:
		return nil, errors.New("publish: not the vkey of an Ed25519 cosignature")
	case uint32(hash) != keyHash(name, key): // #nosec G115 -- parsed as 32 bits
		return nil, errors.New("publish: the hash in the vkey is wrong")
	}
	return &cosignatureVerifier{name: name, hash: uint32(hash), key: key[1:]}, nil // #nosec G115
}

func keyHash(name string, key []byte) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	return binary.BigEndian.Uint32(sum[:])
}

func (v *cosignatureVerifier) Name() string    { return v.name }
func (v *cosignatureVerifier) KeyHash() uint32 { return v.hash }

// Verify checks eight bytes of time and the signature of the message with that time
// before it. A cosignature says "this is the newest tree of this log that I saw at
// that time", so the time is never zero.
func (v *cosignatureVerifier) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	at := binary.BigEndian.Uint64(sig)
	signed := fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, msg)
	return at != 0 && ed25519.Verify(v.key, signed, sig[8:])
}
