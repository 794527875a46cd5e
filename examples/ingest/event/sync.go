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

// envelope is a batch in either of its two spellings, or one event when
// neither is there.
type envelope struct {
	Events *list[Event] `json:"events"`
	Batch  *list[Event] `json:"batch"`
	Event  `json:",inline"`
}

// list is an array that is given up at its MaxBatch-th-and-first element, before
// the rest costs any memory: {} is two bytes to send and two hundred to hold.
type list[T any] []T

var errTooLong = errors.New("event: list too long")

// UnmarshalJSONFrom reads an array, or null as an empty one.
func (l *list[T]) UnmarshalJSONFrom(d *jsontext.Decoder) error {
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
		var element T
		if err := json.UnmarshalDecode(d, &element); err != nil {
			return err
		}
		*l = append(*l, element)
	}
	_, err := d.ReadToken()
	return err
}

// ParseSync decodes the body of POST /api/sync: one event, {"events":[...]} or
// {"batch":[...]}. Every event of the result names the same site.
//
// Duplicate member names, invalid UTF-8 and anything after the value are
// refused, so that no two readers of one body can disagree about it.
func ParseSync(body []byte) ([]Event, error) {
	var env envelope
	if err := json.Unmarshal(body, &env); errors.Is(err, errTooLong) {
		return nil, &Error{Status: 429, Code: "batch_too_many_events"}
	} else if err != nil {
		return nil, decodeError(err)
	}
	events := []Event{env.Event}
	switch {
	case env.Events != nil && env.Batch != nil:
		return nil, invalid("batch_ambiguous")
	case env.Events != nil:
		events = *env.Events
	case env.Batch != nil:
		events = *env.Batch
	}
	if len(events) == 0 {
		return nil, invalid("batch_empty")
	}
	for i := range events {
		if err := events[i].normalise(); err != nil {
			return nil, err
		}
		if events[i].Site != events[0].Site {
			return nil, &Error{Status: 400, Code: "batch_mixed_sites"}
		}
	}
	return events, nil
}

// decodeError tells "not JSON" (400) from "JSON of another shape" (422). The
// decoder's own text quotes the input, so it goes no further than here.
func decodeError(err error) error {
	if _, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return &Error{Status: 400, Code: "invalid_json"}
	}
	if _, ok := errors.AsType[*json.SemanticError](err); ok {
		return invalid("wrong_shape")
	}
	return &Error{Status: 400, Code: "invalid_json"}
}
