//go:build unix

package audit_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/audit"
)

// writeUntilKilled appends from 16 goroutines and says what was acknowledged.
func writeUntilKilled(t *testing.T, dir string) {
	log := newLog(t, dir)
	for worker := range 16 {
		go func() {
			for i := 0; ; i++ {
				receipt, err := log.Append(t.Context(), record(fmt.Sprintf("%d-%d", worker, i)))
				if err != nil {
					return
				}
				_, _ = fmt.Fprintf(os.Stdout, "%d %s\n", receipt.Tree.N, receipt.Tree.Hash)
			}
		}()
	}
	_, _ = os.Stdin.Read(make([]byte, 1)) // until it is killed
}

// The process is killed over and over (200 times with AUDIT_KILLS=200). This cannot test
// fsync, because the page cache survives; TestNothingAcknowledgedIsLost does.
func TestKilledProcesses(t *testing.T) {
	if dir := os.Getenv("AUDIT_TEST_KILL"); dir != "" {
		writeUntilKilled(t, dir)
		return
	}
	t.Parallel()
	kills, _ := strconv.Atoi(os.Getenv("AUDIT_KILLS"))
	dir, acked := filepath.Join(t.TempDir(), "log"), map[int64]string{}
	for range max(kills, 8) {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledProcesses$")
		child.Env = append(os.Environ(), "AUDIT_TEST_KILL="+dir)
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		_, err = child.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		lines := bufio.NewScanner(out)
		for n := 50 + rand.IntN(200); n > 0 && lines.Scan(); n-- {
			note(t, acked, lines.Text())
		}
		require.NoError(t, child.Process.Kill())
		for lines.Scan() { // what it said before it died
			note(t, acked, lines.Text())
		}
		require.Error(t, child.Wait())
	}
	log := newLog(t, dir)
	require.NoError(t, log.Close())
	var head audit.Head
	for entry, err := range audit.Entries(os.DirFS(dir), 0) {
		require.NoError(t, err)
		head = head.Next(entry)
		if root, found := acked[head.Size()]; found {
			require.Equal(t, root, head.Tree().Hash.String())
			delete(acked, head.Size())
		}
	}
	require.Empty(t, acked, "acknowledged and lost")
	t.Logf("%d records", head.Size())
}

func note(t *testing.T, acked map[int64]string, line string) {
	t.Helper()
	var size int64
	var root string
	if n, _ := fmt.Sscanf(line, "%d %s", &size, &root); n == 2 && len(root) == 44 {
		acked[size] = root
	}
}
