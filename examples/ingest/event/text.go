package event

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// MapText replaces every text that came from the client by f of it, member
// names of objects included. Ids that the contract validates are left alone.
func (r *Received) MapText(f func(string) string) {
	if e := r.Event; e != nil {
		apply(f, &e.URL, &e.Category, &e.Action, &e.Label, &e.Referrer)
		e.Value = mapScalar(f, e.Value)
		e.Meta = mapObject(f, e.Meta)
	}
	if c := r.Call; c != nil {
		apply(f, &c.Fingerprint, &c.Phone, &c.Action, &c.Intent, &c.Target, &c.Stamp, &c.PageURL,
			&c.URL, &c.UserAgent, &c.ClickID, &c.GCLID, &c.WBRAID, &c.GBRAID)
		c.Value = mapScalar(f, c.Value)
		c.AdsContext = mapObject(f, c.AdsContext)
	}
}

func apply(f func(string) string, texts ...*string) {
	for _, text := range texts {
		*text = f(*text)
	}
}

// mapScalar maps the JSON text itself, so that a number is looked at too. What
// no longer is JSON afterwards is kept as a JSON string.
func mapScalar(f func(string) string, v jsontext.Value) jsontext.Value {
	if len(v) == 0 {
		return v
	}
	mapped := jsontext.Value(f(string(v)))
	if mapped.IsValid() {
		return mapped
	}
	quoted, err := jsontext.AppendQuote(nil, string(mapped))
	if err != nil {
		return jsontext.Value("null")
	}
	return quoted
}

func mapObject(f func(string) string, object map[string]any) map[string]any {
	if object == nil {
		return nil
	}
	mapped := make(map[string]any, len(object))
	for name, value := range object {
		mapped[f(name)] = mapAny(f, value)
	}
	return mapped
}

func mapAny(f func(string) string, value any) any {
	switch value := value.(type) {
	case string:
		return f(value)
	case map[string]any:
		return mapObject(f, value)
	case []any:
		for i := range value {
			value[i] = mapAny(f, value[i])
		}
		return value
	case float64:
		// A card number sent as a JSON number.
		text := strconv.FormatFloat(value, 'f', -1, 64)
		if mapped := f(text); mapped != text {
			return mapped
		}
		return value
	default:
		return value
	}
}
