// Package response holds the one response wrapper of this module.
//
// A gate that must add a header, or save state, no later than the moment the
// header leaves needs to see that moment on every path a handler can take:
// WriteHeader, Write, Flush, io.Copy, Hijack, or no write at all.
package response

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// Writer calls a function once, just before the response header is sent.
// Like any http.ResponseWriter it belongs to one goroutine, except for Committed
// and Failed: a handler that http.TimeoutHandler has given up asks while the
// answer is written.
type Writer struct {
	rw        http.ResponseWriter
	before    Before
	committed atomic.Bool
	failed    atomic.Bool
}

// Before is told when the header is about to leave.
type Before interface{ BeforeHeader(status int) }

type beforeFunc func(status int)

func (f beforeFunc) BeforeHeader(status int) { f(status) }

var _ interface {
	http.Flusher
	http.Hijacker
	io.ReaderFrom
	io.StringWriter
} = (*Writer)(nil)

// New wraps w. Before is called at most once, with the final status, while
// headers may still be changed. It must not write to w.
func New(w http.ResponseWriter, before func(status int)) *Writer {
	return &Writer{rw: w, before: beforeFunc(before)}
}

// Init is New for a Writer that is part of a larger value, which may be the
// Before itself: one allocation for a request instead of three.
func (w *Writer) Init(rw http.ResponseWriter, before Before) { w.rw, w.before = rw, before }

// Committed reports whether the header has been sent, or is about to be.
func (w *Writer) Committed() bool { return w.committed.Load() }

// Failed reports whether writing or flushing has failed: not all of the answer
// reached the client.
func (w *Writer) Failed() bool { return w.failed.Load() }

// note remembers an error of the wrapped writer.
func (w *Writer) note(err error) {
	if err != nil {
		w.failed.Store(true)
	}
}

// Commit runs the function if it has not run yet. Callers invoke it after the
// handler returns, because a handler that writes nothing answers 200.
func (w *Writer) Commit(status int) {
	if w.committed.CompareAndSwap(false, true) {
		w.before.BeforeHeader(status)
	}
}

// Header returns the header map of the wrapped writer.
func (w *Writer) Header() http.Header { return w.rw.Header() }

// WriteHeader commits, except on informational responses: 100 to 199 may be
// followed by the real one. 101 is final (RFC 9110 section 15.2.2).
func (w *Writer) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.Commit(status)
	}
	w.rw.WriteHeader(status)
}

// Write commits with 200 and writes.
func (w *Writer) Write(p []byte) (int, error) {
	w.Commit(http.StatusOK)
	n, err := w.rw.Write(p)
	w.note(err)
	return n, err
}

// WriteString avoids a copy where the wrapped writer can.
func (w *Writer) WriteString(s string) (int, error) {
	w.Commit(http.StatusOK)
	n, err := io.WriteString(w.rw, s)
	w.note(err)
	return n, err
}

// FlushError commits with 200 and flushes. http.ResponseController finds it.
// Where the wrapped writer cannot flush nothing is sent, so nothing commits.
func (w *Writer) FlushError() error {
	if !canFlush(w.rw) {
		return http.NewResponseController(w.rw).Flush()
	}
	w.Commit(http.StatusOK)
	err := http.NewResponseController(w.rw).Flush()
	w.note(err)
	return err
}

// canFlush follows Unwrap as http.ResponseController does. It looks through
// this package's own wrapper, which has the method whatever it wraps.
func canFlush(rw http.ResponseWriter) bool {
	for {
		switch t := rw.(type) {
		case *Writer:
			rw = t.rw
		case interface{ FlushError() error }, http.Flusher:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			rw = t.Unwrap()
		default:
			return false
		}
	}
}

// Flush serves handlers that still assert http.Flusher.
func (w *Writer) Flush() { _ = w.FlushError() }

// Hijack takes the connection over and commits with 101. Headers set by the
// function are the hijacker's to send. A connection that cannot be hijacked,
// such as an HTTP/2 one, leaves the response open for the handler's error.
func (w *Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.rw).Hijack()
	if err == nil {
		w.Commit(http.StatusSwitchingProtocols)
	}
	return conn, rw, err
}

// sniffLen is what net/http itself copies before it turns to sendfile.
const sniffLen = 512

// ReadFrom keeps io.Copy on the wrapped writer's fast path (sendfile). It
// commits with 200 when the first byte arrives: a source that is empty, or
// fails at once, leaves the status to the handler.
func (w *Writer) ReadFrom(src io.Reader) (int64, error) {
	var first int64
	if !w.committed.Load() {
		var err error
		first, err = io.Copy(struct{ io.Writer }{w}, io.LimitReader(src, sniffLen))
		if err != nil || first < sniffLen {
			return first, err
		}
	}
	rest, err := io.Copy(w.rw, src)
	w.note(err)
	return first + rest, err
}

// Unwrap lets http.ResponseController reach deadlines and full duplex.
func (w *Writer) Unwrap() http.ResponseWriter { return w.rw }
