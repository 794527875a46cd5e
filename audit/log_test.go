package audit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/audit"
)

func newLog(t testing.TB, path string) *audit.Log {
	t.Helper()
	log, err := audit.New(audit.Config{Path: path})
	require.NoError(t, err)
	return log
}

func TestLogOnDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	var last audit.Receipt
	for life := range 3 {
		log := newLog(t, path)
		for i := range 3 {
			var err error
			last, err = log.Append(t.Context(), record(fmt.Sprint(i)))
			require.NoError(t, err)
			require.EqualValues(t, life*3+i, last.Index)
			require.Equal(t, log.Head().Tree(), last.Tree)
		}
		require.NoError(t, log.Err())
		require.Zero(t, log.Torn())
		require.NoError(t, log.Close())
		require.NoError(t, log.Close(), "twice is harmless")
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, audit.Verify(audit.Entries(bytes.NewReader(data)), last.Tree))
	for entry, err := range audit.Entries(bytes.NewReader(data)) {
		require.NoError(t, err)
		_, err = audit.Parse(entry)
		require.NoError(t, err)
		break
	}
	failing := iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader(data)))
	require.ErrorIs(t, audit.Verify(audit.Entries(failing), last.Tree), iotest.ErrTimeout)
}

// The format is a promise: writer and reader share their code, so only bytes that
// were written down elsewhere notice when both change. The roots are the hashes of
// RFC 6962: SHA-256(0x00, entry), and SHA-256(0x01, left, right).
func TestFileFormat(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	log := newLog(t, path)
	var want strings.Builder
	var leaves [][]byte
	for i := range 2 {
		_, err := log.Append(t.Context(), record(fmt.Sprint(i)))
		require.NoError(t, err)
		entry, err := record(fmt.Sprint(i)).Encode()
		require.NoError(t, err)
		leaf := sha256.Sum256(append([]byte{0}, entry...))
		leaves = append(leaves, leaf[:])
		root := leaf
		if i == 1 {
			root = sha256.Sum256(slices.Concat([]byte{1}, leaves[0], leaves[1]))
		}
		want.WriteString(fmt.Sprintf("%d %x %s\n", i, root, entry))
	}
	require.NoError(t, log.Close())
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, want.String(), string(got))
}

// The largest entry there can be is written, read and verified like any other.
func TestTheLargestEntry(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	large := record("1")
	short, err := large.Encode()
	require.NoError(t, err)
	large.Reason = strings.Repeat("x", audit.MaxEntry-len(short)-len(`,"reason":""`))
	entry, err := large.Encode()
	require.NoError(t, err)
	require.Len(t, entry, audit.MaxEntry)
	for range 3 {
		log := newLog(t, path)
		_, err = log.Append(t.Context(), large)
		require.NoError(t, err)
		require.NoError(t, log.Close())
	}
	large.Reason += "x"
	_, err = large.Encode()
	require.ErrorIs(t, err, audit.ErrTooLarge)
}

func TestQueueLimits(t *testing.T) {
	t.Parallel()
	for queue, ok := range map[int]bool{-1: false, 1: true, 1 << 16: true, 1<<16 + 1: false} {
		log, err := audit.New(audit.Config{Path: filepath.Join(t.TempDir(), "log"), Queue: queue})
		require.Equal(t, ok, err == nil, "%d", queue)
		if ok {
			require.NoError(t, log.Close())
		}
	}
}

// Every single-bit flip of a file, and every cut, against a head kept elsewhere.
func TestEveryFlippedBitOfAFileIsFound(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	log := newLog(t, path)
	for i := range 4 {
		_, err := log.Append(t.Context(), record(fmt.Sprint(i)))
		require.NoError(t, err)
	}
	want := log.Head().Tree()
	require.NoError(t, log.Close())
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	for bit := range len(data) * 8 {
		bad := bytes.Clone(data)
		bad[bit/8] ^= 1 << (bit % 8)
		err := audit.Verify(audit.Entries(bytes.NewReader(bad)), want)
		require.ErrorIs(t, err, audit.ErrTampered, "bit %d", bit)
	}
	for cut := range len(data) {
		err := audit.Verify(audit.Entries(bytes.NewReader(data[:cut])), want)
		require.ErrorIs(t, err, audit.ErrTampered, "cut at %d", cut)
	}
}

func TestOpeningADamagedFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	log := newLog(t, source)
	for i := range 3 {
		_, err := log.Append(t.Context(), record(fmt.Sprint(i)))
		require.NoError(t, err)
	}
	require.NoError(t, log.Close())
	whole, err := os.ReadFile(source)
	require.NoError(t, err)
	lines := bytes.SplitAfter(whole, []byte("\n"))[:3]
	two := slices.Concat(lines[0], lines[1])
	zeros := make([]byte, 200_000)
	eve := bytes.Replace(lines[2], []byte("ada"), []byte("eve"), 1)
	for name, tt := range map[string]struct {
		data []byte
		torn int64 // -1: refused
	}{
		"whole":          {whole, 0},
		"empty":          {nil, 0},
		"last line cut":  {whole[:len(whole)-1], int64(len(lines[2]) - 1)},
		"one byte of it": {append(bytes.Clone(two), '2'), 1},
		"zeros after it": {append(bytes.Clone(two), zeros...), int64(len(zeros))},
		"half of it, then zeros": {
			slices.Concat(two, lines[2][:50], zeros), int64(50 + len(zeros)),
		},
		"its line feed is zero": {
			slices.Concat(two, lines[2][:len(lines[2])-1], []byte{0}), int64(len(lines[2])),
		},
		"its line feed changed": {
			slices.Concat(two, lines[2][:len(lines[2])-1], []byte{'\n' ^ 1}), -1,
		},
		"another index":          {append(bytes.Clone(two), "3 abc"...), -1},
		"half of it, then more":  {slices.Concat(two, lines[2][:50], zeros, []byte("x")), -1},
		"another program's file": {[]byte("DATABASE_URL=postgres://localhost"), -1},
		"another long file":      {bytes.Repeat([]byte("x"), 200_000), -1},
		"first line changed":     {bytes.Replace(whole, []byte("ada"), []byte("eve"), 1), -1},
		"last line changed":      {slices.Concat(two, eve), -1},
		"a line removed":         {slices.Concat(lines[0], lines[2]), -1},
		"a line twice":           {slices.Concat(lines[0], lines[0]), -1},
		"an empty line":          {append(bytes.Clone(two), '\n'), -1},
		"a line without parts":   {append(bytes.Clone(two), "2 x\n"...), -1},
		"too long a line":        {append(append(bytes.Clone(two), zeros...), '\n'), -1},
		"zeros, then more lines": {slices.Concat(two, zeros, lines[2]), -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "log")
			require.NoError(t, os.WriteFile(path, tt.data, 0o600))
			log, err := audit.New(audit.Config{Path: path})
			if tt.torn < 0 {
				corrupt, ok := errors.AsType[*audit.CorruptError](err)
				require.True(t, ok, "got %v", err)
				require.False(t, corrupt.Torn)
				now, err := os.ReadFile(path)
				require.NoError(t, err)
				require.Equal(t, tt.data, now, "left as it is")
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.torn, log.Torn())
			receipt, err := log.Append(t.Context(), record("next"))
			require.NoError(t, err)
			require.NoError(t, log.Close())
			now, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, audit.Verify(audit.Entries(bytes.NewReader(now)), receipt.Tree))
		})
	}
}

func TestLogRefusals(t *testing.T) {
	t.Parallel()
	var zero audit.Log
	_, err := zero.Append(t.Context(), record("1"))
	require.ErrorIs(t, err, audit.ErrClosed)
	require.NoError(t, zero.Close())

	log := newLog(t, filepath.Join(t.TempDir(), "log"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = log.Append(ctx, record("1"))
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, audit.ErrUnknown, "nothing was queued")
	_, err = log.Append(t.Context(), audit.Record{})
	require.ErrorIs(t, err, audit.ErrInvalid)
	require.Zero(t, log.Head().Size())
	require.NoError(t, log.Close())
	_, err = log.Append(t.Context(), record("1"))
	require.ErrorIs(t, err, audit.ErrClosed)

	_, err = audit.New(audit.Config{Queue: -1})
	require.ErrorContains(t, err, "audit: Path:")
	require.ErrorContains(t, err, "audit: Queue:")
	_, err = audit.New(audit.Config{Path: filepath.Join(t.TempDir(), "missing", "log")})
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = audit.New(audit.Config{Path: t.TempDir()})
	require.Error(t, err, "a directory")
}

// Whoever calls Close learns how it ended, and not before it did.
func TestEveryCloseWaitsAndReports(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		finish, failed := make(chan struct{}), errors.New("close failed")
		disk := &sim{ops: -1, onClose: func() error { <-finish; return failed }}
		log, err := audit.NewOn(disk, audit.Config{Path: "log"})
		require.NoError(t, err)
		results := make(chan error, 2)
		for range cap(results) {
			go func() { results <- log.Close() }()
		}
		synctest.Wait()
		require.Empty(t, results, "the file is still being closed")
		close(finish)
		for range cap(results) {
			require.ErrorIs(t, <-results, failed)
		}
		require.ErrorIs(t, log.Close(), failed)
	})
}
