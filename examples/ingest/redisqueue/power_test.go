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

// loses ends a server under load, and counts what it had acknowledged and lost.
func loses(t *testing.T, args []string, lossy, power bool) int {
	t.Helper()
	r := start(t, args...)
	log := r.watched(t)
	take := func(cfg *redisqueue.Config) { cfg.DangerouslyLossy = lossy }
	q := r.open(t, take)
	a := enqueueing(t, q, 8)
	a.await(t, 600)
	if power {
		r.cutPower(t, log)
	} else {
		r.Restart()
	}
	a.stop()
	require.NoError(t, q.Close())
	lost := a.lost(drain(t, r.open(t, take)))
	t.Logf("%d of %d acknowledged events lost", lost, a.count())
	return lost
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
				want := power && row.powerCut || !power && row.killed
				lost := loses(t, append(row.args, "--maxmemory-policy", "noeviction"), row.lossy, power)
				for range 3 { // a sync may have come just before
					if want && lost == 0 {
						lost = loses(t, append(row.args, "--maxmemory-policy", "noeviction"), row.lossy, power)
					}
				}
				if row.name == "appendfsync everysec" && !power {
					return // while the disk is busy, it loses what was not written yet
				}
				require.Equal(t, want, lost > 0, "%d are lost", lost)
			})
		}
	}
}
