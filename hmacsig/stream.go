package hmacsig

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"hash"
	"io"
	"net/http"
)

// streamed is a body whose digest is checked when it ends: the handler has had
// every byte by then.
type streamed struct {
	src  io.ReadCloser
	sum  hash.Hash
	want [sha256.Size]byte
	left int64
	err  error // how it ended
}

// stream makes c hand r's body on while it arrives.
func (c *content) stream(r *http.Request, want [sha256.Size]byte, limit int64) {
	src := r.Body
	if src == nil {
		src = http.NoBody
	}
	c.full = true
	c.live = &streamed{src: src, sum: sha256.New(), want: want, left: limit}
}

// altered reports whether a streamed body ended in any other way than as the
// one that was signed: with other bytes, too many, or too few. One that has not
// been read to its end has not been checked.
func (b *body) altered() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.live != nil && b.live.err != nil && !errors.Is(b.live.err, io.EOF)
}

func (s *streamed) read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if int64(len(p)) > s.left+1 {
		p = p[:s.left+1]
	}
	n, err := s.src.Read(p)
	s.sum.Write(p[:n])
	s.left -= int64(n)
	switch {
	case s.left < 0:
		err = errBodyTooLarge
	case errors.Is(err, io.EOF) && !s.matches():
		err = ErrDigest
	}
	s.err = err
	return n, err
}

func (s *streamed) matches() bool {
	return subtle.ConstantTimeCompare(s.sum.Sum(nil), s.want[:]) == 1
}
