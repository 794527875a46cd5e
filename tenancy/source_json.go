package tenancy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
)

// FromJSON reads a member of the JSON object that is the request's body, and puts
// the body back for the handler. Max bounds what is read: a longer body is 413.
//
// A request without a body names no site. Any other body must be one JSON object,
// whatever its Content-Type says: a handler that does not look at the type would
// otherwise read a site that the gate has not seen. For the same reason the member
// may be there once only, no other may differ from it in case alone (encoding/json
// takes both for the same field), its value must be a string, and nothing may
// follow the object. Routes that take other bodies need a gate without this source.
//
//	{"site_id":"s1","note":"x"}         names s1
//	{"note":"x"}                        names none; another source must
//	{"site_id":"s1","SITE_ID":"s2"}     400 site_conflict
//	{"site_id":7}, [], x=1, {} {}       400 site_malformed
//
// It waits for the body as long as the server's ReadTimeout lets it.
func FromJSON(name string, maxBytes int64) Source {
	if maxBytes <= 0 {
		return Source{name: name}
	}
	return source(name, costBody, func(r *http.Request) ([]string, error) {
		if r.Body == nil || r.Body == http.NoBody {
			return nil, nil
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, maxBytes+1))
		r.Body = restored{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
		var limit *http.MaxBytesError
		if int64(len(body)) > maxBytes || errors.As(err, &limit) {
			return nil, &sourceError{CodeSiteBodyTooLarge, err}
		}
		if err != nil {
			return nil, &sourceError{CodeSiteMalformed, err}
		}
		return members(body, name)
	})
}

// restored reads again what was read, then what is left, and closes the original.
type restored struct {
	io.Reader
	io.Closer
}

var errNotObject = errors.New("tenancy: the body is not one JSON object")

// members returns the values of the members of that name, in any case.
func members(body []byte, name string) ([]string, error) {
	if len(body) == 0 {
		return nil, nil
	}
	if !json.Valid(body) { // also refuses what follows the first value
		return nil, &sourceError{CodeSiteMalformed, errNotObject}
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil, &sourceError{CodeSiteMalformed, errNotObject}
	}
	var found []string
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, &sourceError{CodeSiteMalformed, err}
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, &sourceError{CodeSiteMalformed, err}
		}
		text, _ := key.(string)
		if !strings.EqualFold(text, name) {
			continue
		}
		var value *string // null would leave a plain string empty
		if err := json.Unmarshal(raw, &value); err != nil || value == nil {
			return nil, &sourceError{CodeSiteMalformed, errNotObject}
		}
		found = append(found, *value)
		if text != name { // the handler may or may not take it for the same
			found = append(found, *value)
		}
	}
	return found, nil
}
