package sentryscrub

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/getsentry/sentry-go"
	"github.com/getsentry/sentry-go/attribute"

	"github.com/opsmantik/sallyport/scrub"
)

// pass rebuilds one payload. It keeps copying after a failure, but then the
// result is thrown away.
type pass struct {
	s      *scrub.Scrubber
	failed bool
}

func (p *pass) text(s string) string {
	clean, _ := p.s.String(s)
	return clean
}

func (p *pass) texts(all []string) []string {
	if all == nil {
		return nil
	}
	clean := make([]string, len(all))
	for i, s := range all {
		clean[i] = p.text(s)
	}
	return clean
}

// table scrubs keys and values; a denied key loses its value.
func (p *pass) table(m map[string]string) map[string]string {
	if m == nil {
		return nil
	}
	many := make(map[string][]string, len(m))
	for k, v := range m {
		many[k] = []string{v}
	}
	scrubbed, _ := p.s.Header(many)
	clean := make(map[string]string, len(m))
	for k, v := range scrubbed {
		clean[k] = v[0]
	}
	return clean
}

// data copies a map of anything. What it holds may be shared with the
// application, so nothing in it is changed.
func (p *pass) data(m map[string]any) map[string]any {
	if m == nil {
		return nil
	}
	v, _, err := p.s.Value(m)
	clean, ok := v.(map[string]any)
	if err != nil || !ok {
		p.failed = true
		return nil
	}
	return clean
}

// context is data, but the identifiers of a trace keep their types.
func (p *pass) context(m sentry.Context) sentry.Context {
	clean := p.data(m)
	for k, v := range m {
		switch v.(type) {
		case sentry.TraceID, sentry.SpanID, sentry.SpanStatus:
			if _, kept := clean[k]; kept {
				clean[k] = v
			}
		}
	}
	return clean
}

// personal names the attributes that carry the user of a scope into logs and
// metrics, where they are removed like the fields of User.
func personal(key string) bool {
	switch key {
	case "user.name", "user.email", "user.username", "user.ip_address", "user.full_name",
		"client.address", "enduser.id", "user_agent.original":
		return true
	}
	return false
}

func (p *pass) attributes(m map[string]attribute.Value) map[string]attribute.Value {
	if m == nil {
		return nil
	}
	clean := make(map[string]attribute.Value, len(m))
	for k, v := range m {
		if personal(k) {
			continue
		}
		clean[p.text(k)] = p.attribute(k, v)
	}
	return clean
}

func (p *pass) attribute(key string, v attribute.Value) attribute.Value {
	plain := v.AsInterface()
	safe, rep, err := p.s.Value(map[string]any{key: plain})
	m, ok := safe.(map[string]any)
	if err != nil || !ok || len(m) != 1 {
		p.failed = true
		return attribute.Value{}
	}
	if rep.Total() == 0 {
		return v
	}
	for _, clean := range m {
		if list, ok := clean.([]any); ok {
			return attribute.StringSliceValue(stringsOf(list))
		}
		if text, ok := clean.(string); ok {
			return attribute.StringValue(text)
		}
	}
	return v // only the key was replaced
}

func stringsOf(list []any) []string {
	all := make([]string, 0, len(list))
	for _, v := range list {
		text, ok := v.(string)
		if !ok {
			text = "[value]"
		}
		all = append(all, text)
	}
	return all
}

// document scrubs a body or an attachment. UTF-16 is read and sent as UTF-8.
// Other binary data may hold anything in a form that no detector reads, so it
// stays behind.
func (p *pass) document(body []byte) []byte {
	if text, ok := fromUTF16(body); ok {
		body = text
	}
	if !utf8.Valid(body) || bytes.IndexByte(body, 0) >= 0 {
		return []byte("[binary]")
	}
	clean, _ := p.s.AppendJSON(nil, body)
	return clean
}

// fromUTF16 returns the text of body if it is UTF-16: with a byte order mark, or
// without one where every second byte of the beginning is zero.
func fromUTF16(body []byte) ([]byte, bool) {
	if len(body) < 4 || len(body)%2 != 0 {
		return nil, false
	}
	var order binary.ByteOrder
	switch {
	case body[0] == 0xFF && body[1] == 0xFE, body[1] == 0 && body[3] == 0 && body[0] != 0:
		order = binary.LittleEndian
	case body[0] == 0xFE && body[1] == 0xFF, body[0] == 0 && body[2] == 0 && body[1] != 0:
		order = binary.BigEndian
	default:
		return nil, false
	}
	units := make([]uint16, len(body)/2)
	for i := range units {
		units[i] = order.Uint16(body[2*i:])
	}
	text := string(utf16.Decode(units))
	return []byte(strings.TrimPrefix(text, "\uFEFF")), true
}
