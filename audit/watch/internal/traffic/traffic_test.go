package traffic_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/audit/watch/internal/traffic"
)

// TestDrawHasItsMoments: the mean and the variance are those that the detectors
// assume.
func TestDrawHasItsMoments(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ m, phi float64 }{
		{0.2, 0}, {10, 0}, {200, 0}, {0.2, 0.3}, {10, 0.1}, {200, 2.5},
	} {
		r := rand.New(rand.NewPCG(1, 2))
		const n = 200_000
		sum, squares := 0.0, 0.0
		for range n {
			x := float64(traffic.Draw(r, row.m, row.phi))
			sum, squares = sum+x, squares+x*x
		}
		mean := sum / n
		require.InEpsilon(t, row.m, mean, 0.03, "%+v", row)
		require.InEpsilon(t, row.m+row.phi*row.m*row.m, squares/n-mean*mean, 0.06, "%+v", row)
	}
}

func TestRateSwingsByTheDay(t *testing.T) {
	t.Parallel()
	s := traffic.Shape{PerMinute: 10, Swing: 0.8, Peak: 14, Weekend: 0.5, Holiday: 0.1, Holidays: []int{2}}
	require.InDelta(t, 18, s.Rate(14*60), 0.01)
	require.InDelta(t, 2, s.Rate(2*60), 0.01)
	require.InDelta(t, 9, s.Rate((5*24+14)*60), 0.01, "a Saturday")
	require.InDelta(t, 1.8, s.Rate((2*24+14)*60), 0.01, "a holiday")
}
