package audit

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"
)

// maxLine is an entry with its index, its root and the blanks between.
const maxLine = MaxEntry + 20 + 2*tlog.HashSize + 3

// file is what a log needs of an *os.File. The tests put one below it that
// forgets what was not synced.
type file interface {
	io.ReadWriteCloser
	Truncate(size int64) error
	Sync() error
}

// filesystem is where the file is, and its directory, which has an fsync of its own.
type filesystem interface {
	Open(path string) (file, error)
	SyncDir(path string) error
}

// disk is the real one.
type disk struct{}

// Open opens or creates a file that only its owner can read, and locks it.
func (disk) Open(path string) (file, error) {
	// #nosec G304 -- the path is the operator's setting
	f, err := os.OpenFile(filepath.Clean(path), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return f, nil
}

// SyncDir makes the file's own entry durable: fsync of a new file is not enough.
func (disk) SyncDir(path string) error {
	dir, err := os.Open(filepath.Dir(filepath.Clean(path)))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// appendLine writes the line of the entry that tree ends with. Log and reader
// share it, so what the one writes is by construction what the other accepts.
func appendLine(b []byte, tree tlog.Tree, entry []byte) []byte {
	b = strconv.AppendInt(b, tree.N-1, 10)
	b = hex.AppendEncode(append(b, ' '), tree.Hash[:])
	b = append(append(b, ' '), entry...)
	return append(b, '\n')
}

// Entries reads a log file from its beginning and checks every line against the
// root it carries. It yields entries, valid until the next one, and ends with a
// *[CorruptError] at the first line that does not fit. That finds accidents:
// whoever can write the file can compute roots. [Verify] finds the rest.
func Entries(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var at position
		in := bufio.NewReaderSize(r, maxLine)
		for {
			entry, err := at.next(in)
			if errors.Is(err, io.EOF) || !yield(entry, err) || err != nil {
				return
			}
		}
	}
}

// position is how far a file has been read and found good.
type position struct {
	head   Head
	offset int64
	line   []byte // scratch
}

// next reads one line; io.EOF means a clean end.
func (p *position) next(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if errors.Is(err, io.EOF) && len(line) == 0 {
		return nil, io.EOF
	}
	begun, long := err != nil && p.begins(line), errors.Is(err, bufio.ErrBufferFull)
	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = in.ReadSlice('\n') // too long for a line: only zeros explain it
		begun = begun && len(bytes.TrimRight(line, "\x00")) == 0
	}
	ended := err == nil
	if !ended && !errors.Is(err, io.EOF) {
		return nil, err
	}
	bad := &CorruptError{Index: p.head.size, Offset: p.offset, Torn: !ended && begun}
	if long {
		return nil, bad
	}
	body, last := line[:len(line)-1], line[len(line)-1]
	_, rest, _ := bytes.Cut(body, []byte(" "))
	_, entry, _ := bytes.Cut(rest, []byte(" "))
	next := p.head.Append(entry)
	// Writing the line again and comparing leaves no second spelling, and needs no
	// other check: a line that is torn or lacks a part differs.
	p.line = appendLine(p.line[:0], next.Tree(), entry)
	if !bytes.Equal(p.line[:len(p.line)-1], body) {
		return nil, bad
	}
	if last != '\n' { // all of it but the line feed: changed, unless never written
		bad.Torn = bad.Torn && last == 0
		return nil, bad
	}
	p.head, p.offset = next, p.offset+int64(len(line))
	return entry, nil
}

// begins reports whether tail is what a crash leaves of the next line: a beginning
// of it, or the zeros of a file that grew before its data was written. Anything else
// without an end, such as another program's file, was never ours to cut off.
func (p *position) begins(tail []byte) bool {
	tail = bytes.TrimRight(tail, "\x00")
	start := append(strconv.AppendInt(nil, p.head.size, 10), ' ')
	n := min(len(tail), len(start))
	return bytes.Equal(tail[:n], start[:n])
}

// recovery is what is left of a file after a crash.
type recovery struct {
	head Head
	size int64 // of the good part
	torn int64 // bytes after it
}

// recoverFile reads a file up to its good end. Damage before the last line, or a
// last line that has its end and is wrong, or does not begin as the next one would,
// is an error: cutting it off could drop what was acknowledged.
func recoverFile(f io.Reader) (recovery, error) {
	var at position
	counted := &counter{r: f} // at the end of the file: its size
	in := bufio.NewReaderSize(counted, maxLine)
	for {
		_, err := at.next(in)
		if err == nil {
			continue
		}
		if corrupt, ok := errors.AsType[*CorruptError](err); ok && !corrupt.Torn {
			return recovery{}, err
		} else if !ok && !errors.Is(err, io.EOF) {
			return recovery{}, err
		}
		return recovery{head: at.head, size: at.offset, torn: counted.n - at.offset}, nil
	}
}

// counter counts what was read through it.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
