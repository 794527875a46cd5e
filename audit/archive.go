package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Archive moves the oldest segments of the log in dir to the directory archive, as long
// as every entry in them is older than before, and returns their names. The newest
// segment stays, so a [Log] may be open on dir. The archive is created if it is missing.
//
// Each file is copied, checked against the segment after it, and made durable before it
// is removed. Checkpoints and proofs stay as they are: they are about the tree, wherever
// its leaves lie. To verify everything, read both directories (auditverify -log
// archive,dir). Record that it was done.
//
//	names, err := audit.Archive("audit", "/mnt/archive/audit", time.Now().AddDate(-1, 0, 0))
func Archive(dir, archive string, before time.Time) ([]string, error) {
	names, err := segmentsOf(os.DirFS(dir))
	if err != nil {
		return nil, fmt.Errorf("audit: archive: %w", err)
	}
	if err := os.Mkdir(archive, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("audit: archive: %w", err)
	}
	var moved []string
	for i := range max(0, len(names)-1) {
		older, err := archiveSegment(dir, archive, names[i], names[i+1], before)
		if err != nil {
			return moved, fmt.Errorf("audit: archive: %w", err)
		}
		if !older {
			break
		}
		moved = append(moved, names[i])
	}
	return moved, nil
}

// archiveSegment moves one file, unless it has an entry that is not older.
func archiveSegment(dir, archive, name, next string, before time.Time) (older bool, err error) {
	end, older, err := ageOf(dir, name, before)
	if !older {
		return false, err
	}
	if err := copyFile(filepath.Join(dir, name), filepath.Join(archive, name)); err != nil {
		return false, err
	}
	copied, _, err := ageOf(archive, name, before)
	if err != nil {
		return false, err
	}
	following, err := os.Open(filepath.Join(dir, next)) // #nosec G304 -- the operator's setting
	if err != nil {
		return false, err
	}
	defer func() { _ = following.Close() }()
	s, err := openSegment(next, following)
	if err != nil {
		return false, err
	}
	if !copied.equal(end) || !s.head.equal(end) {
		return false, &CorruptError{File: next, Index: end.size}
	}
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		return false, err
	}
	return true, disk{}.SyncDir(dir)
}

// ageOf reads a segment, and reports whether every entry is older than before. One that
// is no record has no age, and stays.
func ageOf(dir, name string, before time.Time) (end Head, older bool, err error) {
	f, err := os.Open(filepath.Join(dir, name)) // #nosec G304 -- the operator's setting
	if err != nil {
		return Head{}, false, err
	}
	defer func() { _ = f.Close() }()
	s, err := openSegment(name, f)
	if err != nil {
		return Head{}, false, err
	}
	for {
		err := s.next()
		if errors.Is(err, io.EOF) {
			return s.head, true, nil
		}
		if err != nil {
			return Head{}, false, err
		}
		for _, entry := range s.entries {
			r, err := Parse(entry)
			if err != nil || !r.Time.Before(before) {
				return Head{}, false, nil
			}
		}
	}
}

// copyFile writes a durable copy, which has its name only when it is complete.
func copyFile(from, to string) (err error) {
	in, err := os.Open(from) // #nosec G304 -- the operator's setting
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.CreateTemp(filepath.Dir(to), ".archive-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	err = errors.Join(err, out.Sync(), out.Close())
	if err == nil {
		err = os.Rename(out.Name(), to)
	}
	if err != nil {
		return errors.Join(err, os.Remove(out.Name()))
	}
	return disk{}.SyncDir(filepath.Dir(to))
}
