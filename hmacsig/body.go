package hmacsig

import (
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

var errBodyTooLarge = errors.New("hmacsig: body over MaxBodyBytes")

// buffers are shared by all verifiers: contents never outlive their request.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

func getBuffer() *[]byte {
	b, _ := buffers.Get().(*[]byte)
	return b
}

func putBuffer(b *[]byte) {
	if cap(*b) <= maxPooled {
		*b = (*b)[:0]
		buffers.Put(b)
	}
}

// readBody appends src to buf, up to limit bytes. Hint is the Content-Length:
// it sizes the first read so that one is enough, and is not believed beyond
// presize. Past that the buffer doubles, so the memory is at most about twice
// what the client really sent.
func readBody(buf []byte, src io.Reader, hint, limit int64) ([]byte, error) {
	if want := int(min(max(hint, 0), presize)) + 512; cap(buf) < want {
		buf = make([]byte, 0, want)
	}
	for idle := 0; idle < 100; idle++ {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		// One byte past the limit is read, to tell "full" from "too large".
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
			idle = 0
		}
	}
	return buf, io.ErrNoProgress
}

// body is the restored request body: a view of a pooled buffer. After Close
// it returns an error instead of bytes, so that a handler's goroutine which
// outlives its request cannot see another request's body.
type body struct {
	mu  sync.Mutex
	buf *[]byte
	at  int
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buf == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	if b.at == len(*b.buf) {
		return 0, io.EOF
	}
	n := copy(p, (*b.buf)[b.at:])
	b.at += n
	return n, nil
}

// Close gives the buffer back. It is idempotent.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buf != nil {
		putBuffer(b.buf)
		b.buf = nil
	}
	return nil
}
