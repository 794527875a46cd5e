// Package audit_test shows our log to tools that others wrote: torchwood, the tile
// client of golang.org/x/mod, and the Merkle proofs and formats of transparency-dev.
package audit_test

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/bits"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"github.com/stretchr/testify/require"
	formatslog "github.com/transparency-dev/formats/log"
	formatsnote "github.com/transparency-dev/formats/note"
	formatsproof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/publish"
)

const origin = "audit.example.com/shop"

func record(id string) audit.Record {
	return audit.Record{
		Time:    time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC),
		Actor:   audit.Ref{Kind: "user", ID: "u_81"},
		Tenant:  "s1",
		Action:  "calls.seal",
		Target:  audit.Ref{Kind: "call", ID: id},
		Outcome: audit.OutcomeSuccess,
		Fields:  []audit.Field{{Name: "from", Value: "open", Class: sallyport.Internal}},
	}
}

// published is a log of some records, published.
type published struct {
	log        *audit.Log
	publisher  *publish.Publisher
	checkpoint []byte
	tree       tlog.Tree
	verifier   note.Verifier
	url        string
}

// publishLog writes size records and publishes them in three steps.
func publishLog(t testing.TB, size int) published {
	t.Helper()
	private, public, err := note.GenerateKey(nil, origin)
	require.NoError(t, err)
	signer, err := note.NewSigner(private)
	require.NoError(t, err)
	p := published{}
	p.verifier, err = note.NewVerifier(public)
	require.NoError(t, err)
	p.log, err = audit.New(audit.Config{Dir: filepath.Join(t.TempDir(), "log"), Queue: size})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.log.Close()) })
	p.publisher, err = publish.New(publish.Config{
		Origin: origin, Signer: signer, Verifier: p.verifier, Store: p.log,
		Dir: filepath.Join(t.TempDir(), "public"),
	})
	require.NoError(t, err)
	done := 0
	for _, until := range []int{size / 3, size / 2, size} {
		appendAll(t, p.log, done, until)
		p.checkpoint, err = p.publisher.Publish(t.Context())
		require.NoError(t, err)
		done = until
	}
	p.tree, err = publish.ParseCheckpoint(p.checkpoint, origin, p.verifier, 0)
	require.NoError(t, err)
	server := httptest.NewServer(p.publisher.Handler())
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// appendAll appends the records from, from+1 ... in any order, many at a time.
func appendAll(t testing.TB, log *audit.Log, from, until int) {
	t.Helper()
	errs := make(chan error, 64)
	for worker := range 64 {
		go func() {
			var err error
			for i := from + worker; i < until && err == nil; i += 64 {
				_, err = log.Append(t.Context(), record(fmt.Sprint(i)))
			}
			errs <- err
		}()
	}
	for range 64 {
		require.NoError(t, <-errs)
	}
}

// torchwood reads every entry over HTTP and authenticates each against the checkpoint.
func TestTorchwoodReadsTheWholeLog(t *testing.T) {
	t.Parallel()
	const size = 3000
	p := publishLog(t, size)
	policy := torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(origin),
		torchwood.SingleVerifierPolicy(p.verifier))
	checkpoint, _, err := torchwood.VerifyCheckpoint(p.checkpoint, policy)
	require.NoError(t, err)
	require.Equal(t, p.tree, checkpoint.Tree)
	fetcher, err := torchwood.NewTileFetcher(p.url)
	require.NoError(t, err)
	client, err := torchwood.NewClient(fetcher)
	require.NoError(t, err)
	n := int64(0)
	ours := map[int64]string{}
	for entry, err := range p.log.Entries(t.Context(), 0) {
		require.NoError(t, err)
		ours[n] = string(entry)
		n++
	}
	n = 0
	for index, entry := range client.AllEntries(t.Context(), checkpoint.Tree, 0) {
		require.Equal(t, n, index)
		require.Equal(t, ours[index], string(entry))
		_, err := audit.Parse(entry)
		require.NoError(t, err)
		n++
	}
	require.NoError(t, client.Err())
	require.EqualValues(t, size, n)
}

// Each proof of ours is one for torchwood, formats and merkle, and the other way round.
func TestOthersVerifyOurProofs(t *testing.T) {
	t.Parallel()
	p := publishLog(t, 700)
	policy := torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(origin),
		torchwood.SingleVerifierPolicy(p.verifier))
	index := int64(0)
	for entry, err := range p.log.Entries(t.Context(), 0) {
		require.NoError(t, err)
		ours, err := p.publisher.Proof(t.Context(), index)
		require.NoError(t, err)
		require.NoError(t, torchwood.VerifyProof(policy, tlog.RecordHash(entry), ours))
		require.Error(t, torchwood.VerifyProof(policy, tlog.RecordHash([]byte("x")), ours))

		var theirs formatsproof.TLogProof
		require.NoError(t, theirs.Unmarshal(ours))
		require.Equal(t, string(ours), string(theirs.Marshal()))
		hashes := make([][]byte, len(theirs.Hashes))
		for i := range theirs.Hashes {
			hashes[i] = theirs.Hashes[i][:]
		}
		require.NoError(t, proof.VerifyInclusion(rfc6962.DefaultHasher, theirs.Index,
			uint64(p.tree.N), rfc6962.DefaultHasher.HashLeaf(entry), hashes, p.tree.Hash[:]))

		back, err := publish.VerifyProof(theirs.Marshal(), entry, origin, p.verifier, 0)
		require.NoError(t, err)
		require.Equal(t, index, back)
		index++
	}
	parsed, _, _, err := formatslog.ParseCheckpoint(p.checkpoint, origin, p.verifier)
	require.NoError(t, err)
	require.EqualValues(t, p.tree.N, parsed.Size)
	require.Equal(t, p.tree.Hash[:], parsed.Hash)
}

// Cosignatures of torchwood's and formats' signers are those that we check.
func TestOthersCosign(t *testing.T) {
	t.Parallel()
	p := publishLog(t, 10)
	_, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	torch, err := torchwood.NewCosignatureSigner("witness.example", key)
	require.NoError(t, err)
	ours, err := publish.NewCosignatureVerifier(torch.Verifier().String())
	require.NoError(t, err)
	skey, _, err := note.GenerateKey(nil, "second.example")
	require.NoError(t, err)
	second, err := formatsnote.NewSignerForCosignatureV1(skey)
	require.NoError(t, err)
	require.Equal(t, torch.Verifier().KeyHash(), ours.KeyHash())

	n, err := note.Open(p.checkpoint, note.VerifierList(p.verifier))
	require.NoError(t, err)
	cosigned, err := note.Sign(n, torch, second)
	require.NoError(t, err)
	tree, err := publish.ParseCheckpoint(cosigned, origin, p.verifier, 2, ours, second.Verifier())
	require.NoError(t, err)
	require.Equal(t, p.tree, tree)
	_, err = publish.ParseCheckpoint(p.checkpoint, origin, p.verifier, 1, ours)
	require.ErrorIs(t, err, publish.ErrMalformed)
	forged := strings.Replace(string(cosigned), "\n10\n", "\n11\n", 1)
	_, err = publish.ParseCheckpoint([]byte(forged), origin, p.verifier, 0)
	require.ErrorIs(t, err, publish.ErrMalformed)
}

// TestMerkleVectors runs the vectors of github.com/transparency-dev/merkle, which are
// not kept here, through the functions that our proofs are checked with:
//
//	MERKLE_TESTDATA=.../merkle/testdata go test ./audit -run Vectors
func TestMerkleVectors(t *testing.T) {
	dir := os.Getenv("MERKLE_TESTDATA")
	if dir == "" {
		t.Skip("MERKLE_TESTDATA is not set")
	}
	counts := map[string]int{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".json" {
			return err
		}
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		kind := strings.Split(strings.TrimPrefix(path, dir+"/"), "/")[0]
		counts[kind]++
		var v vector
		require.NoError(t, json.Unmarshal(data, &v), path)
		err, asked := v.check(kind)
		if !asked {
			counts["not asked of "+kind]++
			return nil
		}
		if v.WantErr != (err != nil) {
			t.Errorf("%s: %s: %v", path, v.Desc, err)
		}
		return nil
	})
	require.NoError(t, err)
	t.Log(counts)
	require.Positive(t, counts["inclusion"])
	require.Positive(t, counts["consistency"])
}

// vector is one of any kind. Numbers may be beyond an int64, and hashes of any length.
type vector struct {
	LeafIdx, TreeSize uint64
	Size1, Size2      uint64
	Start, End, Size  uint64
	Root, LeafHash    []byte
	Root1, Root2      []byte
	Proof             [][]byte
	Desc              string
	WantErr           bool
}

// check answers whether the vector's proof proves what it says. Not asked is whether
// a tree extends the empty one, whether a subtree that does not begin at 0 is
// consistent (mirrors need that; a log does not), and what is valid with roots that
// are no hashes (three vectors compare roots of one size as strings).
func (v vector) check(kind string) (err error, asked bool) {
	hashes, ok := hashesOf(v.Proof)
	if !ok {
		return errors.New("a hash of another length"), true
	}
	switch kind {
	case "inclusion":
		return inclusion(hashes, v.LeafIdx, v.TreeSize, v.Root, v.LeafHash), true
	case "subtreeinclusion":
		// A subtree is a tree of its own.
		if v.Start > v.LeafIdx || v.End < v.Start || !validSubtree(v.Start, v.End) {
			return errors.New("not in a valid subtree"), true
		}
		return inclusion(hashes, v.LeafIdx-v.Start, v.End-v.Start, v.Root, v.LeafHash), true
	case "consistency":
		return consistency(hashes, v.Size1, v.Size2, v.Root1, v.Root2), v.askable(v.Size1)
	case "subtreeconsistency":
		if v.Start > 0 {
			return nil, false // counted
		}
		return consistency(hashes, v.End, v.Size, v.Root1, v.Root2), v.askable(v.End)
	}
	return nil, false
}

func (v vector) askable(old uint64) bool {
	_, hashes := hashesOf([][]byte{v.Root1, v.Root2})
	return v.WantErr || old > 0 && hashes
}

// validSubtree is the rule of draft-ietf-plants-merkle-tree-certs section 4.1.
func validSubtree(start, end uint64) bool {
	size := end - start
	return size > 0 && start&(1<<bits.Len64(size-1)-1) == 0
}

func inclusion(proof []tlog.Hash, index, size uint64, root, leaf []byte) error {
	ends, ok := hashesOf([][]byte{root, leaf})
	if !ok || size > math.MaxInt64 || index >= size {
		return errors.New("numbers or hashes that no log has")
	}
	return tlog.CheckRecord(proof, int64(size), ends[0], int64(index), ends[1])
}

func consistency(proof []tlog.Hash, old, size uint64, root1, root2 []byte) error {
	ends, ok := hashesOf([][]byte{root1, root2})
	if !ok || size > math.MaxInt64 || old > size {
		return errors.New("numbers or hashes that no log has")
	}
	return tlog.CheckTree(proof, int64(size), ends[1], int64(old), ends[0])
}

func hashesOf(raw [][]byte) (all []tlog.Hash, ok bool) {
	for _, b := range raw {
		if len(b) != tlog.HashSize {
			return nil, false
		}
		all = append(all, tlog.Hash(b))
	}
	return all, true
}
