package scrub_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/scrub"
)

func newScrubber(t testing.TB, cfg scrub.Config) *scrub.Scrubber {
	t.Helper()
	s, err := scrub.New(cfg)
	require.NoError(t, err)
	return s
}

func TestString(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{})
	for _, tt := range []struct{ name, in, want string }{
		{"clean", "the quick brown fox 12:30:45 took 13ms", "the quick brown fox 12:30:45 took 13ms"},
		{"email", "mail ann.lee+x@example.co.uk, now", "mail [email], now"},
		{"percent", "?q=ann%40example.com&x=1", "?q=[email]&x=1"},
		{"escape", `{"m":"ann\u0040example.com"}`, `{"m":"[email]"}`},
		{"full width", "ａｎｎ＠ｅｘａｍｐｌｅ．ｃｏｍ", "[email]"},
		{"newline escape", `x\nann@example.com`, `x\n[email]`},
		{"git remote", "git@github.com:org/repo.git", "git@github.com:org/repo.git"},
		{"module", "pkg@v1.2.3 lodash@4.17.21 icon@2x.png", "pkg@v1.2.3 lodash@4.17.21 icon@2x.png"},
		{"quoted", `to "ann lee"@example.com`, `to [email]`},
		{"card", "card 4929 7181 2345 6789 ok", "card [card] ok"},
		{"card after percent", "a=%204929718123456789&LIKE '%4929718123456789%'", "a=%20[card]&LIKE '%[card]%'"},
		{"card after escape", `{"m":"\u003c4929718123456789\u003e"}`, `{"m":"\u003c[card]\u003e"}`},
		{"card as float", "map[n:4.929718123456789e+15]", "map[n:[card]]"},
		{"card as JSON number", `{"n":4929718123456789}`, `{"n":"[card]"}`},
		{"bearer", "got Bearer abcdef123456789", "got Bearer [token]"},
		{"prose", "Bearer token required, basic authentication failed", "Bearer token required, basic authentication failed"},
		{"jwt", "t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl!", "t=[token]!"},
		{"url", "postgres://app:hunter2@db:5432/x", "postgres://[token]@db:5432/x"},
		{"pem", "k -----BEGIN PRIVATE KEY-----\nMIIE\nAAA=\n-----END PRIVATE KEY----- z", "k [token] z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, _ := s.String(tt.in)
			require.Equal(t, tt.want, got)
		})
	}
}
