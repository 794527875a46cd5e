package recording

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"sync"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4/pkg/media/oggwriter"

	"github.com/opsmantik/sallyport"
)

// waiting is how many packets may wait for the Store: ten seconds.
const waiting = 500

// ErrSlow is what a recording returns whose Store does not keep up.
var ErrSlow = errors.New("recording: the store is too slow")

// Recording records one track: a media.Sink. Write and Close are for one goroutine.
type Recording struct {
	archive *Archive
	track   Track
	packets chan packet
	done    chan struct{} // closed once nothing is recorded any more

	mu  sync.Mutex
	err error
}

type packet struct {
	sequence  uint16
	timestamp uint32
	opus      []byte
}

// Start begins a recording. It goes on when ctx is over, until Close.
func (a *Archive) Start(ctx context.Context, t Track) (*Recording, error) {
	if !t.valid() {
		return nil, ErrTrack
	}
	a.began(t, 1)
	r, err := a.start(context.WithoutCancel(ctx), t)
	if err != nil {
		a.began(t, -1)
	}
	return r, err
}

func (a *Archive) start(ctx context.Context, t Track) (*Recording, error) {
	taken, err := a.cfg.Store.List(ctx, t.folder())
	if err != nil {
		return nil, err
	}
	if len(taken) > 0 {
		return nil, errors.New("recording: the track exists")
	}
	segments := &segmenter{store: a.cfg.Store, folder: t.folder()}
	sealed, err := a.cfg.Vault.SealFile(ctx, segments, t.place())
	if err != nil {
		return nil, err
	}
	r := &Recording{
		archive: a, track: t, packets: make(chan packet, waiting), done: make(chan struct{}),
	}
	go r.run(ctx, segments, sealed)
	return r, nil
}

// Write hands over a packet. The error is of an earlier one.
func (r *Recording) Write(sequence uint16, timestamp uint32, opus []byte) error {
	select {
	case <-r.done:
		return r.failure()
	default:
	}
	select {
	case r.packets <- packet{sequence, timestamp, bytes.Clone(opus)}:
		return nil
	default:
		return ErrSlow
	}
}

// Close finishes the recording, and returns once it is in the Store.
func (r *Recording) Close() error {
	close(r.packets)
	<-r.done
	return r.failure()
}

func (r *Recording) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// run writes what comes, and tells how it ended.
func (r *Recording) run(ctx context.Context, segments *segmenter, sealed io.WriteCloser) {
	err := r.write(sealed)
	if err == nil {
		err = sealed.Close()
	}
	if err == nil {
		err = r.archive.cfg.Store.Put(ctx, path.Join(r.track.folder(), end), nil)
	}
	r.mu.Lock()
	r.err = err
	r.mu.Unlock()
	r.archive.began(r.track, -1)
	if r.archive.cfg.OnEvent != nil {
		e := sallyport.Event{
			Gate: gate, Code: CodeRecordingFinished, Allowed: true, Tenant: r.track.Site, Err: err,
			Detail: &Ended{r.track, segments.total},
		}
		if err != nil {
			e.Code, e.Allowed = CodeRecordingFailed, false
		}
		r.archive.cfg.OnEvent(ctx, e)
	}
	close(r.done)
}

// What a lost packet of 20 ms is replaced by: a frame without data, which a decoder
// conceals (RFC 6716 section 3.2.1). Longer gaps than a minute are cut.
var concealed = []byte{0xfc}

const (
	frame   = 960        // 20 ms at 48 kHz
	longGap = 60 * 48000 // a minute
)

// samples returns how long a packet is, at 48 kHz (RFC 6716 section 3.1).
func samples(opus []byte) uint32 {
	config, frames := opus[0]>>3, uint32(1)
	switch opus[0] & 3 {
	case 1, 2:
		frames = 2
	case 3:
		if len(opus) > 1 {
			frames = uint32(opus[1] & 0x3f)
		}
	}
	switch {
	case config < 12: // SILK
		return frames * [...]uint32{480, 960, 1920, 2880}[config&3]
	case config < 16: // hybrid
		return frames * [...]uint32{480, 960}[config&1]
	default: // CELT
		return frames * [...]uint32{120, 240, 480, 960}[config&3]
	}
}

func (r *Recording) write(out io.Writer) error {
	ogg, err := oggwriter.NewWith(out, 48000, 2)
	if err != nil {
		return err
	}
	var last packet
	number := uint16(0)
	put := func(opus []byte, timestamp uint32) error {
		number++
		return ogg.WriteRTP(&rtp.Packet{
			Header: rtp.Header{SequenceNumber: number, Timestamp: timestamp, SSRC: 1}, Payload: opus,
		})
	}
	for p := range r.packets {
		if len(p.opus) == 0 {
			continue
		}
		if last.opus != nil {
			if p.sequence-last.sequence-1 >= 1<<15 { // numbers start again at 0
				continue // late, or twice
			}
			from := last.timestamp + samples(last.opus)
			for gap := p.timestamp - from; gap >= frame && gap < longGap; gap -= frame {
				if err := put(concealed, p.timestamp-gap); err != nil {
					return err
				}
			}
		}
		if err := put(p.opus, p.timestamp); err != nil {
			return err
		}
		last = p
	}
	return ogg.Close()
}
