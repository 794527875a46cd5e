package event

import (
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Error is a body that breaks the contract. Code is the contract's, or ours
// where the contract leaves it open; it never holds anything the client sent.
type Error struct {
	Status int
	Code   string
}

func (e *Error) Error() string { return "event: " + e.Code }

func invalid(code string) *Error { return &Error{Status: 422, Code: code} }

// Batch is the body of POST /api/sync.
type Batch struct {
	Events   []Event // at least one; all of one site
	Rejected []Rejected
}

// Rejected is an event of a batch that breaks the contract. The others of the
// batch are stored: one bad event must not cost good ones.
type Rejected struct {
	Index int    `json:"index"` // in the batch as it was sent
	Code  string `json:"code"`
}

// envelope is a batch in either of its two spellings, or one event when
// neither is there.
type envelope struct {
	Events *list `json:"events"`
	Batch  *list `json:"batch"`
	Event  `json:",inline"`
}

// list is an array that is given up at its MaxBatch-th-and-first element, before
// the rest costs any memory: {} is two bytes to send and two hundred to hold.
type list []jsontext.Value

var errTooLong = errors.New("event: list too long")

// UnmarshalJSONFrom reads an array, or null as an empty one.
func (l *list) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	*l = nil
	if d.PeekKind() == 'n' {
		return d.SkipValue()
	}
	if d.PeekKind() != '[' {
		return errors.Join(errors.New("event: want an array"), d.SkipValue())
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != ']' {
		if len(*l) == MaxBatch {
			return errTooLong
		}
		element, err := d.ReadValue()
		if err != nil {
			return err
		}
		*l = append(*l, element.Clone())
	}
	_, err := d.ReadToken()
	return err
}

// ParseSync decodes the body of POST /api/sync: one event, {"events":[...]} or
// {"batch":[...]}. Every event of the result names the same site.
//
// A single bad event is an error of status 422, which makes the tracker drop it.
// A batch without a good one is an error of status 400, which makes the tracker
// send its events one by one.
//
// Duplicate member names and anything after the value are refused, so that no
// two readers of one body can disagree about it. Text that is not Unicode is
// mended, as the tracker's peers do (see clean).
func ParseSync(body []byte) (*Batch, error) {
	var env envelope
	if err := json.Unmarshal(clean(body), &env); errors.Is(err, errTooLong) {
		return nil, &Error{Status: 429, Code: codeBatchTooManyEvents}
	} else if err != nil {
		return nil, decodeError(err)
	}
	switch {
	case env.Events != nil && env.Batch != nil:
		return nil, invalid(codeBatchAmbiguous)
	case env.Events != nil:
		return parseBatch(*env.Events)
	case env.Batch != nil:
		return parseBatch(*env.Batch)
	}
	if err := env.normalise(); err != nil {
		return nil, err
	}
	return &Batch{Events: []Event{env.Event}}, nil
}

func parseBatch(values []jsontext.Value) (*Batch, error) {
	if len(values) == 0 {
		return nil, invalid(codeBatchEmpty)
	}
	b := &Batch{Events: make([]Event, 0, len(values))}
	for i, value := range values {
		e, err := parseEvent(value)
		if refused, ok := errors.AsType[*Error](err); ok {
			b.Rejected = append(b.Rejected, Rejected{i, refused.Code})
			continue
		}
		if len(b.Events) > 0 && e.Site != b.Events[0].Site {
			return nil, &Error{Status: 400, Code: codeBatchMixedSites}
		}
		b.Events = append(b.Events, e)
	}
	if len(b.Events) == 0 {
		return nil, &Error{Status: 400, Code: b.Rejected[0].Code}
	}
	return b, nil
}

func parseEvent(value jsontext.Value) (e Event, err error) {
	if err := json.Unmarshal(value, &e); err != nil {
		return e, decodeError(err)
	}
	return e, e.normalise()
}

// decodeError tells "not JSON" (400) from "JSON of another shape" (422). The
// decoder's own text quotes the input, so it goes no further than here.
func decodeError(err error) error {
	if _, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return &Error{Status: 400, Code: CodeInvalidJSON}
	}
	if _, ok := errors.AsType[*json.SemanticError](err); ok {
		return invalid(CodeWrongShape)
	}
	return &Error{Status: 400, Code: CodeInvalidJSON}
}
