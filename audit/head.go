package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Head is the growing end of a tree: its size and what is needed to append to it.
// It is an immutable value; the zero value is the empty tree. Store its text
// beside the entries, and its [Head.Tree] out of their owner's reach.
type Head struct {
	size int64
	edge []tlog.Hash // roots of the largest full subtrees, left to right
}

// Next returns the head after one more entry. It does no I/O, so it belongs inside
// the transaction that reads the head, performs the action, and stores the entry
// and the new head.
func (h Head) Next(entry []byte) Head {
	next := h.clone()
	next.grow(tlog.RecordHash(entry))
	return next
}

// clone returns a head that may be grown in place, with room for one more entry.
func (h Head) clone() Head {
	return Head{size: h.size, edge: append(make([]tlog.Hash, 0, len(h.edge)+1), h.edge...)}
}

// grow adds a leaf in place. Equal trees of equal size join into one (RFC 6962
// section 2.1, https://www.rfc-editor.org/rfc/rfc6962#section-2.1), as a carry
// ripples through a counter.
func (h *Head) grow(leaf tlog.Hash) {
	for n := h.size; n&1 == 1; n >>= 1 { // a one bit is a full subtree of that size
		last := len(h.edge) - 1
		leaf, h.edge = tlog.NodeHash(h.edge[last], leaf), h.edge[:last]
	}
	h.size, h.edge = h.size+1, append(h.edge, leaf)
}

func (h Head) equal(other Head) bool {
	return h.size == other.size && slices.Equal(h.edge, other.edge)
}

// Size returns the number of entries.
func (h Head) Size() int64 { return h.size }

// Tree returns the size and the root hash: what to publish and verify against.
func (h Head) Tree() tlog.Tree {
	last := len(h.edge) - 1
	if last < 0 {
		return tlog.Tree{Hash: sha256.Sum256(nil)}
	}
	root := h.edge[last]
	// From the right: an incomplete subtree joins the full one on its left.
	for i := last - 1; i >= 0; i-- {
		root = tlog.NodeHash(h.edge[i], root)
	}
	return tlog.Tree{N: h.size, Hash: root}
}

// MarshalText returns the text form of the package documentation.
func (h Head) MarshalText() ([]byte, error) {
	b := strconv.AppendInt(nil, h.size, 10)
	for _, hash := range h.edge {
		b = hex.AppendEncode(append(b, ' '), hash[:])
	}
	return b, nil
}

// UnmarshalText accepts exactly what MarshalText returns.
func (h *Head) UnmarshalText(text []byte) error {
	size, rest, _ := strings.Cut(string(text), " ")
	n, _ := strconv.ParseInt(size, 10, 64) // comparing finds what does not parse
	if n < 0 {
		return errHead
	}
	next, full := Head{size: n}, bits.OnesCount64(uint64(n)) // #nosec G115 -- n >= 0
	for word := range strings.FieldsSeq(rest) {
		var hash tlog.Hash
		raw, _ := hex.DecodeString(word)
		if len(raw) != len(hash) || len(next.edge) == full {
			return errHead
		}
		next.edge = append(next.edge, tlog.Hash(raw))
	}
	// Comparing also refuses a wrong number of hashes and any other spelling.
	again, _ := next.MarshalText()
	if len(next.edge) != full || string(again) != string(text) {
		return errHead
	}
	*h = next
	return nil
}

var errHead = errors.New("audit: malformed head")

// Verify reports whether entries are exactly those that want was made of: each
// unchanged, in order, none missing, none added. The error matches [ErrTampered],
// or is the one that entries yielded. To check an older tree against a log that has
// grown, pass the first want.N entries.
//
// Want must come from where the owner of the entries cannot write. A head that is
// stored beside them only finds accidents.
func Verify(entries iter.Seq2[[]byte, error], want tlog.Tree) error {
	var head Head
	for entry, err := range entries {
		if err != nil {
			return err
		}
		if head.size == want.N {
			return fmt.Errorf("%w: more than %d entries", ErrTampered, want.N)
		}
		head.grow(tlog.RecordHash(entry))
	}
	got := head.Tree()
	if got.N != want.N {
		return fmt.Errorf("%w: %d entries, want %d", ErrTampered, got.N, want.N)
	}
	if got.Hash != want.Hash {
		return fmt.Errorf("%w: an entry was changed, moved or replaced", ErrTampered)
	}
	return nil
}
