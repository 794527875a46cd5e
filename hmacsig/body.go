package hmacsig

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"hash"
	"io"
	"net/http"
	"os"
	"sync"
)

const (
	// presize is the most that a Content-Length alone can make us allocate.
	presize = 64 << 10
	// maxPooled keeps one huge body from staying in the pool for ever.
	maxPooled = 4 << 20
)

var (
	errBodyTooLarge = errors.New("hmacsig: body over MaxBodyBytes")
	errSpool        = errors.New("hmacsig: spooling the body failed")
)

// buffers are shared by all verifiers: contents never outlive their request.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// body is a request's body between its arrival and its handler: bytes in a
// pooled buffer, then in a temporary file if they are many, or a stream that
// is checked at its end. It is the restored r.Body. After Close it returns an
// error instead of bytes, so that a handler's goroutine which outlives its
// request cannot see another request's body.
type body struct {
	mu   sync.Mutex
	buf  *[]byte  // nil: no body, spooled, or closed
	at   int      // how much of buf has been read
	file *os.File // the whole body, if it was spooled
	name string   // of file, if closing it must remove it
	size int64
	live *streamed
}

// take reads the whole body of r, into memory or a file.
func (b *body) take(r *http.Request, cfg *Config) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	b.buf, _ = buffers.Get().(*[]byte)
	limit := cfg.MaxBodyBytes
	if cfg.SpoolAbove > 0 {
		limit = cfg.SpoolAbove
	}
	var err error
	*b.buf, err = readBody((*b.buf)[:0], r.Body, r.ContentLength, limit)
	b.size = int64(len(*b.buf))
	if errors.Is(err, errBodyTooLarge) && cfg.SpoolAbove > 0 {
		return b.spool(r.Body, cfg)
	}
	return err
}

// readBody appends src to buf, up to limit bytes. Hint is the Content-Length:
// it sizes the first read so that one is enough, and is not believed beyond
// presize. Past that the buffer doubles, so the memory is at most about twice
// what the client really sent. Too large means that one byte more than the
// limit is in buf.
func readBody(buf []byte, src io.Reader, hint, limit int64) ([]byte, error) {
	if want := int(min(max(hint, 0), presize)) + bytes.MinRead; cap(buf) < want {
		buf = make([]byte, 0, want)
	}
	for idle := 0; idle < 100; idle++ {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
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

// spool moves what was read to a temporary file and reads on into it.
func (b *body) spool(src io.Reader, cfg *Config) error {
	file, err := os.CreateTemp(cfg.SpoolDir, "hmacsig-*")
	if err != nil {
		return errors.Join(errSpool, err)
	}
	b.file = file
	// Unlinked at once where the system allows it: nothing stays behind after
	// a crash. Elsewhere Close removes it.
	if os.Remove(file.Name()) != nil {
		b.name = file.Name()
	}
	spooled := &spoolWriter{file: file}
	rest := io.MultiReader(bytes.NewReader(*b.buf), src)
	b.size, err = io.Copy(spooled, io.LimitReader(rest, cfg.MaxBodyBytes+1))
	putBuffer(b.buf)
	b.buf = nil
	switch {
	case spooled.err != nil:
		return errors.Join(errSpool, spooled.err)
	case err != nil:
		return err
	case b.size > cfg.MaxBodyBytes:
		return errBodyTooLarge
	}
	if _, err = file.Seek(0, io.SeekStart); err != nil {
		return errors.Join(errSpool, err)
	}
	return nil
}

// spoolWriter tells a failing disk, which is ours, from a failing client.
type spoolWriter struct {
	file *os.File
	err  error
}

func (w *spoolWriter) Write(p []byte) (n int, err error) {
	n, w.err = w.file.Write(p)
	return n, w.err
}

// hashInto writes the whole body to h. Reading a spooled one can fail; then
// the hash is of something shorter, which no signature matches.
func (b *body) hashInto(h hash.Hash) {
	switch {
	case b == nil:
	case b.buf != nil:
		h.Write(*b.buf)
	case b.file != nil:
		_, _ = io.Copy(h, b.file)
		_, _ = b.file.Seek(0, io.SeekStart)
	}
}

func (b *body) hasDigest(want [sha256.Size]byte) bool {
	var sum [sha256.Size]byte
	switch {
	case b.buf != nil:
		sum = sha256.Sum256(*b.buf)
	default:
		h := sha256.New()
		b.hashInto(h)
		h.Sum(sum[:0])
	}
	return subtle.ConstantTimeCompare(sum[:], want[:]) == 1
}

// restore makes b the body of r.
func (b *body) restore(r *http.Request) {
	switch {
	case b.live != nil:
		r.Body = b
	case b.buf != nil || b.file != nil:
		r.Body, r.ContentLength = b, b.size
	}
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.live != nil:
		return b.live.read(p)
	case b.file != nil:
		return b.file.Read(p)
	case b.buf == nil:
		return 0, http.ErrBodyReadAfterClose
	case b.at == len(*b.buf):
		return 0, io.EOF
	}
	n := copy(p, (*b.buf)[b.at:])
	b.at += n
	return n, nil
}

// Close gives the buffer back, or removes the file. It is idempotent.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buf != nil {
		putBuffer(b.buf)
		b.buf = nil
	}
	if b.file != nil {
		_ = b.file.Close()
		b.file = nil
		if b.name != "" {
			_ = os.Remove(b.name)
		}
	}
	if b.live != nil {
		return b.live.src.Close()
	}
	return nil
}

func putBuffer(b *[]byte) {
	if cap(*b) <= maxPooled {
		*b = (*b)[:0]
		buffers.Put(b)
	}
}
