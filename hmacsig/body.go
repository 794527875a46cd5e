package hmacsig

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"net/http"
	"sync"
)

const (
	// presize is the most that a Content-Length alone can make us allocate.
	presize = 64 << 10
	// maxPooled keeps one huge body from staying in the pool for ever.
	maxPooled = 4 << 20
)

// buffers are shared by all verifiers: contents never outlive their request.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// takeBody reads the whole body of r into w.buf, up to the limit. A request
// without a body leaves w.full false.
func (w *work) takeBody(r *http.Request, limit int64) error {
	if r.ContentLength > limit {
		return errBodyTooLarge
	}
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	if w.buf == nil {
		w.buf, _ = buffers.Get().(*[]byte)
	}
	w.full = true
	var err error
	*w.buf, err = readBody((*w.buf)[:0], r.Body, r.ContentLength, limit)
	switch {
	case errors.Is(err, http.ErrBodyReadAfterClose):
		return errBodyConsumed
	case err == nil && int64(len(*w.buf)) < r.ContentLength:
		// net/http reports a client that sends too little as an unexpected end.
		// A clean end before Content-Length means that somebody else read the rest.
		return errBodyConsumed
	}
	return err
}

// bodyCode is the code of an error of takeBody.
func bodyCode(err error) string {
	var outer *http.MaxBytesError // a limit further out
	switch {
	case errors.Is(err, errBodyTooLarge) || errors.As(err, &outer):
		return CodeBodyTooLarge
	case errors.Is(err, errBodyConsumed):
		return CodeBodyConsumed
	case errors.Is(err, io.ErrUnexpectedEOF):
		return CodeBodyIncomplete
	}
	return CodeBodyUnreadable
}

// content is the body that was read; nil if there is none.
func (w *work) content() []byte {
	if !w.full {
		return nil
	}
	return *w.buf
}

// hasDigest reports whether the body is the one that was signed.
func (w *work) hasDigest(want *[sha256.Size]byte) bool {
	sum := sha256.Sum256(w.content())
	return subtle.ConstantTimeCompare(sum[:], want[:]) == 1
}

// readBody appends src to buf, up to limit bytes. Hint is the Content-Length:
// it sizes the first read so that one is enough, and is not believed beyond
// presize. Past that it lets the buffer grow by four instead of two, so the
// memory is at most four times what the client really sent. Too large means
// that one byte more than the limit is in buf.
func readBody(buf []byte, src io.Reader, hint, limit int64) ([]byte, error) {
	if want := int(min(max(hint, 0), presize)) + bytes.MinRead; cap(buf) < want {
		buf = make([]byte, 0, want)
	}
	for idle := 0; idle < 100; idle++ {
		if len(buf) == cap(buf) {
			buf = grow(buf, hint)
		}
		room := buf[len(buf):cap(buf)]
		if spare := limit + 1 - int64(len(buf)); int64(len(room)) > spare {
			room = room[:spare]
		}
		n, err := src.Read(room)
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) > limit:
			return buf, errBodyTooLarge
		case errors.Is(err, io.EOF):
			return buf, nil
		case err != nil:
			return buf, err
		case n > 0:
			idle = -1
		}
	}
	return buf, io.ErrNoProgress
}

func grow(buf []byte, hint int64) []byte {
	size := int64(2 * cap(buf))
	if hint > size {
		size = min(hint, 2*size) + bytes.MinRead
	}
	return append(make([]byte, 0, size), buf...)
}

// body is the r.Body that the handler reads: the very bytes that were
// verified. After Close it returns an error instead of bytes, so that a
// handler's goroutine which outlives its request cannot see another request's
// body in the pooled buffer.
type body struct {
	mu  sync.Mutex
	buf *[]byte // nil after Close
	at  int     // how much of it has been read
}

// restore hands w's buffer to b and makes b the body of r, if there is one.
func (b *body) restore(w *work, r *http.Request) {
	if !w.full {
		return
	}
	b.buf, w.buf, w.full = w.buf, nil, false
	r.Body, r.ContentLength = b, int64(len(*b.buf))
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.buf == nil:
		return 0, http.ErrBodyReadAfterClose
	case b.at == len(*b.buf):
		return 0, io.EOF
	}
	n := copy(p, (*b.buf)[b.at:])
	b.at += n
	return n, nil
}

// Close gives the buffer back. It is idempotent and never fails.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buf != nil && cap(*b.buf) <= maxPooled {
		buffers.Put(b.buf)
	}
	b.buf = nil
	return nil
}
