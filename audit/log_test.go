package audit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
)

func newLog(t testing.TB, dir string) *audit.Log {
	t.Helper()
	log, err := audit.New(audit.Config{Dir: dir})
	require.NoError(t, err)
	return log
}

// firstError is what a reader of entries gets.
func firstError(entries iter.Seq2[[]byte, error]) error {
	for _, err := range entries {
		if err != nil {
			return err
		}
	}
	return nil
}

func headOf(t testing.TB, log *audit.Log) audit.Head {
	t.Helper()
	head, err := log.Head(t.Context())
	require.NoError(t, err)
	return head
}

// simFS shows a simulated disk to the reader.
type simFS struct{ s *sim }

func (s simFS) Open(name string) (fs.File, error) {
	files := fstest.MapFS{}
	for name, f := range s.s.files {
		files[name] = &fstest.MapFile{Data: f.cache}
	}
	return files.Open(name)
}

// oneFile is a log whose only segment is data.
func oneFile(data []byte) fs.FS {
	return fstest.MapFS{firstFile: &fstest.MapFile{Data: data}}
}

// fileWith returns the first segment of a log of n records, each a batch of its own,
// and the head.
func fileWith(t testing.TB, n int) ([]byte, audit.Head) {
	t.Helper()
	disk := newSim()
	log, err := audit.NewOn(disk, audit.Config{Dir: "log"})
	require.NoError(t, err)
	for i := range n {
		_, err := log.Append(t.Context(), record(fmt.Sprint(i)))
		require.NoError(t, err)
	}
	head := headOf(t, log)
	require.NoError(t, log.Close())
	return disk.files[firstFile].cache, head
}

func TestLogOnDisk(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "audit")
	var last audit.Receipt
	for life := range 3 {
		log := newLog(t, dir)
		for i := range 3 {
			var err error
			last, err = log.Append(t.Context(), record(fmt.Sprint(i)))
			require.NoError(t, err)
			require.EqualValues(t, life*3+i, last.Index)
			require.Equal(t, headOf(t, log).Tree(), last.Tree)
		}
		end := int64(life*3 + 3)
		for from := range end + 1 {
			n := from
			for entry, err := range log.Entries(t.Context(), from) {
				require.NoError(t, err)
				require.Contains(t, string(entry), fmt.Sprintf(`"id":"%d"`, n%3))
				n++
			}
			require.Equal(t, end, n)
		}
		require.ErrorIs(t, firstError(log.Entries(t.Context(), end+1)), audit.ErrTampered)
		require.NoError(t, log.Err())
		require.Zero(t, log.Torn())
		require.NoError(t, log.Close())
		require.NoError(t, log.Close(), "twice is harmless")
	}
	info, err := os.Stat(filepath.Join(dir, firstFile))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NoError(t, audit.Verify(audit.Entries(os.DirFS(dir), 0), last.Tree))
	for entry, err := range audit.Entries(os.DirFS(dir), 0) {
		require.NoError(t, err)
		_, err = audit.Parse(entry)
		require.NoError(t, err)
		break
	}
	data, err := os.ReadFile(filepath.Join(dir, firstFile))
	require.NoError(t, err)
	require.ErrorIs(t, audit.Verify(audit.Entries(slowFS{data}, 0), last.Tree), iotest.ErrTimeout)
}

// slowFS reads a byte at a time, and fails at the second read.
type slowFS struct{ data []byte }

func (s slowFS) Open(name string) (fs.File, error) {
	f, err := oneFile(s.data).Open(name)
	if name == "." || err != nil {
		return f, err
	}
	return slowFile{f, iotest.TimeoutReader(iotest.OneByteReader(f))}, nil
}

type slowFile struct {
	fs.File
	slow interface{ Read([]byte) (int, error) }
}

func (s slowFile) Read(p []byte) (int, error) { return s.slow.Read(p) }

// The format is a promise: writer and reader share their code, so only bytes that
// were written down elsewhere notice when both change. The roots are the hashes of
// RFC 6962: SHA-256(0x00, entry), and SHA-256(0x01, left, right).
func TestFileFormat(t *testing.T) {
	t.Parallel()
	got, _ := fileWith(t, 2)
	var want strings.Builder
	want.WriteString("sallyport-audit 1 0\n")
	var leaves [][]byte
	for i := range 2 {
		entry, err := record(fmt.Sprint(i)).Encode()
		require.NoError(t, err)
		leaf := sha256.Sum256(append([]byte{0}, entry...))
		leaves = append(leaves, leaf[:])
		root := leaf
		if i == 1 {
			root = sha256.Sum256(slices.Concat([]byte{1}, leaves[0], leaves[1]))
		}
		line := fmt.Sprintf("%d %x %s\n", i, leaf[:8], entry)
		want.WriteString(fmt.Sprintf("+%d 1 %x\n%s", len(line), root, line))
	}
	require.Equal(t, want.String(), string(got))
}

// A log goes on in the next file, and every file but the last may be read alone.
func TestRotation(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "audit")
	large := record("1")
	large.Reason = strings.Repeat("x", 60_000)
	var last audit.Receipt
	for range 3 {
		log, err := audit.New(audit.Config{Dir: dir, SegmentBytes: 1 << 20})
		require.NoError(t, err)
		for range 40 {
			last, err = log.Append(t.Context(), large)
			require.NoError(t, err)
		}
		require.NoError(t, log.Close())
	}
	require.NoError(t, audit.Verify(audit.Entries(os.DirFS(dir), 0), last.Tree))
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	require.NoError(t, err)
	require.Len(t, names, 7)
	require.NoError(t, os.Rename(names[0], filepath.Join(t.TempDir(), "archived")))
	log := newLog(t, dir)
	require.Equal(t, last.Tree, headOf(t, log).Tree(), "an archived beginning is not missed")
	require.NoError(t, log.Close())
	require.ErrorIs(t, firstError(audit.Entries(os.DirFS(dir), 0)), fs.ErrNotExist)
	require.ErrorIs(t, firstError(audit.Entries(os.DirFS(dir), -1)), fs.ErrNotExist)
	n := 100
	for _, err := range audit.Entries(os.DirFS(dir), 100) {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, 120, n)
	require.NoError(t, os.Rename(names[3], filepath.Join(t.TempDir(), "gone")))
	_, err = audit.New(audit.Config{Dir: dir})
	require.ErrorIs(t, err, audit.ErrTampered, "a file in the middle is")
}

// The largest entry there can be is written, read and verified like any other.
func TestTheLargestEntry(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "log")
	large := record("1")
	short, err := large.Encode()
	require.NoError(t, err)
	large.Reason = strings.Repeat("x", maxEntry-len(short)-len(`,"reason":""`))
	entry, err := large.Encode()
	require.NoError(t, err)
	require.Len(t, entry, maxEntry)
	for range 3 {
		log := newLog(t, dir)
		_, err = log.Append(t.Context(), large)
		require.NoError(t, err)
		require.NoError(t, log.Close())
	}
	large.Reason += "x"
	_, err = large.Encode()
	require.ErrorIs(t, err, audit.ErrInvalid)
}

func TestConfigLimits(t *testing.T) {
	t.Parallel()
	for queue, ok := range map[int]bool{-1: false, 1: true, 1 << 16: true, 1<<16 + 1: false} {
		log, err := audit.New(audit.Config{Dir: filepath.Join(t.TempDir(), "log"), Queue: queue})
		require.Equal(t, ok, err == nil, "%d", queue)
		require.NoError(t, log.Close())
	}
	for size, ok := range map[int64]bool{
		-1: false, 1<<20 - 1: false, 1 << 20: true, 1 << 40: true, 1<<40 + 1: false,
	} {
		log, err := audit.New(audit.Config{
			Dir: filepath.Join(t.TempDir(), "log"), SegmentBytes: size,
		})
		require.Equal(t, ok, err == nil, "%d", size)
		require.NoError(t, log.Close())
	}
	_, err := audit.New(audit.Config{Queue: -1, SegmentBytes: -1})
	require.ErrorContains(t, err, "audit: Dir:")
	require.ErrorContains(t, err, "audit: Queue:")
	require.ErrorContains(t, err, "audit: SegmentBytes:")
}

// Every single-bit flip of a file, and every cut, against a tree kept elsewhere.
func TestEveryFlippedBitOfAFileIsFound(t *testing.T) {
	t.Parallel()
	data, head := fileWith(t, 4)
	for bit := range len(data) * 8 {
		bad := bytes.Clone(data)
		bad[bit/8] ^= 1 << (bit % 8)
		err := audit.Verify(audit.Entries(oneFile(bad), 0), head.Tree())
		require.ErrorIs(t, err, audit.ErrTampered, "bit %d", bit)
	}
	for cut := range len(data) {
		err := audit.Verify(audit.Entries(oneFile(data[:cut]), 0), head.Tree())
		require.ErrorIs(t, err, audit.ErrTampered, "cut at %d", cut)
	}
}

// batchOf is the first batch of a log.
func batchOf(t testing.TB, records ...audit.Record) string {
	t.Helper()
	var head audit.Head
	var lines strings.Builder
	for _, r := range records {
		entry, err := r.Encode()
		require.NoError(t, err)
		leaf := sha256.Sum256(append([]byte{0}, entry...))
		fmt.Fprintf(&lines, "%d %x %s\n", head.Size(), leaf[:8], entry)
		head = head.Next(entry)
	}
	root := head.Tree().Hash
	return fmt.Sprintf("+%d %d %x\n%s", lines.Len(), len(records), root[:], lines.String())
}

// hole is a batch that begins at offset, with zeros from one place of the file to another.
func hole(batch string, offset, from, to int) string {
	return batch[:from-offset] + string(make([]byte, to-from)) + batch[to-offset:]
}

func TestOpeningADamagedFile(t *testing.T) {
	t.Parallel()
	whole, _ := fileWith(t, 3)
	lines := bytes.SplitAfter(whole, []byte("\n")) // a header, then a mark and an entry each
	head, first := string(lines[0]), string(lines[1])+string(lines[2])
	two := head + first + string(lines[3]) + string(lines[4])
	mark, entry := string(lines[5]), string(lines[6])
	last := mark + entry
	zeros := string(make([]byte, 200_000))
	twins := batchOf(t, record("0"), record("1"))
	eveFirst := func(s string) string { return strings.Replace(s, "ada", "eve", 1) }
	long := record("1")
	long.Reason = strings.Repeat("x", 1500)
	twoRoot := strings.TrimSpace(string(lines[3]))
	twoRoot = twoRoot[strings.LastIndex(twoRoot, " "):]
	one := batchOf(t, record("0"))
	extent, rest, _ := strings.Cut(one, " ")
	n, err := strconv.Atoi(extent[1:])
	require.NoError(t, err)
	shortened := fmt.Sprintf("+%d %s", n-1, rest[:len(rest)-1])
	dozen := batchOf(t, record("0"), record("1"), record("2"), record("3"), record("4"), record("5"),
		record("6"), record("7"), record("8"), record("9"), record("10"), record("11"))
	large, three := batchOf(t, long), batchOf(t, record("0"), long, record("2"))
	for name, tt := range map[string]struct {
		data string
		torn int // -1: refused
	}{
		"whole":                       {two + last, 0},
		"empty":                       {"", 0},
		"half a header":               {head[:9], 9},
		"a header of zeros":           {zeros[:len(head)], len(head)},
		"another header":              {"sallyport-audit 2 0\n", -1},
		"more than a header":          {zeros[:100], -1},
		"last entry cut":              {two + last[:len(last)-1], len(last) - 1},
		"one byte of it":              {two + "+", 1},
		"half a mark":                 {two + mark[:20], 20},
		"only the mark":               {two + mark, len(mark)},
		"zeros after it":              {two + zeros, len(zeros)},
		"half of it, then zeros":      {two + last[:150] + zeros, 150 + len(zeros)},
		"half a mark, then zeros":     {two + mark[:30] + zeros, 30 + len(zeros)},
		"its line feed is zero":       {two + last[:len(last)-1] + "\x00", len(last)},
		"its line feed changed":       {two + last[:len(last)-1] + "\v", -1},
		"a zero in it":                {two + strings.Replace(last, "ada", "\x00da", 1), -1},
		"zeros, then more":            {two + last[:150] + zeros + "x", -1},
		"another program's file":      {"DATABASE_URL=postgres://localhost", -1},
		"another long file":           {strings.Repeat("x", 200_000), -1},
		"endless zeros":               {two + string(make([]byte, 3<<20)), -1},
		"first entry changed":         {eveFirst(two) + last, -1},
		"last entry changed":          {two + eveFirst(last), -1},
		"changed, then cut":           {two + eveFirst(last)[:len(last)-1], len(last) - 1},
		"two entries":                 {head + twins, 0},
		"two entries, cut":            {head + twins[:len(twins)-1], len(twins) - 1},
		"a whole one changed":         {head + eveFirst(twins), -1},
		"changed, the other cut":      {head + eveFirst(twins)[:len(twins)-1], -1},
		"a batch removed":             {head + first + last, -1},
		"a batch twice":               {two + last + last, -1},
		"a batch cut, then more":      {head + first[:len(first)-9] + last, -1},
		"an entry without a mark":     {two + entry, -1},
		"an empty line":               {two + "\n", -1},
		"a mark without parts":        {two + "+2 x\nab", -1},
		"an extent too long":          {two + "+9" + last[1:], -1},
		"an extent beyond a batch":    {two + "+3000000 9" + mark[strings.Index(mark, " 1 ")+2:] + entry, -1},
		"the largest extent":          {two + "+2097152 9" + mark[strings.Index(mark, " 1 ")+2:] + entry, len("+2097152 9") + len(mark[strings.Index(mark, " 1 ")+2:]) + len(entry)},
		"a header without its end":    {head[:len(head)-1], len(head) - 1},
		"more after the extent":       {two + mark + zeros[:1024-len(two+mark)%512] + entry, -1},
		"a page in the middle":        {head + hole(large, len(head), 512, 1024), len(large)},
		"a page from an entry on":     {head + hole(large, len(head), len(head)+strings.Index(large, "\n")+1, 1024), len(large)},
		"a page, one entry after it":  {head + hole(three, len(head), 512, 1024), len(three)},
		"a page, a changed one after": {head + strings.Replace(hole(three, len(head), 512, 1024), `"id":"2"`, `"id":"3"`, 1), -1},
		"an index that is not next":   {head + strings.Replace(twins, "\n0 ", "\n5 ", 1)[:len(twins)-1], -1},
		"a zero before a mark":        {two + "\x00+", -1},
		"twelve entries":              {head + dozen, 0},
		"twelve, and pages":           {head + hole(dozen, len(head), 512, 2048), len(dozen)},
		"a root too long":             {two + "+2 1 " + strings.Repeat("a", 80) + "\nab", -1},
		"an empty batch":              {two + "+0 0" + twoRoot + "\n", -1},
		"an entry without its end":    {head + shortened, -1},
		"something else":              {two + "x", -1},
		"a head alone":                {"0\n", -1},
		"a negative index":            {head + strings.Replace(hole(three, len(head), 512, 1024), "\n2 ", "\n-2 ", 1), -1},
		"a count too high":            {two + strings.Replace(last, " 1 ", " 2 ", 1), -1},
		"another root":                {two + strings.Replace(mark, " 1 ", " 1 0", 1)[:len(mark)-1] + "\n" + entry, -1},
		"zeros, then more batches": {
			two + zeros[:512-len(two)%512] + last, -1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, firstFile)
			require.NoError(t, os.WriteFile(path, []byte(tt.data), 0o600))
			log, err := audit.New(audit.Config{Dir: dir})
			if tt.torn < 0 {
				require.ErrorIs(t, err, audit.ErrTampered)
				now, err := os.ReadFile(path)
				require.NoError(t, err)
				require.Equal(t, tt.data, string(now), "left as it is")
				return
			}
			require.NoError(t, err)
			require.EqualValues(t, tt.torn, log.Torn())
			receipt, err := log.Append(t.Context(), record("next"))
			require.NoError(t, err)
			require.NoError(t, log.Close())
			require.NoError(t, audit.Verify(audit.Entries(os.DirFS(dir), 0), receipt.Tree))
		})
	}
}

// A log that New did not make refuses, and nothing panics.
func TestNotConfigured(t *testing.T) {
	t.Parallel()
	for name, log := range map[string]*audit.Log{"zero": {}, "nil": nil} {
		_, err := log.Append(t.Context(), record("1"))
		requireCode(t, audit.CodeNotConfigured, err)
		_, err = log.Head(t.Context())
		requireCode(t, audit.CodeNotConfigured, err)
		requireCode(t, audit.CodeNotConfigured, log.Err())
		requireCode(t, audit.CodeNotConfigured, firstError(log.Entries(t.Context(), 0)))
		require.Zero(t, log.Torn(), name)
		require.NoError(t, log.Close(), name)
	}
}

func TestLogRefusals(t *testing.T) {
	t.Parallel()
	var events []sallyport.Event
	log, err := audit.New(audit.Config{
		Dir: t.TempDir(), ProblemBase: "https://x/#",
		OnEvent: func(_ context.Context, e sallyport.Event) { events = append(events, e) },
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = log.Append(ctx, record("1"))
	requireCode(t, audit.CodeNotQueued, err)
	require.ErrorIs(t, err, context.Canceled)
	_, err = log.Append(t.Context(), audit.Record{})
	requireCode(t, audit.CodeRecordInvalid, err)
	require.ErrorIs(t, err, audit.ErrInvalid)
	refused, _ := errors.AsType[*sallyport.Refusal](err)
	require.Equal(t, "https://x/#", refused.TypeBase)
	require.Equal(t, 500, refused.Status)
	require.Zero(t, headOf(t, log).Size())
	receipt, err := log.Append(t.Context(), record("1"))
	require.NoError(t, err)
	require.NoError(t, log.Close())
	_, err = log.Append(t.Context(), record("1"))
	requireCode(t, audit.CodeLogClosed, err)

	require.Equal(t, sallyport.Event{
		Gate: "audit", Code: audit.CodeRecorded, Allowed: true, Tenant: "s1", Actor: "ada",
		Detail: receipt,
	}, events[2])
	codes := []string{}
	for _, e := range events {
		codes = append(codes, e.Code)
	}
	require.Equal(t, []string{
		audit.CodeNotQueued, audit.CodeRecordInvalid, audit.CodeRecorded, audit.CodeLogClosed,
	}, codes)
}

// Each record would lead to another one; in a hook of the writer it would wait for
// itself.
func TestAppendInsideTheHook(t *testing.T) {
	t.Parallel()
	var log *audit.Log
	var inner error
	log, err := audit.New(audit.Config{
		Dir: t.TempDir(),
		OnEvent: func(context.Context, sallyport.Event) {
			_, inner = log.Append(context.Background(), record("2"))
		},
	})
	require.NoError(t, err)
	_, err = log.Append(t.Context(), record("1"))
	require.NoError(t, err)
	requireCode(t, audit.CodeInsideHook, inner)
	require.EqualValues(t, 1, headOf(t, log).Size())
	require.NoError(t, log.Close())
}

// Whoever calls Close learns how it ended, and not before it did.
func TestEveryCloseWaitsAndReports(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		finish, failed := make(chan struct{}), errors.New("close failed")
		disk := newSim()
		disk.onClose = func() error { <-finish; return failed }
		log, err := audit.NewOn(disk, audit.Config{Dir: "log"})
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
