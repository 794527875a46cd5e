package audit

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
)

// errLocked is the cause when another Log, here or in another process, has the
// directory open.
var errLocked = errors.New("the directory is open in another log")

// writer appends batches to the newest segment.
type writer struct {
	fs    filesystem
	dir   string
	limit int64 // SegmentBytes
	lock  io.Closer
	file  file
	size  int64 // of file
	torn  int64 // bytes that recovery cut off
	buf   []byte
}

// recoverLog locks the directory, checks all of it, and leaves a log whose every
// byte is good and durable.
func recoverLog(fs filesystem, dir string, limit int64) (*writer, Head, error) {
	lock, err := fs.Lock(dir)
	if err != nil {
		return nil, Head{}, err
	}
	w := &writer{fs: fs, dir: dir, limit: limit, lock: lock}
	head, err := w.recoverSegments()
	if err != nil {
		return nil, Head{}, errors.Join(err, w.close())
	}
	return w, head, nil
}

func (w *writer) recoverSegments() (head Head, err error) {
	names, err := w.fs.List(w.dir)
	if err != nil {
		return Head{}, err
	}
	if len(names) == 0 {
		return head, w.create(head)
	}
	for i, name := range names {
		var before *Head // what the segment must begin with, if it is known
		if i > 0 || nameIndex(name) == 0 {
			before = &head
		}
		if head, err = w.recoverSegment(name, before, i == len(names)-1); err != nil {
			return Head{}, err
		}
	}
	return head, nil
}

// recoverSegment reads one file. Only the last one is ever changed, and stays open.
func (w *writer) recoverSegment(name string, before *Head, last bool) (Head, error) {
	f, err := w.fs.Open(filepath.Join(w.dir, name))
	if err != nil {
		return Head{}, err
	}
	s, read, err := scan(name, f, before)
	if last {
		w.file = f
		return w.recoverLast(s, read, err, before)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return Head{}, err
	}
	return s.head, nil
}

// recoverLast cuts off what a crash left of an unacknowledged batch. Any other
// damage is an error: cutting it off could drop what was acknowledged. S is nil if
// even the header is torn, that is, if nothing is in the segment.
func (w *writer) recoverLast(s *segment, read int64, err error, before *Head) (Head, error) {
	if corrupt, ok := errors.AsType[*CorruptError](err); err != nil && !(ok && corrupt.Torn) {
		return Head{}, err
	}
	var head Head
	if s != nil {
		w.size, head = s.offset, s.head
	} else {
		head = *before // a header is torn only if it is known what it should be
	}
	if w.torn = read - w.size; w.torn > 0 {
		if err := w.file.Truncate(w.size); err != nil {
			return Head{}, err
		}
	}
	if s == nil {
		return head, w.begin(head)
	}
	// What was read may be in the page cache only: the process before may have died
	// between its write and its fsync.
	return head, errors.Join(w.file.Sync(), w.fs.SyncDir(w.dir))
}

// scan reads a segment to its good end, and counts the bytes of the file. The error
// of a torn end is a *CorruptError.
func scan(name string, r io.Reader, before *Head) (s *segment, size int64, err error) {
	in := &counter{r: r}
	s, err = openSegment(name, in)
	if err != nil {
		return nil, in.n, tornHeader(err, in, before)
	}
	if before != nil && !s.head.equal(*before) {
		return nil, in.n, &CorruptError{File: name, Index: before.size}
	}
	for err == nil {
		err = s.next()
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return s, in.n, err
}

// tornHeader finds out whether a bad header is the beginning of the right one, or
// zeros: what a crash leaves of a file that was just made.
func tornHeader(err error, in *counter, before *Head) error {
	corrupt, ok := errors.AsType[*CorruptError](err)
	if !ok || before == nil {
		return err
	}
	want := header(*before)
	corrupt.Torn = in.n <= int64(len(want))
	for i, c := range in.first {
		corrupt.Torn = corrupt.Torn && (c == 0 || c == want[i])
	}
	return corrupt
}

// create makes the segment that begins with head, durable and open.
func (w *writer) create(head Head) error {
	f, err := w.fs.Open(filepath.Join(w.dir, fileName(head.size)))
	if err != nil {
		return err
	}
	w.file = f
	return w.begin(head)
}

// begin writes the header of a new segment.
func (w *writer) begin(head Head) error {
	line := header(head)
	if _, err := w.file.Write(line); err != nil {
		return err
	}
	w.size = int64(len(line))
	return errors.Join(w.file.Sync(), w.fs.SyncDir(w.dir))
}

// append writes and syncs once, and finds out whether the file is still in its
// place. After a failed write it may end in half a line; after a failed fsync the
// kernel may have dropped pages and report success the next time. Neither is ever
// tried again.
func (w *writer) append(entries []pending, head Head) (Head, error) {
	if w.size >= w.limit {
		if err := w.rotate(head); err != nil {
			return Head{}, err
		}
	}
	lines, next := w.encode(entries, head)
	if _, err := w.file.Write(lines); err != nil {
		return Head{}, err
	}
	if err := w.file.Sync(); err != nil {
		return Head{}, err
	}
	w.size += int64(len(lines))
	return next, w.file.Check(w.size)
}

// encode lays out a batch in w.buf.
func (w *writer) encode(entries []pending, head Head) ([]byte, Head) {
	var room [maxMark]byte
	next := head.clone()
	b := append(w.buf[:0], room[:]...) // the mark is known when the rest is
	for _, p := range entries {
		b = appendLine(b, next.size, p.leaf, p.entry)
		next.grow(p.leaf)
	}
	w.buf = b
	m := mark{
		bytes: int64(len(b) - maxMark), entries: int64(len(entries)), root: next.Tree().Hash,
	}.appendTo(room[:0])
	start := maxMark - len(m)
	copy(b[start:], m)
	return b[start:], next
}

// rotate goes on in a new file. The old one is complete and durable.
func (w *writer) rotate(head Head) error {
	if err := w.file.Close(); err != nil {
		return fmt.Errorf("close segment: %w", err)
	}
	w.file = nil
	return w.create(head)
}

func (w *writer) close() error {
	var err error
	if w.file != nil {
		err = w.file.Close()
	}
	return errors.Join(err, w.lock.Close())
}

// counter counts what is read through it, and keeps the beginning.
type counter struct {
	r     io.Reader
	n     int64
	first []byte
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if room := maxHeader - len(c.first); room > 0 {
		c.first = append(c.first, p[:min(n, room)]...)
	}
	c.n += int64(n)
	return n, err
}
