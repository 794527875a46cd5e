package scrub

import (
	"net/url"
	"slices"
	"strings"

	"github.com/opsmantik/sallyport/scrub/internal/engine"
)

// withheld replaces what an unusable Scrubber is given.
const withheld = "[withheld]"

func (s *Scrubber) unusable() bool { return s == nil || s.engine == nil }

func (s *Scrubber) report(counts engine.Counts) Report { return Report{names: s.names, counts: counts} }

// Append appends src to dst with every detected value replaced, and returns
// the extended slice and what was counted. Clean text is copied unchanged.
// It allocates only when dst lacks room. src and dst must not overlap.
func (s *Scrubber) Append(dst, src []byte) ([]byte, Report) {
	if s.unusable() {
		return append(dst, withheld...), Report{}
	}
	var counts engine.Counts
	dst = s.engine.Append(dst, engine.Unsafe(src), &counts)
	return dst, s.report(counts)
}

// String returns text with every detected value replaced. Clean text is
// returned as it is, without an allocation.
func (s *Scrubber) String(text string) (string, Report) {
	if s.unusable() {
		return withheld, Report{}
	}
	var counts engine.Counts
	text = s.engine.String(text, &counts)
	return text, s.report(counts)
}

// Header returns a scrubbed copy of a header map such as http.Header or
// url.Values: the values of denied names are replaced whole, the others and
// the names are scrubbed as text. The original is not touched.
func (s *Scrubber) Header(h map[string][]string) (map[string][]string, Report) {
	if s.unusable() {
		return map[string][]string{}, Report{}
	}
	var counts engine.Counts
	clean := make(map[string][]string, len(h))
	for name, values := range h {
		safe := slices.Clone(values)
		for i, v := range values {
			safe[i] = s.engine.Below(name, v, &counts)
		}
		key := s.engine.String(name, &counts)
		clean[key] = append(clean[key], safe...)
	}
	return clean, s.report(counts)
}

// Query returns a scrubbed query or form body (without the leading "?").
// Parameters keep their order, and those with nothing to hide their bytes.
func (s *Scrubber) Query(query string) (string, Report) {
	if s.unusable() {
		return withheld, Report{}
	}
	var counts engine.Counts
	var b strings.Builder
	for i := 0; i <= len(query); {
		end := i
		for end < len(query) && query[end] != '&' && query[end] != ';' {
			end++
		}
		b.WriteString(s.parameter(query[i:end], &counts))
		if end < len(query) {
			b.WriteByte(query[end])
		}
		i = end + 1
	}
	return b.String(), s.report(counts)
}

func (s *Scrubber) parameter(p string, counts *engine.Counts) string {
	rawKey, rawValue, found := strings.Cut(p, "=")
	key, value := unescaped(rawKey), unescaped(rawValue)
	safeKey := s.engine.String(key, counts)
	safe := s.engine.Below(key, value, counts)
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
