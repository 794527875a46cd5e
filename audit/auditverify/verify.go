package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/publish"
)

type verifier struct {
	options
	stdin  io.Reader
	stderr io.Writer
	notes  []string
	fetch  func(path string) ([]byte, error) // of -tiles, or nil
	own    tlog.Tree                         // the newest published tree
	held   tlog.Tree                         // what the auditor kept
}

func (v *verifier) note(format string, args ...any) {
	v.notes = append(v.notes, fmt.Sprintf(format, args...))
}

func (v *verifier) verify() (verdict, error) {
	var err error
	if v.held, err = v.options.held(); err != nil {
		return verdict{}, err
	}
	if v.checkpoint == "" {
		v.note("no checkpoint: whoever can write the log could have replaced all of it")
	}
	if answer, err := v.published(); err != nil || answer.word != "" {
		return answer, err
	}
	if err := v.countPending(); err != nil {
		return verdict{}, err
	}
	if v.logs != "" {
		return v.files()
	}
	return v.stream()
}

// newest is the larger of the two trees. By now the one extends the other.
func (v *verifier) newest() tlog.Tree {
	if v.own.N > v.held.N {
		return v.own
	}
	return v.held
}

// published compares what was published with what the auditor kept.
func (v *verifier) published() (verdict, error) {
	if v.tiles == "" {
		return verdict{}, nil
	}
	v.fetch = fetcher(v.tiles)
	data, err := v.fetch("checkpoint")
	if err != nil {
		return verdict{}, err
	}
	log, _, err := v.keys()
	if err != nil {
		return verdict{}, err
	}
	if v.own, err = publish.ParseCheckpoint(data, v.origin, log, 0); err != nil {
		return say("tampered", "the published checkpoint: %v", err)
	}
	switch {
	case v.own.N < v.held.N:
		return say("rolled-back", "%d entries are published, %d were before", v.own.N, v.held.N)
	case v.held.N == 0:
		return verdict{}, nil
	case v.own.N == v.held.N && v.own != v.held:
		return say("forked", "two trees of %d entries are signed", v.own.N)
	case v.own.N == v.held.N:
		return verdict{}, nil
	}
	proof, err := tlog.ProveTree(v.own.N, v.held.N, v.hashes())
	if err != nil {
		return say("tampered", "the published tiles: %v", err)
	}
	if tlog.CheckTree(proof, v.own.N, v.own.Hash, v.held.N, v.held.Hash) != nil {
		return say("forked", "the tree of %d entries that is published does not extend that of %d",
			v.own.N, v.held.N)
	}
	return verdict{}, nil
}

// hashes reads from the tiles what the published root vouches for.
func (v *verifier) hashes() tlog.HashReader {
	return tlog.TileHashReader(v.own, publish.TileReader(v.fetch))
}

// files checks directories of segments.
func (v *verifier) files() (verdict, error) {
	dir, err := union(v.dirs())
	if err != nil {
		return verdict{}, err
	}
	return v.segments(dir)
}

func (v *verifier) segments(dir fs.FS) (verdict, error) {
	want := v.newest()
	bar := v.bar(want.N)
	head, err := audit.VerifyDir(dir, want, func(h audit.Head) { bar.show(h.Size()) })
	bar.done()
	corrupt, broken := errors.AsType[*audit.CorruptError](err)
	switch {
	case broken && !corrupt.Torn:
		return say("tampered", "%v", corrupt)
	case broken:
		v.note("torn: %v", corrupt)
	case err != nil && !errors.Is(err, audit.ErrTampered):
		return verdict{}, err
	}
	if head.Size() < want.N {
		return v.short(audit.Entries(dir, 0), head.Size())
	}
	if err != nil && !broken {
		return v.different(audit.Entries(dir, 0))
	}
	v.countErasures(audit.Entries(dir, 0))
	return v.clean(head.Size())
}

// countErasures reads the records themselves: a field may have any name and any text, so
// looking for bytes would count what somebody made up.
func (v *verifier) countErasures(entries iter.Seq2[[]byte, error]) {
	if !v.erasures || entries == nil {
		return
	}
	n := 0
	for entry := range entries {
		r, err := audit.Parse(entry)
		if err == nil && r.Action == "privacy.erase" && r.Outcome == audit.OutcomeSuccess {
			n++
		}
	}
	v.note("erased: %d erasures are recorded", n)
}

// stream checks the entries of a dump, or those that are published.
func (v *verifier) stream() (verdict, error) {
	entries, err := v.entries()
	if err != nil {
		return verdict{}, err
	}
	want := v.newest()
	bar := v.bar(want.N)
	var head audit.Head
	matched := want.N == 0
	for entry, err := range entries {
		if errors.Is(err, publish.ErrMalformed) {
			return say("tampered", "record %d: %v", head.Size(), err)
		}
		if err != nil {
			return verdict{}, err
		}
		head = head.Next(entry)
		matched = matched || head.Size() == want.N && head.Tree() == want
		if head.Size()%1024 == 0 {
			bar.show(head.Size())
		}
	}
	bar.done()
	again, err := v.entries()
	switch {
	case matched:
		v.countErasures(again)
		return v.clean(head.Size())
	case err != nil: // standard input cannot be read twice
		again = nil
		fallthrough
	default:
		if head.Size() < want.N {
			return v.short(again, head.Size())
		}
		return v.different(again)
	}
}

// entries opens the dump or the bundles.
func (v *verifier) entries() (iter.Seq2[[]byte, error], error) {
	if v.dump == "" {
		return publish.Bundles(v.own.N, v.fetch), nil
	}
	if v.dump == "-" {
		if v.stdin == nil {
			return nil, errors.New("standard input is read already")
		}
		in := v.stdin
		v.stdin = nil
		return hexLines(in), nil
	}
	data, err := os.Open(v.dump)
	if err != nil {
		return nil, err
	}
	return hexLines(data), nil
}

// hexLines yields one entry for each line.
func hexLines(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		in := bufio.NewScanner(r)
		in.Buffer(nil, 1<<18) // 65,535 bytes are twice as many digits
		var entry []byte
		for in.Scan() {
			var err error
			line := bytes.TrimPrefix(in.Bytes(), []byte(`\\x`)) // psql's own spelling
			entry, err = hex.AppendDecode(entry[:0], line)
			if !yield(entry, err) || err != nil {
				return
			}
		}
		if in.Err() != nil {
			yield(nil, in.Err())
		}
	}
}

// short is a log that ends before the checkpoint. What is left of it may be changed too.
func (v *verifier) short(entries iter.Seq2[[]byte, error], size int64) (verdict, error) {
	if at, found, err := v.locate(entries); err != nil || found && at < size {
		if err != nil {
			return verdict{}, err
		}
		return say("tampered", "record %d, and only %d of %d entries are there", at, size, v.newest().N)
	}
	return say("truncated", "%d entries, the checkpoint has %d", size, v.newest().N)
}

// different is a log that is as long as it should be and has another root.
func (v *verifier) different(entries iter.Seq2[[]byte, error]) (verdict, error) {
	at, found, err := v.locate(entries)
	if err != nil {
		return verdict{}, err
	}
	if found {
		return say("tampered", "record %d is not the one that was published", at)
	}
	return say("forked", "its %d first entries are not those of the checkpoint", v.newest().N)
}

// locate compares each entry with the hash of its leaf in the tiles.
func (v *verifier) locate(entries iter.Seq2[[]byte, error]) (at int64, found bool, err error) {
	if v.fetch == nil || entries == nil {
		return 0, false, nil
	}
	var leaves []tlog.Hash
	for entry, err := range entries {
		if _, broken := errors.AsType[*audit.CorruptError](err); broken || at == v.own.N {
			return 0, false, nil
		}
		if err != nil {
			return 0, false, err
		}
		if at%leafPage == 0 {
			if leaves, err = v.leaves(at); err != nil {
				return 0, false, err
			}
		}
		if leaves[at%leafPage] != tlog.RecordHash(entry) {
			return at, true, nil
		}
		at++
	}
	return 0, false, nil
}

// leafPage is how many hashes of leaves are read at once: a tile.
const leafPage = 256

func (v *verifier) leaves(from int64) ([]tlog.Hash, error) {
	var indexes []int64
	for i := from; i < min(from+leafPage, v.own.N); i++ {
		indexes = append(indexes, tlog.StoredHashIndex(0, i))
	}
	return v.hashes().ReadHashes(indexes)
}

// clean is the verdict on size entries of which the newest checkpoint holds.
func (v *verifier) clean(size int64) (verdict, error) {
	if extra := size - v.newest().N; extra > 0 && v.newest().N > 0 {
		v.note("unsealed: %d entries after the checkpoint", extra)
	}
	return say("clean", "%d entries", size)
}

func (v *verifier) countPending() error {
	if v.pending == "" {
		return nil
	}
	data, err := os.Open(v.pending)
	if err != nil {
		return err
	}
	defer func() { _ = data.Close() }()
	n := 0
	for _, err := range hexLines(data) {
		if err != nil {
			return err
		}
		n++
	}
	if n > 0 {
		v.note("unsequenced: %d records have no index yet", n)
	}
	return nil
}

// union is one directory made of several, such as an archive and what is in use.
func union(dirs []string) (fs.FS, error) {
	all := unionFS{}
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			return nil, fmt.Errorf("%s is not a directory", dir)
		}
		all = append(all, os.DirFS(dir))
	}
	return all, nil
}

type unionFS []fs.FS

func (u unionFS) Open(name string) (fs.File, error) {
	for _, dir := range u {
		if f, err := dir.Open(name); !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return nil, fs.ErrNotExist
}

// ReadDir lists all of them.
func (u unionFS) ReadDir(name string) ([]fs.DirEntry, error) {
	var all []fs.DirEntry
	for _, dir := range u {
		list, err := fs.ReadDir(dir, name)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}
