package audit

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/opsmantik/sallyport"
)

// maxEntry is the most bytes of one entry: what the entry bundle of a tile can hold
// (https://c2sp.org/tlog-tiles#log-entries).
const maxEntry = 65535

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

// Ref names who acted or what was acted on. Ids are opaque: an entry can never be
// changed, so a name or an address in one could never be forgotten.
//
// Permitted: {"user", "u_81c2"}, {"key", "k_7"}, {"call", "7"}. A mistake that
// nothing can refuse: {"user", "ada@example.org"}.
type Ref struct {
	Kind string
	ID   string
}

// Field is a detail of a record. Public and internal values are written as they
// are. Others are written only sealed (see Handle), and else as null: that there
// was a value, and nothing about it. A hash of a phone number is as good as the
// number to whoever can try them all.
type Field struct {
	Name  string
	Value string
	Class sallyport.Class
	// Handle, if set, says that Value is ciphertext, and under which key: a random
	// name that says nothing of the person. Destroying the key erases the value,
	// and every proof stays as it was.
	Handle string
}

// Record is one audited action.
type Record struct {
	Time    time.Time // required
	Actor   Ref       // required
	Tenant  string    // the site; empty for the whole platform
	Action  string    // required: "calls.seal"
	Target  Ref
	Outcome Outcome // required
	Reason  string  // why the actor did it, in their words
	// ReasonHandle, if set, says that Reason is ciphertext, as [Field.Handle] does.
	ReasonHandle string
	Fields       []Field // names are unique
}

// Encode returns the canonical bytes of a record: the entry that is stored and
// hashed. The error matches [ErrInvalid].
func (r Record) Encode() ([]byte, error) {
	var few [8]Field
	fields, err := r.validate(few[:0])
	if err != nil {
		return nil, err
	}
	b := append(make([]byte, 0, 512), `{"v":1,"time":"`...)
	b = r.Time.UTC().AppendFormat(b, time.RFC3339Nano)
	b = appendRef(append(b, `","actor":`...), r.Actor)
	if r.Tenant != "" {
		b = appendString(append(b, `,"tenant":`...), r.Tenant)
	}
	b = appendString(append(b, `,"action":`...), r.Action)
	if r.Target != (Ref{}) {
		b = appendRef(append(b, `,"target":`...), r.Target)
	}
	b = appendString(append(b, `,"outcome":`...), string(r.Outcome))
	if r.Reason != "" {
		b = appendValue(append(b, `,"reason":`...), r.Reason, r.ReasonHandle)
	}
	for i, f := range fields {
		b = append(b, separator(i)...)
		b = append(appendString(b, f.Name), ':')
		b = f.appendTo(b)
	}
	if len(fields) > 0 {
		b = append(b, '}')
	}
	b = append(b, '}')
	if len(b) > maxEntry {
		return nil, fmt.Errorf("%w: over %d bytes", ErrInvalid, maxEntry)
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
func (r Record) validate(sorted []Field) ([]Field, error) {
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
	if r.Reason == "" && r.ReasonHandle != "" {
		return nil, fmt.Errorf("%w: ReasonHandle without a Reason", ErrInvalid)
	}
	sorted = append(sorted, r.Fields...)
	slices.SortFunc(sorted, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	for i, f := range sorted {
		// Names that differ only in invalid bytes would be written alike.
		if f.Name == "" || !utf8.ValidString(f.Name) {
			return nil, fmt.Errorf("%w: Fields: want names in UTF-8", ErrInvalid)
		}
		if i > 0 && f.Name == sorted[i-1].Name {
			return nil, fmt.Errorf("%w: Fields: a name is used twice", ErrInvalid)
		}
	}
	return sorted, nil
}

// appendTo writes a value if it is sealed or its class is listed here: a class that
// is added later and forgotten here stays out.
func (f Field) appendTo(b []byte) []byte {
	if f.Handle != "" || f.Class == sallyport.Public || f.Class == sallyport.Internal {
		return appendValue(b, f.Value, f.Handle)
	}
	return append(b, "null"...)
}
