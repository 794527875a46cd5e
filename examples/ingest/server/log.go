package server

import (
	"io"
	"log/slog"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/scrub"
)

// NewLogger returns a logger whose every record is scrubbed before it is
// rendered.
func NewLogger(w io.Writer) (*slog.Logger, error) {
	scrubber, err := scrub.New(scrub.Config{})
	if err != nil {
		return nil, err
	}
	return slog.New(scrubber.Handler(slog.NewJSONHandler(w, nil))), nil
}

// cardMask masks card numbers in what is about to be stored. Everything else
// in an event is what the site's owner asked to be kept.
func cardMask() (func(*event.Received), error) {
	scrubber, err := scrub.New(scrub.Config{Detectors: []scrub.Detector{scrub.Card}})
	if err != nil {
		return nil, err
	}
	mask := func(text string) string {
		clean, _ := scrubber.String(text)
		return clean
	}
	return func(r *event.Received) { r.MapText(mask) }, nil
}
