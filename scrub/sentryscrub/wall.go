package sentryscrub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// maxEnvelope bounds one envelope; the service accepts 20 MiB compressed.
const maxEnvelope = 32 << 20

var errEnvelope = errors.New("sentryscrub: envelope dropped: it cannot be made safe")

// wall scrubs the envelopes on their way to next.
type wall struct {
	g    *Guard
	next http.RoundTripper
}

// RoundTrip sends a scrubbed copy of r, or fails and counts.
func (w *wall) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := w.body(r)
	if err != nil {
		w.g.dropped.Add(1)
		return nil, err
	}
	safe := r.Clone(r.Context())
	safe.Body = io.NopCloser(bytes.NewReader(body))
	safe.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	safe.ContentLength = int64(len(body))
	safe.Header.Del("Content-Length")
	return w.next.RoundTrip(safe)
}

func (w *wall) body(r *http.Request) (safe []byte, err error) {
	defer func() {
		if recover() != nil {
			safe, err = nil, errEnvelope
		}
	}()
	if r.Body == nil || r.Header.Get("Content-Encoding") != "" {
		return nil, errEnvelope
	}
	defer func() { _ = r.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxEnvelope+1))
	if err != nil {
		return nil, fmt.Errorf("sentryscrub: read envelope: %w", err)
	}
	if len(raw) > maxEnvelope {
		return nil, errEnvelope
	}
	return w.envelope(raw)
}

// envelope scrubs headers and items: a line of JSON, then per item a line of
// JSON and a payload of its length or up to the end of the line.
func (w *wall) envelope(raw []byte) ([]byte, error) {
	header, rest, _ := bytes.Cut(raw, []byte("\n"))
	safe, err := w.object(header)
	if err == nil {
		safe, err = keepDSN(safe, header)
	}
	if err != nil {
		return nil, err
	}
	out := append(safe, '\n')
	for len(bytes.TrimSpace(rest)) > 0 {
		header, rest, _ = bytes.Cut(rest, []byte("\n"))
		if len(bytes.TrimSpace(header)) == 0 {
			continue
		}
		var item struct {
			Type   string `json:"type"`
			Length *int   `json:"length"`
		}
		if json.Unmarshal(header, &item) != nil {
			return nil, errEnvelope
		}
		var payload []byte
		switch {
		case item.Length == nil:
			payload, rest, _ = bytes.Cut(rest, []byte("\n"))
		case *item.Length < 0 || *item.Length > len(rest):
			return nil, errEnvelope
		default:
			payload, rest = rest[:*item.Length], rest[*item.Length:]
		}
		if out, err = w.item(out, header, payload, item.Type == "attachment"); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// keepDSN restores the address of the project in the header: its public key
// and host look like an email address, and the service checks it.
func keepDSN(safe, header []byte) ([]byte, error) {
	var was struct {
		DSN string `json:"dsn"`
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(header, &was) != nil || json.Unmarshal(safe, &fields) != nil {
		return nil, errEnvelope
	}
	if was.DSN == "" || !publicDSN(was.DSN) {
		return safe, nil
	}
	dsn, err := json.Marshal(was.DSN)
	if err != nil {
		return nil, errEnvelope
	}
	fields["dsn"] = dsn
	return json.Marshal(fields)
}

// publicDSN reports whether a DSN has nothing but its public parts: a key of
// letters and digits, a host and the number of the project.
func publicDSN(dsn string) bool {
	const plain = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	u, err := url.Parse(dsn)
	if err != nil || u.User == nil || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	_, secret := u.User.Password()
	return !secret && strings.Trim(u.User.Username(), plain) == "" &&
		strings.Trim(u.Path, "/0123456789") == ""
}

func (w *wall) item(out, header, payload []byte, attachment bool) ([]byte, error) {
	var err error
	if attachment {
		payload = (&pass{s: w.g.s}).document(payload)
	} else if payload, err = w.object(payload); err != nil {
		return nil, err
	}
	if header, err = w.object(header); err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err = json.Unmarshal(header, &fields); err != nil {
		return nil, errEnvelope
	}
	fields["length"] = json.RawMessage(fmt.Sprint(len(payload)))
	if header, err = json.Marshal(fields); err != nil {
		return nil, errEnvelope
	}
	out = append(append(out, header...), '\n')
	return append(append(out, payload...), '\n'), nil
}

// object scrubs one JSON text that must be valid before and after.
func (w *wall) object(text []byte) ([]byte, error) {
	if !json.Valid(text) {
		return nil, errEnvelope
	}
	safe, _ := w.g.s.AppendJSONLeaves(nil, text)
	if !json.Valid(safe) {
		return nil, errEnvelope
	}
	return safe, nil
}
