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
	Events *[]Event `json:"events"`
	Batch  *[]Event `json:"batch"`
	Event  `json:",inline"`
}

// ParseSync decodes the body of POST /api/sync: one event, {"events":[...]} or
// {"batch":[...]}. Every event of the result names the same site.
//
// Duplicate member names, invalid UTF-8 and anything after the value are
// refused, so that no two readers of one body can disagree about it.
func ParseSync(body []byte) ([]Event, error) {
	var env envelope
	if err := json.Unmarshal(body, &env); err != nil {
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
	if len(events) > MaxBatch {
		return nil, &Error{Status: 429, Code: "batch_too_many_events"}
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
