package intake

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/scrub"
)

// shortestCard is the number of digits of the shortest card number (ISO/IEC
// 7812-1).
const shortestCard = 12

// CardMask masks card numbers in what is about to be stored. Everything else
// in an event is what the site's owner asked to be kept.
func CardMask() (func(*event.Received), error) {
	scrubber, err := scrub.New(scrub.Config{Detectors: []scrub.Detector{scrub.Card}})
	if err != nil {
		return nil, err
	}
	return event.Mask{
		Text: func(text string) string {
			if len(text) < shortestCard {
				return text
			}
			clean, _ := scrubber.String(text)
			return clean
		},
		JSON: func(value jsontext.Value) jsontext.Value {
			if len(value) < shortestCard {
				return value
			}
			clean, _ := scrubber.AppendJSON(nil, value)
			return clean
		},
	}.Apply, nil
}
