//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package audit_test

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
)

// A second writer would fork the tree; it learns so before it reads or cuts anything.
func TestOneLogPerDirectory(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	log := newLog(t, path)
	_, err := audit.New(audit.Config{Dir: path})
	requireLocked(t, err)
	require.ErrorContains(t, err, path)
	_, err = log.Append(t.Context(), record("1"))
	require.NoError(t, err, "the first one goes on")
	require.NoError(t, log.Close())
	require.NoError(t, newLog(t, path).Close(), "Close gives the file up")
}

func requireLocked(t *testing.T, err error) {
	t.Helper()
	problem, ok := errors.AsType[*sallyport.ConfigError](err)
	require.True(t, ok, "got %v", err)
	require.Equal(t, sallyport.ConfigConflict, problem.Code)
}

// The same between processes; the other one's death gives the file up.
func TestOneProcessPerDirectory(t *testing.T) {
	if path := os.Getenv("AUDIT_TEST_LOCK"); path != "" {
		newLog(t, path)
		_, _ = os.Stdout.WriteString("locked\n")
		_, _ = os.Stdin.Read(make([]byte, 1)) // until it is killed
		return
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	other := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOneProcessPerDirectory$")
	other.Env = append(os.Environ(), "AUDIT_TEST_LOCK="+path)
	out, err := other.StdoutPipe()
	require.NoError(t, err)
	_, err = other.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, other.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "locked\n", line)
	_, err = audit.New(audit.Config{Dir: path})
	requireLocked(t, err)
	require.NoError(t, other.Process.Kill())
	require.Error(t, other.Wait())
	require.NoError(t, newLog(t, path).Close())
}
