package audit

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	// maxBatch bounds one write, in bytes of entries; the last one may pass it.
	maxBatch = 1 << 20
	// maxBatchBytes bounds the lines of a batch in the file: its entries, and at
	// most 38 bytes for each of them, of which none is shorter than 90.
	maxBatchBytes = 2 << 20
	// maxMark bounds the line that begins a batch.
	maxMark = len("+ \n") + 2*20 + 2*tlog.HashSize
	// sector is what a disk writes whole or not at all.
	sector = 512
	// markBytes of a leaf's hash stand in its line, to tell which line is damaged.
	markBytes = 8
)

// mark is the line before a batch: how many bytes follow for it, how many entries
// there are, and the root hash of the tree with them. The next mark is written only
// after this batch was synced.
type mark struct {
	bytes, entries int64
	root           tlog.Hash
}

func (m mark) appendTo(b []byte) []byte {
	b = strconv.AppendInt(append(b, '+'), m.bytes, 10)
	b = strconv.AppendInt(append(b, ' '), m.entries, 10)
	b = hex.AppendEncode(append(b, ' '), m.root[:])
	return append(b, '\n')
}

// parseMark accepts exactly what appendTo writes.
func parseMark(line []byte) (m mark, ok bool) {
	words := bytes.Fields(line)
	if len(words) != 3 || len(words[2]) != 2*len(m.root) {
		return mark{}, false
	}
	// Writing it again and comparing finds whatever did not parse.
	m.bytes, _ = strconv.ParseInt(string(words[0][1:]), 10, 64)
	m.entries, _ = strconv.ParseInt(string(words[1]), 10, 64)
	_, _ = hex.Decode(m.root[:], words[2])
	var again [maxMark]byte
	ok = m.bytes > 0 && m.bytes <= maxBatchBytes && bytes.Equal(m.appendTo(again[:0]), line)
	return m, ok
}

// appendLine writes the line of one entry: its index, the beginning of its leaf's
// hash, and the entry. Log and reader share it, so what the one writes is by
// construction what the other accepts.
func appendLine(b []byte, index int64, leaf tlog.Hash, entry []byte) []byte {
	b = appendPrefix(b, index, leaf)
	b = append(b, entry...)
	return append(b, '\n')
}

func appendPrefix(b []byte, index int64, leaf tlog.Hash) []byte {
	b = strconv.AppendInt(b, index, 10)
	b = hex.AppendEncode(append(b, ' '), leaf[:markBytes])
	return append(b, ' ')
}

// parseLine returns the entry of a line without its line feed, and its leaf's hash.
func parseLine(line []byte, index int64) (entry []byte, leaf tlog.Hash, ok bool) {
	_, rest, _ := bytes.Cut(line, []byte(" "))
	_, entry, _ = bytes.Cut(rest, []byte(" "))
	leaf = tlog.RecordHash(entry)
	var again [20 + 2*markBytes + 2]byte
	prefix := appendPrefix(again[:0], index, leaf)
	return entry, leaf, bytes.HasPrefix(line, prefix)
}

// segment reads one file of a log, batch by batch.
type segment struct {
	name    string
	in      *bufio.Reader
	head    Head  // after the last good batch; grown in place
	offset  int64 // of the end of the last good batch
	buf     []byte
	entries [][]byte  // of the batch that was read last; they lie in buf
	want    tlog.Tree // to be met on the way; N is 0 for none
	passed  bool
	met     bool
}

// errForked is the cause when a batch passes want with another root.
var errForked = fmt.Errorf("%w: another root at the size of the tree", ErrTampered)

// next reads a batch into s.entries; io.EOF means a clean end. Damage is a
// *CorruptError.
func (s *segment) next() error {
	line, err := s.in.ReadSlice('\n')
	if errors.Is(err, io.EOF) && len(line) == 0 {
		return io.EOF
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return err
	}
	s.buf = append(s.buf[:0], line...)
	m, ok := parseMark(line)
	if !ok {
		return s.damaged(s.head.size)
	}
	length := len(s.buf)
	if err := s.fill(length + int(m.bytes)); err != nil {
		return err
	}
	if len(s.buf) < length+int(m.bytes) {
		return s.damaged(s.head.size)
	}
	next, bad := s.decode(s.buf[length:])
	if bad < 0 && (next.size-s.head.size != m.entries || next.Tree().Hash != m.root) {
		bad = s.head.size
	}
	if bad >= 0 {
		return s.damaged(bad)
	}
	s.head, s.offset = next, s.offset+int64(len(s.buf))
	if s.passed && !s.met {
		return errForked
	}
	return nil
}

// decode splits the lines of a batch. Bad is the index of the first line that is
// not right, or -1.
func (s *segment) decode(lines []byte) (next Head, bad int64) {
	next, s.entries = s.head.clone(), s.entries[:0]
	for len(lines) > 0 {
		line, rest, ended := bytes.Cut(lines, []byte("\n"))
		entry, leaf, ok := parseLine(line, next.size)
		if !ended || !ok {
			return Head{}, next.size
		}
		next.grow(leaf)
		if next.size == s.want.N {
			s.passed, s.met = true, next.Tree() == s.want
		}
		s.entries, lines = append(s.entries, entry), rest
	}
	return next, -1
}

// fill reads until buf has n bytes, or the file ends.
func (s *segment) fill(n int) error {
	have := len(s.buf)
	if n <= have {
		return nil
	}
	s.buf = append(s.buf, make([]byte, n-have)...)
	read, err := io.ReadFull(s.in, s.buf[have:])
	s.buf = s.buf[:have+read]
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// damaged reads the rest of the file, as far as one batch could reach, and reports
// what is wrong with it.
func (s *segment) damaged(index int64) error {
	limit := max(0, maxMark+maxBatchBytes+1-len(s.buf))
	rest, err := io.ReadAll(io.LimitReader(s.in, int64(limit)))
	if err != nil {
		return err
	}
	s.buf = append(s.buf, rest...)
	return &CorruptError{
		File: s.name, Index: index, Offset: s.offset,
		Torn: crashed(s.buf, s.offset, s.head.size),
	}
}

// crashed reports whether a crash explains the end of a file, which begins at
// offset with the batch that ought to hold the entry index. An entry of that batch
// was never acknowledged: its pages may have reached the disk in any order, or
// not. What did not is missing from the end, or zeros up to the end of a sector.
// What is there is as it was written.
//
// A batch that another one follows was synced before, and damage in it is none of
// a crash's. So is a byte that is neither zero nor right.
func crashed(tail []byte, offset, index int64) bool {
	if len(tail) > maxMark+maxBatchBytes || !zerosEndInSectors(tail, offset) {
		return false
	}
	line, lines, ended := bytes.Cut(tail, []byte("\n"))
	m, whole := parseMark(tail[:len(tail)-len(lines)])
	switch {
	case whole:
		reach := int64(len(bytes.TrimRight(lines, "\x00")))
		// Where all lines are there, it is the mark that is damaged.
		short := int64(len(lines)) < m.bytes && int64(bytes.Count(lines, []byte("\n"))) < m.entries
		hole := bytes.IndexByte(lines, 0) >= 0
		return (short || hole) && reach <= m.bytes && explained(lines, index)
	case bytes.IndexByte(line, 0) >= 0:
		return explained(tail, -1)
	}
	return !ended && line[0] == '+' // the beginning of a mark
}

// explained reports whether every whole line of a torn batch is one that a log
// wrote, and none begins another batch. The first index is known, or -1.
func explained(lines []byte, index int64) bool {
	for len(lines) > 0 {
		line, rest, ended := bytes.Cut(lines, []byte("\n"))
		hole := bytes.LastIndexByte(line, 0)
		if _, another := parseMark(lines[hole+1 : len(lines)-len(rest)]); another {
			return false
		}
		lines = rest
		if !ended || hole >= 0 {
			index = -1 // how many lines are in the hole, nobody knows
			continue
		}
		if index < 0 {
			index = lineIndex(line)
		}
		if _, _, ok := parseLine(line, index); !ok {
			return false
		}
		index++
	}
	return true
}

// lineIndex returns the index that a line claims, or -1, which no line has.
func lineIndex(line []byte) int64 {
	word, _, _ := bytes.Cut(line, []byte(" "))
	index, _ := strconv.ParseInt(string(word), 10, 64) // what does not parse does not fit
	return max(index, -1)
}

// zerosEndInSectors reports whether each run of zeros ends where a sector does, or
// the file.
func zerosEndInSectors(tail []byte, offset int64) bool {
	for i := 1; i < len(tail); i++ {
		if tail[i-1] == 0 && tail[i] != 0 && (offset+int64(i))%sector != 0 {
			return false
		}
	}
	return true
}
