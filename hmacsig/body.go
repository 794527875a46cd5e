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

// content is a request's body between its arrival and its handler: bytes in a
// pooled buffer, in a temporary file if they are many, or a stream that is
// checked at its end.
type content struct {
	buf  *[]byte
	file *os.File // the whole body, if it was spooled
	name string   // of file, if closing it must remove it
	size int64
	live *streamed
	full bool // there is a body; buf may be there without one, for reuse
}

func (c *content) empty() bool { return !c.full }

// take reads the whole body of r, into memory or a file.
func (c *content) take(r *http.Request, cfg *Config) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	if c.buf == nil {
		c.buf, _ = buffers.Get().(*[]byte)
	}
	c.full = true
	limit := cfg.MaxBodyBytes
	if cfg.SpoolAbove > 0 {
		limit = cfg.SpoolAbove
	}
	var err error
	*c.buf, err = readBody((*c.buf)[:0], r.Body, r.ContentLength, limit)
	c.size = int64(len(*c.buf))
	if errors.Is(err, errBodyTooLarge) && cfg.SpoolAbove > 0 {
		return c.spool(r.Body, cfg)
	}
	return err
}

// drop makes ready for the next request: it keeps a buffer, and no file.
func (c *content) drop() {
	c.full, c.live = false, nil
	if c.buf != nil && cap(*c.buf) > maxPooled {
		c.buf = nil
	}
	c.closeFile()
}

func (c *content) closeFile() {
	if c.file == nil {
		return
	}
	_ = c.file.Close()
	if c.name != "" {
		_ = os.Remove(c.name)
	}
	c.file, c.name = nil, ""
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

// spool moves what was read to a temporary file and reads on into it.
func (c *content) spool(src io.Reader, cfg *Config) error {
	file, err := os.CreateTemp(cfg.SpoolDir, "hmacsig-*")
	if err != nil {
		return errors.Join(errSpool, err)
	}
	c.file = file
	// Unlinked at once where the system allows it: nothing stays behind after
	// a crash. Elsewhere Close removes it.
	if os.Remove(file.Name()) != nil {
		c.name = file.Name()
	}
	spooled := &spoolWriter{file: file}
	rest := io.MultiReader(bytes.NewReader(*c.buf), src)
	c.size, err = io.Copy(spooled, io.LimitReader(rest, cfg.MaxBodyBytes+1))
	switch {
	case spooled.err != nil:
		return errors.Join(errSpool, spooled.err)
	case err != nil:
		return err
	case c.size > cfg.MaxBodyBytes:
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
func (c *content) hashInto(h hash.Hash) {
	switch {
	case c == nil || !c.full:
	case c.file != nil:
		_, _ = io.Copy(h, c.file)
		_, _ = c.file.Seek(0, io.SeekStart)
	default:
		h.Write(*c.buf)
	}
}

func (c *content) hasDigest(want [sha256.Size]byte) bool {
	var sum [sha256.Size]byte
	switch {
	case !c.full:
		sum = sha256.Sum256(nil)
	case c.file != nil:
		h := sha256.New()
		c.hashInto(h)
		h.Sum(sum[:0])
	default:
		sum = sha256.Sum256(*c.buf)
	}
	return subtle.ConstantTimeCompare(sum[:], want[:]) == 1
}

// body is the restored r.Body. After Close it returns an error instead of
// bytes, so that a handler's goroutine which outlives its request cannot see
// another request's body.
type body struct {
	mu sync.Mutex
	at int // how much of the buffer has been read
	content
}

// move takes the content over from the scratch space.
func (b *body) move(c *content) {
	if !c.full {
		return
	}
	b.content = *c
	*c = content{}
}

// restore makes b the body of r, if there is one.
func (b *body) restore(r *http.Request) {
	if !b.full {
		return
	}
	r.Body = b
	if b.live == nil {
		r.ContentLength = b.size
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
		if cap(*b.buf) <= maxPooled {
			buffers.Put(b.buf)
		}
		b.buf = nil
	}
	b.closeFile()
	if b.live != nil {
		return b.live.src.Close()
	}
	return nil
}
