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

// takeBody appends the whole body of r to w.text, up to the limit. A request
// without a body leaves w.full false.
func (w *work) takeBody(r *http.Request, limit int64) error {
	if r.ContentLength > limit {
		return errBodyTooLarge
	}
	w.from = len(w.text)
	w.to = w.from
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	w.full = true
	var err error
	w.text, err = readBody(w.text, r.Body, r.ContentLength, limit)
	w.to = len(w.text)
	switch {
	case errors.Is(err, http.ErrBodyReadAfterClose):
		return errBodyConsumed
	case err == nil && int64(w.to-w.from) < r.ContentLength:
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

// hasDigest reports whether the body is the one that was signed.
func (w *work) hasDigest(want *[sha256.Size]byte) bool {
	sum := sha256.Sum256(w.text[w.from:w.to])
	return subtle.ConstantTimeCompare(sum[:], want[:]) == 1
}

// readBody appends src to buf, up to limit bytes of it. Hint is the Content-Length:
// it sizes the first read so that one is enough, and is not believed beyond
// presize. Past that it lets the buffer grow by four instead of two, so the
// memory is at most four times what the client really sent. Too large means
// that one byte more than the limit is in buf.
func readBody(buf []byte, src io.Reader, hint, limit int64) ([]byte, error) {
	limit += int64(len(buf))
	if want := int(min(max(hint, 0), presize)) + bytes.MinRead; cap(buf)-len(buf) < want {
		buf = append(make([]byte, 0, len(buf)+want), buf...)
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

// body is the r.Body that the handler reads: the very bytes that were verified,
// in the scratch space of their verification. After Close it returns an error
// instead of bytes, so that a handler's goroutine which outlives its request
// cannot see another request's body there.
type body struct {
	mu sync.Mutex
	w  *work // nil after Close
}

// keep makes w's body that of r. It takes w over; Close gives it back.
func (b *body) keep(w *work, r *http.Request) {
	if !w.full {
		w.free()
		return
	}
	b.w, w.at = w, w.from
	r.Body, r.ContentLength = b, int64(w.to-w.from)
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.w == nil:
		return 0, http.ErrBodyReadAfterClose
	case b.w.at == b.w.to:
		return 0, io.EOF
	}
	n := copy(p, b.w.text[b.w.at:b.w.to])
	b.w.at += n
	return n, nil
}

// Close gives the memory back. It is idempotent and never fails.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.w != nil {
		b.w.free()
		b.w = nil
	}
	return nil
}
