package scrub

import (
	"net/url"
	"slices"
	"strings"
)

// deniedKey returns the head that denies the key, or nil. It applies to keys
// that are known to be keys: of JSON, headers, queries, maps and structs.
func (s *Scrubber) deniedKey(key string) *head {
	if len(key) < 3 || len(key) > 4*maxKeyBytes {
		return nil
	}
	for i := 0; i < len(key); i++ {
		at, m := s.filter.next(key, i)
		for m != 0 {
			var entries []entry
			entries, m = s.filter.entriesOf(m)
			for k := range entries {
				e := &entries[k]
				if e.kind != kindKey || !e.matches(key, at) {
					continue
				}
				h := &s.heads[e.arg]
				if _, ok := keyStart(key, at, h); !ok {
					continue
				}
				if end, ok := keyEnd(key, at+len(h.word)); ok && end == len(key) {
					return h
				}
			}
		}
		i = at
	}
	return nil
}

// deniedValue reports whether text may not stand below a denied key.
func deniedValue(rule valueRule, text string) bool {
	switch {
	case text == "" || empty(text) || text == "{}" || text == "[]":
		return false
	case rule == ruleText:
		return !shortNumber(text)
	case rule == ruleOpaque:
		return opaque(text) || text[0] == '{' || text[0] == '['
	}
	return true
}

// isReplacement reports whether text is a replacement already.
func (s *Scrubber) isReplacement(text string) bool {
	return text != "" && s.replacementEnd(text, 0) == len(text)
}

// underKey returns text as it may stand below key.
func (s *Scrubber) underKey(key, text string, rep *Report) string {
	if h := s.deniedKey(key); h != nil && deniedValue(h.rule, text) && !s.isReplacement(text) {
		rep.counts[h.det]++
		return string(s.replacement(nil, h.det, text))
	}
	sc := scanner{s: s, text: text, rep: *rep, labels: phoneLabel(key, len(key))}
	sc.scan(0, len(text))
	if sc.done > 0 || sc.held {
		sc.finish()
		text = string(sc.dst)
	}
	*rep = sc.rep
	return text
}

// Header returns a scrubbed copy of a header map such as http.Header or
// url.Values: the values of denied names are replaced whole, the others and
// the names are scrubbed as text. The original is not touched.
func (s *Scrubber) Header(h map[string][]string) (map[string][]string, Report) {
	if s == nil || !s.ready {
		return map[string][]string{}, Report{}
	}
	rep := Report{names: s.names}
	clean := make(map[string][]string, len(h))
	for name, values := range h {
		safe := slices.Clone(values)
		for i, v := range values {
			safe[i] = s.underKey(name, v, &rep)
		}
		key := s.underKey("", name, &rep)
		clean[key] = append(clean[key], safe...)
	}
	return clean, rep
}

// Query returns a scrubbed query or form body (without the leading "?").
// Parameters keep their order, and those with nothing to hide their bytes.
func (s *Scrubber) Query(query string) (string, Report) {
	if s == nil || !s.ready {
		return withheld, Report{}
	}
	rep := Report{names: s.names}
	var b strings.Builder
	for i := 0; i <= len(query); {
		end := i
		for end < len(query) && query[end] != '&' && query[end] != ';' {
			end++
		}
		b.WriteString(s.parameter(query[i:end], &rep))
		if end < len(query) {
			b.WriteByte(query[end])
		}
		i = end + 1
	}
	return b.String(), rep
}

func (s *Scrubber) parameter(p string, rep *Report) string {
	rawKey, rawValue, found := strings.Cut(p, "=")
	key, value := unescaped(rawKey), unescaped(rawValue)
	safeKey := s.underKey("", key, rep)
	safe := s.underKey(key, value, rep)
	if safeKey != key {
		rawKey = escaped(safeKey)
	}
	if safe != value {
		rawValue = escaped(safe)
	}
	if !found {
		return rawKey
	}
	return rawKey + "=" + rawValue
}

// unescaped decodes text; what cannot be decoded stays as it is.
func unescaped(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	return text
}

// escaped encodes text but leaves the brackets of replacements readable.
func escaped(text string) string {
	return strings.NewReplacer("%5B", "[", "%5D", "]", "%3A", ":").Replace(url.QueryEscape(text))
}
