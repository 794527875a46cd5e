package publish

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// ErrMalformed is matched by errors for bytes that are no checkpoint or proof of the
// wanted origin and keys.
var ErrMalformed = errors.New("publish: malformed or not signed by the wanted key")

// maxNote bounds what is read as a checkpoint: a body and some hundred signatures.
const maxNote = 64 << 10

// body is the text that is signed (https://c2sp.org/tlog-checkpoint).
func body(origin string, tree tlog.Tree) string {
	return fmt.Sprintf("%s\n%d\n%s\n", origin, tree.N,
		base64.StdEncoding.EncodeToString(tree.Hash[:]))
}

// parseBody accepts exactly what body writes, so no extension lines.
func parseBody(text, origin string) (tlog.Tree, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 {
		return tlog.Tree{}, ErrMalformed
	}
	n, errN := strconv.ParseInt(lines[1], 10, 64)
	hash, errHash := base64.StdEncoding.DecodeString(lines[2])
	if errN != nil || errHash != nil || len(hash) != tlog.HashSize {
		return tlog.Tree{}, ErrMalformed
	}
	tree := tlog.Tree{N: n, Hash: tlog.Hash(hash)}
	if n < 0 || body(origin, tree) != text {
		return tlog.Tree{}, ErrMalformed
	}
	return tree, nil
}

// ParseCheckpoint returns the tree of a checkpoint of that origin, which log signed
// and at least quorum of the witnesses cosigned.
func ParseCheckpoint(
	checkpoint []byte, origin string, log note.Verifier, quorum int, witnesses ...note.Verifier,
) (tlog.Tree, error) {
	tree, _, err := openCheckpoint(checkpoint, origin, log, quorum, witnesses...)
	return tree, err
}

func openCheckpoint(
	checkpoint []byte, origin string, log note.Verifier, quorum int, witnesses ...note.Verifier,
) (tlog.Tree, *note.Note, error) {
	if len(checkpoint) > maxNote {
		return tlog.Tree{}, nil, ErrMalformed
	}
	known := note.VerifierList(append([]note.Verifier{log}, witnesses...)...)
	n, err := note.Open(checkpoint, known)
	if err != nil {
		return tlog.Tree{}, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	signed, cosigned := false, map[string]bool{}
	for _, sig := range n.Sigs {
		if sig.Name == log.Name() && sig.Hash == log.KeyHash() {
			signed = true
			continue
		}
		cosigned[sig.Name] = true // two keys of one witness are one witness
	}
	if !signed || len(cosigned) < quorum {
		return tlog.Tree{}, nil, fmt.Errorf("%w: %d of %d witnesses", ErrMalformed, len(cosigned), quorum)
	}
	tree, err := parseBody(n.Text, origin)
	return tree, n, err
}
