package scrub_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/scrub"
)

func TestNewReportsEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := scrub.New(scrub.Config{
		Detectors:     []scrub.Detector{"emial"},
		Keys:          []string{"", "x y"},
		PseudonymKeys: [][]byte{[]byte("short-secret-key")},
		Clearance:     9,
		Custom: []scrub.Custom{
			{Name: "Bad Name", Prefix: "abc", Match: func(string) int { return 0 }},
			{Name: "email", Prefix: "abc", Match: func(string) int { return 0 }},
			{Name: "short", Prefix: "1", Match: func(string) int { return 0 }},
			{Name: "nomatch", Prefix: "abc"},
		},
	})
	var one *sallyport.ConfigError
	require.ErrorAs(t, err, &one)
	text := err.Error()
	require.Len(t, strings.Split(text, "\n"), 9)
	for _, want := range []string{`scrub: Detectors[0]: "emial"`, "scrub: Keys[1]", "scrub: PseudonymKeys[0]", "scrub: Clearance", `"Bad Name"`, `"email": is taken`} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "short-secret-key")
}

func TestZeroScrubberWithholds(t *testing.T) {
	t.Parallel()
	var none *scrub.Scrubber
	for _, s := range []*scrub.Scrubber{none, {}} {
		text, _ := s.String("x")
		require.Equal(t, "[withheld]", text)
		out, _ := s.Append([]byte("a"), []byte("x"))
		require.Equal(t, "a[withheld]", string(out))
		out, _ = s.AppendJSON(nil, []byte("1"))
		require.Equal(t, `"[withheld]"`, string(out))
		q, _ := s.Query("a=1")
		require.Equal(t, "[withheld]", q)
		h, _ := s.Header(map[string][]string{"A": {"b"}})
		require.Empty(t, h)
		_, _, err := s.Value("x")
		require.ErrorIs(t, err, scrub.ErrDropped)
		_, err = s.NewWriter(&bytes.Buffer{}).Write([]byte("x"))
		require.ErrorIs(t, err, scrub.ErrDropped)
	}
}

func TestDetectorsAreSelectable(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{Detectors: []scrub.Detector{scrub.Card}})
	got, rep := s.String("ann@example.com paid 4929 7181 2345 6789, password=x from 192.0.2.7")
	require.Equal(t, "ann@example.com paid [card], password=x from 192.0.2.7", got)
	require.Equal(t, 1, rep.Total())
	out, _ := s.AppendJSON(nil, []byte(`{"el":"call 4929718123456789","password":"x"}`))
	require.Equal(t, `{"el":"call [card]","password":"x"}`, string(out))
}

func TestCustomDetector(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{Custom: []scrub.Custom{{
		Name: "badge", Prefix: "EMP-",
		Match: func(text string) int {
			if len(text) >= 8 && strings.Trim(text[4:8], "0123456789") == "" {
				return 8
			}
			return 0
		},
	}}})
	got, rep := s.String("EMP-1234 and EMP-abcd")
	require.Equal(t, "[badge] and EMP-abcd", got)
	require.Equal(t, 1, rep.Count("badge"))
	for d, n := range rep.All() {
		require.Equal(t, scrub.Detector("badge"), d)
		require.Equal(t, 1, n)
	}
}

func TestKeysAndAllow(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{
		Keys:  []string{"internal code", "patientNotes"},
		Allow: []string{"Support@example.com", "4929718123456789", "hunter2"},
	})
	for _, tt := range []struct{ in, want string }{
		{"internal_code=x1", "internal_code=[secret]"},
		{`{"internalCode":"x1","code":"x1"}`, `{"internalCode":"[secret]","code":"x1"}`},
		{`{"patient_notes":"is ill"}`, `{"patient_notes":"[secret]"}`},
		{"mail support@EXAMPLE.com or ann@example.com", "mail support@EXAMPLE.com or [email]"},
		{"4929718123456789", "[card]"},
		{"password=hunter2", "password=[secret]"},
		{"password=support@example.com", "password=[secret]"},
	} {
		got, _ := s.String(tt.in)
		require.Equal(t, tt.want, got)
	}
}

func TestPseudonyms(t *testing.T) {
	t.Parallel()
	key := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	s := newScrubber(t, scrub.Config{PseudonymKeys: [][]byte{key(1), key(2)}})
	one := func(text string) string { out, _ := s.String(text); return out }
	require.Equal(t, one("ann@example.com"), one("ANN%40example.com"), "spellings agree")
	require.Equal(t, one("ann@example.com"), one("ａｎｎ＠ｅｘａｍｐｌｅ．ｃｏｍ"))
	require.Equal(t, one("4929 7181 2345 6789"), one("4929718123456789"))
	require.NotEqual(t, one("ann@example.com"), one("bob@example.com"))
	require.Regexp(t, `^\[email:[b-df-hj-np-t]{22}\]$`, one("ann@example.com"))

	all := s.Pseudonyms(scrub.Email, "ann@example.com")
	require.Len(t, all, 2)
	require.Equal(t, one("ann@example.com"), all[0])
	old := newScrubber(t, scrub.Config{PseudonymKeys: [][]byte{key(2)}})
	before, _ := old.String("ann@example.com")
	require.Equal(t, before, all[1], "the old key still finds what it wrote")
	require.NotEqual(t, strings.TrimPrefix(all[0], "[email"),
		strings.TrimPrefix(s.Pseudonyms(scrub.Secret, "ann@example.com")[0], "[secret"), "domains differ")
	require.Nil(t, s.Pseudonyms("unknown", "x"))
	require.Empty(t, newScrubber(t, scrub.Config{}).Pseudonyms(scrub.Email, "x"))
}

func TestReportAdd(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{})
	_, a := s.String("ann@example.com")
	_, b := s.String("ann@example.com 192.0.2.7")
	sum := scrub.Report{}.Add(a).Add(b)
	require.Equal(t, 3, sum.Total())
	require.Equal(t, 2, sum.Count(scrub.Email))
	require.Equal(t, 1, sum.Count(scrub.IP))
	require.Zero(t, sum.Count("unknown"))
}

func TestConfigErrorIsTyped(t *testing.T) {
	t.Parallel()
	var e *sallyport.ConfigError
	_, err := scrub.New(scrub.Config{Clearance: 7})
	require.True(t, errors.As(err, &e))
	require.Equal(t, "Clearance", e.Field)
	require.Equal(t, sallyport.ConfigUnknown, e.Code)
}

func TestCleanTextDoesNotAllocate(t *testing.T) {
	s := newScrubber(t, scrub.Config{})
	src := []byte(strings.Repeat(cleanLog, 20))
	dst := make([]byte, 0, 2*len(src))
	require.Zero(t, testing.AllocsPerRun(100, func() { dst, _ = s.Append(dst[:0], src) }))
	text := string(src)
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = s.String(text) }))
}
