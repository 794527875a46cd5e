package publish

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const proofMagic = "c2sp.org/tlog-proof@v1\n"

// maxProof is the most hashes of an inclusion proof.
const maxProof = 63

// formatProof writes a proof (https://c2sp.org/tlog-proof).
func formatProof(index int64, proof tlog.RecordProof, checkpoint []byte) []byte {
	b := append([]byte(proofMagic), "index "...)
	b = append(strconv.AppendInt(b, index, 10), '\n')
	for _, hash := range proof {
		b = base64.StdEncoding.AppendEncode(b, hash[:])
		b = append(b, '\n')
	}
	return append(append(b, '\n'), checkpoint...)
}

// VerifyProof reports at which index the log of origin has the entry, or why the
// proof does not say so. It needs no network. See [ParseCheckpoint] for the keys.
func VerifyProof(
	proof, entry []byte, origin string, log note.Verifier, quorum int, witnesses ...note.Verifier,
) (index int64, err error) {
	head, checkpoint, found := bytes.Cut(proof, []byte("\n\n"))
	lines, magic := strings.CutPrefix(string(head), proofMagic)
	if !found || !magic || len(head) > maxNote {
		return 0, ErrMalformed
	}
	// Extra data has no meaning for this log, and nothing vouches for it.
	if strings.HasPrefix(lines, "extra ") {
		_, lines, _ = strings.Cut(lines, "\n")
	}
	index, hashes, err := parseProof(strings.Split(lines, "\n"))
	if err != nil {
		return 0, err
	}
	tree, err := ParseCheckpoint(checkpoint, origin, log, quorum, witnesses...)
	if err != nil {
		return 0, err
	}
	if index >= tree.N {
		return 0, fmt.Errorf("%w: index %d in a tree of %d", ErrMalformed, index, tree.N)
	}
	err = tlog.CheckRecord(hashes, tree.N, tree.Hash, index, tlog.RecordHash(entry))
	if err != nil {
		return 0, fmt.Errorf("publish: the entry is not in this tree: %w", err)
	}
	return index, nil
}

func parseProof(lines []string) (index int64, proof tlog.RecordProof, err error) {
	text, found := strings.CutPrefix(lines[0], "index ")
	index, err = strconv.ParseInt(text, 10, 64)
	if !found || err != nil || strconv.FormatInt(index, 10) != text || index < 0 ||
		len(lines) > 1+maxProof {
		return 0, nil, ErrMalformed
	}
	for _, line := range lines[1:] {
		hash, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(hash) != tlog.HashSize {
			return 0, nil, ErrMalformed
		}
		proof = append(proof, tlog.Hash(hash))
	}
	return index, proof, nil
}
