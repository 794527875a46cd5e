package recording_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4/pkg/media/oggreader"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/voice/recording"
	"github.com/opsmantik/sallyport/tenancy/envelope"
	"github.com/opsmantik/sallyport/tenancy/envelope/storetest"
)

// world is an archive, where it keeps things, and what it tells.
type world struct {
	*recording.Archive
	vault  *envelope.Vault
	dir    string
	store  recording.Store
	events chan sallyport.Event
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir, keys := t.TempDir(), t.TempDir()
	kek, err := envelope.LocalKEK(filepath.Join(keys, "kek"))
	require.NoError(t, err)
	memory, err := recording.NewKeyFiles(filepath.Join(keys, "keys"))
	require.NoError(t, err)
	w := &world{dir: dir, events: make(chan sallyport.Event, 10)}
	w.vault, err = envelope.New(envelope.Config{KEK: kek, Store: memory})
	require.NoError(t, err)
	local, err := recording.NewDir(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, errors.Join(local.Close(), memory.Close())) })
	w.store = local
	w.Archive = w.archive(t, local)
	return w
}

func (w *world) archive(t *testing.T, store recording.Store) *recording.Archive {
	t.Helper()
	a, err := recording.New(recording.Config{
		Vault: w.vault, Store: store,
		OnEvent: func(_ context.Context, e sallyport.Event) { w.events <- e },
	})
	require.NoError(t, err)
	return a
}

var track = recording.Track{Site: "shop", Call: "c1", ID: "t1"}

// word is what somebody says in packet i: 80 bytes that hold a text to search for.
func word(i int) []byte {
	return append([]byte{0xfc}, fmt.Appendf(nil, "confidential %05d %s", i, strings.Repeat("w", 60))...)
}

// say writes n packets.
func say(t *testing.T, r *recording.Recording, n int) {
	t.Helper()
	for i := range n {
		for {
			err := r.Write(uint16(i), uint32(i)*960, word(i))
			if err == nil {
				break
			}
			require.ErrorIs(t, err, recording.ErrSlow)
			<-time.After(time.Millisecond)
		}
	}
}

// record makes a finished recording of n packets.
func (w *world) record(t *testing.T, at recording.Track, n int) {
	t.Helper()
	r, err := w.Start(t.Context(), at)
	require.NoError(t, err)
	say(t, r, n)
	require.NoError(t, r.Close())
	e := <-w.events
	require.Equal(t, recording.CodeRecordingFinished, e.Code)
	require.Equal(t, at, e.Detail.(*recording.Ended).Track)
}

// words reads the payloads of an Ogg file.
func words(t *testing.T, r io.Reader) (all [][]byte) {
	t.Helper()
	ogg, _, err := oggreader.NewWith(r)
	require.NoError(t, err)
	for {
		page, _, err := ogg.ParseNextPage()
		if err != nil {
			return all // a cut page is the end of what a crash has left
		}
		if len(page) > 0 && !bytes.HasPrefix(page, []byte("OpusTags")) {
			all = append(all, page)
		}
	}
}

func TestRecording(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(t, track, 2000)
	got, err := w.Open(t.Context(), track)
	require.NoError(t, err)
	require.True(t, got.Finished)
	all := words(t, got)
	require.Len(t, all, 2000)
	for i, payload := range all {
		require.True(t, bytes.Equal(word(i), payload), i)
	}
	tracks, err := w.Tracks(t.Context(), "shop", "")
	require.NoError(t, err)
	require.Equal(t, []recording.Track{track}, tracks)
	objects, err := w.store.List(t.Context(), "shop/c1/t1")
	require.NoError(t, err)
	require.Greater(t, len(objects), 3, "in segments")
	_, err = w.Start(t.Context(), track)
	require.Error(t, err, "no recording is overwritten")
}

// TestNothingIsReadableWithoutTheKey searches all files for what was said, and finds it
// with a vault that does not encrypt: the recording itself.
func TestNothingIsReadableWithoutTheKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(t, track, 1000)
	require.NoError(t, w.SetTranscript(t.Context(), "shop", "c1", recording.NewTranscript(
		"confidential words, card 4111 1111 1111 1111")))
	found := 0
	require.NoError(t, filepath.WalkDir(w.dir, func(name string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		raw, err := os.ReadFile(name)
		require.NotContains(t, string(raw), "confidential", name)
		require.NotContains(t, string(raw), "OggS", name)
		found++
		return err
	}))
	require.Greater(t, found, 2)
	got, err := w.Open(t.Context(), track)
	require.NoError(t, err)
	plain, err := io.ReadAll(got)
	require.NoError(t, err)
	require.Contains(t, string(plain), "confidential", "the search finds what is not sealed")
	other := newWorld(t)
	stranger := other.archive(t, w.store)
	_, err = stranger.Open(t.Context(), track)
	require.ErrorIs(t, err, envelope.ErrShredded, "without the key")
}

// crashing is a store that dies after some Puts, with or without half of the last one.
type crashing struct {
	recording.Store
	left int
}

var errCrash = errors.New("the machine is off")

func (c *crashing) Put(ctx context.Context, name string, data []byte) error {
	if c.left == 0 {
		return errCrash
	}
	c.left--
	return c.Store.Put(ctx, name, data)
}

// TestACrashLosesOneChunk: what was said up to the last chunk is there, and it is said
// that the end is missing.
func TestACrashLosesOneChunk(t *testing.T) {
	t.Parallel()
	for _, puts := range []int{3, 10, 17, 18, 19, 40} {
		w := newWorld(t)
		r, err := w.archive(t, &crashing{w.store, puts}).Start(t.Context(), track)
		require.NoError(t, err)
		for i := range 3000 {
			err := r.Write(uint16(i), uint32(i)*960, word(i))
			if errors.Is(err, errCrash) {
				break
			}
			<-time.After(50 * time.Microsecond)
		}
		require.ErrorIs(t, r.Close(), errCrash)
		require.Equal(t, recording.CodeRecordingFailed, (<-w.events).Code)
		got, err := w.Open(t.Context(), track)
		require.NoError(t, err, puts)
		require.False(t, got.Finished)
		// The header is one Put, a chunk is one or two.
		require.GreaterOrEqual(t, got.Size(), int64(puts-3)*4096*15/16, puts)
		all := words(t, got)
		require.GreaterOrEqual(t, len(all), int(got.Size()/120)-2)
		for i, payload := range all {
			require.True(t, bytes.Equal(word(i), payload), i)
		}
	}
}

func TestAnOngoingCallCanBeHeard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, err := w.Start(t.Context(), track)
	require.NoError(t, err)
	say(t, r, 400)
	require.Eventually(t, func() bool {
		got, err := w.Open(t.Context(), track)
		return err == nil && !got.Finished && got.Size() >= 4096
	}, 10*time.Second, 5*time.Millisecond)
	require.ErrorIs(t, w.Erase(t.Context(), track.Site, track.Call), recording.ErrOngoing)
	require.NoError(t, r.Close())
	require.NoError(t, w.Erase(t.Context(), track.Site, track.Call))
}

// TestChangedRecordingsDoNotOpen: whatever is done to the objects of a finished one.
func TestChangedRecordingsDoNotOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := recording.Track{Site: "shop", Call: "c2", ID: "t1"}
	second := recording.Track{Site: "shop", Call: "c1", ID: "t2"}
	foreign := recording.Track{Site: "other", Call: "c1", ID: "t1"}
	w.record(t, track, 2000)
	for _, at := range []recording.Track{other, second, foreign} {
		w.record(t, at, 2000)
	}
	name := func(at recording.Track, n string) string {
		return filepath.Join(w.dir, at.Site, at.Call, at.ID, n)
	}
	read := func(at recording.Track, n string) []byte {
		raw, err := os.ReadFile(name(at, n))
		require.NoError(t, err)
		return raw
	}
	const first, next, last = "00000000", "00000001", "00000003"
	require.NotEmpty(t, read(track, last))
	put := func(n string, raw []byte) func() {
		return func() { require.NoError(t, os.WriteFile(name(track, n), raw, 0o600)) }
	}
	remove := func(n ...string) func() {
		return func() {
			for _, n := range n {
				require.NoError(t, os.Remove(name(track, n)))
			}
		}
	}
	flipped := func(n string, at int) []byte {
		raw := read(track, n)
		raw[(at+len(raw))%len(raw)] ^= 1
		return raw
	}
	chunks := read(track, next)
	rotated := slices.Concat(chunks[4112:2*4112], chunks[:4112], chunks[2*4112:])
	whole := map[string][]byte{}
	for _, n := range []string{first, next, "00000002", last, "end"} {
		whole[n] = read(track, n)
	}
	for _, row := range []struct {
		name string
		do   func()
	}{
		{"the last segment is gone", remove(last)},
		{"a middle segment is gone", remove(next)},
		{"the first segment is gone", remove(first)},
		{"a byte of the last segment is gone", put(last, whole[last][:len(whole[last])-1])},
		{"a byte more", put(last, append(bytes.Clone(whole[last]), 0))},
		{"the last chunk is gone", put(last, whole[last][:len(whole[last])/4112*4112])},
		{"a segment more", put("00000004", whole[last])},
		{"two segments exchanged", func() { put(first, whole[next])(); put(next, whole[first])() }},
		{"two chunks exchanged", put(next, rotated)},
		{"a segment of another call", put(next, read(other, next))},
		{"a segment of another track of the call", put(next, read(second, next))},
		{"a segment of another site", put(next, read(foreign, next))},
		{"another track's whole file", func() {
			for n := range whole {
				put(n, read(second, n))()
			}
		}},
		{"a bit of the header", put(first, flipped(first, 40))},
		{"a bit of the first chunk", put(first, flipped(first, 70))},
		{"a bit in the middle", put("00000002", flipped("00000002", 30_000))},
		{"the last bit", put(last, flipped(last, -1))},
	} {
		row.do()
		err := listen(w.Archive, track)
		require.Error(t, err, row.name)
		require.True(t, errors.Is(err, recording.ErrDamaged) || errors.Is(err, envelope.ErrOpen) ||
			errors.Is(err, envelope.ErrShredded), "%s: %v", row.name, err)
		require.NoError(t, os.RemoveAll(name(track, "00000004")))
		for n, raw := range whole {
			put(n, raw)()
		}
		require.NoError(t, listen(w.Archive, track), row.name)
	}
	// Without its mark it is no finished recording any more, and says so.
	remove("end", last)()
	got, err := w.Open(t.Context(), track)
	require.NoError(t, err)
	require.False(t, got.Finished)
	// And with a mark an unfinished one is no finished one.
	put("end", nil)()
	require.ErrorIs(t, listen(w.Archive, track), recording.ErrDamaged)
}

func listen(a *recording.Archive, at recording.Track) error {
	got, err := a.Open(context.Background(), at)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, got)
	return err
}

func TestErase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	second := recording.Track{Site: "shop", Call: "c1", ID: "t2"}
	other := recording.Track{Site: "shop", Call: "c2", ID: "t1"}
	for _, at := range []recording.Track{track, second, other} {
		w.record(t, at, 300)
	}
	require.NoError(t, w.SetTranscript(t.Context(), "shop", "c1", recording.NewTranscript("hello")))
	backup := t.TempDir()
	require.NoError(t, os.CopyFS(backup, os.DirFS(w.dir)))

	require.NoError(t, w.Erase(t.Context(), "shop", "c1"))
	_, err := w.Open(t.Context(), track)
	require.ErrorIs(t, err, recording.ErrNone)
	_, err = w.Transcript(t.Context(), "shop", "c1")
	require.ErrorIs(t, err, recording.ErrNone)
	require.NoError(t, listen(w.Archive, other), "another call goes on")

	old, err := recording.NewDir(backup)
	require.NoError(t, err)
	t.Cleanup(func() { _ = old.Close() })
	restored := w.archive(t, old)
	for _, at := range []recording.Track{track, second} {
		_, err = restored.Open(t.Context(), at)
		require.ErrorIs(t, err, envelope.ErrShredded, "and no backup brings it back")
	}
	_, err = restored.Transcript(t.Context(), "shop", "c1")
	require.ErrorIs(t, err, envelope.ErrShredded)
}

func TestTranscripts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	said := recording.NewTranscript("My card is 4111 1111 1111 1111, thank you")
	require.NoError(t, w.SetTranscript(t.Context(), "shop", "c1", said))
	got, err := w.Transcript(t.Context(), "shop", "c1")
	require.NoError(t, err)
	require.Contains(t, got.Reveal(), "thank you")
	require.NotContains(t, got.Reveal(), "4111", "no card number is kept")
	_, err = w.Transcript(t.Context(), "shop", "c2")
	require.ErrorIs(t, err, recording.ErrNone)
	require.ErrorIs(t, w.SetTranscript(t.Context(), "shop", "c1",
		recording.NewTranscript(strings.Repeat("x", recording.MaxTranscript+1))), recording.ErrTooLong)
	shown := fmt.Sprintf("%v %+v %#v %s", got, got, got, got)
	raw, err := json.Marshal(got)
	require.NoError(t, err)
	require.NotContains(t, shown+string(raw), "thank you")
	// Moved to another call it does not open.
	require.NoError(t, os.MkdirAll(filepath.Join(w.dir, "shop", "c3"), 0o700))
	sealed, err := os.ReadFile(filepath.Join(w.dir, "shop", "c1", "transcript"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "shop", "c3", "transcript"), sealed, 0o600))
	_, err = w.Transcript(t.Context(), "shop", "c3")
	require.Error(t, err)
}

// TestGaps: what was lost or not sent keeps its time, and what is late is left out.
func TestGaps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, err := w.Start(t.Context(), track)
	require.NoError(t, err)
	for _, p := range []struct {
		sequence  uint16
		timestamp uint32
	}{{65534, 4_294_966_000}, {65535, 4_294_966_960}, {2, 2544}, {1, 1584}, {2, 2544}, {3, 3504}, {4, 8304}} {
		require.NoError(t, r.Write(p.sequence, p.timestamp, word(int(p.sequence))))
	}
	require.NoError(t, r.Write(5, 9264, nil))
	require.NoError(t, r.Close())
	got, err := w.Open(t.Context(), track)
	require.NoError(t, err)
	var heard []string
	for _, payload := range words(t, got) {
		if len(payload) == 1 {
			heard = append(heard, "-")
			continue
		}
		heard = append(heard, strings.TrimLeft(strings.Fields(string(payload))[1], "0"))
	}
	require.Equal(t, "65534 65535 - - 2 3 - - - - 4", strings.Join(heard, " "))
}

func TestNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, at := range []recording.Track{
		{},
		{"shop", "c1", ""},
		{"shop", "..", "t1"},
		{"sh/op", "c1", "t1"},
		{"shop", "c1", "end/../x"},
		{"shop", "c1", strings.Repeat("x", 129)},
	} {
		_, err := w.Start(t.Context(), at)
		require.ErrorIs(t, err, recording.ErrTrack)
		_, err = w.Open(t.Context(), at)
		require.ErrorIs(t, err, recording.ErrTrack)
	}
	require.Error(t, w.store.Put(t.Context(), "../outside", nil), "not out of the directory")
	require.ErrorIs(t, w.Erase(t.Context(), "shop", ""), recording.ErrTrack, "not a whole site by mistake")
	_, err := w.Tracks(t.Context(), "", "")
	require.ErrorIs(t, err, recording.ErrTrack)
	_, err = recording.New(recording.Config{})
	require.Error(t, err)
}

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) envelope.Store {
		t.Helper()
		keys, err := recording.NewKeyFiles(t.TempDir())
		require.NoError(t, err)
		t.Cleanup(func() { _ = keys.Close() })
		return keys
	})
}

// TestPacketsOfEveryLength: no gap is seen where none is, for each of the 32
// configurations (RFC 6716 section 3.1) and each number of frames.
func TestPacketsOfEveryLength(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	silk, celt := []uint32{480, 960, 1920, 2880}, []uint32{120, 240, 480, 960}
	lengths := slices.Concat(silk, silk, silk, silk[:2], silk[:2], celt, celt, celt, celt)
	require.Len(t, lengths, 32)
	for _, missing := range []uint32{0, 1} {
		at := recording.Track{Site: "shop", Call: "c1", ID: fmt.Sprint("t", missing)}
		r, err := w.Start(t.Context(), at)
		require.NoError(t, err)
		sequence, timestamp, packets := uint16(0), uint32(0), 0
		for config, frame := range lengths {
			for code, frames := range []uint32{1, 2, 2, 2} {
				opus := []byte{byte(config<<3 | code), 2, 0, 0} // of code 3, this says how many
				require.NoError(t, r.Write(sequence, timestamp, opus))
				sequence++
				timestamp += frames*frame + missing*960
				packets++
			}
		}
		require.NoError(t, r.Close())
		got, err := w.Open(t.Context(), at)
		require.NoError(t, err)
		require.Len(t, words(t, got), packets+int(missing)*(packets-1))
	}
}
