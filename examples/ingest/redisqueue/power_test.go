//go:build linux

package redisqueue_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/redisqueue"
)

// watched loads a library into the server that writes down what is on the disk.
func (r *rig) watched(t *testing.T) (log string) {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc found")
	}
	library := filepath.Join(t.TempDir(), "fsync.so")
	// #nosec G204 -- tests only
	out, err := exec.Command(gcc, "-shared", "-fPIC", "-o", library, "testdata/fsync.c", "-ldl").CombinedOutput()
	require.NoError(t, err, "%s", out)
	log = filepath.Join(t.TempDir(), "synced")
	r.Env = []string{"LD_PRELOAD=" + library, "FSYNC_LOG=" + log}
	r.Restart()
	return log
}

// cutPower ends the server and takes from its files what was not on the disk: all that
// was written after the last sync of each.
func (r *rig) cutPower(t *testing.T, log string) {
	t.Helper()
	r.Kill()
	synced := map[string]int64{}
	file, err := os.Open(log) // #nosec G304 -- of this test
	if err == nil {
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			size, path, _ := strings.Cut(lines.Text(), " ")
			n, err := strconv.ParseInt(size, 10, 64)
			require.NoError(t, err)
			synced[path] = n
		}
		require.NoError(t, file.Close())
	}
	files, err := filepath.Glob(filepath.Join(r.Dir, "appendonlydir", "*.incr.aof"))
	require.NoError(t, err)
	for _, path := range files {
		require.NoError(t, os.Truncate(path, synced[path]))
	}
	r.Env = nil
	r.Restart()
}

// The table of what each setting loses, by killing the server and by cutting the power.
func TestWhatEachSettingLoses(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name             string
		args             []string
		lossy            bool
		killed, powerCut bool // lose something
	}{
		{"appendfsync always", []string{"--appendonly", "yes", "--appendfsync", "always"}, false, false, false},
		{"appendfsync everysec", []string{"--appendonly", "yes", "--appendfsync", "everysec"}, true, false, true},
		{"appendonly no", []string{"--appendonly", "no"}, true, true, true},
	} {
		for _, power := range []bool{false, true} {
			name := row.name + ", killed"
			if power {
				name = row.name + ", power cut"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := start(t, append(row.args, "--maxmemory-policy", "noeviction")...)
				log := r.watched(t)
				lossy := func(cfg *redisqueue.Config) { cfg.DangerouslyLossy = row.lossy }
				q := r.open(t, lossy)
				a := enqueueing(t, q, 8)
				a.await(t, 300)
				synced := time.Now()
				a.await(t, a.count()+300)
				if power {
					r.cutPower(t, log)
				} else {
					r.Restart()
				}
				a.stop()
				require.NoError(t, q.Close())
				lost := a.lost(drain(t, r.open(t, lossy)))
				t.Logf("%d of %d acknowledged events lost, %v after the first 300", lost, a.count(), time.Since(synced))
				if row.name == "appendfsync everysec" && !power {
					return // while the disk is busy, it loses what was not written yet
				}
				require.Equal(t, power && row.powerCut || !power && row.killed, lost > 0)
			})
		}
	}
}
