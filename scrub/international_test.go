package scrub_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/scrub"
)

// Numbers that pass every other rule for cards: Luhn, issuer and length.
var plusNumbers = []struct {
	name, in, cards string // cards is what a Scrubber with only Card gives
}{
	{"Luhn, 13 digits", "+5018123456789", "+5018123456789"},
	{"Maestro, 12 digits in groups", "+50 1812 345673", "+50 1812 345673"},
	{"tel", "tel:+6763123456789", "tel:+6763123456789"},
	{"encoded plus", "%2B5018123456789", "%2B5018123456789"},
	{"full-width plus", "＋5018123456789", "＋5018123456789"},
	{"in JSON", `{"p":"+5018123456789"}`, `{"p":"+5018123456789"}`},
	{"later groups", "+49 5018 1234 5673", "+49 5018 1234 5673"},
	{"15 digits", "+378282246310005", "+378282246310005"},
	{"16 digits are a card", "+4929718123456789", "+[card]"},
	{"16 digits in groups are a card", "+4929 7181 2345 6789", "+[card]"},
	{"no plus", "5018123456789", "[card]"},
	{"a plus for a blank", "card+5018123456789", "card+[card]"},
}

func TestInternationalIsNoCard(t *testing.T) {
	t.Parallel()
	cards, err := scrub.New(scrub.Config{Detectors: []scrub.Detector{scrub.Card}})
	require.NoError(t, err)
	all, err := scrub.New(scrub.Config{})
	require.NoError(t, err)
	for _, tt := range plusNumbers {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out, _ := cards.String(tt.in)
			require.Equal(t, tt.cards, out)
			appended, _ := cards.Append(nil, []byte(tt.in))
			require.Equal(t, tt.cards, string(appended))
			if tt.in[0] == '{' {
				asJSON, _ := cards.AppendJSON(nil, []byte(tt.in))
				require.Equal(t, tt.cards, string(asJSON))
			}
			_, rep := all.String(tt.in)
			want := scrub.Card
			if tt.in == tt.cards {
				want = scrub.Phone
			}
			require.Equal(t, 1, rep.Count(want), "with every detector")
		})
	}
}
