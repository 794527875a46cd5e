package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"regexp"
	"slices"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"
)

// magic begins every segment; the text of a [Head] follows on the same line.
const magic = "sallyport-audit 1 "

// maxHeader bounds the first line: a size and 63 hashes at most.
const maxHeader = len(magic) + 20 + 63*65 + 1

// readBuffer is larger than any mark and any header.
const readBuffer = 64 << 10

var segmentName = regexp.MustCompile(`^[0-9]{20}\.log$`)

// fileName is the name of the segment that begins with the entry index, so that
// names sort as the entries do.
func fileName(index int64) string { return fmt.Sprintf("%020d.log", index) }

// nameIndex is the inverse of fileName, or -1.
func nameIndex(name string) int64 {
	index, err := strconv.ParseInt(name[:len(name)-len(".log")], 10, 64)
	if err != nil {
		return -1
	}
	return index
}

func header(head Head) []byte {
	text, _ := head.MarshalText()
	return append(append([]byte(magic), text...), '\n')
}

// openSegment reads the header. What is not one is a *CorruptError.
func openSegment(name string, r io.Reader) (*segment, error) {
	s := &segment{name: name, in: bufio.NewReaderSize(r, readBuffer)}
	line, err := s.in.ReadSlice('\n')
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return nil, err
	}
	text, found := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\n")), []byte(magic))
	if err != nil || !found || s.head.UnmarshalText(text) != nil ||
		fileName(s.head.size) != name {
		return nil, &CorruptError{File: name, Index: max(nameIndex(name), 0)}
	}
	s.head, s.offset = s.head.clone(), int64(len(line))
	return s, nil
}

// segmentsOf lists the segments in dir, oldest first. Other names are not ours.
func segmentsOf(dir fs.FS) ([]string, error) {
	list, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, item := range list {
		if segmentName.MatchString(item.Name()) && nameIndex(item.Name()) >= 0 {
			names = append(names, item.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// Entries reads the log in dir from the entry with the index from, and checks every
// batch against the root that it carries, and every file against the one before. It
// yields entries, valid until the next one, and ends with a *[CorruptError] at the
// first batch that does not fit. That finds accidents: whoever can write the files
// can compute roots. [Verify] finds the rest.
//
//	audit.Verify(audit.Entries(os.DirFS("audit"), 0), tree)
//
// It reads while a [Log] writes, too; a batch that is being written then looks torn.
func Entries(dir fs.FS, from int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		names, err := segmentsOf(dir)
		if err != nil {
			yield(nil, err)
			return
		}
		first, err := segmentWith(names, from)
		if err != nil {
			yield(nil, err)
			return
		}
		reader := logReader{dir: dir, from: from, yield: yield}
		for _, name := range names[first:] {
			if !reader.read(name) {
				return
			}
		}
		if from > reader.head.size {
			yield(nil, fmt.Errorf("%w: no entry %d", ErrTampered, from))
		}
	}
}

// segmentWith returns which of the names has the entry from.
func segmentWith(names []string, from int64) (int, error) {
	at, found := slices.BinarySearch(names, fileName(max(from, 0)))
	if !found {
		at--
	}
	if at < 0 && len(names) > 0 || from < 0 {
		return 0, fmt.Errorf("audit: entry %d is not in this directory: %w", from, fs.ErrNotExist)
	}
	return max(at, 0), nil
}

// VerifyDir reads the whole log in dir as [Entries] does, and returns its head. The log
// must be the tree want or an extension of it. It hashes each entry once, so it is
// faster than [Verify] over Entries. Progress, if set, is called after each batch.
//
// A *[CorruptError] says where the damage is. One that is Torn is the end of what a
// crash left, and comes with the head before it. Any other error that matches
// [ErrTampered] means that the log is intact by itself, and shorter than want or
// another one: then the head says how long it is.
func VerifyDir(dir fs.FS, want tlog.Tree, progress func(Head)) (Head, error) {
	names, err := segmentsOf(dir)
	if err != nil {
		return Head{}, err
	}
	r := logReader{dir: dir, want: want, progress: progress}
	if len(names) > 0 && nameIndex(names[0]) > 0 {
		return Head{}, fmt.Errorf("audit: the log begins with %s: %w", names[0], fs.ErrNotExist)
	}
	for _, name := range names {
		if !r.read(name) {
			break
		}
	}
	switch {
	case r.err != nil:
		return r.head, r.err
	case r.head.size < want.N:
		return r.head, fmt.Errorf("%w: %d entries, want %d", ErrTampered, r.head.size, want.N)
	}
	return r.head, nil
}

// logReader reads successive segments.
type logReader struct {
	dir      fs.FS
	from     int64
	head     Head
	begun    bool
	err      error
	want     tlog.Tree
	yield    func([]byte, error) bool // may be nil
	progress func(Head)               // may be nil
}

// read yields the entries of one segment, and reports whether to go on.
func (l *logReader) read(name string) bool {
	file, err := l.dir.Open(name)
	if err != nil {
		return l.stop(err)
	}
	defer func() { _ = file.Close() }()
	s, err := openSegment(name, file)
	if err != nil {
		return l.stop(err)
	}
	if l.begun && !s.head.equal(l.head) {
		return l.stop(&CorruptError{File: name, Index: l.head.size})
	}
	s.want, l.head, l.begun = l.want, s.head, true
	for {
		index := s.head.size
		err := s.next()
		l.head = s.head
		if errors.Is(err, io.EOF) {
			return true
		}
		if err != nil {
			return l.stop(err)
		}
		if !l.batch(index, s.entries) {
			return false
		}
	}
}

// batch hands on the entries of one batch, whose first has the index.
func (l *logReader) batch(index int64, entries [][]byte) bool {
	if l.progress != nil {
		l.progress(l.head)
	}
	if l.yield == nil {
		return true
	}
	for i, entry := range entries {
		if index+int64(i) >= l.from && !l.yield(entry, nil) {
			return false
		}
	}
	return true
}

func (l *logReader) stop(err error) bool {
	if l.err = err; l.yield != nil {
		l.yield(nil, err)
	}
	return false
}
