package publish_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/publish"
)

const origin = "audit.example.com/shop"

// memory is a store that can be tampered with.
type memory struct {
	entries [][]byte
	head    *audit.Head // instead of the true one
}

func (m *memory) grow(n int) {
	for len(m.entries) < n {
		m.entries = append(m.entries, fmt.Appendf(nil, "entry %d", len(m.entries)))
	}
}

func (m *memory) Append(context.Context, audit.Record) (audit.Receipt, error) {
	return audit.Receipt{}, errors.ErrUnsupported
}

func (m *memory) Head(context.Context) (audit.Head, error) {
	if m.head != nil {
		return *m.head, nil
	}
	var head audit.Head
	for _, entry := range m.entries {
		head = head.Next(entry)
	}
	return head, nil
}

func (m *memory) Entries(_ context.Context, from int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, entry := range m.entries[from:] {
			if !yield(entry, nil) {
				return
			}
		}
	}
}

// key makes a signer and its verifier.
func key(t testing.TB, name string) (note.Signer, note.Verifier) {
	t.Helper()
	private, public, err := note.GenerateKey(nil, name)
	require.NoError(t, err)
	signer, err := note.NewSigner(private)
	require.NoError(t, err)
	verifier, err := note.NewVerifier(public)
	require.NoError(t, err)
	return signer, verifier
}

// config is a complete configuration over an empty store.
func config(t testing.TB) (publish.Config, *memory) {
	t.Helper()
	signer, verifier := key(t, origin)
	store := &memory{}
	return publish.Config{
		Origin: origin, Signer: signer, Verifier: verifier, Store: store,
		Dir: filepath.Join(t.TempDir(), "public"),
	}, store
}

func newPublisher(t testing.TB, cfg publish.Config) *publish.Publisher {
	t.Helper()
	p, err := publish.New(cfg)
	require.NoError(t, err)
	return p
}

// Every entry can be proved in every size that was published, across restarts, and
// x/mod's own client reads the tiles over HTTP.
func TestEveryEntryIsProved(t *testing.T) {
	t.Parallel()
	cfg, store := config(t)
	var old tlog.Tree
	for _, size := range []int{0, 1, 2, 255, 256, 257, 600, 33_000} {
		store.grow(size)
		p := newPublisher(t, cfg)
		checkpoint, err := p.Publish(t.Context())
		require.NoError(t, err)
		again, err := p.Publish(t.Context())
		require.NoError(t, err)
		require.Equal(t, checkpoint, again, "nothing new to sign")
		tree, err := publish.ParseCheckpoint(checkpoint, origin, cfg.Verifier, 0)
		require.NoError(t, err)
		require.EqualValues(t, size, tree.N)
		for i := 0; i < size; i += 1 + size/97 {
			proof, err := p.Proof(t.Context(), int64(i))
			require.NoError(t, err)
			index, err := publish.VerifyProof(proof, store.entries[i], origin, cfg.Verifier, 0)
			require.NoError(t, err)
			require.EqualValues(t, i, index)
			_, err = publish.VerifyProof(proof, []byte("another"), origin, cfg.Verifier, 0)
			require.Error(t, err)
		}
		_, err = p.Proof(t.Context(), int64(size))
		require.ErrorIs(t, err, fs.ErrNotExist)

		server := httptest.NewServer(p.Handler())
		reader := tlog.TileHashReader(tree, overHTTP{t, server.URL})
		if old.N > 0 {
			proof, err := tlog.ProveTree(tree.N, old.N, reader)
			require.NoError(t, err)
			require.NoError(t, tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash))
		}
		server.Close()
		old = tree
	}
	// The partial tiles of every published size are still there.
	for _, path := range []string{"tile/0/000.p/1", "tile/0/000.p/255", "tile/0/002.p/88", "tile/1/000.p/2"} {
		require.FileExists(t, filepath.Join(cfg.Dir, filepath.FromSlash(path)))
	}
}

// A file with the name of a full tile is full, and others are as wide as they say, also
// where a level begins (transparency-dev/tessera 1178 wrote one hash as tile/1/001).
func TestTilesAreAsWideAsTheySay(t *testing.T) {
	t.Parallel()
	cfg, store := config(t)
	p := newPublisher(t, cfg)
	for _, size := range []int{65_535, 65_536, 65_537, 66_000} {
		store.grow(size)
		_, err := p.Publish(t.Context())
		require.NoError(t, err)
	}
	n := 0
	require.NoError(t, filepath.WalkDir(filepath.Join(cfg.Dir, "tile"), func(
		path string, d fs.DirEntry, err error,
	) error {
		if err != nil || d.IsDir() || strings.Contains(path, "entries") {
			return err
		}
		info, err := d.Info()
		width := int64(256)
		if strings.HasSuffix(filepath.Dir(path), ".p") {
			_, errWidth := fmt.Sscan(d.Name(), &width)
			require.NoError(t, errWidth)
		}
		require.Equal(t, width*32, info.Size(), path)
		n++
		return err
	}))
	// Level 1 has partial ones of 128 (the middle of the first round), 255 and 1.
	require.Equal(t, 257+3+1+3+1, n, "full ones, and the partial ones of every size")
}

// overHTTP is a tlog.TileReader.
type overHTTP struct {
	t    *testing.T
	base string
}

func (o overHTTP) Height() int { return 8 }

func (o overHTTP) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(tiles))
	for i, tile := range tiles {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		rec := get(o.base, path)
		require.Equal(o.t, http.StatusOK, rec.Code, path)
		require.Equal(o.t, "application/octet-stream", rec.Header().Get("Content-Type"))
		all[i] = rec.Body.Bytes()
	}
	return all, nil
}

func (o overHTTP) SaveTiles([]tlog.Tile, [][]byte) {}

func get(base, path string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	response, err := http.Get(base + "/" + path) // #nosec G107 -- a test's own server
	if err != nil {
		rec.Code = 0
		return rec
	}
	defer func() { _ = response.Body.Close() }()
	rec.Code = response.StatusCode
	maps.Copy(rec.Header(), response.Header)
	_, _ = rec.Body.ReadFrom(response.Body)
	return rec
}

// Whatever is not an extension of what was signed is not signed.
func TestTheSignerRefuses(t *testing.T) {
	t.Parallel()
	for name, tamper := range map[string]func(t *testing.T, m *memory, dir string){
		"truncated": func(_ *testing.T, m *memory, _ string) { m.entries = m.entries[:299] },
		"emptied":   func(_ *testing.T, m *memory, _ string) { m.entries = nil },
		"an edit in the open tile": func(_ *testing.T, m *memory, _ string) {
			m.entries[299] = []byte("x")
			m.grow(301)
		},
		"an edit before it": func(_ *testing.T, m *memory, _ string) {
			m.entries[3] = []byte("x")
			m.grow(301)
		},
		"an edit, not grown": func(_ *testing.T, m *memory, _ string) { m.entries[0] = []byte("x") },
		"a removed entry": func(_ *testing.T, m *memory, _ string) {
			m.entries = append(m.entries[:7], m.entries[8:]...)
			m.grow(400)
		},
		"a head that lies": func(_ *testing.T, m *memory, _ string) {
			head := audit.Head{}
			for range 301 {
				head = head.Next([]byte("x"))
			}
			m.grow(301)
			m.head = &head
		},
		"a tile": func(t *testing.T, m *memory, dir string) {
			flip(t, filepath.Join(dir, "tile", "0", "001.p", "44"))
			m.grow(301)
		},
		"a missing tile": func(t *testing.T, m *memory, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "tile", "0", "001.p", "44")))
			m.grow(301)
		},
		"the signature": func(t *testing.T, m *memory, dir string) {
			flip(t, filepath.Join(dir, "signed"))
			m.grow(301)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, store := config(t)
			store.grow(300)
			p := newPublisher(t, cfg)
			_, err := p.Publish(t.Context())
			require.NoError(t, err)
			before, err := os.ReadFile(filepath.Join(cfg.Dir, "checkpoint"))
			require.NoError(t, err)
			tamper(t, store, cfg.Dir)
			_, err = p.Publish(t.Context())
			require.ErrorIs(t, err, publish.ErrInconsistent)
			after, err := os.ReadFile(filepath.Join(cfg.Dir, "checkpoint"))
			require.NoError(t, err)
			require.Equal(t, before, after)
		})
	}
}

// flip changes a byte in the middle of a file.
func flip(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path) // #nosec G304 -- the test's own file
	require.NoError(t, err)
	data[len(data)/2] ^= 1
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

// A crash after any of the files leaves what the next round continues from.
func TestACrashBetweenTheFiles(t *testing.T) {
	t.Parallel()
	cfg, store := config(t)
	store.grow(300)
	p := newPublisher(t, cfg)
	first, err := p.Publish(t.Context())
	require.NoError(t, err)
	store.grow(700)
	_, err = p.Publish(t.Context())
	require.NoError(t, err)
	// As if it had died after it signed, and then after it wrote the tiles.
	for _, file := range []string{"checkpoint", "signed"} {
		require.NoError(t, os.WriteFile(filepath.Join(cfg.Dir, file), first, 0o600))
		checkpoint, err := newPublisher(t, cfg).Publish(t.Context())
		require.NoError(t, err)
		tree, err := publish.ParseCheckpoint(checkpoint, origin, cfg.Verifier, 0)
		require.NoError(t, err)
		require.EqualValues(t, 700, tree.N)
	}
}

func TestOnPublish(t *testing.T) {
	t.Parallel()
	cfg, store := config(t)
	var sent []string
	fail := errors.New("no line")
	cfg.OnPublish = func(_ context.Context, checkpoint []byte) error {
		sent = append(sent, string(checkpoint))
		return fail
	}
	store.grow(1)
	p := newPublisher(t, cfg)
	_, err := p.Publish(t.Context())
	require.ErrorIs(t, err, fail)
	fail = nil
	for range 2 {
		_, err = p.Publish(t.Context())
		require.NoError(t, err)
	}
	require.Len(t, sent, 2, "again after a failure, and not again after that")
	require.Equal(t, sent[0], sent[1])
}

func TestHandlerServesNothingElse(t *testing.T) {
	t.Parallel()
	cfg, store := config(t)
	store.grow(300)
	p := newPublisher(t, cfg)
	_, err := p.Publish(t.Context())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(cfg.Dir, "secret"), []byte("x"), 0o600))
	for path, want := range map[string]int{
		"/checkpoint": 200, "/tile/0/000": 200, "/tile/0/001.p/44": 200, "/tile/entries/000": 200,
		"/tile/1/000.p/1": 200, "/signed": 404, "/secret": 404, "/": 404, "/tile/0/": 404,
		"/tile/0": 404, "/tile/0/001.p/45": 404, "/tile/64/000": 404, "/tile/00/000": 404,
		"/tile/0/000.p/256": 404, "/tile/0/000.p/0": 404, "/tile/0/../../secret": 404,
	} {
		rec := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path = path
		p.Handler().ServeHTTP(rec, r)
		require.Equal(t, want, rec.Code, path)
		kind, cache := rec.Header().Get("Content-Type"), rec.Header().Get("Cache-Control")
		switch {
		case path == "/checkpoint":
			require.Equal(t, "text/plain; charset=utf-8 no-cache", kind+" "+cache)
		case want == 200:
			require.Equal(t, "application/octet-stream", kind)
			require.Contains(t, cache, "immutable")
		}
	}
	rec := httptest.NewRecorder()
	p.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/checkpoint", nil))
	require.Equal(t, http.StatusMethodNotAllowed, rec.Code)
}

func TestNotConfigured(t *testing.T) {
	t.Parallel()
	for _, p := range []*publish.Publisher{nil, {}} {
		_, err := p.Publish(t.Context())
		require.ErrorContains(t, err, "not configured")
		_, err = p.Proof(t.Context(), 0)
		require.ErrorContains(t, err, "not configured")
		rec := httptest.NewRecorder()
		p.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/checkpoint", nil))
		require.Equal(t, http.StatusServiceUnavailable, rec.Code)
		require.Contains(t, rec.Body.String(), publish.CodePublishingNotConfigured)
	}
}

func TestConfigProblems(t *testing.T) {
	t.Parallel()
	_, err := publish.New(publish.Config{
		Origin: "https://x/", Quorum: 1, WitnessTimeout: 1,
		Witnesses: nil,
	})
	for _, field := range []string{
		"Origin", "Store", "Dir", "Signer", "Verifier", "Quorum", "WitnessTimeout",
	} {
		require.ErrorContains(t, err, "audit: "+field+":")
	}
	cfg, _ := config(t)
	cfg.Verifier = nil
	_, err = publish.New(cfg)
	require.ErrorContains(t, err, "audit: Verifier:")
	_, cfg.Verifier = key(t, origin)
	cfg.Witnesses = []publish.Witness{{URL: "http://witness.example"}}
	_, err = publish.New(cfg)
	for _, field := range []string{"Signer", "Witnesses[0].Verifier", "Witnesses[0].URL"} {
		require.ErrorContains(t, err, "audit: "+field+":")
	}
}
