package envelope

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// localKEK wraps with a key in a file.
type localKEK struct {
	id   string
	aead cipher.AEAD
}

// LocalKEK returns a KEK from a file that holds 32 bytes in base64, readable by its owner
// alone. If there is no such file, it is made. This is for development: a key that lies
// beside the data it protects protects it from nothing but a careless copy.
func LocalKEK(path string) (KEK, error) {
	if err := makeKEK(path); err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("envelope: %s is open to others (mode %v); want 0600", path,
			info.Mode().Perm())
	}
	text, err := os.ReadFile(path) // #nosec G304 -- the operator names it
	if err != nil {
		return nil, err
	}
	defer clear(text)
	key, err := base64.StdEncoding.Strict().DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(key) != keySize {
		return nil, fmt.Errorf("envelope: %s does not hold 32 bytes in base64", path)
	}
	defer clear(key)
	aead, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append([]byte("sallyport envelope v1 local kek"), key...))
	return &localKEK{id: "local:" + hex.EncodeToString(sum[:8]), aead: aead}, nil
}

// makeKEK makes the file if it is not there, whole or not at all.
func makeKEK(path string) error {
	// #nosec G304 -- the operator names it
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	secret := newSecret()
	defer clear(secret)
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(secret) + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// ID implements [KEK].
func (k *localKEK) ID() string { return k.id }

// Wrap implements [KEK].
func (k *localKEK) Wrap(_ context.Context, key, aad []byte) ([]byte, error) {
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce)                         // never fails: it ends the program instead
	return k.aead.Seal(nonce, nonce, key, aad), nil // #nosec G407 -- random, above
}

// Unwrap implements [KEK].
func (k *localKEK) Unwrap(_ context.Context, wrapped, aad []byte) ([]byte, error) {
	if len(wrapped) < nonceSize {
		return nil, ErrOpen
	}
	key, err := k.aead.Open(nil, wrapped[:nonceSize], wrapped[nonceSize:], aad)
	if err != nil {
		return nil, ErrOpen
	}
	return key, nil
}
