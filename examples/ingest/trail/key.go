package trail

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// key is the pair that signs checkpoints. Its name is the log's, for ever.
type key struct {
	signer   note.Signer
	verifier note.Verifier
	public   string // the verifier key, as tools for signed notes take it
}

// readKey reads the key in a file, and makes one under this name if there is no such
// file: the private key and the public one, a line each, for the owner alone.
func readKey(path, name string) (key, error) {
	text, err := os.ReadFile(path) // #nosec G304 -- the operator's setting
	if errors.Is(err, fs.ErrNotExist) {
		text, err = makeKey(path, name)
	}
	if err != nil {
		return key{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return key{}, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return key{}, fmt.Errorf("%s is open to others (mode %v); want 0600", path, info.Mode().Perm())
	}
	private, public, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	k := key{public: public}
	var errSigner, errVerifier error
	k.signer, errSigner = note.NewSigner(private)
	k.verifier, errVerifier = note.NewVerifier(public)
	if errSigner != nil || errVerifier != nil {
		return key{}, fmt.Errorf("%s does not hold a key of a signed note and its verifier", path)
	}
	return k, nil
}

// makeKey writes a new key, whole or not at all.
func makeKey(path, name string) ([]byte, error) {
	private, public, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return nil, err
	}
	text := []byte(private + "\n" + public + "\n")
	// Linked into place: of two first starts one makes the key, and both use it.
	partial, err := os.CreateTemp(filepath.Dir(path), ".audit-key-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(partial.Name()) }()
	_, err = partial.Write(text)
	if err = errors.Join(err, partial.Sync(), partial.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(partial.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(path) // #nosec G304
}
