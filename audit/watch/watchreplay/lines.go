package main

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/opsmantik/sallyport"
)

// maxCount bounds what one line may say.
const maxCount = 10_000_000

func parseCount(line []byte) (at time.Time, count int, err error) {
	when, rest, ok := strings.Cut(string(line), ",")
	if !ok {
		return at, 0, errors.New("want time,count")
	}
	if at, err = time.Parse(time.RFC3339, strings.TrimSpace(when)); err != nil {
		if at, err = time.Parse(time.DateTime, strings.TrimSpace(when)); err != nil {
			return at, 0, errors.New("want a time such as 2026-01-05T08:00:00Z")
		}
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
	if err != nil || !(n >= 0 && n <= maxCount) {
		return at, 0, errors.New("want a count from 0 to 10,000,000")
	}
	return at, int(n), nil
}

// reference is a string, or an object with an id, as records of package audit have it.
type reference string

func (r *reference) UnmarshalJSON(text []byte) error {
	var object struct {
		ID string `json:"id"`
	}
	if len(text) > 0 && text[0] == '{' {
		err := json.Unmarshal(text, &object)
		*r = reference(object.ID)
		return err
	}
	return json.Unmarshal(text, (*string)(r))
}

func parseEvent(line []byte) (at time.Time, e sallyport.Event, err error) {
	var given struct {
		Time                       time.Time
		Gate, Code, Action, Policy string
		Outcome, Tenant            string
		Actor                      reference
		Allowed                    *bool
	}
	if err := json.Unmarshal(line, &given); err != nil || given.Time.IsZero() {
		return at, e, errors.New("want a JSON object with a time and a code")
	}
	e = sallyport.Event{
		Gate: given.Gate, Code: given.Code, Policy: given.Policy, Tenant: given.Tenant,
		Actor: string(given.Actor), Allowed: given.Outcome == "" || given.Outcome == "success",
	}
	if given.Code == "" {
		e.Code = given.Action
	}
	if given.Allowed != nil {
		e.Allowed = *given.Allowed
	}
	return given.Time, e, nil
}
