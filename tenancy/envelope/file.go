package envelope

import (
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"sync"
)

// Sizes of a sealed file, in bytes.
const (
	// ChunkSize is how much plaintext a chunk has; the last one may have less.
	ChunkSize = 4096

	sealedChunk = ChunkSize + tagSize
	fileHeader  = 1 + CommitSize + saltSize
	maxChunks   = math.MaxUint32
)

// The nonce of a chunk is its index and whether it is the last: chunks can be neither
// exchanged nor left out, and the end cannot be cut off. The key is the file's own, so
// the nonces of two files never meet (the STREAM construction,
// https://eprint.iacr.org/2015/189).
func chunkNonce(index uint64, last bool) (nonce [nonceSize]byte) {
	binary.BigEndian.PutUint64(nonce[3:], index)
	if last {
		nonce[nonceSize-1] = 1
	}
	return nonce
}

// fileKey derives the key of one file. It says no if the root has been zeroed.
func (v *Vault) fileKey(k *dataKey, salt []byte, at *Place) (cipher.AEAD, bool, error) {
	v.mu.RLock()
	if k.dead {
		v.mu.RUnlock()
		return nil, false, nil
	}
	// The salt is the file's, the place is where it belongs: another place, another key.
	key, err := hkdf.Key(sha256.New, k.root[:], salt, string(at.appendAAD(nil, labelFile)), keySize)
	v.mu.RUnlock()
	if err != nil {
		return nil, false, err
	}
	defer clear(key)
	aead, err := newGCM(key)
	return aead, true, err
}

// SealFile returns a writer that seals a file into w, chunk by chunk. Only Close writes
// the last chunk: a file that was not closed does not open. It does not close w.
//
//	1 byte   format, 2
//	32 bytes commitment of the data key
//	32 bytes salt of the file
//	then     chunks of 4096 bytes and a tag of 16; the last one may be shorter
func (v *Vault) SealFile(ctx context.Context, w io.Writer, at Place) (io.WriteCloser, error) {
	if v == nil || v.entries == nil {
		return nil, errZero
	}
	if !at.valid() {
		return nil, ErrPlace
	}
	header := make([]byte, fileHeader)
	header[0] = formatFile
	salt := header[1+CommitSize:]
	_, _ = rand.Read(salt) // never fails: it ends the program instead
	for {
		k, err := v.sealing(ctx, at.owner())
		if err != nil {
			return nil, err
		}
		aead, ok, err := v.fileKey(k, salt, &at)
		if err != nil {
			return nil, err
		}
		if !ok { // given up between the two steps
			continue
		}
		copy(header[1:], k.commit[:])
		if _, err := w.Write(header); err != nil {
			return nil, err
		}
		return &fileWriter{w: w, aead: aead}, nil
	}
}

var (
	errClosed  = errors.New("envelope: the file is closed")
	errTooLong = errors.New("envelope: the file is too long")
)

type fileWriter struct {
	w     io.Writer
	aead  cipher.AEAD
	plain []byte // the chunk that is not full yet, or full and perhaps the last
	out   []byte
	index uint64
	err   error // the first; it stays
}

// Write implements io.Writer.
func (f *fileWriter) Write(p []byte) (int, error) {
	written := 0
	for f.err == nil && len(p) > 0 {
		if len(f.plain) == ChunkSize { // there is more, so it is not the last
			f.seal(false)
			continue
		}
		n := min(ChunkSize-len(f.plain), len(p))
		f.plain = append(f.plain, p[:n]...)
		p = p[n:]
		written += n
	}
	return written, f.err
}

// Close seals the last chunk. A second Close does nothing.
func (f *fileWriter) Close() error {
	if errors.Is(f.err, errClosed) {
		return nil
	}
	if f.err == nil {
		f.seal(true)
	}
	if f.err != nil {
		return f.err
	}
	f.err = errClosed
	return nil
}

func (f *fileWriter) seal(last bool) {
	if f.index >= maxChunks {
		f.err = errTooLong
		return
	}
	nonce := chunkNonce(f.index, last)
	f.out = f.aead.Seal(f.out[:0], nonce[:], f.plain, nil) // #nosec G407 -- a key of its own per file
	f.index++
	f.plain = f.plain[:0]
	_, f.err = f.w.Write(f.out)
}

// OpenFile opens a sealed file of size bytes for reading from anywhere: serve ranges of
// it with http.ServeContent. It reads and checks the end of the file first, so that one
// that was cut off does not open. What is read later is checked chunk by chunk: [ErrOpen]
// comes before a single byte of a changed chunk. It is safe for concurrent use.
func (v *Vault) OpenFile(
	ctx context.Context, r io.ReaderAt, size int64, at Place,
) (*io.SectionReader, error) {
	body := size - fileHeader
	if body < tagSize {
		return v.openFile(ctx, &fileReader{r: r}, at, ErrOpen)
	}
	f := &fileReader{r: r, body: body, last: (body - 1) / sealedChunk, held: -1}
	f.plain = body - (f.last+1)*tagSize
	if f.last >= maxChunks || f.last > 0 && body-f.last*sealedChunk <= tagSize {
		// an empty last chunk is for empty files alone
		return v.openFile(ctx, f, at, ErrOpen)
	}
	return v.openFile(ctx, f, at, nil)
}

// OpenUnfinished opens what a crash has left of a file: its whole chunks, from the first
// one on. Try [Vault.OpenFile] first, and say to whoever reads this that the end is
// missing: a crash, and somebody who cut the end off, leave the same. A file without a
// whole chunk does not open, and of one that was finished the last chunk does not.
func (v *Vault) OpenUnfinished(
	ctx context.Context, r io.ReaderAt, size int64, at Place,
) (*io.SectionReader, error) {
	chunks := (size - fileHeader) / sealedChunk
	f := &fileReader{r: r, body: chunks * sealedChunk, plain: chunks * ChunkSize, last: -1, held: -1}
	if chunks <= 0 || chunks > maxChunks {
		return v.openFile(ctx, f, at, ErrOpen)
	}
	return v.openFile(ctx, f, at, nil)
}

// openFile reads the header and the end of a file whose lengths are known, unless these
// are wrong.
func (v *Vault) openFile(
	ctx context.Context, f *fileReader, at Place, wrong error,
) (*io.SectionReader, error) {
	switch {
	case v == nil || v.entries == nil:
		return nil, errZero
	case !at.valid():
		return nil, ErrPlace
	case wrong != nil:
		return nil, wrong
	}
	header := make([]byte, fileHeader)
	if _, err := f.r.ReadAt(header, 0); err != nil {
		return nil, err
	}
	if header[0] != formatFile {
		return nil, ErrOpen
	}
	for f.aead == nil {
		k, err := v.opening(ctx, at.owner(), header[1:1+CommitSize])
		if err != nil {
			return nil, err
		}
		aead, ok, err := v.fileKey(k, header[1+CommitSize:], &at)
		if err != nil {
			return nil, err
		}
		if ok {
			f.aead = aead
		}
	}
	if err := f.load((f.body - 1) / sealedChunk); err != nil {
		return nil, err
	}
	return io.NewSectionReader(f, 0, f.plain), nil
}

// fileReader opens chunks as they are asked for, and holds the last one it opened.
type fileReader struct {
	r           io.ReaderAt
	aead        cipher.AEAD
	body, plain int64 // lengths
	last        int64 // index; -1 for none

	mu    sync.Mutex
	held  int64 // index of what is in chunk, or -1
	chunk []byte
	buf   []byte
}

// ReadAt implements io.ReaderAt.
func (f *fileReader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("envelope: negative offset")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for n < len(p) {
		if off >= f.plain {
			return n, io.EOF
		}
		if err := f.load(off / ChunkSize); err != nil {
			return n, err
		}
		c := copy(p[n:], f.chunk[off%ChunkSize:])
		n += c
		off += int64(c)
	}
	return n, nil
}

// load opens a chunk. The lock is held, or the reader is not shared yet.
func (f *fileReader) load(index int64) error {
	if f.held == index {
		return nil
	}
	f.held = -1
	start := index * sealedChunk
	length := min(sealedChunk, f.body-start)
	if cap(f.buf) < sealedChunk {
		f.buf = make([]byte, sealedChunk)
	}
	f.buf = f.buf[:length]
	if n, err := f.r.ReadAt(f.buf, fileHeader+start); n < len(f.buf) {
		if err == nil || errors.Is(err, io.EOF) {
			return ErrOpen // shorter than it was said to be
		}
		return err
	}
	nonce := chunkNonce(uint64(index), index == f.last) // #nosec G115 -- never negative
	plain, err := f.aead.Open(f.chunk[:0], nonce[:], f.buf, nil)
	if err != nil {
		clear(f.chunk)
		return ErrOpen
	}
	f.chunk, f.held = plain, index
	return nil
}
