// Package event decodes what the browser tracker sends and says when two
// messages are the same event. It touches neither network nor storage.
package event

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Limits of the wire contract, in bytes or events.
const (
	MaxSyncBody = 256 << 10
	MaxCallBody = 64 << 10
	MaxBatch    = 100
	maxURL      = 4096
	maxReferrer = 2048
	maxName     = 64
	maxLabel    = 2048
	maxValue    = 256
	maxDepth    = 16 // of meta and ads_context
)

// Event is one interaction as the tracker reports it (POST /api/sync).
// Unknown members are ignored: newer trackers may send more.
type Event struct {
	Site     string         `json:"s"`
	URL      string         `json:"u"`
	LongURL  string         `json:"url,omitzero"`
	Session  string         `json:"sid"`
	Month    string         `json:"sm"`
	Category string         `json:"ec"`
	Action   string         `json:"ea"`
	Label    string         `json:"el"`
	Value    jsontext.Value `json:"ev,omitzero"`
	Referrer string         `json:"r"`
	Meta     jsontext.Value `json:"meta,omitzero"` // an object, kept as it came
	Consent  list[string]   `json:"consent_scopes"`
}

// HasAnalyticsConsent reports whether the visitor allowed the event to be kept.
func (e *Event) HasAnalyticsConsent() bool { return slices.Contains(e.Consent, "analytics") }

// marks are the members of meta that recognising an event takes. The rest is
// never decoded: it costs its own size and no more.
type marks struct {
	Stamp       jsontext.Value `json:"intent_stamp"`
	Fingerprint jsontext.Value `json:"fp"`
}

func (e *Event) marks() (m marks) {
	if len(e.Meta) > 0 && json.Unmarshal(e.Meta, &m) != nil {
		return marks{}
	}
	return m
}

// IntentStamp is the tracker's own id of a conversion, empty for other events.
func (e *Event) IntentStamp() string { return text(e.marks().Stamp) }

// text is the text of a JSON string, and empty for any other value.
func text(v jsontext.Value) string {
	unquoted, err := jsontext.AppendUnquote(nil, v)
	if err != nil {
		return ""
	}
	return string(unquoted)
}

var (
	uuidForm  = regexp.MustCompile(`^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`)
	monthForm = regexp.MustCompile(`^[0-9]{4}-(?:0[1-9]|1[0-2])-01$`)
)

// NormalSite returns the one spelling of a site id that is stored and compared:
// a UUID and its 32 hex digits name the same site.
func NormalSite(id string) string {
	if uuidForm.MatchString(id) {
		id = strings.ReplaceAll(id, "-", "")
	}
	return strings.ToLower(id)
}

// normalise folds the aliases away and checks every field of the contract.
func (e *Event) normalise() error {
	if e.URL == "" {
		e.URL = e.LongURL
	}
	e.LongURL = ""
	e.Site = NormalSite(e.Site)
	switch {
	case e.Site == "":
		return invalid("site_required")
	case e.URL == "":
		return invalid("url_required")
	case len(e.URL) > maxURL:
		return invalid("url_too_long")
	case len(e.Referrer) > maxReferrer:
		return invalid("referrer_too_long")
	case e.Category == "" || len(e.Category) > maxName:
		return invalid("category_invalid")
	case e.Action == "" || len(e.Action) > maxName:
		return invalid("action_invalid")
	case len(e.Label) > maxLabel:
		return invalid("label_too_long")
	case e.Session != "" && !uuidForm.MatchString(e.Session):
		return invalid("session_invalid")
	case e.Month != "" && !monthForm.MatchString(e.Month):
		return invalid("month_invalid")
	case !scalar(e.Value):
		return invalid("value_invalid")
	case !shallowObject(e.Meta):
		return invalid("meta_invalid")
	}
	return nil
}

// shallowObject accepts null, nothing, or an object of at most maxDepth levels.
// The depth is bounded because the value travels inside other JSON: what this
// decoder just accepts, one that reads a whole batch would refuse.
func shallowObject(v jsontext.Value) bool {
	if kind := v.Kind(); kind != '{' {
		return kind == 0 || kind == 'n'
	}
	decoder := jsontext.NewDecoder(bytes.NewReader(v))
	for {
		if _, err := decoder.ReadToken(); err != nil {
			return errors.Is(err, io.EOF)
		}
		if decoder.StackDepth() > maxDepth {
			return false
		}
	}
}

// scalar accepts what the contract allows for "ev": a number, a string or null.
func scalar(v jsontext.Value) bool {
	if len(v) > maxValue {
		return false
	}
	switch v.Kind() {
	case 0, 'n', '"', '0':
		return true
	default:
		return false
	}
}

// A Received event is one that passed the gates. It is what the queue carries.
type Received struct {
	ID   string    `json:"id"`   // unique per event, made at receipt
	Site string    `json:"site"` // normalised, proven to exist
	At   time.Time `json:"at"`   // receipt, the server's clock

	// Exactly one of the two is set.
	Event *Event `json:"event,omitzero"`
	Call  *Call  `json:"call,omitzero"`
}
