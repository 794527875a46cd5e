package scrub

import (
	"bytes"
	"io"
	"sync"

	"github.com/opsmantik/sallyport/scrub/internal/engine"
)

// LineWriter scrubs whole lines, for loggers that write one with each call: zap,
// zerolog, log. Unlike [Writer] it holds nothing back once a line is complete,
// passes a line on in one Write, and is safe for concurrent use.
//
//	lines := scrubber.NewLineWriter(os.Stdout)
//	zerolog.New(lines)
//	zapcore.NewCore(encoder, zapcore.AddSync(lines), level)
//
// A line that is a JSON object is scrubbed as JSON, any other as text. What has
// several lines, such as a stack trace, is scrubbed together where it comes with
// one call.
type LineWriter struct {
	mu     sync.Mutex
	w      io.Writer
	s      *Scrubber
	held   []byte // a line without its end
	clean  []byte
	counts engine.Counts
}

// maxHeldLine bounds a line that comes in pieces. A longer one is passed on in
// parts, which could split a value: loggers do not write such lines.
const maxHeldLine = 1 << 20

// NewLineWriter returns a LineWriter in front of w. A nil or zero Scrubber lets
// nothing pass.
func (s *Scrubber) NewLineWriter(w io.Writer) *LineWriter { return &LineWriter{w: w, s: s} }

// Write scrubs the complete lines of p, with what was held back before, and
// holds the rest. After an error of the underlying writer the lines are lost, as
// they are without a LineWriter.
func (l *LineWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.s.unusable() {
		return 0, ErrDropped
	}
	end := bytes.LastIndexByte(p, '\n') + 1
	if end == 0 && len(l.held)+len(p) <= maxHeldLine {
		l.held = append(l.held, p...)
		return len(p), nil
	}
	if end == 0 {
		end = len(p)
	}
	lines := p[:end]
	if len(l.held) > 0 {
		l.held = append(l.held, lines...)
		lines = l.held
	}
	err := l.pass(lines)
	l.held = append(l.held[:0], p[end:]...)
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close writes what is held back. It does not close the underlying writer.
func (l *LineWriter) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.held) == 0 {
		return nil
	}
	err := l.pass(l.held)
	l.held = nil
	return err
}

// Report returns the counts so far.
func (l *LineWriter) Report() Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.s.unusable() {
		return Report{}
	}
	return l.s.report(l.counts)
}

// pass scrubs lines and writes them.
func (l *LineWriter) pass(lines []byte) error {
	l.clean = l.clean[:0]
	for len(lines) > 0 {
		end, object := len(lines), lines[0] == '{'
		if i := bytes.IndexByte(lines, '\n'); object && i >= 0 {
			end = i
		}
		var rep Report
		if object {
			l.clean, rep = l.s.AppendJSON(l.clean, lines[:end])
			if end < len(lines) {
				l.clean = append(l.clean, '\n')
				end++
			}
		} else {
			l.clean, rep = l.s.Append(l.clean, lines)
		}
		for i, n := range rep.counts {
			l.counts[i] += n
		}
		lines = lines[end:]
	}
	_, err := l.w.Write(l.clean)
	return err
}
