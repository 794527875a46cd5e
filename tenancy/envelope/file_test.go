package envelope_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/tenancy/envelope"
)

func (w *world) sealFile(t testing.TB, at envelope.Place, plaintext []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	f, err := w.SealFile(context.Background(), &out, at)
	require.NoError(t, err)
	_, err = f.Write(plaintext)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, f.Close(), "twice")
	_, err = f.Write([]byte("x"))
	require.Error(t, err)
	return out.Bytes()
}

func (w *world) openFile(at envelope.Place, sealed []byte) (*io.SectionReader, error) {
	return w.OpenFile(context.Background(), bytes.NewReader(sealed), int64(len(sealed)), at)
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

const (
	fileHeader  = 65
	sealedChunk = envelope.ChunkSize + 16
)

func TestFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, n := range []int{0, 1, 4095, 4096, 4097, 8191, 8192, 8193, 100_000} {
		plaintext := pattern(n)
		sealed := w.sealFile(t, place, plaintext)
		chunks := max(1, (n+4095)/4096)
		require.Len(t, sealed, fileHeader+n+16*chunks)
		f, err := w.openFile(place, sealed)
		require.NoError(t, err, n)
		require.EqualValues(t, n, f.Size())
		require.NoError(t, iotest.TestReader(f, plaintext), n)
	}
}

// However it is written, a file is the same chunks.
func TestFileInPieces(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	plaintext := pattern(3*4096 + 17)
	for _, piece := range []int{1, 7, 1000, 4095, 4096, 4097, 9000} {
		var out bytes.Buffer
		f, err := w.SealFile(t.Context(), &out, place)
		require.NoError(t, err)
		for rest := plaintext; len(rest) > 0; {
			n, err := f.Write(rest[:min(piece, len(rest))])
			require.NoError(t, err)
			rest = rest[n:]
		}
		require.NoError(t, f.Close())
		require.Len(t, out.Bytes(), fileHeader+len(plaintext)+4*16, piece)
		r, err := w.openFile(place, out.Bytes())
		require.NoError(t, err, piece)
		got, err := io.ReadAll(r)
		require.NoError(t, err, piece)
		require.True(t, bytes.Equal(plaintext, got), piece)
	}
}

// Ranges, as http.ServeContent asks for them.
func TestFileRanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	plaintext := pattern(50_000)
	f, err := w.openFile(place, w.sealFile(t, place, plaintext))
	require.NoError(t, err)
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		from := random.IntN(len(plaintext))
		n := 1 + random.IntN(10_000)
		buf := make([]byte, n)
		got, err := f.ReadAt(buf, int64(from))
		want := plaintext[from:min(from+n, len(plaintext))]
		require.True(t, bytes.Equal(want, buf[:got]))
		require.Equal(t, got < n, err != nil)
	}
	r := httptest.NewRequest(http.MethodGet, "/audio", nil)
	r.Header.Set("Range", "bytes=4090-12299")
	rec := httptest.NewRecorder()
	http.ServeContent(rec, r, "a.bin", time.Time{}, f)
	require.Equal(t, http.StatusPartialContent, rec.Code)
	require.True(t, bytes.Equal(plaintext[4090:12300], rec.Body.Bytes()))
}

func readAll(f *io.SectionReader, err error) error {
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, f)
	return err
}

// Whatever is done to a file: its chunks are not exchanged, left out, repeated or cut.
func TestChangedFilesDoNotOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	plaintext := pattern(3*4096 + 100)
	sealed := w.sealFile(t, place, plaintext)
	chunk := func(i int) []byte {
		return sealed[fileHeader+i*sealedChunk : min(len(sealed), fileHeader+(i+1)*sealedChunk)]
	}
	join := func(parts ...[]byte) []byte {
		return append(bytes.Clone(sealed[:fileHeader]), bytes.Join(parts, nil)...)
	}
	require.NoError(t, readAll(w.openFile(place, join(chunk(0), chunk(1), chunk(2), chunk(3)))))
	for name, changed := range map[string][]byte{
		"exchanged":         join(chunk(1), chunk(0), chunk(2), chunk(3)),
		"left out":          join(chunk(0), chunk(2), chunk(3)),
		"repeated":          join(chunk(0), chunk(1), chunk(1), chunk(2), chunk(3)),
		"the end left out":  join(chunk(0), chunk(1), chunk(2)),
		"the last alone":    join(chunk(3)),
		"the first alone":   join(chunk(0)),
		"no chunks":         join(),
		"an empty one more": join(chunk(0), chunk(1), chunk(2), chunk(3), make([]byte, 16)),
		"two lasts":         join(chunk(0), chunk(1), chunk(2), chunk(3), chunk(3)),
		"nothing":           {},
		"a cell":            w.seal(t, place, plaintext),
	} {
		require.ErrorIs(t, readAll(w.openFile(place, changed)), envelope.ErrOpen, name)
	}
	for i := 0; i < len(sealed); i += 97 {
		require.ErrorIs(t, readAll(w.openFile(place, sealed[:i])), envelope.ErrOpen, "cut to %d", i)
	}
	other := w.sealFile(t, place, plaintext)
	mixed := append(bytes.Clone(sealed[:fileHeader+sealedChunk]), other[fileHeader+sealedChunk:]...)
	require.ErrorIs(t, readAll(w.openFile(place, mixed)), envelope.ErrOpen, "of two files")

	small := w.sealFile(t, place, []byte("small"))
	for i := range small {
		for bit := range 8 {
			changed := bytes.Clone(small)
			changed[i] ^= 1 << bit
			require.ErrorIs(t, readAll(w.openFile(place, changed)), envelope.ErrOpen, "byte %d", i)
		}
	}
}

func TestMovedFilesDoNotOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	sealed := w.sealFile(t, place, []byte("audio"))
	for _, move := range []func(*envelope.Place){
		func(p *envelope.Place) { p.Row = "8" }, func(p *envelope.Place) { p.Column = "x" },
		func(p *envelope.Place) { p.Table = "x" }, func(p *envelope.Place) { p.Site = "s2" },
		func(p *envelope.Place) { p.Subject = "p2" },
	} {
		at := place
		move(&at)
		_ = w.seal(t, at, nil)
		_, err := w.openFile(at, sealed)
		require.ErrorIs(t, err, envelope.ErrOpen)
	}
	cell := place
	_, err := w.Open(t.Context(), nil, cell, sealed)
	require.ErrorIs(t, err, envelope.ErrOpen)
	_, err = w.openFile(envelope.Place{}, sealed)
	require.ErrorIs(t, err, envelope.ErrPlace)
	_, err = w.SealFile(t.Context(), io.Discard, envelope.Place{})
	require.ErrorIs(t, err, envelope.ErrPlace)
	require.NoError(t, w.Shred(t.Context(), owner))
	_, err = w.openFile(place, sealed)
	require.ErrorIs(t, err, envelope.ErrShredded)
}

// A file that was given up in the middle does not open, and no byte of a changed chunk
// comes out.
func TestUnfinishedAndChangedInTheMiddle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	var out bytes.Buffer
	f, err := w.SealFile(t.Context(), &out, place)
	require.NoError(t, err)
	_, err = f.Write(pattern(10_000))
	require.NoError(t, err)
	_, err = w.openFile(place, out.Bytes())
	require.ErrorIs(t, err, envelope.ErrOpen)

	plaintext := pattern(20_000)
	sealed := w.sealFile(t, place, plaintext)
	sealed[fileHeader+2*sealedChunk+5] ^= 1
	r, err := w.openFile(place, sealed)
	require.NoError(t, err, "the end is good")
	got, err := io.ReadAll(r)
	require.ErrorIs(t, err, envelope.ErrOpen)
	require.True(t, bytes.Equal(plaintext[:2*4096], got))
	_, err = r.ReadAt(make([]byte, 10), 3*4096)
	require.NoError(t, err, "other chunks are readable still")
}

func TestFileErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, err := w.SealFile(t.Context(), &failing{}, place)
	require.ErrorIs(t, err, errDown)
	f, err := w.SealFile(t.Context(), &failing{after: 1}, place)
	require.NoError(t, err)
	n, err := f.Write(pattern(10_000))
	require.ErrorIs(t, err, errDown)
	require.Equal(t, 4096, n)
	require.ErrorIs(t, f.Close(), errDown)

	sealed := w.sealFile(t, place, pattern(10_000))
	broken := readerAt(func(p []byte, off int64) (int, error) {
		if off > 5000 {
			return 0, errDown
		}
		return bytes.NewReader(sealed).ReadAt(p, off)
	})
	_, err = w.OpenFile(t.Context(), broken, int64(len(sealed)), place)
	require.ErrorIs(t, err, errDown)
	_, err = w.OpenFile(t.Context(), bytes.NewReader(sealed), int64(len(sealed))+100, place)
	require.ErrorIs(t, err, envelope.ErrOpen)
	_, err = w.OpenFile(t.Context(), bytes.NewReader(nil), 1000, place)
	require.Error(t, err)
}

// failing takes that many writes.
type failing struct{ after int }

func (f *failing) Write(p []byte) (int, error) {
	if f.after == 0 {
		return 0, errDown
	}
	f.after--
	return len(p), nil
}

type readerAt func([]byte, int64) (int, error)

func (f readerAt) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }

func FuzzFile(f *testing.F) {
	w := newWorld(f, nil)
	plaintext := pattern(9000)
	sealed := w.sealFile(f, place, plaintext)
	f.Add(sealed, 0, byte(1))
	f.Add(sealed[:fileHeader+sealedChunk], 70, byte(0))
	f.Add([]byte{2}, 0, byte(0))
	f.Fuzz(func(t *testing.T, data []byte, at int, flip byte) {
		if at >= 0 && at < len(data) {
			data = bytes.Clone(data)
			data[at] ^= flip
		}
		r, err := w.openFile(place, data)
		if err != nil {
			return
		}
		got, err := io.ReadAll(r)
		if err == nil && !bytes.Equal(got, plaintext) {
			t.Fatal("another file opened")
		}
		if err != nil && !errors.Is(err, envelope.ErrOpen) || !bytes.HasPrefix(plaintext, got) {
			t.Fatal(err)
		}
	})
}

// TestUnfinishedFiles: of a file that a crash has cut off, whole chunks open.
func TestUnfinishedFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	plaintext := pattern(4*4096 + 100)
	var out bytes.Buffer
	f, err := w.SealFile(t.Context(), &out, place)
	require.NoError(t, err)
	_, err = f.Write(plaintext)
	require.NoError(t, err)
	written := out.Bytes()
	require.Len(t, written, fileHeader+4*sealedChunk)
	open := func(sealed []byte, at envelope.Place) ([]byte, error) {
		r, err := w.OpenUnfinished(t.Context(), bytes.NewReader(sealed), int64(len(sealed)), at)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}
	for _, row := range []struct{ size, chunks int }{
		{len(written), 4},
		{len(written) - 1, 3},
		{len(written) - sealedChunk, 3},
		{fileHeader + sealedChunk + 17, 1},
		{fileHeader + sealedChunk, 1},
	} {
		cut := written[:row.size]
		require.ErrorIs(t, readAll(w.openFile(place, cut)), envelope.ErrOpen, "not as a whole file")
		got, err := open(cut, place)
		require.NoError(t, err, row.size)
		require.True(t, bytes.Equal(plaintext[:row.chunks*4096], got), row.size)
	}
	elsewhere := place
	elsewhere.Row = "another"
	for _, sealed := range [][]byte{
		nil, written[:fileHeader], written[:fileHeader+sealedChunk-1],
		append(bytes.Clone(written[:fileHeader]), written[fileHeader+sealedChunk:]...),
	} {
		_, err := open(sealed, place)
		require.ErrorIs(t, err, envelope.ErrOpen)
	}
	_, err = open(written, elsewhere)
	require.ErrorIs(t, err, envelope.ErrOpen)
	_, err = open(written, envelope.Place{})
	require.ErrorIs(t, err, envelope.ErrPlace)
	// What was finished keeps its last chunk for OpenFile.
	_, err = open(w.sealFile(t, place, plaintext[:4096]), place)
	require.ErrorIs(t, err, envelope.ErrOpen)
	var zero *envelope.Vault
	_, err = zero.OpenUnfinished(t.Context(), bytes.NewReader(written), int64(len(written)), place)
	require.Error(t, err)
}
