package event

import (
	"github.com/go-json-experiment/json/jsontext"
)

// Mask replaces what must not be stored, in a text and in a JSON value.
type Mask struct {
	Text func(string) string
	JSON func(jsontext.Value) jsontext.Value
}

// Apply masks every text that came from the client, JSON values included. Ids
// that the contract validates are left alone.
func (m Mask) Apply(r *Received) {
	if e := r.Event; e != nil {
		m.texts(&e.URL, &e.Category, &e.Action, &e.Label, &e.Referrer)
		m.values(&e.Value, &e.Meta, &e.Unknown)
	}
	if c := r.Call; c != nil {
		m.texts(&c.Fingerprint, &c.Phone, &c.Action, &c.Intent, &c.Target, &c.Stamp, &c.PageURL,
			&c.URL, &c.UserAgent, &c.ClickID, &c.GCLID, &c.WBRAID, &c.GBRAID)
		m.values(&c.Value, &c.AdsContext)
	}
}

func (m Mask) texts(texts ...*string) {
	for _, text := range texts {
		*text = m.Text(*text)
	}
}

// values keeps a value only if it is JSON still.
func (m Mask) values(values ...*jsontext.Value) {
	for _, value := range values {
		if len(*value) == 0 {
			continue
		}
		*value = m.JSON(*value)
		if !value.IsValid() {
			*value = jsontext.Value("null")
		}
	}
}
