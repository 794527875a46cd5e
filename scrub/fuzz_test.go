package scrub_test

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/scrub"
)

func addSeeds(f *testing.F) {
	for i, s := range corpus() {
		if i%40 == 0 {
			f.Add([]byte(s.text), uint16(i))
		}
	}
	for _, v := range evasions() {
		for _, e := range embeddings() {
			f.Add([]byte(e.embed(v.value)), uint16(7))
		}
	}
}

// FuzzAppend checks what holds for any text: the output is clean, so that a
// second pass changes nothing; the counts tell whether anything changed; and
// a stream in pieces gives what the whole gives.
func FuzzAppend(f *testing.F) {
	addSeeds(f)
	s := newScrubber(f, scrub.Config{})
	f.Fuzz(func(t *testing.T, src []byte, size uint16) {
		out, rep := s.Append(nil, src)
		if rep.Total() == 0 {
			require.Equal(t, string(src), string(out), "changed without a count")
		}
		again, rep2 := s.Append(nil, out)
		require.Equal(t, string(out), string(again), "a second pass changed the output of %q", src)
		require.Zero(t, rep2.Total(), "a second pass found something in %q", out)
		text, _ := s.String(string(src))
		require.Equal(t, string(out), text)
		require.Equal(t, string(out), stream(t, s, src, int(size)))
		// Small texts are decided at Close; a long one on the way.
		long := bytes.Repeat(src, 1+9000/(len(src)+1))
		out, _ = s.Append(nil, long)
		require.Equal(t, string(out), stream(t, s, long, int(size)*7))
	})
}

// stream scrubs src in pieces of varying size.
func stream(t *testing.T, s *scrub.Scrubber, src []byte, size int) string {
	t.Helper()
	var b bytes.Buffer
	w := s.NewWriter(&b)
	for n := 0; len(src) > 0; n++ {
		k := min(len(src), 1+(size+n*31)%1997)
		_, err := w.Write(src[:k])
		require.NoError(t, err)
		src = src[k:]
	}
	require.NoError(t, w.Close())
	return b.String()
}

// FuzzPseudonyms checks idempotence with pseudonyms.
func FuzzPseudonyms(f *testing.F) {
	addSeeds(f)
	s := newScrubber(f, scrub.Config{PseudonymKeys: [][]byte{bytes.Repeat([]byte{7}, 32)}})
	f.Fuzz(func(t *testing.T, src []byte, size uint16) {
		out, _ := s.Append(nil, src)
		again, _ := s.Append(nil, out)
		require.Equal(t, string(out), string(again))
		require.Equal(t, string(out), stream(t, s, src, int(size)))
	})
}

// FuzzJSON checks that JSON stays JSON and that a second pass changes nothing.
func FuzzJSON(f *testing.F) {
	addSeeds(f)
	f.Add([]byte(`{"password":{"a":[1,2]},"x":"{\"token\":\"abc\"}","n":4929718123456789}`), uint16(1))
	s := newScrubber(f, scrub.Config{})
	f.Fuzz(func(t *testing.T, src []byte, _ uint16) {
		out, _ := s.AppendJSON(nil, src)
		if json.Valid(src) {
			require.True(t, json.Valid(out), "%q became %q", src, out)
		}
		again, _ := s.AppendJSON(nil, out)
		require.Equal(t, string(out), string(again), "of %q", src)
	})
}

// FuzzQuery checks idempotence of queries.
func FuzzQuery(f *testing.F) {
	f.Add("a=1&password=x&email=ann%40example.com;b")
	s := newScrubber(f, scrub.Config{})
	f.Fuzz(func(t *testing.T, src string) {
		out, _ := s.Query(src)
		again, _ := s.Query(out)
		require.Equal(t, out, again)
	})
}

// FuzzEngines checks that a name and its value mean the same in every format
// that has names and values.
func FuzzEngines(f *testing.F) {
	for _, n := range names {
		f.Add(n.name, secretValue)
		f.Add(n.name, "call 2025550143")
	}
	f.Add("phone", "5321234567")
	s := newScrubber(f, scrub.Config{})
	f.Fuzz(func(t *testing.T, key, value string) {
		// Each by itself: the two halves of a letter are valid only together.
		if !utf8.ValidString(key) || !utf8.ValidString(value) ||
			strings.ContainsAny(key+value, "\uFFFD\\") ||
			strings.HasPrefix(strings.TrimSpace(value), "{") || strings.HasPrefix(strings.TrimSpace(value), "[") ||
			strings.ContainsFunc(key+value, unicode.IsControl) {
			t.Skip("means something else in one of the formats")
		}
		h, _ := s.Header(map[string][]string{key: {value}})
		v, _, err := s.Value(map[string]string{key: value})
		require.NoError(t, err)
		in, err := json.Marshal(map[string]string{key: value})
		require.NoError(t, err)
		out, _ := s.AppendJSON(nil, in)
		var j map[string]string
		require.NoError(t, json.Unmarshal(out, &j))
		q, _ := s.Query(url.QueryEscape(key) + "=" + url.QueryEscape(value))
		_, fromQuery, _ := strings.Cut(q, "=")
		fromQuery, err = url.QueryUnescape(fromQuery)
		require.NoError(t, err)
		for name, clean := range h {
			require.Equal(t, map[string]any{name: clean[0]}, v, "header and value")
			require.Equal(t, map[string]string{name: clean[0]}, j, "header and JSON")
			require.Equal(t, clean[0], fromQuery, "header and query")
		}
	})
}
