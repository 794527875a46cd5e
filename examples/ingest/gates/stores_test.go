package gates_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/gates"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
)

// No tenant can fill what is remembered of another's call events.
func TestEverySiteHasRoomForItsOwnRate(t *testing.T) {
	t.Parallel()
	sites := func(rates ...int) *settings.Settings {
		s := &settings.Settings{}
		for _, rate := range rates {
			s.Sites = append(s.Sites, settings.Site{RatePerMinute: rate})
		}
		return s
	}
	entries, perSite := gates.Shares(sites(600, 2000, 1))
	require.Equal(t, 7*2601+3000, entries)
	require.Equal(t, 15_000, perSite)
	entries, perSite = gates.Shares(sites(1_000_000, 1_000_000, 1))
	require.Equal(t, 4<<20, entries)
	require.Zero(t, perSite, "what is free at that moment, shared")
}
