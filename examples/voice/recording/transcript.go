package recording

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"

	"github.com/opsmantik/sallyport/tenancy/envelope"
)

// MaxTranscript is the longest transcript in bytes.
const MaxTranscript = 1 << 20

// ErrTooLong is a transcript above MaxTranscript.
var ErrTooLong = errors.New("recording: the transcript is too long")

// Transcript is what was said, in words: sallyport.Restricted, so it is kept sealed and
// no %v, log or JSON shows it.
type Transcript struct {
	text string `pii:"restricted"`
}

// NewTranscript makes one of a text.
func NewTranscript(text string) Transcript { return Transcript{text} }

// Reveal returns the text.
func (t Transcript) Reveal() string { return t.text }

// String implements fmt.Stringer.
func (Transcript) String() string { return "[transcript]" }

// GoString implements fmt.GoStringer.
func (Transcript) GoString() string { return "[transcript]" }

// MarshalText implements encoding.TextMarshaler.
func (Transcript) MarshalText() ([]byte, error) { return []byte("[transcript]"), nil }

func transcriptPlace(site, call string) (envelope.Place, string) {
	return envelope.Place{
		Site: site, Subject: call, Table: "calls", Column: "transcript", Row: call,
	}, path.Join(site, call, "transcript")
}

// SetTranscript keeps the transcript of a call, without card numbers.
func (a *Archive) SetTranscript(ctx context.Context, site, call string, t Transcript) error {
	switch {
	case !isName(site) || !isName(call):
		return ErrTrack
	case len(t.text) > MaxTranscript:
		return ErrTooLong
	}
	masked, _ := a.cards.String(t.text)
	at, name := transcriptPlace(site, call)
	sealed, err := a.cfg.Vault.Seal(ctx, nil, at, []byte(masked))
	if err != nil {
		return err
	}
	return a.cfg.Store.Put(ctx, name, sealed)
}

// Transcript returns the transcript of a call.
func (a *Archive) Transcript(ctx context.Context, site, call string) (Transcript, error) {
	if !isName(site) || !isName(call) {
		return Transcript{}, ErrTrack
	}
	at, name := transcriptPlace(site, call)
	objects, err := a.cfg.Store.List(ctx, path.Dir(name))
	if err != nil {
		return Transcript{}, err
	}
	for _, o := range objects {
		if o.Name != name {
			continue
		}
		sealed := make([]byte, o.Size)
		_, err := a.cfg.Store.ReadAt(ctx, name, sealed, 0)
		if errors.Is(err, fs.ErrNotExist) {
			break // erased meanwhile
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return Transcript{}, err
		}
		text, err := a.cfg.Vault.Open(ctx, nil, at, sealed)
		return Transcript{string(text)}, damaged(err)
	}
	return Transcript{}, ErrNone
}
