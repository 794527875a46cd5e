package envelope

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"sync"
)

// Sizes in bytes.
const (
	keySize    = 32
	nonceSize  = 12
	tagSize    = 16
	saltSize   = 32
	handleSize = 16

	// CommitSize is the length of a commitment: SHA-256, so that nobody finds two keys
	// with the same one.
	CommitSize = sha256.Size
)

// dataKey is a data key unwrapped. Root is zeroed when the cache gives it up.
type dataKey struct {
	commit [CommitSize]byte
	aead   cipher.AEAD
	root   [keySize]byte // of files
	dead   bool
}

// newDataKey derives what a secret is used for. GCM alone does not commit to its key: a
// ciphertext can be made that opens under two (https://eprint.iacr.org/2020/1456). So
// each ciphertext names its key by a value that two keys cannot share.
//
//	secret (32 random bytes, wrapped by the KEK)
//	  ├─ HKDF "encrypt"  AES-256-GCM of cells
//	  ├─ HKDF "commit"   in the record and in every header
//	  └─ HKDF "file"     with a random salt per file: AES-256-GCM of its chunks
func newDataKey(secret []byte) (*dataKey, error) {
	derive := func(purpose string) ([]byte, error) {
		return hkdf.Expand(sha256.New, secret, "sallyport envelope v1 "+purpose, keySize)
	}
	commit, err := derive("commit")
	if err != nil {
		return nil, err
	}
	root, err := derive("file")
	if err != nil {
		return nil, err
	}
	encrypt, err := derive("encrypt")
	if err != nil {
		return nil, err
	}
	defer clear(encrypt)
	defer clear(root)
	aead, err := newGCM(encrypt)
	if err != nil {
		return nil, err
	}
	return &dataKey{
		commit: [CommitSize]byte(commit), aead: aead, root: [keySize]byte(root),
	}, nil
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// newSecret returns 32 random bytes.
func newSecret() []byte {
	secret := make([]byte, keySize)
	_, _ = rand.Read(secret) // never fails: it ends the program instead
	return secret
}

func newHandle() string {
	var b [handleSize]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// appendParts writes each part after its length, so that no two lists of parts read the
// same: ("ab", "c") is not ("a", "bc").
func appendParts(b []byte, parts ...string) []byte {
	for _, part := range parts {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return b
}

// wrapAAD binds a wrapped key to its owner.
func wrapAAD(owner Owner) []byte {
	return appendParts(nil, "sallyport envelope v1 key", owner.Site, owner.Subject)
}

// scratch are buffers for additional data: what goes through cipher.AEAD, an interface,
// would be allocated anew each time.
var scratch = sync.Pool{New: func() any { return new([]byte) }}
