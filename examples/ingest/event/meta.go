package event

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// marks is what recognising an event takes of meta.
type marks struct {
	stamp       string // intent_stamp
	fingerprint string // fp
	moves       bool   // meta holds something that an equal event would not repeat
}

// constants are the numbers that the tracker reports of a device: two views of
// one page carry the same ones. Every other number measures.
var constants = map[string]bool{
	"mem": true, "con": true, "sw": true, "sh": true, "dpr": true, // the tracker's own
	"w": true, "h": true, "vw": true, "vh": true, "iw": true, "ih": true, "width": true, "height": true,
	"screen_width": true, "screen_height": true, "screen_w": true, "screen_h": true,
	"viewport_width": true, "viewport_height": true, "viewport_w": true, "viewport_h": true,
	"cd": true, "color_depth": true, "pixel_ratio": true, "device_pixel_ratio": true,
	"tz": true, "tz_offset": true, "timezone_offset": true, "touch": true, "max_touch_points": true,
	"device_memory": true, "hardware_concurrency": true, "cores": true, "version": true, "dnt": true,
}

// read walks through meta once. It reports false for what is no object, or has
// more than maxDepth levels. The depth is bounded because the value travels
// inside other JSON: what this decoder just accepts, one that reads a whole batch
// would refuse.
func read(meta jsontext.Value) (m marks, whole bool) {
	if len(meta) == 0 || meta.Kind() == 'n' {
		return m, true
	}
	if meta.Kind() != '{' {
		return m, false
	}
	d := jsontext.NewDecoder(bytes.NewReader(meta))
	name := ""
	for {
		token, err := d.ReadToken()
		if err != nil {
			return m, errors.Is(err, io.EOF)
		}
		depth := d.StackDepth()
		if depth > maxDepth {
			return m, false
		}
		container, length := d.StackIndex(depth)
		switch {
		case container == '{' && length%2 == 1 && token.Kind() == '"':
			name = token.String()
		case token.Kind() == '0' || token.Kind() == '"':
			m.note(name, token, depth == 1)
		}
	}
}

func (m *marks) note(name string, value jsontext.Token, top bool) {
	switch {
	case top && name == "intent_stamp":
		m.stamp = value.String()
		m.moves = m.moves || m.stamp != ""
	case top && name == "fp":
		m.fingerprint = value.String()
	case value.Kind() == '0' && !constants[name]:
		m.moves = true
	}
}

// object turns null and an empty array into nothing: PHP encodes an empty object
// as [].
func object(v jsontext.Value) jsontext.Value {
	if v.Kind() == 'n' {
		return nil
	}
	if v.Kind() == '[' && len(bytes.TrimSpace(v[1:len(v)-1])) == 0 {
		return nil
	}
	return v
}

// scalar accepts what the contract allows for "ev": a number, a string or null.
func scalar(v jsontext.Value) bool {
	if len(v) > maxValue {
		return false
	}
	switch v.Kind() {
	case 0, 'n', '"', '0':
		return true
	default:
		return false
	}
}
