package recording

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// Object is what a Store says of an object.
type Object struct {
	Name string
	Size int64
}

// Store keeps objects, as S3 does: it puts them whole, and cannot append. Names are
// slash-separated, of letters, digits, '-' and '_'.
//
//	Put      PutObject
//	ReadAt   GetObject with a Range
//	List     ListObjectsV2, all pages
//	Delete   DeleteObject
type Store interface {
	// Put stores an object, or replaces it: at any time readers find the old one or the
	// new one. It is durable when Put returns.
	Put(ctx context.Context, name string, data []byte) error
	// ReadAt reads len(p) bytes from an offset, as io.ReaderAt does.
	ReadAt(ctx context.Context, name string, p []byte, off int64) (int, error)
	// List returns the objects below a folder, sorted by name; "a" has "a/b", not "ab".
	List(ctx context.Context, folder string) ([]Object, error)
	// Delete removes an object. One that is not there is no error.
	Delete(ctx context.Context, name string) error
}

// Dir is a Store in a directory of this machine.
type Dir struct{ root *os.Root }

// NewDir returns a Store in a directory, which it makes if it is not there. Names do
// not lead out of it.
func NewDir(dir string) (*Dir, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Dir{root}, nil
}

// Close closes the directory.
func (d *Dir) Close() error { return d.root.Close() }

const temporary = ".tmp"

// Put implements Store: a file of another name, which is renamed once it is on disk.
func (d *Dir) Put(ctx context.Context, name string, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	folder := path.Dir(name)
	if err := d.root.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	f, err := d.root.OpenFile(name+temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := d.root.Rename(name+temporary, name); err != nil {
		return err
	}
	return d.sync(folder)
}

// sync makes a new name in a folder durable.
func (d *Dir) sync(folder string) error {
	f, err := d.root.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// ReadAt implements Store.
func (d *Dir) ReadAt(ctx context.Context, name string, p []byte, off int64) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	f, err := d.root.Open(name)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	return f.ReadAt(p, off)
}

// List implements Store.
func (d *Dir) List(ctx context.Context, folder string) ([]Object, error) {
	var found []Object
	err := fs.WalkDir(d.root.FS(), folder, func(name string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // removed meanwhile, or never there
		case err != nil:
			return err
		case e.IsDir() || strings.HasSuffix(name, temporary):
			return ctx.Err()
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		found = append(found, Object{name, info.Size()})
		return nil
	})
	slices.SortFunc(found, func(a, b Object) int { return strings.Compare(a.Name, b.Name) })
	return found, err
}

// Delete implements Store.
func (d *Dir) Delete(_ context.Context, name string) error {
	err := d.root.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
