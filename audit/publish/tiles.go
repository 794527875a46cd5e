package publish

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// height of a tile is fixed: 256 hashes (https://c2sp.org/tlog-tiles).
const height = 8

const tileWidth = 1 << height

// tilePath is where a tile is below the prefix. x/mod's own layout has the height in
// it, and another name for entries, which have the level -1.
func tilePath(t tlog.Tile) string {
	path := strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", height))
	if rest, found := strings.CutPrefix(path, "data/"); found {
		path = "entries/" + rest
	}
	return "tile/" + path
}

// TileReader reads tiles with fetch, which returns the file of a path below the prefix,
// or an error that matches [fs.ErrNotExist]. It is for [tlog.TileHashReader], which
// checks them against a tree: a verifier needs no more than that.
func TileReader(fetch func(path string) ([]byte, error)) tlog.TileReader {
	return tileReader{fetch}
}

type tileReader struct {
	fetch func(path string) ([]byte, error)
}

func (r tileReader) Height() int { return height }

// ReadTiles returns tiles as wide as asked for, from what is at least as wide.
func (r tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(tiles))
	for i, t := range tiles {
		data, err := r.readTile(t)
		if err != nil {
			return nil, err
		}
		all[i] = data
	}
	return all, nil
}

func (r tileReader) readTile(t tlog.Tile) ([]byte, error) {
	data, err := r.fetch(tilePath(t))
	if errors.Is(err, fs.ErrNotExist) && t.W < tileWidth {
		full := t
		full.W = tileWidth
		data, err = r.fetch(tilePath(full))
	}
	if err != nil {
		return nil, err
	}
	if want := t.W * tlog.HashSize; len(data) >= want {
		return data[:want], nil
	}
	return nil, fmt.Errorf("publish: %s is too short", tilePath(t))
}

// SaveTiles does nothing: whoever fetches may keep them.
func (tileReader) SaveTiles([]tlog.Tile, [][]byte) {}

// Bundles yields the entries of a published log up to size, from its entry bundles.
// They are not checked: compare them with a tree.
func Bundles(size int64, fetch func(path string) ([]byte, error)) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for n := int64(0); n < size; n += tileWidth {
			width := int(min(tileWidth, size-n))
			data, err := fetch(tilePath(tlog.Tile{H: height, L: -1, N: n / tileWidth, W: width}))
			if errors.Is(err, fs.ErrNotExist) && width < tileWidth {
				data, err = fetch(tilePath(tlog.Tile{H: height, L: -1, N: n / tileWidth, W: tileWidth}))
			}
			for i := 0; i < width && err == nil; i++ {
				var entry []byte
				if entry, data, err = unbundle(data); err == nil && !yield(entry, nil) {
					return
				}
			}
			if err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// unbundle splits off the first entry.
func unbundle(data []byte) (entry, rest []byte, err error) {
	if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
		return nil, nil, fmt.Errorf("%w: an entry bundle is cut short", ErrMalformed)
	}
	end := 2 + int(binary.BigEndian.Uint16(data))
	return data[2:end], data[end:], nil
}

// files reads and writes what is published.
type files struct{ dir string }

func (f files) tiles() tlog.TileReader { return TileReader(f.read) }

func (f files) read(path string) ([]byte, error) {
	// #nosec G304 -- made from numbers, below the operator's setting
	return os.ReadFile(filepath.Join(f.dir, filepath.FromSlash(path)))
}

// write replaces a file at once and durably: a reader sees the old or the new one.
func (f files) write(path string, data []byte) (err error) {
	full := filepath.Join(f.dir, filepath.FromSlash(path))
	if err := f.makeDir(filepath.Dir(full)); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(full), ".new-*")
	if err != nil {
		return err
	}
	_, err = temp.Write(data)
	err = errors.Join(err, temp.Chmod(0o644), temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), full)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return syncDir(filepath.Dir(full))
}

// makeDir makes a directory and those above it durable, up to the prefix.
func (f files) makeDir(dir string) error {
	err := os.Mkdir(dir, 0o755) // #nosec G301 -- a web server reads it
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) && len(dir) > len(f.dir) {
		if err = f.makeDir(filepath.Dir(dir)); err == nil {
			err = os.Mkdir(dir, 0o755) // #nosec G301
		}
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

func syncDir(dir string) error {
	f, err := os.Open(dir) // #nosec G304 -- the operator's setting
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// stored are the hashes of the tree by their stored index: those that a round has
// computed, over those of the tree that was signed last. The latter are checked
// against its root when they are read.
type stored struct {
	fresh map[int64]tlog.Hash
	old   tlog.HashReader // nil for the empty tree
}

// ReadHashes is a tlog.HashReader.
func (s *stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	var missing []int64
	var at []int
	for i, index := range indexes {
		hash, found := s.fresh[index]
		if !found {
			missing, at = append(missing, index), append(at, i)
		}
		hashes[i] = hash
	}
	if len(missing) == 0 {
		return hashes, nil
	}
	if s.old == nil {
		return nil, errors.New("publish: a hash is missing")
	}
	found, err := s.old.ReadHashes(missing)
	if err != nil {
		return nil, err
	}
	for i, hash := range found {
		hashes[at[i]] = hash
	}
	return hashes, nil
}

// add stores the hashes that the leaf of entry n completes.
func (s *stored) add(n int64, leaf tlog.Hash) error {
	hashes, err := tlog.StoredHashesForRecordHash(n, leaf, s)
	if err != nil {
		return err
	}
	first := tlog.StoredHashIndex(0, n)
	for i, hash := range hashes {
		s.fresh[first+int64(i)] = hash
	}
	return nil
}

// bundle appends an entry as entry bundles hold it: after its length.
func bundle(b, entry []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(entry))) // #nosec G115 -- checked
	return append(b, entry...)
}
