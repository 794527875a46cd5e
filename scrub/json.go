package scrub

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/opsmantik/sallyport/scrub/internal/engine"
)

// maxJSONDepth bounds nesting, JSON inside strings included.
const maxJSONDepth = 64

// AppendJSON is Append for one JSON text: what was valid JSON stays valid
// JSON. Values of denied keys are replaced whole, with everything below
// them; escaped keys are understood; numbers become strings when they are
// replaced; strings that hold JSON are scrubbed as JSON. What is not valid
// JSON, or is nested deeper than 64 levels, is scrubbed as text.
func (s *Scrubber) AppendJSON(dst, src []byte) ([]byte, Report) {
	return s.appendJSON(dst, src, false)
}

// AppendJSONLeaves is AppendJSON for JSON whose reader knows its shape: an
// object or array below a denied key stays one, and only its leaves are
// replaced. Where an object has a value with its type, as in
// {"value":17,"type":"integer"}, the type stays and follows the value.
func (s *Scrubber) AppendJSONLeaves(dst, src []byte) ([]byte, Report) {
	return s.appendJSON(dst, src, true)
}

func (s *Scrubber) appendJSON(dst, src []byte, leaves bool) ([]byte, Report) {
	if s.unusable() {
		return append(dst, `"`+withheld+`"`...), Report{}
	}
	text := engine.Unsafe(src)
	var counts engine.Counts
	j := jsonPass{e: s.engine, src: text, dst: dst, counts: &counts, leaves: leaves}
	if end, ok := j.value(j.blanks(0), 0, ""); ok && j.blanks(end) == len(text) {
		return append(j.dst, text[j.done:]...), s.report(counts)
	}
	counts = engine.Counts{}
	dst = s.engine.Append(dst, text, &counts)
	return dst, s.report(counts)
}

// jsonPass is one walk over a JSON text. It copies src through and leaves
// every byte that it does not replace as it is.
type jsonPass struct {
	e      *engine.Engine
	src    string
	dst    []byte
	done   int // src[:done] is settled
	counts *engine.Counts
	skip   bool   // only find the end
	leaves bool   // replace leaves only
	below  string // the denied key whose leaves are judged here
}

func (j *jsonPass) blanks(i int) int {
	for i < len(j.src) && strings.IndexByte(" \n\t\r", j.src[i]) >= 0 {
		i++
	}
	return i
}

// value scrubs the value at i, which belongs to key, and returns its end.
func (j *jsonPass) value(i, depth int, key string) (int, bool) {
	if i >= len(j.src) || depth > maxJSONDepth {
		return 0, false
	}
	switch c := j.src[i]; {
	case c == '{':
		return j.object(i, depth)
	case c == '[':
		return j.array(i, depth, key)
	case c == '"':
		end, ok := j.stringEnd(i)
		if ok {
			j.text(i, end, depth, key)
		}
		return end, ok
	case c == '-' || isDigit(c):
		return j.number(i, key), true
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(j.src[i:], word) {
			return i + len(word), true
		}
	}
	return 0, false
}

// object is what one object said so far.
type object struct {
	named  string // what {"name":"password","value":"x"} says that its value is
	looked bool   // for a name after the value
	typed  bool   // a value became a string, and its type must follow
}

func (j *jsonPass) object(i, depth int) (int, bool) {
	i = j.blanks(i + 1)
	if strings.HasPrefix(j.src[i:], "}") {
		return i + 1, true
	}
	var o object
	for {
		if !strings.HasPrefix(j.src[i:], `"`) {
			return 0, false
		}
		end, ok := j.stringEnd(i)
		if !ok {
			return 0, false
		}
		key := ""
		if !j.skip {
			key = j.plain(i, end)
		}
		j.text(i, end, depth, "")
		if i = j.blanks(end); !strings.HasPrefix(j.src[i:], ":") {
			return 0, false
		}
		if i, ok = j.entry(&o, key, j.blanks(i+1), depth); !ok {
			return 0, false
		}
		if i, ok = j.separator(i, '}'); !ok || i < 0 {
			return -i, ok
		}
	}
}

// entry scrubs the value at i of a key of o.
func (j *jsonPass) entry(o *object, key string, i, depth int) (int, bool) {
	value := engine.IsValue(key)
	switch {
	case j.skip || i >= len(j.src):
		return j.value(i, depth+1, key)
	case engine.IsName(key):
		o.named = j.stringAt(i)
	case value && o.named == "" && !o.looked:
		o.named, o.looked = j.nameAfter(i, depth), true
	case j.leaves && key == "type" && (o.typed || j.below != ""):
		end, ok := j.stringEnd(i)
		if ok && o.typed {
			j.put(i, end, "string")
		}
		return end, ok
	}
	if value && o.named != "" {
		key = o.named
	}
	if _, own := j.e.DeniesTree(key); j.below != "" && (!own || j.e.Whole(j.below)) {
		key = j.below
	}
	end, ok := j.member(i, depth, key)
	o.typed = o.typed || value && j.done == end && (isDigit(j.src[i]) || j.src[i] == '-')
	return end, ok
}

// separator passes over the comma at i. Past closing it returns the negative of
// where the text goes on.
func (j *jsonPass) separator(i int, closing byte) (int, bool) {
	i = j.blanks(i)
	switch {
	case i >= len(j.src):
		return 0, false
	case j.src[i] == ',':
		return j.blanks(i + 1), true
	case j.src[i] == closing:
		return -(i + 1), true
	}
	return 0, false
}

// stringAt returns the text of the string literal at i, or "".
func (j *jsonPass) stringAt(i int) string {
	if strings.HasPrefix(j.src[i:], `"`) {
		if end, ok := j.stringEnd(i); ok {
			return j.plain(i, end)
		}
	}
	return ""
}

// nameReach bounds how far after a value its name is looked for.
const nameReach = 256

// nameAfter returns the name that an object gives after the value at i.
func (j *jsonPass) nameAfter(i, depth int) string {
	look := jsonPass{e: j.e, src: j.src[:min(len(j.src), i+nameReach)], skip: true}
	for i, ok := look.value(i, depth+1, ""); ok; i, ok = look.value(i, depth+1, "") {
		if i, ok = look.separator(i, '}'); !ok || i < 0 {
			break
		}
		key := look.stringAt(i)
		if i, ok = look.stringEnd(i); !ok {
			break
		}
		i = look.blanks(look.blanks(i) + 1)
		if engine.IsName(key) {
			return look.stringAt(i)
		}
	}
	return ""
}

// member scrubs the value of an object's key, whole if the key is denied.
func (j *jsonPass) member(i, depth int, key string) (int, bool) {
	if j.skip {
		return j.value(i, depth+1, key)
	}
	if _, denied := j.e.DeniesTree(key); !denied {
		return j.value(i, depth+1, key)
	}
	composite := i < len(j.src) && (j.src[i] == '{' || j.src[i] == '[')
	if composite && (j.leaves || !j.e.Whole(key)) {
		above := j.below
		j.below = key
		defer func() { j.below = above }()
		return j.value(i, depth+1, key)
	}
	skip := jsonPass{src: j.src, skip: true}
	end, ok := skip.value(i, depth+1, "")
	if !ok {
		return 0, false
	}
	raw := j.src[i:end]
	if j.src[i] == '"' {
		raw = j.plain(i, end)
	}
	if det, denied := j.e.Denies(key, raw); denied {
		j.counts[det]++
		j.put(i, end, string(j.e.Replacement(nil, det, raw)))
		return end, true
	}
	return j.value(i, depth+1, key)
}

func (j *jsonPass) array(i, depth int, key string) (int, bool) {
	i = j.blanks(i + 1)
	if strings.HasPrefix(j.src[i:], "]") {
		return i + 1, true
	}
	pair := j.pair(i)
	for n := 0; ; n++ {
		if n == 1 && pair != "" {
			key = pair
		}
		end, ok := j.member(i, depth, key)
		if !ok {
			return 0, false
		}
		if i, ok = j.separator(end, ']'); !ok || i < 0 {
			return -i, ok
		}
	}
}

// pair returns the first of the two strings that an array has from i on, as in
// ["authorization", "Bearer ..."], or "".
func (j *jsonPass) pair(i int) string {
	if j.skip {
		return ""
	}
	first := j.stringAt(i)
	if _, denied := j.e.DeniesTree(first); !denied {
		return ""
	}
	end, _ := j.stringEnd(i)
	if i, ok := j.separator(end, ']'); ok && i > 0 && strings.HasPrefix(j.src[i:], `"`) {
		if end, ok = j.stringEnd(i); ok {
			if i, ok = j.separator(end, ']'); ok && i < 0 {
				return first
			}
		}
	}
	return ""
}

// stringEnd returns the end of the string literal at i, past its quote.
func (j *jsonPass) stringEnd(i int) (int, bool) {
	for i++; i < len(j.src); i++ {
		switch c := j.src[i]; {
		case c == '"':
			return i + 1, true
		case c == '\\':
			i++
		case c < 0x20:
			return 0, false
		}
	}
	return 0, false
}

func (j *jsonPass) number(i int, key string) int {
	end := i
	for end < len(j.src) && (isDigit(j.src[end]) || strings.IndexByte("+-.eE", j.src[end]) >= 0) {
		end++
	}
	if j.skip {
		return end
	}
	if text := j.e.Text(key, j.src[i:end], j.counts); text != j.src[i:end] {
		j.put(i, end, text)
	}
	return end
}

// text scrubs the string literal src[i:end].
func (j *jsonPass) text(i, end, depth int, key string) {
	if j.skip {
		return
	}
	plain := j.plain(i, end)
	t := strings.TrimLeft(plain, " \t\r\n")
	if depth < maxJSONDepth && len(t) > 1 && (t[0] == '{' || t[0] == '[') {
		counts := *j.counts
		in := jsonPass{e: j.e, src: plain, counts: &counts}
		if stop, ok := in.value(in.blanks(0), depth+1, key); ok && in.blanks(stop) == len(plain) {
			if in.done > 0 {
				*j.counts = counts
				j.put(i, end, string(append(in.dst, plain[in.done:]...)))
			}
			return
		}
	}
	if text := j.e.Text(key, plain, j.counts); text != plain {
		j.put(i, end, text)
	}
}

// put writes a string literal in place of src[i:end].
func (j *jsonPass) put(i, end int, text string) {
	j.dst = append(j.dst, j.src[j.done:i]...)
	j.dst = appendQuoted(j.dst, text)
	j.done = end
}

// plain returns the text of the string literal src[i:end].
func (j *jsonPass) plain(i, end int) string {
	raw := j.src[i+1 : end-1]
	if strings.IndexByte(raw, '\\') < 0 {
		return raw
	}
	var text string
	if json.Unmarshal([]byte(j.src[i:end]), &text) != nil {
		return raw
	}
	return text
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// appendQuoted appends text as a JSON string literal.
func appendQuoted(dst []byte, text string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}
