package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"time"
)

// segmentBytes is the length of each segment but the last.
const segmentBytes = 64 << 10

// putTimeout bounds one Put. A recording that waits for longer has failed.
const putTimeout = 10 * time.Second

func segmentName(folder string, index int64) string {
	return path.Join(folder, fmt.Sprintf("%08d", index))
}

// segmenter cuts what is written to it into segments. Each Write is in the Store when it
// returns: a segment that is not full yet is put again with more in it.
type segmenter struct {
	store  Store
	folder string
	index  int64
	buf    []byte
	total  int64
}

// Write implements io.Writer.
func (s *segmenter) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		n := min(len(p), segmentBytes-len(s.buf))
		s.buf = append(s.buf, p[:n]...)
		p = p[n:]
		if err := s.put(); err != nil {
			return written, err
		}
		written += n
		s.total += int64(n)
		if len(s.buf) == segmentBytes {
			s.index, s.buf = s.index+1, s.buf[:0]
		}
	}
	return written, nil
}

func (s *segmenter) put() error {
	// A recording goes on when the request that began it is over.
	ctx, cancel := context.WithTimeout(context.Background(), putTimeout)
	defer cancel()
	return s.store.Put(ctx, segmentName(s.folder, s.index), s.buf)
}

// ErrDamaged is what a recording returns of which something is missing or changed.
var ErrDamaged = errors.New("recording: damaged")

// joined reads segments as the one file that they are pieces of.
type joined struct {
	ctx    context.Context
	store  Store
	folder string
	size   int64
}

// join checks that the segments follow each other without a gap, each but the last full.
func join(ctx context.Context, store Store, folder string, segments []Object) (*joined, error) {
	j := &joined{ctx: ctx, store: store, folder: folder}
	for i, o := range segments {
		if o.Name != segmentName(folder, int64(i)) || o.Size > segmentBytes ||
			o.Size < segmentBytes && i < len(segments)-1 {
			return nil, fmt.Errorf("%w: %s", ErrDamaged, o.Name)
		}
		j.size += o.Size
	}
	return j, nil
}

// ReadAt implements io.ReaderAt.
func (j *joined) ReadAt(p []byte, off int64) (int, error) {
	read := 0
	for len(p) > 0 {
		if off >= j.size {
			return read, io.EOF
		}
		from := off % segmentBytes
		n := min(int64(len(p)), segmentBytes-from, j.size-off)
		got, err := j.store.ReadAt(j.ctx, segmentName(j.folder, off/segmentBytes), p[:n], from)
		read += got
		if int64(got) < n {
			return read, errors.Join(ErrDamaged, err)
		}
		p, off = p[n:], off+n
	}
	return read, nil
}
