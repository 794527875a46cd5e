package event

import (
	"bytes"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// clean mends text that cannot be stored: half a surrogate pair, as of a title
// cut inside an emoji, bytes that are no UTF-8, and NUL each become U+FFFD. All
// but a few bodies are returned as they are.
func clean(body []byte) []byte {
	if bytes.Contains(body, []byte(`\u0000`)) {
		body = replaceNUL(body)
	}
	if utf8.Valid(body) && !surrogates(body) {
		return body
	}
	mended, err := jsontext.AppendFormat(nil, body, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return body // for the decoder to say what is wrong
	}
	return mended
}

// surrogates reports whether body holds an escape \ud800 to \udfff, or what looks
// like one.
func surrogates(body []byte) bool {
	for rest := body; ; {
		i := bytes.IndexByte(rest, '\\')
		if i < 0 || i+3 >= len(rest) {
			return false
		}
		if rest[i+1] == 'u' && rest[i+2]|0x20 == 'd' && rest[i+3] >= '8' {
			return true
		}
		rest = rest[i+2:] // what a backslash escapes begins no escape
	}
}

func replaceNUL(body []byte) []byte {
	out := make([]byte, 0, len(body))
	for {
		i := bytes.IndexByte(body, '\\')
		if i < 0 || i+1 >= len(body) {
			return append(out, body...)
		}
		if bytes.HasPrefix(body[i:], []byte(`\u0000`)) {
			out = append(append(out, body[:i]...), `\ufffd`...)
			body = body[i+len(`\u0000`):]
			continue
		}
		out = append(out, body[:i+2]...)
		body = body[i+2:]
	}
}
