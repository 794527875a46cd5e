package recording

import (
	"context"
	"errors"
	"io"
	"path"
	"strings"
	"sync"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/scrub"
	"github.com/opsmantik/sallyport/tenancy/envelope"
)

// The codes of the events of this package, which happen outside HTTP.
const (
	// CodeRecordingFinished: a recording is complete. Allowed.
	CodeRecordingFinished = "voice_recording_finished"
	// CodeRecordingFailed: a recording could not go on, and is unfinished.
	CodeRecordingFailed = "voice_recording_failed"
)

// Track names the recording of one peer of a call. Each part has 1 to 128 letters,
// digits, '-' and '_', and says nothing about a person: stores show names.
type Track struct{ Site, Call, ID string }

// ErrTrack is a Track that names none.
var ErrTrack = errors.New("recording: a track names a site, a call and an id")

// ErrNone is what there is no recording of.
var ErrNone = errors.New("recording: there is none")

func (t Track) valid() bool { return isName(t.Site) && isName(t.Call) && isName(t.ID) }

func (t Track) folder() string { return path.Join(t.Site, t.Call, t.ID) }

func isName(s string) bool {
	return s != "" && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') &&
			r != '-' && r != '_'
	})
}

// place binds the audio to where it belongs. The subject is the call: its key is the
// call's own.
func (t Track) place() envelope.Place {
	return envelope.Place{
		Site: t.Site, Subject: t.Call, Table: "recordings", Column: "audio", Row: t.Call + "/" + t.ID,
	}
}

// Config configures an Archive. New copies it.
type Config struct {
	_ [0]func()

	// Vault seals. Required.
	Vault *envelope.Vault
	// Store keeps what is sealed. Required. Keep the store of the Vault's keys
	// elsewhere.
	Store Store
	// OnEvent, if set, is told how each recording ended. Event.Detail is a [*Ended].
	OnEvent func(context.Context, sallyport.Event)
}

// Ended is the Detail of the events of this package.
type Ended struct {
	Track Track
	Bytes int64 // as sealed
}

// Archive records, and opens what was recorded. It is safe for concurrent use.
type Archive struct {
	cfg   Config
	cards *scrub.Scrubber

	mu      sync.Mutex
	ongoing map[[2]string]int // recordings by site and call
}

// New returns an Archive, or every problem of the configuration at once.
func New(cfg Config) (*Archive, error) {
	var problems []error
	for field, missing := range map[string]bool{"Vault": cfg.Vault == nil, "Store": cfg.Store == nil} {
		if missing {
			problems = append(problems, &sallyport.ConfigError{
				Gate: gate, Field: field, Code: sallyport.ConfigRequired, Fix: "there is no default",
			})
		}
	}
	cards, err := scrub.New(scrub.Config{Detectors: []scrub.Detector{scrub.Card}})
	if err := errors.Join(append(problems, err)...); err != nil {
		return nil, err
	}
	return &Archive{cfg: cfg, cards: cards, ongoing: map[[2]string]int{}}, nil
}

const gate = "voice"

// Opened is a recording to be listened to.
type Opened struct {
	*io.SectionReader // Ogg/Opus
	// Finished is false for what a crash has cut off, and for what is going on.
	Finished bool
}

// end is the name of the mark that a recording is finished: an empty object, after all
// segments. It says how to open the file, and the sealed file itself says whether it is
// whole.
const end = "end"

// Open opens a recording. ErrDamaged is one that was finished and is not whole; ErrNone
// is none; envelope.ErrShredded one that was erased.
func (a *Archive) Open(ctx context.Context, t Track) (*Opened, error) {
	if !t.valid() {
		return nil, ErrTrack
	}
	objects, err := a.cfg.Store.List(ctx, t.folder())
	if err != nil {
		return nil, err
	}
	marked := len(objects) > 0 && path.Base(objects[len(objects)-1].Name) == end
	if marked {
		objects = objects[:len(objects)-1]
	}
	if len(objects) == 0 && !marked {
		return nil, ErrNone
	}
	sealed, err := join(ctx, a.cfg.Store, t.folder(), objects)
	if err != nil {
		return nil, err
	}
	if !marked {
		r, err := a.cfg.Vault.OpenUnfinished(ctx, sealed, sealed.size, t.place())
		return &Opened{r, false}, damaged(err)
	}
	r, err := a.cfg.Vault.OpenFile(ctx, sealed, sealed.size, t.place())
	return &Opened{r, true}, damaged(err)
}

// damaged says of what does not open that it is damaged.
func damaged(err error) error {
	if errors.Is(err, envelope.ErrOpen) {
		return errors.Join(ErrDamaged, err)
	}
	return err
}

// Tracks lists the recordings of a site, or of one call of it.
func (a *Archive) Tracks(ctx context.Context, site, call string) ([]Track, error) {
	if !isName(site) || call != "" && !isName(call) {
		return nil, ErrTrack
	}
	objects, err := a.cfg.Store.List(ctx, path.Join(site, call))
	if err != nil {
		return nil, err
	}
	var tracks []Track
	for _, o := range objects {
		parts := strings.Split(o.Name, "/")
		if len(parts) != 4 {
			continue // a transcript
		}
		t := Track{parts[0], parts[1], parts[2]}
		if len(tracks) == 0 || tracks[len(tracks)-1] != t {
			tracks = append(tracks, t)
		}
	}
	return tracks, nil
}

// ErrOngoing is a call that is being recorded.
var ErrOngoing = errors.New("recording: the call goes on")

// began counts the recordings of a call by n.
func (a *Archive) began(t Track, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := [2]string{t.Site, t.Call}
	if a.ongoing[key] += n; a.ongoing[key] == 0 {
		delete(a.ongoing, key)
	}
}

// Erase destroys the key of a call, and then what it sealed. A call that this Archive
// records is ErrOngoing: end it first. An error after the key is gone leaves objects that
// nobody can open; erase again to remove them.
func (a *Archive) Erase(ctx context.Context, site, call string) error {
	if !isName(site) || !isName(call) {
		return ErrTrack
	}
	a.mu.Lock() // nothing of the call begins meanwhile
	defer a.mu.Unlock()
	if a.ongoing[[2]string{site, call}] > 0 {
		return ErrOngoing
	}
	if err := a.cfg.Vault.Shred(ctx, envelope.Owner{Site: site, Subject: call}); err != nil {
		return err
	}
	objects, err := a.cfg.Store.List(ctx, path.Join(site, call))
	for _, o := range objects {
		err = errors.Join(err, a.cfg.Store.Delete(ctx, o.Name))
	}
	return err
}
