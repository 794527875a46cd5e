package scrub

import (
	"errors"
	"io"

	"github.com/opsmantik/sallyport/scrub/internal/engine"
)

// Writer scrubs a stream. Text may be split anywhere between calls of Write:
// the output is that of Append on the whole. It holds back at most 3 KiB
// until more input or Close decides what it means, and is not safe for
// concurrent use.
type Writer struct {
	w      io.Writer
	s      *Scrubber
	stream *engine.Stream
	err    error
}

var errClosed = errors.New("scrub: write to a closed Writer")

// NewWriter returns a Writer in front of w. The caller must Close it, or the
// end of the stream is lost.
func (s *Scrubber) NewWriter(w io.Writer) *Writer {
	if s.unusable() {
		return &Writer{err: ErrDropped}
	}
	return &Writer{w: w, s: s, stream: s.engine.NewStream()}
}

// Write examines p. After an error of the underlying writer it returns the
// same error always.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err == nil {
		w.err = w.stream.Write(w.w, p)
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// Close examines and writes what was held back. It does not close the
// underlying writer. A second call does nothing.
func (w *Writer) Close() error {
	if w.err == errClosed {
		return nil
	}
	if w.err == nil {
		if w.err = w.stream.Close(w.w); w.err == nil {
			w.err = errClosed
			return nil
		}
	}
	return w.err
}

// Report returns the counts so far.
func (w *Writer) Report() Report {
	if w.stream == nil {
		return Report{}
	}
	return w.s.report(w.stream.Counts())
}
