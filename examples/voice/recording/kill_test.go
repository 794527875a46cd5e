package recording_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/voice/recording"
	"github.com/opsmantik/sallyport/tenancy/envelope"
)

// open opens the archive of a folder, as a server does that is started again.
func open(t *testing.T, dir string) *recording.Archive {
	t.Helper()
	kek, err := envelope.LocalKEK(filepath.Join(dir, "kek"))
	require.NoError(t, err)
	keys, err := recording.NewKeyFiles(filepath.Join(dir, "keys"))
	require.NoError(t, err)
	vault, err := envelope.New(envelope.Config{KEK: kek, Store: keys})
	require.NoError(t, err)
	store, err := recording.NewDir(filepath.Join(dir, "recordings"))
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = keys.Close(), store.Close() })
	archive, err := recording.New(recording.Config{Vault: vault, Store: store})
	require.NoError(t, err)
	return archive
}

const victimFolder = "SALLYPORT_VOICE_VICTIM"

// TestVictim records until it is killed. TestAKilledServer starts it.
func TestVictim(t *testing.T) {
	dir := os.Getenv(victimFolder)
	if dir == "" {
		t.Skip("part of TestAKilledServer")
	}
	r, err := open(t, dir).Start(t.Context(), track)
	require.NoError(t, err)
	for i := 0; ; i++ {
		require.NoError(t, r.Write(uint16(i), uint32(i)*960, word(i)))
		<-time.After(200 * time.Microsecond)
	}
}

// TestAKilledServer: what was said up to the last chunk is there after a SIGKILL at any
// time, and is said to be unfinished.
func TestAKilledServer(t *testing.T) {
	t.Parallel()
	rounds := 3
	if os.Getenv("SALLYPORT_SOAK") == "1" {
		rounds = 50
	}
	for round := range rounds {
		dir := t.TempDir()
		victim := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestVictim$")
		victim.Env = append(os.Environ(), victimFolder+"="+dir)
		require.NoError(t, victim.Start())
		folder := filepath.Join(dir, "recordings", track.Site, track.Call, track.ID)
		require.Eventually(t, func() bool {
			segment, err := os.Stat(filepath.Join(folder, "00000000"))
			return err == nil && segment.Size() > int64(10_000+round*7919%50_000)
		}, 30*time.Second, time.Millisecond)
		require.NoError(t, victim.Process.Kill())
		_ = victim.Wait()
		segment, err := os.Stat(filepath.Join(folder, "00000000"))
		require.NoError(t, err)

		archive := open(t, dir)
		got, err := archive.Open(t.Context(), track)
		require.NoError(t, err)
		require.False(t, got.Finished)
		chunks := (segment.Size() - 65) / (envelope.ChunkSize + 16)
		require.GreaterOrEqual(t, got.Size(), chunks*envelope.ChunkSize)
		all := words(t, got)
		require.Greater(t, len(all), int(chunks)*30)
		for i, payload := range all {
			require.True(t, bytes.Equal(word(i), payload), i)
		}
		require.NoError(t, archive.Erase(t.Context(), track.Site, track.Call))
	}
}
