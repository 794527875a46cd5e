package scrub

import (
	"errors"
	"io"
	"unsafe"
)

// Writer scrubs a stream. Text may be split anywhere between calls of Write:
// the output is that of Append on the whole. It holds back at most 3 KiB
// until more input or Close decides what it means, and is not safe for
// concurrent use.
type Writer struct {
	w   io.Writer
	buf []byte
	pos int // buf[:pos] has been examined
	sc  scanner
	err error
}

var errClosed = errors.New("scrub: write to a closed Writer")

// pieceSize bounds how much of one Write is examined at a time.
const pieceSize = 32 << 10

// NewWriter returns a Writer in front of w. The caller must Close it, or the
// end of the stream is lost.
func (s *Scrubber) NewWriter(w io.Writer) *Writer {
	wr := &Writer{w: w}
	if s == nil || !s.ready {
		wr.err = ErrDropped
		return wr
	}
	wr.sc.s = s
	wr.sc.rep.names = s.names
	return wr
}

// Write examines p. After an error of the underlying writer it returns the
// same error always.
func (w *Writer) Write(p []byte) (int, error) {
	n := 0
	for w.err == nil && n < len(p) {
		piece := p[n:min(len(p), n+pieceSize)]
		w.buf = append(w.buf, piece...)
		w.advance(false)
		n += len(piece)
	}
	return n, w.err
}

// Close examines and writes what was held back. It does not close the
// underlying writer. A second call does nothing.
func (w *Writer) Close() error {
	if w.err == nil {
		w.advance(true)
	}
	err := w.err
	if err == errClosed {
		return nil
	}
	if err == nil {
		w.err = errClosed
	}
	return err
}

// Report returns the counts so far.
func (w *Writer) Report() Report { return w.sc.rep }

func (w *Writer) advance(last bool) {
	sc := &w.sc
	// The string lives until the end of this call; buf changes only after.
	sc.text = unsafe.String(unsafe.SliceData(w.buf), len(w.buf)) // #nosec G103 -- see above
	sc.more = !last
	sc.dst = sc.dst[:0]
	limit := len(w.buf)
	if !last {
		limit -= lookahead
	}
	if w.pos < limit {
		w.pos = sc.scan(w.pos, limit)
	}
	settled := len(w.buf)
	if last {
		sc.finish()
	} else {
		settled = max(0, min(w.pos-lookbehind, limit))
		if sc.held && sc.pend.end <= settled {
			sc.flush()
		}
		if !sc.held && sc.done < settled {
			sc.dst = append(sc.dst, sc.text[sc.done:settled]...)
			sc.done = settled
		}
	}
	if len(sc.dst) > 0 {
		if _, err := w.w.Write(sc.dst); err != nil {
			w.err = err
		}
	}
	cut := min(settled, sc.done)
	w.buf = w.buf[:copy(w.buf, w.buf[cut:])]
	w.pos -= cut
	sc.done -= cut
	sc.noJWT -= cut
	sc.pend.start -= cut
	sc.pend.end -= cut
	sc.src, sc.text = "", ""
}
