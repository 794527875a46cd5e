// Package event decodes what the browser tracker sends and says when two
// messages are the same event. It touches neither network nor storage.
package event

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Limits of the wire contract, in bytes or events.
const (
	MaxSyncBody = 256 << 10
	MaxCallBody = 64 << 10
	MaxBatch    = 100
	maxURL      = 4096 // a longer URL or referrer is cut
	maxName     = 64
	maxPhone    = 256
	maxLabel    = 2048
	maxValue    = 256
	maxScopes   = 100
	maxDepth    = 16 // of meta and ads_context
)

// Event is one interaction as the tracker reports it (POST /api/sync).
// Unknown members are not stored, newer trackers may send more; they count
// when two events are compared.
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
	Consent  []string       `json:"consent_scopes"`
	Unknown  jsontext.Value `json:",unknown"`

	marks marks
}

// HasAnalyticsConsent reports whether the visitor allowed the event to be kept.
func (e *Event) HasAnalyticsConsent() bool { return slices.Contains(e.Consent, "analytics") }

// IntentStamp is the tracker's own id of a conversion, empty for other events.
func (e *Event) IntentStamp() string {
	m, _ := read(e.Meta)
	return m.stamp
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
	e.Meta = object(e.Meta)
	var whole bool
	e.marks, whole = read(e.Meta)
	switch {
	case e.Site == "":
		return invalid(codeSiteRequired)
	case e.URL == "":
		return invalid(codeURLRequired)
	case e.Category == "" || len(e.Category) > maxName:
		return invalid(codeCategoryInvalid)
	case e.Action == "" || len(e.Action) > maxName:
		return invalid(codeActionInvalid)
	case len(e.Label) > maxLabel:
		return invalid(codeLabelTooLong)
	case e.Session != "" && !uuidForm.MatchString(e.Session):
		return invalid(codeSessionInvalid)
	case e.Month != "" && !monthForm.MatchString(e.Month):
		return invalid(codeMonthInvalid)
	case len(e.Consent) > maxScopes:
		return invalid(codeConsentInvalid)
	case !scalar(e.Value):
		return invalid(codeValueInvalid)
	case !whole:
		return invalid(codeMetaInvalid)
	}
	return nil
}

// finish makes of an event what is stored: an address too long is cut, and a
// month that the receipt contradicts is the receipt's.
func (e *Event) finish(receipt time.Time) {
	e.URL, e.Referrer = cut(e.URL, maxURL), cut(e.Referrer, maxURL)
	e.Unknown = nil
	month, err := time.Parse(time.DateOnly, e.Month)
	if err != nil || month.Before(receipt.AddDate(-1, 0, 0)) || month.After(receipt.AddDate(0, 1, 0)) {
		e.Month = receipt.UTC().Format("2006-01") + "-01"
	}
}

// cut shortens text to at most n bytes, and not inside a character.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// A Received event is one that passed the gates. It is what the queue carries.
type Received struct {
	ID   string    `json:"id"`   // unique per event, made at receipt
	Site string    `json:"site"` // normalised, proven to exist
	At   time.Time `json:"at"`   // receipt, the server's clock

	// Identity is the same for messages that are the same event, received
	// within Fold of each other. It is empty for an event that is never the
	// same as another one. Seal sets both.
	Identity []byte `json:"identity,omitzero"`
	Fold     int64  `json:"fold_ms,omitzero"`
	// Stamp is the event's IntentStamp.
	Stamp string `json:"stamp,omitzero"`

	// Visit is the run of events of one visitor that this one belongs to, or empty.
	Visit string `json:"visit,omitzero"`

	// Exactly one of the two is set.
	Event *Event `json:"event,omitzero"`
	Call  *Call  `json:"call,omitzero"`
}

// Complete seals an event that an earlier version queued, which did not.
func (r *Received) Complete() {
	if r.Event == nil || len(r.Identity) > 0 {
		return
	}
	r.Event.marks, _ = read(r.Event.Meta)
	r.Seal()
}
