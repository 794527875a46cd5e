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

	"github.com/opsmantik/sallyport"
)

// value is the JSON of a reason or a field.
type value struct{ text, handle string }

// UnmarshalJSON reads a string, null, or {"k":handle,"c":ciphertext}.
func (v *value) UnmarshalJSON(data []byte) error {
	switch {
	case string(data) == "null":
		return nil // of a reason, which is never null: writing it again differs
	case data[0] == '{':
		var sealed struct {
			Handle     string `json:"k"`
			Ciphertext string `json:"c"`
		}
		err := json.Unmarshal(data, &sealed)
		v.text, v.handle = sealed.Ciphertext, sealed.Handle
		return err
	}
	return json.Unmarshal(data, &v.text)
}

// field returns the Field that is written as v.
func (v *value) field(name string) Field {
	switch {
	case v == nil: // encoding/json leaves the pointer nil for null
		return Field{Name: name, Class: sallyport.Restricted}
	case v.handle != "":
		return Field{Name: name, Value: v.text, Class: sallyport.Restricted, Handle: v.handle}
	}
	return Field{Name: name, Value: v.text, Class: sallyport.Internal}
}

// Parse reads an entry that Encode made; anything else is [ErrInvalid]. What was
// written in the clear comes back as Internal, what was redacted or sealed as
// Restricted.
func Parse(entry []byte) (Record, error) {
	var e struct {
		Time    time.Time         `json:"time"`
		Actor   Ref               `json:"actor"`
		Tenant  string            `json:"tenant"`
		Action  string            `json:"action"`
		Target  Ref               `json:"target"`
		Outcome Outcome           `json:"outcome"`
		Reason  value             `json:"reason"`
		Fields  map[string]*value `json:"fields"`
	}
	if len(entry) > maxEntry {
		return Record{}, fmt.Errorf("%w: over %d bytes", ErrInvalid, maxEntry)
	}
	if err := json.Unmarshal(entry, &e); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	r := Record{
		Time: e.Time, Actor: e.Actor, Tenant: e.Tenant, Action: e.Action, Target: e.Target,
		Outcome: e.Outcome, Reason: e.Reason.text, ReasonHandle: e.Reason.handle,
	}
	for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
		r.Fields = append(r.Fields, e.Fields[name].field(name))
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

// appendRef writes an actor or a target.
func appendRef(b []byte, ref Ref) []byte {
	b = appendString(append(b, `{"kind":`...), ref.Kind)
	b = appendString(append(b, `,"id":`...), ref.ID)
	return append(b, '}')
}

// appendValue writes text, or ciphertext with the handle of its key.
func appendValue(b []byte, text, handle string) []byte {
	if handle == "" {
		return appendString(b, text)
	}
	b = appendString(append(b, `{"k":`...), handle)
	b = appendString(append(b, `,"c":`...), text)
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
		case unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
			b = appendEscape(b, c)
		default:
			b = utf8.AppendRune(b, c)
		}
	}
	return append(b, '"')
}

// appendEscape writes a character as RFC 8259 section 7 does, in lower case; above
// the basic plane as a surrogate pair
// (https://www.rfc-editor.org/rfc/rfc8259#section-7).
func appendEscape(b []byte, c rune) []byte {
	if c <= 0xffff {
		return fmt.Appendf(b, `\u%04x`, c)
	}
	high, low := utf16.EncodeRune(c)
	return fmt.Appendf(b, `\u%04x\u%04x`, high, low)
}
