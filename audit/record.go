package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxEntry is the most bytes of one entry: what a tile's entry bundle can hold
// (c2sp.org/tlog-tiles).
const MaxEntry = 65535

// redacted stands for a value that its class keeps out. It says that there was one,
// and nothing about it: a hash of a phone number is as good as the number to whoever
// can try them all.
const redacted = "[redacted]"

// Outcome is how an action ended. The set is closed.
type Outcome string

const (
	// OutcomeIntent: about to be tried in another system. An outcome must follow;
	// an intent without one is an orphan to investigate.
	OutcomeIntent Outcome = "intent"
	// OutcomeSuccess: done.
	OutcomeSuccess Outcome = "success"
	// OutcomeDenied: refused by a policy.
	OutcomeDenied Outcome = "denied"
	// OutcomeFailure: tried and failed, or of unknown result.
	OutcomeFailure Outcome = "failure"
)

// Actor is who acted.
type Actor struct {
	Kind string `json:"kind"` // "user", "service", "system"
	ID   string `json:"id"`
}

// Target is what was acted on.
type Target struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

// Class says how sensitive a value is (the data classification policy). The zero
// value is unclassified, which is treated as restricted.
type Class uint8

const (
	// Unclassified is redacted.
	Unclassified Class = iota
	// Public is written.
	Public
	// Internal is written.
	Internal
	// Confidential is redacted.
	Confidential
	// Restricted is redacted.
	Restricted
)

// Field is a detail of a record.
type Field struct {
	Name  string
	Value string
	Class Class
}

// Record is one audited action.
type Record struct {
	Time    time.Time // required
	Actor   Actor     // required
	Tenant  string    // the site; empty for the whole platform
	Action  string    // required: "calls.seal"
	Target  Target
	Outcome Outcome // required
	Reason  string  // why the actor did it, in their words
	Fields  []Field // names are unique
}

// Encode returns the canonical bytes of a record: the entry that is stored and
// hashed. The error matches [ErrInvalid] or [ErrTooLarge].
func (r Record) Encode() ([]byte, error) {
	fields, err := r.validate()
	if err != nil {
		return nil, err
	}
	b := append(make([]byte, 0, 512), `{"v":1,"time":"`...)
	b = r.Time.UTC().AppendFormat(b, time.RFC3339Nano)
	b = appendPair(append(b, `","actor":`...), r.Actor.Kind, r.Actor.ID)
	if r.Tenant != "" {
		b = appendString(append(b, `,"tenant":`...), r.Tenant)
	}
	b = appendString(append(b, `,"action":`...), r.Action)
	if r.Target != (Target{}) {
		b = appendPair(append(b, `,"target":`...), r.Target.Kind, r.Target.ID)
	}
	b = appendString(append(b, `,"outcome":`...), string(r.Outcome))
	if r.Reason != "" {
		b = appendString(append(b, `,"reason":`...), r.Reason)
	}
	for i, f := range fields {
		b = append(b, separator(i)...)
		b = append(appendString(b, f.Name), ':')
		b = appendString(b, f.written())
	}
	if len(fields) > 0 {
		b = append(b, '}')
	}
	b = append(b, '}')
	if len(b) > MaxEntry {
		return nil, ErrTooLarge
	}
	return b, nil
}

// separator opens the fields, or continues them.
func separator(i int) string {
	if i == 0 {
		return `,"fields":{`
	}
	return ","
}

// validate returns the fields in order. A record that lacks who, what, when or how
// it ended is not worth the action it would let through.
func (r Record) validate() ([]Field, error) {
	if year := r.Time.UTC().Year(); r.Time.IsZero() || year < 1 || year > 9999 {
		return nil, fmt.Errorf("%w: Time: want a year from 1 to 9999", ErrInvalid)
	}
	if r.Actor.Kind == "" || r.Actor.ID == "" || r.Action == "" {
		return nil, fmt.Errorf("%w: Actor.Kind, Actor.ID and Action are required", ErrInvalid)
	}
	switch r.Outcome {
	case OutcomeIntent, OutcomeSuccess, OutcomeDenied, OutcomeFailure:
	default:
		return nil, fmt.Errorf("%w: Outcome: not one of the four", ErrInvalid)
	}
	if len(r.Fields) == 0 {
		return nil, nil
	}
	byName := make(map[string]Field, len(r.Fields))
	for _, f := range r.Fields {
		// Names that differ only in invalid bytes would be written alike.
		if f.Name == "" || !utf8.ValidString(f.Name) {
			return nil, fmt.Errorf("%w: Fields: want names in UTF-8", ErrInvalid)
		}
		if _, twice := byName[f.Name]; twice {
			return nil, fmt.Errorf("%w: Fields: a name is used twice", ErrInvalid)
		}
		byName[f.Name] = f
	}
	sorted := make([]Field, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		sorted = append(sorted, byName[name])
	}
	return sorted, nil
}

// written lists what is written, not what is redacted: a class that is added later
// and forgotten here stays out.
func (f Field) written() string {
	if f.Class == Public || f.Class == Internal {
		return f.Value
	}
	return redacted
}

// Parse reads an entry that Encode made; anything else is [ErrInvalid]. Fields
// come back as Internal: whatever was written may be shown.
func Parse(entry []byte) (Record, error) {
	var e struct {
		Time    time.Time         `json:"time"`
		Actor   Actor             `json:"actor"`
		Tenant  string            `json:"tenant"`
		Action  string            `json:"action"`
		Target  Target            `json:"target"`
		Outcome Outcome           `json:"outcome"`
		Reason  string            `json:"reason"`
		Fields  map[string]string `json:"fields"`
	}
	if len(entry) > MaxEntry {
		return Record{}, ErrTooLarge
	}
	if err := json.Unmarshal(entry, &e); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	r := Record{
		Time: e.Time, Actor: e.Actor, Tenant: e.Tenant, Action: e.Action, Target: e.Target,
		Outcome: e.Outcome, Reason: e.Reason,
	}
	for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
		r.Fields = append(r.Fields, Field{Name: name, Value: e.Fields[name], Class: Internal})
	}
	// JSON readers disagree about duplicate and unknown members. One spelling
	// leaves nothing to disagree about.
	again, err := r.Encode()
	if err != nil {
		return Record{}, err
	}
	if !bytes.Equal(again, entry) {
		return Record{}, fmt.Errorf("%w: not in canonical form", ErrInvalid)
	}
	return r, nil
}

// appendPair writes an actor or a target.
func appendPair(b []byte, kind, id string) []byte {
	b = appendString(append(b, `{"kind":`...), kind)
	b = appendString(append(b, `,"id":`...), id)
	return append(b, '}')
}

// appendString writes a JSON string in which nothing can end a line, move the
// cursor or change the direction of text, in whatever shows the log. encoding/json
// leaves U+007F, U+0085 and the direction marks as they are.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, c := range s { // invalid bytes arrive as U+FFFD
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', byte(c))
		case c >= ' ' && c < 0x7f:
			b = append(b, byte(c))
		case c < 0x7f || unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
			b = appendEscape(b, c)
		default:
			b = utf8.AppendRune(b, c)
		}
	}
	return append(b, '"')
}

// appendEscape writes a character as RFC 8259 section 7 does, in lower case; above
// the basic plane as a surrogate pair.
func appendEscape(b []byte, c rune) []byte {
	if c <= 0xffff {
		return fmt.Appendf(b, `\u%04x`, c)
	}
	high, low := utf16.EncodeRune(c)
	return fmt.Appendf(b, `\u%04x\u%04x`, high, low)
}
