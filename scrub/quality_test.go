package scrub_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/scrub"
)

const frozenCorpus = "4e744d9d29b1414e7c89280df4063cdfba3802f2dbfa8876e81576ba6955cfc1"

// minRecall is the share of values that must be fully covered.
func minRecall(kind string) float64 {
	switch kind {
	case "card", "card-number", "email", "token", "token-auth":
		return 0.995
	}
	return 0.98
}

const maxTouched = 0.005 // of the negatives

func TestQuality(t *testing.T) {
	t.Parallel()
	require.Equal(t, frozenCorpus, corpusHash(), "the frozen corpus changed")
	measure(t, corpus())
}

// TestQualityUnseen measures values and templates that meet in other ways
// than in the frozen corpus.
func TestQualityUnseen(t *testing.T) {
	t.Parallel()
	var all []sample
	for seed := range uint64(4) {
		all = append(all, corpusOf(7000+seed)...)
	}
	measure(t, all)
}

func measure(t *testing.T, all []sample) {
	t.Helper()
	s := newScrubber(t, scrub.Config{})
	total, good := map[string]int{}, map[string]int{}
	negatives, touched := 0, 0
	for _, sm := range all {
		out, rep := s.String(sm.text)
		if strings.HasPrefix(sm.kind, "negative/") {
			negatives++
			if rep.Total() > 0 || out != sm.text {
				touched++
				t.Logf("touched %s: %q became %q", sm.kind, sm.text, out)
			}
			continue
		}
		total[sm.kind]++
		if survives(sm, out) {
			t.Logf("missed %s: %q became %q", sm.kind, sm.text, out)
			continue
		}
		good[sm.kind]++
	}
	positives := 0
	for _, kind := range slices.Sorted(maps.Keys(total)) {
		recall := float64(good[kind]) / float64(total[kind])
		positives += total[kind]
		t.Logf("%-12s %4d of %4d covered: %.2f%%", kind, good[kind], total[kind], 100*recall)
		require.GreaterOrEqual(t, recall, minRecall(kind), kind)
	}
	share := float64(touched) / float64(negatives)
	t.Logf("negatives touched: %d of %d: %.2f%%", touched, negatives, 100*share)
	require.LessOrEqual(t, share, maxTouched)
	require.GreaterOrEqual(t, positives, 3000)
	require.GreaterOrEqual(t, negatives, 500)
}
