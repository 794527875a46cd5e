package publish_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/opsmantik/sallyport/audit/publish"
)

// witness is a small one, by the text of https://c2sp.org/tlog-witness.
type witness struct {
	name   string
	key    ed25519.PrivateKey
	vkey   string
	log    note.Verifier
	mu     sync.Mutex
	last   tlog.Tree
	hung   chan struct{}                    // closed at the end of the test
	answer func(w http.ResponseWriter) bool // instead of the right one
}

func newWitness(t testing.TB, name string, log note.Verifier) *witness {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	key := append([]byte{4}, public...)
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	hung := make(chan struct{})
	return &witness{
		name: name, key: private, log: log, hung: hung,
		vkey: fmt.Sprintf("%s+%x+%s", name, sum[:4], base64.StdEncoding.EncodeToString(key)),
	}
}

func (w *witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	answer := w.answer
	w.mu.Unlock()
	if answer != nil && answer(rw) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	head, checkpoint, _ := bytes.Cut(body, []byte("\n\n"))
	n, err := note.Open(checkpoint, note.VerifierList(w.log))
	if err != nil || r.URL.Path != "/w/add-checkpoint" || r.Method != http.MethodPost {
		rw.WriteHeader(http.StatusForbidden)
		return
	}
	lines := strings.Split(string(head), "\n")
	tree, err := publish.ParseCheckpoint(checkpoint, origin, w.log, 0)
	if err != nil {
		rw.WriteHeader(http.StatusBadRequest)
		return
	}
	if lines[0] != fmt.Sprintf("old %d", w.last.N) {
		rw.WriteHeader(http.StatusConflict)
		_, _ = fmt.Fprintf(rw, "%d\n", w.last.N)
		return
	}
	if !w.consistent(tree, lines[1:]) {
		rw.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	w.last = tree
	_, _ = io.WriteString(rw, w.cosign(n.Text, time.Now().Unix()))
}

func (w *witness) consistent(tree tlog.Tree, lines []string) bool {
	var proof tlog.TreeProof
	for _, line := range lines {
		hash, _ := base64.StdEncoding.DecodeString(line)
		proof = append(proof, tlog.Hash(hash))
	}
	if w.last.N == 0 {
		return len(proof) == 0
	}
	if w.last.N == tree.N {
		return w.last == tree
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, w.last.N, w.last.Hash) == nil
}

func (w *witness) cosign(text string, at int64) string {
	signed := ed25519.Sign(w.key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, text))
	key := append([]byte{4}, w.key.Public().(ed25519.PublicKey)...)
	sum := sha256.Sum256(append([]byte(w.name+"\n"), key...))
	sig := append(sum[:4:4], binary.BigEndian.AppendUint64(nil, uint64(at))...)
	return fmt.Sprintf("— %s %s\n", w.name, base64.StdEncoding.EncodeToString(append(sig, signed...)))
}

// witnessed is a publisher of a store with 300 entries and n witnesses.
func witnessed(t *testing.T, n, quorum int) (publish.Config, *memory, []*witness) {
	t.Helper()
	cfg, store := config(t)
	cfg.Quorum, cfg.WitnessTimeout = quorum, 10*time.Second
	store.grow(300)
	var all []*witness
	for i := range n {
		w := newWitness(t, fmt.Sprintf("witness%d.example", i), cfg.Verifier)
		server := httptest.NewServer(w)
		t.Cleanup(func() { close(w.hung); server.Close() })
		verifier, err := publish.NewCosignatureVerifier(w.vkey)
		require.NoError(t, err)
		cfg.Witnesses = append(cfg.Witnesses, publish.Witness{URL: server.URL + "/w", Verifier: verifier})
		all = append(all, w)
	}
	return cfg, store, all
}

func verifiers(cfg publish.Config) []note.Verifier {
	var all []note.Verifier
	for _, w := range cfg.Witnesses {
		all = append(all, w.Verifier)
	}
	return all
}

// Witnesses that know nothing, the last tree or an older one all cosign.
func TestWitnessesCosign(t *testing.T) {
	t.Parallel()
	cfg, store, all := witnessed(t, 3, 3)
	p := newPublisher(t, cfg)
	for _, size := range []int{300, 301, 900} {
		store.grow(size)
		if size == 900 {
			all[1].last = tlog.Tree{} // it lost its memory
		}
		checkpoint, err := p.Publish(t.Context())
		require.NoError(t, err)
		tree, err := publish.ParseCheckpoint(checkpoint, origin, cfg.Verifier, 3, verifiers(cfg)...)
		require.NoError(t, err)
		require.EqualValues(t, size, tree.N)
		proof, err := p.Proof(t.Context(), 7)
		require.NoError(t, err)
		_, err = publish.VerifyProof(proof, store.entries[7], origin, cfg.Verifier, 3, verifiers(cfg)...)
		require.NoError(t, err)
	}
}

func TestWitnessesThatDoNotCosign(t *testing.T) {
	t.Parallel()
	status := func(code int, body string) func(http.ResponseWriter) bool {
		return func(w http.ResponseWriter) bool {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
			return true
		}
	}
	text := "audit.example.com/shop\n300\n"
	for name, tt := range map[string]struct {
		answer func(w *witness) func(http.ResponseWriter) bool
		want   error
	}{
		"down":      {func(*witness) func(http.ResponseWriter) bool { return status(503, "") }, publish.ErrUnwitnessed},
		"redirects": {func(*witness) func(http.ResponseWriter) bool { return status(307, "") }, publish.ErrUnwitnessed},
		"empty":     {func(*witness) func(http.ResponseWriter) bool { return status(200, "") }, publish.ErrUnwitnessed},
		"endless": {func(*witness) func(http.ResponseWriter) bool {
			return status(200, strings.Repeat("— x AAAA\n", 100_000))
		}, publish.ErrUnwitnessed},
		"another text": {func(w *witness) func(http.ResponseWriter) bool {
			return status(200, w.cosign(text, 1))
		}, publish.ErrUnwitnessed},
		"hangs": {func(w *witness) func(http.ResponseWriter) bool {
			return func(http.ResponseWriter) bool { <-w.hung; return true }
		}, publish.ErrUnwitnessed},
		"conflict without end": {func(*witness) func(http.ResponseWriter) bool {
			return status(409, "7\n")
		}, publish.ErrUnwitnessed},
		"conflict without a size": {func(*witness) func(http.ResponseWriter) bool {
			return status(409, "many")
		}, publish.ErrUnwitnessed},
		"saw more": {func(*witness) func(http.ResponseWriter) bool {
			return status(409, "301\n")
		}, publish.ErrInconsistent},
		"saw another": {func(*witness) func(http.ResponseWriter) bool {
			return status(422, "")
		}, publish.ErrInconsistent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, _, all := witnessed(t, 2, 2)
			if name == "hangs" {
				cfg.WitnessTimeout = time.Second
			}
			all[1].answer = tt.answer(all[1])
			p := newPublisher(t, cfg)
			_, err := p.Publish(t.Context())
			require.ErrorIs(t, err, tt.want)
			require.NoFileExists(t, filepath.Join(cfg.Dir, "checkpoint"))
			all[1].mu.Lock()
			all[1].answer = nil
			all[1].mu.Unlock()
			_, err = p.Publish(t.Context())
			require.NoError(t, err, "tried again")

			if tt.want == publish.ErrUnwitnessed {
				cfg.Quorum = 1
				require.NoError(t, os.Remove(filepath.Join(cfg.Dir, "checkpoint")))
				all[1].mu.Lock()
				all[1].answer = tt.answer(all[1])
				all[1].mu.Unlock()
				_, err = newPublisher(t, cfg).Publish(t.Context())
				require.NoError(t, err, "one of two is enough")
			}
		})
	}
}

// A log that was restored from a backup, its tiles and its signer with it.
func TestWitnessesNoticeARollback(t *testing.T) {
	t.Parallel()
	cfg, store, _ := witnessed(t, 1, 0)
	_, err := newPublisher(t, cfg).Publish(t.Context())
	require.NoError(t, err)
	store.entries = nil
	store.grow(200)
	cfg.Dir = filepath.Join(t.TempDir(), "restored")
	_, err = newPublisher(t, cfg).Publish(t.Context())
	require.ErrorIs(t, err, publish.ErrInconsistent)
	store.entries[5] = []byte("forked")
	store.grow(400)
	cfg.Dir = filepath.Join(t.TempDir(), "forked")
	_, err = newPublisher(t, cfg).Publish(t.Context())
	require.ErrorIs(t, err, publish.ErrInconsistent)
}

func TestVkeys(t *testing.T) {
	t.Parallel()
	_, log := key(t, origin)
	good := newWitness(t, "witness.example", log).vkey
	_, err := publish.NewCosignatureVerifier(good)
	require.NoError(t, err)
	_, plain, err := note.GenerateKey(nil, "witness.example")
	require.NoError(t, err)
	for _, bad := range []string{
		"", "witness.example", plain, "x" + good, good + "=", good[:len(good)-4], "+" + good,
		strings.Replace(good, "witness", "wit ness", 1), strings.Replace(good, "+", "+0", 1),
	} {
		_, err := publish.NewCosignatureVerifier(bad)
		require.Error(t, err, "%q", bad)
	}
}

func TestMalformedCheckpointsAndProofs(t *testing.T) {
	t.Parallel()
	cfg, store, _ := witnessed(t, 1, 1)
	p := newPublisher(t, cfg)
	checkpoint, err := p.Publish(t.Context())
	require.NoError(t, err)
	proof, err := p.Proof(t.Context(), 7)
	require.NoError(t, err)
	parse := func(data []byte) error {
		_, err := publish.ParseCheckpoint(data, origin, cfg.Verifier, 1, verifiers(cfg)...)
		return err
	}
	verify := func(data []byte) error {
		_, err := publish.VerifyProof(data, store.entries[7], origin, cfg.Verifier, 1, verifiers(cfg)...)
		return err
	}
	require.NoError(t, parse(checkpoint))
	require.NoError(t, verify(proof))
	extra := bytes.Replace(proof, []byte("index"), []byte("extra eA==\nindex"), 1)
	require.NoError(t, verify(extra), "extra data is ignored")
	for _, index := range []string{"300", "999", "-1", "07", "x", "9223372036854775808"} {
		bad := bytes.Replace(proof, []byte("index 7"), []byte("index "+index), 1)
		require.ErrorIs(t, verify(bad), publish.ErrMalformed, index)
	}
	_, err = publish.ParseCheckpoint(checkpoint, "another.example", cfg.Verifier, 0)
	require.ErrorIs(t, err, publish.ErrMalformed)
	// The last letter of a signature has bits that stand for nothing.
	spare := func(data []byte, i int) bool {
		return bytes.HasPrefix(data[i+1:], []byte("=")) && bytes.LastIndexByte(data[:i], '\n') ==
			bytes.LastIndex(data[:i], []byte("\n—"))
	}
	for i := range proof {
		if spare(proof, i) {
			continue
		}
		bad := bytes.Clone(proof)
		bad[i] ^= 1
		require.Error(t, verify(bad), "byte %d of %s", i, proof)
		require.Error(t, verify(proof[:i]))
	}
	for i := range checkpoint {
		if spare(checkpoint, i) {
			continue
		}
		bad := bytes.Clone(checkpoint)
		bad[i] ^= 1
		require.Error(t, parse(bad), "byte %d", i)
	}
	require.ErrorIs(t, parse(make([]byte, 1<<20)), publish.ErrMalformed)
	signer, verifier := key(t, origin)
	for _, text := range []string{
		origin + "\n", origin + "\n1\n", origin + "\n01\nAAAA\n", origin + "\n-1\nAAAA\n",
		origin + "\n1\n" + strings.Repeat("A", 43) + "=\nextension\n",
	} {
		signed, err := note.Sign(&note.Note{Text: text}, signer)
		require.NoError(t, err)
		_, err = publish.ParseCheckpoint(signed, origin, verifier, 0)
		require.ErrorIs(t, err, publish.ErrMalformed, "%q", text)
	}
}

func FuzzVerifyProof(f *testing.F) {
	_, log := key(f, origin)
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 7\n\n" + origin + "\n"))
	f.Add([]byte("c2sp.org/tlog-proof@v1\nextra eA==\nindex 7\nAAAA\n\n"))
	f.Fuzz(func(t *testing.T, proof []byte) {
		if _, err := publish.VerifyProof(proof, nil, origin, log, 0); err == nil {
			t.Fatalf("verified %q", proof)
		}
	})
}
