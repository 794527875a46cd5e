package scrub_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/scrub"
)

func TestWriterEqualsAppend(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i, s := range corpus() {
		b.WriteString(s.text)
		b.WriteString([]string{"\n", " ", "", "\t", ","}[i%5])
	}
	text := b.String()
	s := newScrubber(t, scrub.Config{})
	want, rep := s.Append(nil, []byte(text))
	for _, size := range []int{1, 7, 64, 1000, 4096, 40_000, len(text)} {
		var out bytes.Buffer
		w := s.NewWriter(&out)
		for rest := text; rest != ""; {
			k := min(size, len(rest))
			_, err := w.Write([]byte(rest[:k]))
			require.NoError(t, err)
			rest = rest[k:]
		}
		require.NoError(t, w.Close())
		require.NoError(t, w.Close(), "a second Close does nothing")
		if got := out.String(); got != string(want) {
			i := 0
			for i < min(len(got), len(want)) && got[i] == want[i] {
				i++
			}
			t.Fatalf("pieces of %d differ at %d: got %q, want %q", size, i,
				got[max(0, i-60):min(len(got), i+60)], want[max(0, i-60):min(len(want), i+60)])
		}
		require.Equal(t, rep.Total(), w.Report().Total())
	}
}

func TestWriterLongRuns(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{})
	long := strings.Repeat("Ab3", 100_000)
	for _, tt := range []struct{ name, in, want string }{
		{"token", "x gh" + "p_" + long + " y", "x [token] y"},
		{"quoted value", `{"password":"` + long + `","n":1}`, `{"password":"[secret]","n":1}`},
		{"private key", "-----BEGIN PRIVATE KEY-----\n" + long + "\n-----END PRIVATE KEY-----\nz", "[token]\nz"},
		{"digits", strings.Repeat("1234567890", 20_000), strings.Repeat("1234567890", 20_000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, _ := s.String(tt.in)
			require.Equal(t, tt.want, got)
			require.Equal(t, tt.want, stream(t, s, []byte(tt.in), 900))
		})
	}
}

type brokenWriter struct{ err error }

func (b brokenWriter) Write([]byte) (int, error) { return 0, b.err }

func TestWriterError(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk full")
	w := newScrubber(t, scrub.Config{}).NewWriter(brokenWriter{broken})
	_, err := w.Write(make([]byte, 10_000))
	require.ErrorIs(t, err, broken)
	_, err = w.Write([]byte("x"))
	require.ErrorIs(t, err, broken)
	require.ErrorIs(t, w.Close(), broken)
}

func TestWriterAfterClose(t *testing.T) {
	t.Parallel()
	w := newScrubber(t, scrub.Config{}).NewWriter(&bytes.Buffer{})
	require.NoError(t, w.Close())
	_, err := w.Write([]byte("x"))
	require.Error(t, err)
}
