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
)

// Writer calls a function once, just before the response header is sent.
// Like any http.ResponseWriter it belongs to one goroutine.
type Writer struct {
	rw        http.ResponseWriter
	before    func(status int)
	committed bool
}

// New wraps w. Before is called at most once, with the final status, while
// headers may still be changed. It must not write to w.
func New(w http.ResponseWriter, before func(status int)) *Writer {
	return &Writer{rw: w, before: before}
}

// Committed reports whether the header has been sent, or is about to be.
func (w *Writer) Committed() bool { return w.committed }

// Commit runs the function if it has not run yet. Callers invoke it after the
// handler returns, because a handler that writes nothing answers 200.
func (w *Writer) Commit(status int) {
	if w.committed {
		return
	}
	w.committed = true
	w.before(status)
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
	return w.rw.Write(p)
}

// WriteString avoids a copy where the wrapped writer can.
func (w *Writer) WriteString(s string) (int, error) {
	w.Commit(http.StatusOK)
	return io.WriteString(w.rw, s)
}

// FlushError commits with 200 and flushes. http.ResponseController finds it.
func (w *Writer) FlushError() error {
	w.Commit(http.StatusOK)
	return http.NewResponseController(w.rw).Flush()
}

// Flush serves handlers that still assert http.Flusher.
func (w *Writer) Flush() { _ = w.FlushError() }

// Hijack commits with 101 and takes the connection over. Headers set by the
// function are the hijacker's to send.
func (w *Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.Commit(http.StatusSwitchingProtocols)
	return http.NewResponseController(w.rw).Hijack()
}

// ReadFrom commits with 200 and keeps io.Copy on the wrapped writer's fast
// path (sendfile).
func (w *Writer) ReadFrom(src io.Reader) (int64, error) {
	w.Commit(http.StatusOK)
	return io.Copy(w.rw, src)
}

// Unwrap lets http.ResponseController reach deadlines and full duplex.
func (w *Writer) Unwrap() http.ResponseWriter { return w.rw }
