//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package audit_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/audit"
)

// A second writer would fork the tree; it learns so before it reads or cuts anything.
func TestOneLogPerFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	log := newLog(t, path)
	_, err := audit.New(audit.Config{Path: path})
	require.ErrorIs(t, err, audit.ErrLocked)
	require.ErrorContains(t, err, path)
	_, err = log.Append(t.Context(), record("1"))
	require.NoError(t, err, "the first one goes on")
	require.NoError(t, log.Close())
	require.NoError(t, newLog(t, path).Close(), "Close gives the file up")
}

// The same between processes; the other one's death gives the file up.
func TestOneProcessPerFile(t *testing.T) {
	if path := os.Getenv("AUDIT_TEST_LOCK"); path != "" {
		newLog(t, path)
		_, _ = os.Stdout.WriteString("locked\n")
		_, _ = os.Stdin.Read(make([]byte, 1)) // until it is killed
		return
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	other := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOneProcessPerFile$")
	other.Env = append(os.Environ(), "AUDIT_TEST_LOCK="+path)
	out, err := other.StdoutPipe()
	require.NoError(t, err)
	_, err = other.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, other.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "locked\n", line)
	_, err = audit.New(audit.Config{Path: path})
	require.ErrorIs(t, err, audit.ErrLocked)
	require.NoError(t, other.Process.Kill())
	require.Error(t, other.Wait())
	require.NoError(t, newLog(t, path).Close())
}
