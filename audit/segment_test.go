package audit_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/audit"
)

// segments is a log of three files of 18 entries.
func segments(t *testing.T) (dir string, names []string) {
	t.Helper()
	dir, _ = years(t)
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	require.NoError(t, err)
	require.Len(t, names, 3)
	return dir, names
}

// What is not a segment lies in the directory in peace; what is, has its name.
func TestNamesOfSegments(t *testing.T) {
	t.Parallel()
	dir, names := segments(t)
	for _, name := range []string{"README", "x.log", "00000000000000000018.log.bak", "99999999999999999999.log", "x", "00012.log"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600))
	}
	log := newLog(t, dir)
	require.EqualValues(t, 54, headOf(t, log).Size())
	require.NoError(t, log.Close())
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	require.NoError(t, os.Rename(names[2], filepath.Join(dir, "00000000000000000037.log")))
	_, err = audit.New(audit.Config{Dir: dir})
	corrupt, ok := errors.AsType[*audit.CorruptError](err)
	require.True(t, ok, "got %v", err)
	require.EqualValues(t, 37, corrupt.Index)
	require.Contains(t, corrupt.Error(), "00000000000000000037.log: entry 37")
	require.Contains(t, corrupt.Error(), "does not fit")
}

// A gap between files whose heads have the same hashes: 18 and 20 both have two bits.
func TestAGapBetweenSegments(t *testing.T) {
	t.Parallel()
	dir, names := segments(t)
	data, err := os.ReadFile(names[1])
	require.NoError(t, err)
	line, rest, _ := strings.Cut(string(data), "\n")
	forged := strings.Replace(line, " 18 ", " 20 ", 1) + "\n" + strings.Split(rest, "\n")[0][:0]
	require.NoError(t, os.Remove(names[1]))
	require.NoError(t, os.Remove(names[2]))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "00000000000000000020.log"), []byte(forged), 0o600))
	_, err = audit.New(audit.Config{Dir: dir})
	require.ErrorIs(t, err, audit.ErrTampered)
	require.ErrorIs(t, firstError(audit.Entries(os.DirFS(dir), 0)), audit.ErrTampered)
}

// After an error nothing more is yielded, whatever the reader does.
func TestAnErrorEndsTheEntries(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(path string){
		"a batch":  func(path string) { flipByte(t, path, 5000) },
		"a header": func(path string) { flipByte(t, path, 3) },
		"a head": func(path string) {
			data, err := os.ReadFile(path) // #nosec G304 -- the test's own file
			require.NoError(t, err)
			digit := map[bool]byte{true: '1', false: '0'}
			data[30] = digit[data[30] == '0']
			require.NoError(t, os.WriteFile(path, data, 0o600))
		},
		"no file": func(path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Mkdir(path, 0o700))
		},
	} {
		dir, names := segments(t)
		damage(names[1])
		failed, after := false, 0
		for _, err := range audit.Entries(os.DirFS(dir), 0) {
			if failed {
				after++
			}
			failed = failed || err != nil
		}
		require.True(t, failed, name)
		require.Zero(t, after, name)
		_, err := audit.VerifyDir(os.DirFS(dir), audit.Head{}.Tree(), nil)
		require.Error(t, err)
		if corrupt, ok := errors.AsType[*audit.CorruptError](err); ok {
			require.Equal(t, filepath.Base(names[1]), corrupt.File, name)
		}
	}
	require.ErrorIs(t, firstError(audit.Entries(os.DirFS(filepath.Join(t.TempDir(), "x")), 0)),
		fs.ErrNotExist)
	_, err := audit.VerifyDir(os.DirFS(filepath.Join(t.TempDir(), "x")), audit.Head{}.Tree(), nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// The header of the only file that is left is torn: there is nothing to know it by.
func TestATornHeaderWithoutAFileBefore(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"", "sallyport-audit 1 1", strings.Repeat("\x00", 40)} {
		dir := t.TempDir()
		path := filepath.Join(dir, "00000000000000000018.log")
		require.NoError(t, os.WriteFile(path, []byte(data), 0o600))
		_, err := audit.New(audit.Config{Dir: dir})
		require.ErrorIs(t, err, audit.ErrTampered)
		require.FileExists(t, path)
	}
}

func TestALogThatBeginsAtOne(t *testing.T) {
	t.Parallel()
	text, err := audit.Head{}.Next([]byte("x")).MarshalText()
	require.NoError(t, err)
	dir := fstest.MapFS{"00000000000000000001.log": &fstest.MapFile{
		Data: []byte("sallyport-audit 1 " + string(text) + "\n"),
	}}
	_, err = audit.VerifyDir(dir, audit.Head{}.Tree(), nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestEmptyDirectories(t *testing.T) {
	t.Parallel()
	require.NoError(t, firstError(audit.Entries(fstest.MapFS{}, 0)))
	require.ErrorIs(t, firstError(audit.Entries(fstest.MapFS{}, 1)), audit.ErrTampered)
	_, err := audit.VerifyDir(fstest.MapFS{}, audit.Head{}.Tree(), nil)
	require.NoError(t, err)
	data, _ := fileWith(t, 2)
	require.ErrorIs(t, firstError(audit.Entries(oneFile(data), -1)), fs.ErrNotExist)
}

func TestMessages(t *testing.T) {
	t.Parallel()
	damage := &audit.CorruptError{File: "f", Index: 3, Offset: 7, Torn: true}
	require.EqualError(t, damage, "audit: f: entry 3: the batch at byte 7 was cut short by a crash")
	_, err := audit.New(audit.Config{Dir: "x", SegmentBytes: 1 << 41})
	require.ErrorContains(t, err, `"2199023255552"`)
}

// A reader of a log sees what was durable when it began, and no more.
func TestEntriesEndAtTheHead(t *testing.T) {
	t.Parallel()
	log := newLog(t, filepath.Join(t.TempDir(), "log"))
	_, err := log.Append(t.Context(), record("1"))
	require.NoError(t, err)
	n := 0
	for _, err := range log.Entries(t.Context(), 0) {
		require.NoError(t, err)
		n++
		_, err = log.Append(t.Context(), record("2"))
		require.NoError(t, err)
	}
	require.Equal(t, 1, n)
	for range log.Entries(t.Context(), 0) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, firstError(log.Entries(ctx, 0)), context.Canceled)
	require.NoError(t, log.Close())
}

// A batch ends at a megabyte, so that memory is bounded and a reader can hold one.
func TestBatchesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := &blocked{newSim(), make(chan struct{}, 100)}
		disk.release <- struct{}{}
		log, err := audit.NewOn(disk, audit.Config{Dir: "log", Queue: 64})
		require.NoError(t, err)
		large := record("1")
		large.Reason = strings.Repeat("x", 60_000)
		sizes := make(chan int64, 40)
		for range cap(sizes) {
			go func() {
				receipt, err := log.Append(t.Context(), large)
				must(t, err)
				sizes <- receipt.Tree.N
			}()
		}
		synctest.Wait()
		for range 10 {
			disk.release <- struct{}{}
		}
		synctest.Wait()
		batches := map[int64]int{}
		for range cap(sizes) {
			batches[<-sizes]++
		}
		for end, n := range batches {
			require.LessOrEqual(t, n, 18, "the batch that ends at %d", end)
		}
		require.NoError(t, log.Close())
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// What goes wrong while a log goes on in the next file breaks it.
func TestARotationThatFails(t *testing.T) {
	t.Parallel()
	failed := errors.New("EIO")
	for name, fail := range map[string]func(*sim){
		"close":                 func(d *sim) { d.onClose = func() error { return failed } },
		"open":                  func(d *sim) { d.fault = 0 },
		"header":                func(d *sim) { d.fault = 1 },
		"sync":                  func(d *sim) { d.fault = 2 },
		"sync of the directory": func(d *sim) { d.fault = 3 },
		"batch":                 func(d *sim) { d.fault = 4 },
		"sync of the batch":     func(d *sim) { d.fault = 5 },
	} {
		disk := newSim()
		log, err := audit.NewOn(disk, audit.Config{Dir: "log", SegmentBytes: 1 << 20})
		require.NoError(t, err)
		large := record("1")
		large.Reason = strings.Repeat("x", 60_000)
		for range 18 {
			_, err := log.Append(t.Context(), large)
			require.NoError(t, err)
		}
		disk.faulty = failed
		fail(disk)
		_, err = log.Append(t.Context(), large)
		requireCode(t, audit.CodeLogBroken, err)
		require.ErrorIs(t, err, failed, name)
		require.ErrorIs(t, log.Close(), failed, name)
		disk.onClose = nil
		log, err = audit.NewOn(disk, audit.Config{Dir: "log"})
		require.NoError(t, err, name)
		require.GreaterOrEqual(t, headOf(t, log).Size(), int64(18), name)
		require.NoError(t, log.Close())
	}
}

// failing is a log whose file cannot be read to its end.
type failing struct {
	data []byte
	n    int
	err  error
}

func (f failing) Open(name string) (fs.File, error) {
	file, err := oneFile(f.data).Open(name)
	if name == "." || err != nil {
		return file, err
	}
	rest := io.MultiReader(io.LimitReader(file, int64(f.n)), iotest.ErrReader(f.err))
	return slowFile{file, rest}, nil
}

// A file that cannot be read is no damage, wherever that happens.
func TestReadErrorsAreNoDamage(t *testing.T) {
	t.Parallel()
	data, head := fileWith(t, 3)
	for n := range data {
		dir := failing{data, n, errors.New("EIO")}
		require.ErrorIs(t, firstError(audit.Entries(dir, 0)), dir.err, "after %d bytes", n)
		_, err := audit.VerifyDir(dir, head.Tree(), nil)
		require.ErrorIs(t, err, dir.err)
	}
	damaged := append(bytes.Clone(data), "+x\n"...)
	dir := failing{damaged, len(damaged), errors.New("EIO")}
	require.ErrorIs(t, firstError(audit.Entries(dir, 0)), dir.err)
}

func TestVerifyDir(t *testing.T) {
	t.Parallel()
	data, head := fileWith(t, 9)
	for n := range int64(10) {
		_, old := fileWith(t, int(n))
		got, err := audit.VerifyDir(oneFile(data), old.Tree(), nil)
		require.NoError(t, err)
		require.Equal(t, head.Tree(), got.Tree())
		fork := old.Tree()
		fork.Hash[3] ^= 1
		_, err = audit.VerifyDir(oneFile(data), fork, nil)
		require.Equal(t, n > 0, errors.Is(err, audit.ErrTampered), "%d: %v", n, err)
	}
	longer := head.Next([]byte("x")).Tree()
	got, err := audit.VerifyDir(oneFile(data), longer, nil)
	require.ErrorIs(t, err, audit.ErrTampered)
	require.EqualValues(t, 9, got.Size())
	var sizes []int64
	got, err = audit.VerifyDir(oneFile(data[:len(data)-1]), head.Tree(), func(h audit.Head) {
		sizes = append(sizes, h.Size())
	})
	corrupt, ok := errors.AsType[*audit.CorruptError](err)
	require.True(t, ok && corrupt.Torn)
	require.EqualValues(t, 8, got.Size())
	require.Equal(t, []int64{1, 2, 3, 4, 5, 6, 7, 8}, sizes)
}
