//go:build unix

package audit_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/audit"
)

// A log that goes on writing into a file that nobody can find is worse than one that
// stops (hashicorp/vault 3935 and 31718).
func TestAFileThatIsNotInItsPlace(t *testing.T) {
	t.Parallel()
	for name, meddle := range map[string]func(path string) error{
		"removed":       os.Remove,
		"moved":         func(path string) error { return os.Rename(path, path+".1") },
		"truncated":     func(path string) error { return os.Truncate(path, 0) },
		"another in it": func(path string) error { return os.WriteFile(path, []byte("x"), 0o600) },
		"replaced": func(path string) error {
			return errors.Join(os.Rename(path, path+".1"), os.WriteFile(path, nil, 0o600))
		},
		"a link": func(path string) error {
			return errors.Join(os.Rename(path, path+".1"), os.Symlink(path+".1", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			log := newLog(t, dir)
			_, err := log.Append(t.Context(), record("1"))
			require.NoError(t, err)
			require.NoError(t, meddle(filepath.Join(dir, firstFile)))
			for range 2 {
				_, err = log.Append(t.Context(), record("2"))
				requireCode(t, audit.CodeLogBroken, err)
			}
			require.Error(t, log.Err())
			require.Error(t, log.Close())
		})
	}
}

func TestWhatIsNoRegularFile(t *testing.T) {
	t.Parallel()
	for name, place := range map[string]func(path string) error{
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"pipe":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"device":    func(path string) error { return os.Symlink("/dev/null", path) },
		"link": func(path string) error {
			return errors.Join(os.WriteFile(path+".x", nil, 0o600), os.Symlink(path+".x", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, place(filepath.Join(dir, firstFile)))
			_, err := audit.New(audit.Config{Dir: dir})
			require.ErrorContains(t, err, "no regular file")
		})
	}
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := audit.New(audit.Config{Dir: file})
	require.ErrorContains(t, err, "not a directory")
	_, err = audit.New(audit.Config{Dir: filepath.Join(t.TempDir(), "missing", "log")})
	require.ErrorIs(t, err, os.ErrNotExist)
}
