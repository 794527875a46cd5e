package audit_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/audit"
)

// both reads two directories as one.
type both [2]fs.FS

func (b both) Open(name string) (fs.File, error) {
	if f, err := b[0].Open(name); !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	return b[1].Open(name)
}

func (b both) ReadDir(name string) ([]fs.DirEntry, error) {
	old, err := fs.ReadDir(b[0], name)
	if err != nil {
		return nil, err
	}
	list, err := fs.ReadDir(b[1], name)
	return append(old, list...), err
}

// years is a log with three segments of a year each, the first from 2024.
func years(t *testing.T) (dir string, last audit.Receipt) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "log")
	log, err := audit.New(audit.Config{Dir: dir, SegmentBytes: 1 << 20})
	require.NoError(t, err)
	for i := range 54 { // 18 large entries fill a segment
		r := record("1")
		r.Time = time.Date(2024+i/18, 6, 1, 0, 0, 0, 0, time.UTC)
		r.Reason = strings.Repeat("x", 60_000)
		last, err = log.Append(t.Context(), r)
		require.NoError(t, err)
	}
	require.NoError(t, log.Close())
	return dir, last
}

func TestArchive(t *testing.T) {
	t.Parallel()
	dir, last := years(t)
	archive := filepath.Join(t.TempDir(), "archive")
	log := newLog(t, dir) // it may be open
	for year, want := range []int{0, 1, 1, 0} {
		moved, err := audit.Archive(dir, archive, time.Date(2024+year, 6, 1, 0, 0, 0, 0, time.UTC))
		require.NoError(t, err)
		require.Len(t, moved, want, "%d", 2024+year)
		require.NoError(t, audit.Verify(audit.Entries(both{os.DirFS(archive), os.DirFS(dir)}, 0), last.Tree))
	}
	_, err := log.Append(t.Context(), record("goes on"))
	require.NoError(t, err)
	require.NoError(t, log.Close())
	log = newLog(t, dir)
	require.EqualValues(t, 55, headOf(t, log).Size())
	require.NoError(t, log.Close())
	head, err := audit.VerifyDir(both{os.DirFS(dir), os.DirFS(archive)}, last.Tree, nil) // any order
	require.NoError(t, err)
	require.EqualValues(t, 55, head.Size())
	_, err = audit.VerifyDir(os.DirFS(dir), last.Tree, nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// A segment that is damaged, or does not fit the next one, stays where it is.
func TestArchiveMovesNothingDamaged(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, damage := range map[string]func(t *testing.T, dir string){
		"a byte": func(t *testing.T, dir string) { flipByte(t, filepath.Join(dir, firstFile), 1000) },
		"the next one's head": func(t *testing.T, dir string) {
			names, err := filepath.Glob(filepath.Join(dir, "*.log"))
			require.NoError(t, err)
			flipByte(t, names[1], 30)
		},
		"cut": func(t *testing.T, dir string) {
			require.NoError(t, os.Truncate(filepath.Join(dir, firstFile), 500_000))
		},
	} {
		dir, _ := years(t)
		damage(t, dir)
		moved, err := audit.Archive(dir, filepath.Join(t.TempDir(), "archive"), now)
		require.ErrorIs(t, err, audit.ErrTampered, name)
		require.Empty(t, moved)
		require.FileExists(t, filepath.Join(dir, firstFile))
	}
	dir, names := segments(t)
	flipByte(t, names[1], 5000)
	archive := filepath.Join(t.TempDir(), "archive")
	moved, err := audit.Archive(dir, archive, now)
	require.ErrorIs(t, err, audit.ErrTampered)
	require.Equal(t, []string{firstFile}, moved, "what was moved before is told")
	info, err := os.Stat(archive)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	dir, _ = years(t)
	_, err = audit.Archive(dir, filepath.Join(dir, "missing", "archive"), now)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = audit.Archive(filepath.Join(dir, "missing"), t.TempDir(), now)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func flipByte(t *testing.T, path string, at int) {
	t.Helper()
	data, err := os.ReadFile(path) // #nosec G304 -- the test's own file
	require.NoError(t, err)
	data[at] ^= 1
	require.NoError(t, os.WriteFile(path, data, 0o600))
}
