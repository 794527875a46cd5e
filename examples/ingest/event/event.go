// Package event decodes what the browser tracker sends and says when two
// messages are the same event. It touches neither network nor storage.
package event

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Limits of the wire contract, in bytes or events.
const (
	MaxSyncBody   = 256 << 10
	MaxCallBody   = 64 << 10
	MaxBatch      = 100
	maxURL        = 4096
	maxReferrer   = 2048
	maxName       = 64
	maxLabel      = 2048
	maxValue      = 256
	maxMetaFields = 200
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
	Meta     map[string]any `json:"meta"`
	Consent  []string       `json:"consent_scopes"`
}

// HasAnalyticsConsent reports whether the visitor allowed the event to be kept.
func (e *Event) HasAnalyticsConsent() bool { return slices.Contains(e.Consent, "analytics") }

// IntentStamp is the tracker's own id of a conversion, empty for other events.
func (e *Event) IntentStamp() string {
	stamp, _ := e.Meta["intent_stamp"].(string)
	return stamp
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
	case len(e.Meta) > maxMetaFields:
		return invalid("meta_too_large")
	}
	return nil
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
