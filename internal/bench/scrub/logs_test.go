package scrub

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

var logs = flag.String("logs", "", "pattern of log files to measure on, such as '/tmp/lnav/test/logfile_*'")

// TestRealLogs measures on logs that somebody else wrote. None is kept here: the
// test folder of github.com/tstack/lnav and github.com/logpai/loghub have many.
func TestRealLogs(t *testing.T) {
	if *logs == "" {
		t.Skip("needs -logs and a quiet machine")
	}
	names, err := filepath.Glob(*logs)
	if err != nil {
		t.Fatal(err)
	}
	some, every := four(t), scrubber(t)
	var dst []byte
	var ratios [2][]float64
	for _, name := range names {
		src, err := os.ReadFile(name) // #nosec G304 -- named by who runs the test
		if err != nil || len(src) < 4<<10 {
			continue // too short to measure
		}
		src = src[:min(len(src), 100<<10)]
		d := best(8,
			func() { sink += len(regexes(src)) },
			func() { dst, _ = some.Append(dst[:0], src) },
			func() { dst, _ = every.Append(dst[:0], src) },
		)
		ratios[0] = append(ratios[0], float64(d[0])/float64(d[1]))
		ratios[1] = append(ratios[1], float64(d[0])/float64(d[2]))
	}
	for i, name := range []string{"email+card+token", "every detector"} {
		r := ratios[i]
		slices.Sort(r)
		if len(r) > 0 {
			t.Logf("%s on %d logs against four regexes: median %.0fx, %.0fx to %.0fx",
				name, len(r), r[len(r)/2], r[0], r[len(r)-1])
		}
	}
}
