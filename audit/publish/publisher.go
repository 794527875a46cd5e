package publish

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// ErrInconsistent is matched when the log is not an extension of what was signed
// before. Nothing was signed. Somebody rolled back or changed the log, the tiles or
// the signer's own directory: compare them with a checkpoint that was kept elsewhere.
var ErrInconsistent = errors.New("publish: the log is not an extension of the last checkpoint")

// ErrUnwitnessed is matched when fewer witnesses than the quorum cosigned. The
// checkpoint is signed and not published; the next call tries again.
var ErrUnwitnessed = errors.New("publish: too few cosignatures")

// errNotConfigured is the answer of a publisher that New did not make.
var errNotConfigured = errors.New("publish: not configured: make the Publisher with New")

// roundEntries bounds what is held in memory at once. It is a whole number of tiles.
const roundEntries = 256 * tileWidth / 2

// Publisher signs and publishes a log. It is safe for concurrent use; the zero value
// and nil fail.
type Publisher struct {
	cfg   Config
	files files
	mu    sync.Mutex // one round at a time
	sent  bool       // whether OnPublish took the last checkpoint
}

// New checks the configuration and what was signed before. Problems of the Config are
// [*sallyport.ConfigError].
func New(cfg Config) (*Publisher, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	p := &Publisher{cfg: cfg, files: files{cfg.Dir}}
	if err := p.files.makeDir(cfg.Dir); err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	_, _, err := p.last("signed")
	return p, err
}

// last returns the checkpoint in a file; the empty tree if there is none.
func (p *Publisher) last(file string) (tlog.Tree, []byte, error) {
	data, err := p.files.read(file)
	if errors.Is(err, fs.ErrNotExist) {
		return tlog.Tree{Hash: sha256.Sum256(nil)}, nil, nil
	}
	if err != nil {
		return tlog.Tree{}, nil, fmt.Errorf("publish: %w", err)
	}
	tree, err := ParseCheckpoint(data, p.cfg.Origin, p.cfg.Verifier, 0)
	if err != nil {
		err = fmt.Errorf("%w: the file %q: %w", ErrInconsistent, file, err)
	}
	return tree, data, err
}

// Publish signs the durable head of the log, and returns the checkpoint that is
// published now. If the log has not grown, that is the last one.
//
// The tiles are written first, then the signature, then the cosignatures are asked
// for, and then readers see the checkpoint. A crash between any two of these leaves
// nothing that the next call does not continue.
func (p *Publisher) Publish(ctx context.Context) ([]byte, error) {
	if p == nil || p.cfg.Store == nil {
		return nil, errNotConfigured
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	signed, checkpoint, err := p.extend(ctx)
	if err != nil {
		return nil, err
	}
	public, published, err := p.last("checkpoint")
	if err != nil {
		return nil, err
	}
	if published == nil || public != signed {
		if published, err = p.cosign(ctx, signed, checkpoint); err != nil {
			return nil, err
		}
		if err := p.files.write("checkpoint", published); err != nil {
			return nil, fmt.Errorf("publish: %w", err)
		}
		p.sent = false
	}
	if !p.sent && p.cfg.OnPublish != nil {
		if err := p.cfg.OnPublish(ctx, published); err != nil {
			return published, fmt.Errorf("publish: OnPublish: %w", err)
		}
	}
	p.sent = true
	return published, nil
}

// extend writes tiles up to the head of the log and signs it.
func (p *Publisher) extend(ctx context.Context) (tlog.Tree, []byte, error) {
	old, checkpoint, err := p.last("signed")
	if err != nil {
		return old, nil, err
	}
	head, err := p.cfg.Store.Head(ctx)
	if err != nil {
		return old, nil, fmt.Errorf("publish: %w", err)
	}
	want := head.Tree()
	switch {
	case want == old && checkpoint != nil:
		return old, checkpoint, nil
	case want.N < old.N:
		return old, nil, fmt.Errorf("%w: it has %d entries, %d are signed", ErrInconsistent, want.N, old.N)
	case want.N == old.N && want != old:
		return old, nil, fmt.Errorf("%w: another root at %d entries", ErrInconsistent, old.N)
	}
	if err := p.writeTiles(ctx, old, want); err != nil {
		return old, nil, err
	}
	checkpoint, err = note.Sign(&note.Note{Text: body(p.cfg.Origin, want)}, p.cfg.Signer)
	if err != nil {
		return old, nil, fmt.Errorf("publish: sign: %w", err)
	}
	if err := p.files.write("signed", checkpoint); err != nil {
		return old, nil, fmt.Errorf("publish: %w", err)
	}
	return want, checkpoint, nil
}

// writeTiles brings the files from old to want, and proves that the one extends the
// other.
func (p *Publisher) writeTiles(ctx context.Context, old, want tlog.Tree) error {
	at := old
	for at.N < want.N {
		next, err := p.round(ctx, at, min(want.N, (at.N/roundEntries+1)*roundEntries))
		if err != nil {
			return err
		}
		at = next
	}
	if at != want {
		return fmt.Errorf("%w: the entries do not add up to its head", ErrInconsistent)
	}
	if old.N == 0 || old.N == want.N {
		return nil
	}
	proof, err := tlog.ProveTree(want.N, old.N, tlog.TileHashReader(want, p.files.tiles()))
	if err == nil {
		err = tlog.CheckTree(proof, want.N, want.Hash, old.N, old.Hash)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInconsistent, err)
	}
	return nil
}

// round writes the tiles that the entries up to size fill or begin.
func (p *Publisher) round(ctx context.Context, old tlog.Tree, size int64) (tlog.Tree, error) {
	hashes := &stored{fresh: make(map[int64]tlog.Hash, 2*(size-old.N)+tileWidth)}
	if old.N > 0 {
		hashes.old = tlog.TileHashReader(old, p.files.tiles())
	}
	if err := p.readEntries(ctx, old.N, size, hashes); err != nil {
		return old, err
	}
	for _, t := range tlog.NewTiles(height, old.N, size) {
		data, err := tlog.ReadTileData(t, hashes)
		if err == nil {
			err = p.files.write(tilePath(t), data)
		}
		if err != nil {
			return old, fmt.Errorf("publish: %w", err)
		}
	}
	root, err := tlog.TreeHash(size, hashes)
	return tlog.Tree{N: size, Hash: root}, err
}

// readEntries hashes the entries from the beginning of the first unfinished tile on,
// and writes the bundles.
func (p *Publisher) readEntries(ctx context.Context, from, size int64, hashes *stored) error {
	n := from - from%tileWidth
	signed, err := signedLeaves(hashes, n, from)
	if err != nil {
		return err
	}
	var data []byte
	for entry, err := range p.cfg.Store.Entries(ctx, n) {
		if err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		if len(entry) > math.MaxUint16 {
			return fmt.Errorf("publish: entry %d is longer than a bundle can hold", n)
		}
		leaf := tlog.RecordHash(entry)
		if n >= from {
			err = hashes.add(n, leaf)
		} else if leaf != signed[n%tileWidth] {
			err = fmt.Errorf("%w: entry %d has changed", ErrInconsistent, n)
		}
		if err != nil {
			return err
		}
		data = bundle(data, entry)
		if n++; n%tileWidth == 0 || n == size {
			t := tlog.Tile{H: height, L: -1, N: (n - 1) / tileWidth, W: int((n-1)%tileWidth) + 1}
			if err := p.files.write(tilePath(t), data); err != nil {
				return fmt.Errorf("publish: %w", err)
			}
			data = data[:0]
		}
		if n == size {
			return nil
		}
	}
	return fmt.Errorf("%w: it ends after %d entries of %d", ErrInconsistent, n, size)
}

// signedLeaves returns the hashes of the entries from n up to end, as signed before.
func signedLeaves(hashes *stored, n, end int64) ([]tlog.Hash, error) {
	var indexes []int64
	for ; n < end; n++ {
		indexes = append(indexes, tlog.StoredHashIndex(0, n))
	}
	leaves, err := hashes.ReadHashes(indexes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInconsistent, err)
	}
	return leaves, nil
}

// Proof returns the proof (https://c2sp.org/tlog-proof) that the published checkpoint
// covers the entry with this index. The error matches [fs.ErrNotExist] if it does not
// yet.
func (p *Publisher) Proof(_ context.Context, index int64) ([]byte, error) {
	if p == nil || p.cfg.Store == nil {
		return nil, errNotConfigured
	}
	tree, checkpoint, err := p.last("checkpoint")
	if err != nil {
		return nil, err
	}
	if index < 0 || index >= tree.N {
		return nil, fmt.Errorf("publish: entry %d of %d: %w", index, tree.N, fs.ErrNotExist)
	}
	proof, err := tlog.ProveRecord(tree.N, index, tlog.TileHashReader(tree, p.files.tiles()))
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	return formatProof(index, proof, checkpoint), nil
}
