package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// file is what a log needs of an *os.File. The tests put one below it that
// forgets what was not synced.
type file interface {
	io.ReadWriteCloser
	Truncate(size int64) error
	Sync() error
	// Check returns an error unless the file is still the one of its name and has
	// this size.
	Check(size int64) error
}

// filesystem is where the segments are.
type filesystem interface {
	// Lock takes dir for one log, and creates it where it is missing.
	Lock(dir string) (io.Closer, error)
	List(dir string) ([]string, error)
	// Open opens a segment for appending, or creates it.
	Open(path string) (file, error)
	// SyncDir makes names in dir durable: fsync of a new file is not enough.
	SyncDir(dir string) error
}

// disk is the real one.
type disk struct{}

func (d disk) Lock(dir string) (io.Closer, error) {
	if err := os.Mkdir(dir, 0o700); err == nil {
		if err := d.SyncDir(filepath.Dir(filepath.Clean(dir))); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	// #nosec G304 -- the path is the operator's setting
	f, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, err), f.Close())
	}
	return f, nil
}

func (disk) List(dir string) ([]string, error) { return segmentsOf(os.DirFS(dir)) }

// Open opens or creates a file that only its owner can read. It looks before it
// opens: opening a pipe waits for its other end, and a device may do anything.
func (disk) Open(path string) (file, error) {
	info, err := os.Lstat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %s is no regular file", path, info.Mode().Type())
	}
	// #nosec G304 -- below the operator's setting
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return &diskFile{File: f, path: path}, nil
}

func (disk) SyncDir(dir string) error {
	// #nosec G304 -- the operator's setting
	f, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

type diskFile struct {
	*os.File
	path string
}

// Check compares device and inode, so it finds a file that was removed, moved or
// replaced as well as one that logrotate's copytruncate emptied.
func (f *diskFile) Check(size int64) error {
	ours, err := f.Stat()
	if err != nil {
		return err
	}
	named, err := os.Lstat(f.path)
	if err != nil {
		return err
	}
	if !os.SameFile(ours, named) {
		return fmt.Errorf("%s is another file than the one that was opened", f.path)
	}
	if ours.Size() != size {
		return fmt.Errorf("%s has %d bytes, want %d", f.path, ours.Size(), size)
	}
	return nil
}
